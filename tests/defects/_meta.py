"""Defects of meta-learning: how rules are judged, follow their gradients, and evolve."""

from ._mutation import Mutation
from ._operators import ChangeReturn, FixCondition, ReplaceConstant, Rewrite, SetArgument

API, OBJECTIVE, STEPS, POPULATION, EVOLUTION = (
    f"meta/{name}.py" for name in ("api", "objective", "steps", "population", "evolution")
)
CALLED, JUDGED, FOLLOWED, EVOLVED = (
    f"tests/meta/test_{name}.py" for name in ("meta_api", "meta_objective", "meta_gradient", "evolution")
)
FOLLOWS = (f"{FOLLOWED}::test_each_rule_follows_optax_by_itself",)
SKIPPED = (f"{FOLLOWED}::test_what_is_not_finite_is_skipped_then_replaced",)
MEANS = (f"{JUDGED}::test_replicas_online_share_warm_up_and_several_problems_are_means",)
COPIES = (f"{FOLLOWED}::test_synchronising_copies_the_best_to_all",)
DRIVEN = (f"{EVOLVED}::test_the_optimizer_is_told_what_it_asked_for_and_starts_again_from_the_best",)

META = (
    Mutation(
        "the warm-up carries a gradient",
        OBJECTIVE,
        "_one",
        Rewrite("jax.lax.stop_gradient(_x)", "_x", of=2),
        (f"{JUDGED}::test_no_gradient_passes_through_the_warm_up",),
    ),
    Mutation(
        "query batches of the test set",
        OBJECTIVE,
        "_one",
        Rewrite("_e.query(_k, _n)", "problem.task.query_set()"),
        (f"{JUDGED}::test_classes_are_judged_by_cross_entropy_and_never_by_the_test_set",),
    ),
    Mutation(
        "the online share is a sum",
        OBJECTIVE,
        "_one",
        Rewrite("_x / length", "_x"),
        MEANS,
    ),
    Mutation(
        "the objective's own loss ignored",
        OBJECTIVE,
        "Objective.mean_loss",
        FixCondition(True),
        MEANS,
    ),
    Mutation(
        "unrolls one step too long",
        OBJECTIVE,
        "_one",
        Rewrite("length", "length + 1", n=1, of=2),
        (f"{JUDGED}::test_a_score_is_a_loop_of_steps_and_shorter_unrolls_fit_in_a_larger_capacity",),
    ),
    Mutation(
        "problems share a key",
        OBJECTIVE,
        "mean_score",
        Rewrite("jax.random.split(key, len(problems))", "jax.random.split(key, 1).repeat(len(problems))"),
        MEANS,
    ),
    Mutation(
        "one clip for all rules",
        STEPS,
        "meta_step",
        Rewrite("jnp.where(finite, _g, 0)", "jnp.where(finite, _g, 0) / optax.tree.norm(gradients)"),
        (f"{FOLLOWED}::test_each_rules_clip_is_its_own",),
    ),
    Mutation(
        "the optimizer does not see the numbers of the rule",
        STEPS,
        "meta_step",
        Rewrite("method.optimizer.update(_g, _s, _r)", "method.optimizer.update(_g, _s, _g)"),
        FOLLOWS,
    ),
    Mutation(
        "skipped updates still move the optimizer",
        STEPS,
        "meta_step",
        Rewrite("jax.tree.map(_f, (_a, _b, _c), (_x, _y, _z))", "(*jax.tree.map(_f, (_a, _b), (_x, _y)), _c)"),
        SKIPPED,
    ),
    Mutation(
        "losses that are not finite are averaged",
        STEPS,
        "meta_step.smoothed",
        ChangeReturn("_smoothed(average, new, method.memory)"),
        SKIPPED,
    ),
    Mutation(
        "replaced a failure late",
        STEPS,
        "meta_step",
        Rewrite("_f >= method.patience", "_f > method.patience"),
        SKIPPED,
    ),
    Mutation(
        "curriculum off by one",
        STEPS,
        "Curriculum.longest",
        Rewrite("step // self.every", "(step + 1) // self.every"),
        (f"{FOLLOWED}::test_lengths_by_stage",),
    ),
    Mutation(
        "random lengths leave out the longest",
        STEPS,
        "Curriculum.length",
        Rewrite("_x + 1", "_x"),
        (f"{FOLLOWED}::test_random_lengths_are_uniform_up_to_the_stage",),
    ),
    Mutation(
        "the best is the worst",
        POPULATION,
        "best",
        Rewrite("jnp.argmin(jnp.where(_f, _l, jnp.inf))", "jnp.argmax(jnp.where(_f, _l, -jnp.inf))"),
        FOLLOWS,
    ),
    Mutation(
        "a rule that never had a loss is the best",
        POPULATION,
        "best",
        Rewrite("jnp.inf", "-jnp.inf"),
        (f"{FOLLOWED}::test_rules_that_never_had_a_loss_come_last",),
    ),
    Mutation(
        "noise on the best",
        POPULATION,
        "reseeded",
        Rewrite("which & _x", "which"),
        COPIES,
    ),
    Mutation(
        "no copies at the end of a stage",
        STEPS,
        "meta_step",
        Rewrite("_w | method.curriculum.ends(step)", "_w"),
        COPIES,
    ),
    Mutation(
        "copies keep the optimizer's state of those they replace",
        POPULATION,
        "reseeded",
        SetArgument("dataclasses.replace", "optimizer", "population.optimizer"),
        SKIPPED,
    ),
    Mutation(
        "the user's optimizer ignored",
        API,
        "gradient",
        FixCondition(True, n=1, of=2),
        (f"{CALLED}::test_gradient_is_a_loop_of_meta_steps",),
    ),
    Mutation(
        "a graph learns tasks of other sizes",
        API,
        "pair",
        Rewrite("_a == _b", "True"),
        (f"{CALLED}::test_graphs_learn_the_tasks_that_fit_them",),
    ),
    Mutation(
        "rules of different structure are stacked",
        API,
        "stack",
        Rewrite("_s != structures[0]", "False"),
        (f"{CALLED}::test_rules_that_do_not_go_together_are_a_sentence",),
    ),
)
EVOLVING = (
    Mutation(
        "what is not finite ranks first",
        EVOLUTION,
        "LAST",
        ReplaceConstant(2.0, -2.0),
        (f"{EVOLVED}::test_what_is_not_finite_ranks_behind_all_and_is_counted",),
    ),
    Mutation(
        "a restart from the founder",
        EVOLUTION,
        "Evolution._tell",
        Rewrite("start = self._best[1]", "start = self._founders[0]"),
        DRIVEN,
    ),
    Mutation(
        "the optimizer is told accuracies",
        EVOLUTION,
        "Evolution.advance",
        Rewrite("1 - _a", "_a"),
        DRIVEN,
    ),
    Mutation(
        "CMA-ES draws from NumPy's own generator",
        EVOLUTION,
        "cma_es",
        Rewrite("draws.standard_normal", "np.random.standard_normal"),
        (f"{EVOLVED}::test_cma_finds_the_valley_by_draws_of_its_own",),
    ),
    Mutation(
        "fitness of a network that has not learnt",
        EVOLUTION,
        "_one",
        SetArgument("engine.learn", "steps", "0 * _x"),
        (f"{EVOLVED}::test_fitness_is_accuracy_after_learning_by_hand",),
    ),
)
