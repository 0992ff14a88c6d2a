"""Defects of meta-learning: how genomes are judged, follow their gradients, and evolve."""

from ._mutation import Mutation

OBJECTIVE, GRADIENT, POPULATION, EVOLUTION = (
    f"meta/{name}.py" for name in ("objective", "gradient", "population", "evolution")
)
JUDGED, FOLLOWED, EVOLVED = (f"tests/meta/test_{name}.py" for name in ("meta_objective", "meta_gradient", "evolution"))
FOLLOWS = (f"{FOLLOWED}::test_each_genome_follows_optax_by_itself",)
SKIPPED = (f"{FOLLOWED}::test_what_is_not_finite_is_skipped_then_replaced",)
MEANS = (f"{JUDGED}::test_replicas_online_share_warm_up_and_several_problems_are_means",)
DRIVEN = (f"{EVOLVED}::test_the_optimizer_is_told_what_it_asked_for_and_starts_again_from_the_best",)

WARM_UP = """\
    fixed = jax.lax.stop_gradient(genome)

    def learn(i, network):
        x, target = batch(key, i)
        return engine.step(problem.graph, fixed, network, x, target, rule=objective.rule)[0]

    return jax.lax.stop_gradient(jax.lax.fori_loop(0, n_steps, learn, network))
"""
WITH_GRADIENT = """\
    def learn(network, i):
        x, target = batch(key, i)
        step = lambda network: engine.step(problem.graph, genome, network, x, target, rule=objective.rule)[0]
        return jax.lax.cond(i < n_steps, step, lambda network: network, network), None

    return jax.lax.scan(learn, network, jnp.arange(objective.warm_up))[0]
"""

META = (
    Mutation(
        "the warm-up carries a gradient",
        OBJECTIVE,
        WARM_UP,
        WITH_GRADIENT,
        (f"{JUDGED}::test_no_gradient_passes_through_the_warm_up",),
    ),
    Mutation(
        "query batches of the test set",
        OBJECTIVE,
        "x, target = episode.query(query_key, objective.query_size)",
        "x, target = problem.task.query_set()",
        (f"{JUDGED}::test_classes_are_judged_by_cross_entropy_and_never_by_the_test_set",),
    ),
    Mutation(
        "the online share is a sum",
        OBJECTIVE,
        "objective.online * total / length",
        "objective.online * total",
        MEANS,
    ),
    Mutation(
        "unrolls one step too long",
        OBJECTIVE,
        "jax.lax.cond(i < length, learn",
        "jax.lax.cond(i <= length, learn",
        (f"{JUDGED}::test_a_score_is_a_loop_of_steps_and_shorter_unrolls_fit_in_a_larger_capacity",),
    ),
    Mutation(
        "problems share a key",
        OBJECTIVE,
        "keys = jax.random.split(key, len(problems))",
        "keys = jax.random.split(key, 1).repeat(len(problems))",
        MEANS,
    ),
    Mutation(
        "one clip for all genomes",
        GRADIENT,
        "    finite = jnp.isfinite(scores.loss) & jnp.isfinite(norms)\n",
        "    finite = jnp.isfinite(scores.loss) & jnp.isfinite(norms)\n"
        "    shrink = jnp.minimum(1, method.clip / optax.tree.norm(gradients))\n"
        "    gradients = jax.tree.map(lambda g: g * shrink, gradients)\n",
        (f"{FOLLOWED}::test_each_genomes_clip_is_its_own",),
    ),
    Mutation(
        "skipped updates still move Adam",
        GRADIENT,
        "lambda new, old: jnp.where(finite, new, old), (after, smooth, moved), (genome, average, state)\n        )",
        "lambda new, old: jnp.where(finite, new, old), (after, smooth), (genome, average)\n        ) + (moved,)",
        SKIPPED,
    ),
    Mutation(
        "losses that are not finite are averaged",
        GRADIENT,
        "return jnp.where(finite, _smoothed(average, new, method.memory), average)",
        "return _smoothed(average, new, method.memory)",
        SKIPPED,
    ),
    Mutation(
        "replaced a failure late",
        GRADIENT,
        "lost = failures >= method.patience",
        "lost = failures > method.patience",
        SKIPPED,
    ),
    Mutation(
        "curriculum off by one",
        GRADIENT,
        "self.first + self.add * (step // self.every)",
        "self.first + self.add * ((step + 1) // self.every)",
        (f"{FOLLOWED}::test_lengths_by_stage",),
    ),
    Mutation(
        "random lengths leave out the longest",
        GRADIENT,
        "jnp.minimum(self.shortest, longest), longest + 1)",
        "jnp.minimum(self.shortest, longest), longest)",
        (f"{FOLLOWED}::test_random_lengths_are_uniform_up_to_the_stage",),
    ),
    Mutation(
        "the learning rate of the next meta-step",
        GRADIENT,
        "jnp.asarray(method.learning_rate(step))",
        "jnp.asarray(method.learning_rate(step + 1))",
        FOLLOWS,
    ),
    Mutation(
        "the best is the worst",
        POPULATION,
        "return jnp.argmin(jnp.where(jnp.isnan(population.loss), jnp.inf, population.loss))",
        "return jnp.argmax(jnp.where(jnp.isnan(population.loss), -jnp.inf, population.loss))",
        FOLLOWS,
    ),
    Mutation(
        "a genome that never had a loss is the best",
        POPULATION,
        "jnp.where(jnp.isnan(population.loss), jnp.inf, population.loss)",
        "jnp.where(jnp.isnan(population.loss), -jnp.inf, population.loss)",
        (f"{FOLLOWED}::test_genomes_that_never_had_a_loss_come_last",),
    ),
    Mutation(
        "noise on the best",
        POPULATION,
        "    which = which & (jnp.arange(population.size) != chosen)\n",
        "",
        (f"{FOLLOWED}::test_synchronising_copies_the_best_to_all",),
    ),
    Mutation(
        "no copies at the end of a stage",
        GRADIENT,
        " | method.curriculum.ends(step)",
        "",
        (f"{FOLLOWED}::test_synchronising_copies_the_best_to_all",),
    ),
    Mutation(
        "copies keep the optimizer's state of those they replace",
        POPULATION,
        "optimizer=jax.tree.map(spread, population.optimizer)",
        "optimizer=population.optimizer",
        SKIPPED,
    ),
)
EVOLVING = (
    Mutation(
        "what is not finite ranks first",
        EVOLUTION,
        "LAST = 2.0",
        "LAST = -2.0",
        (f"{EVOLVED}::test_what_is_not_finite_ranks_behind_all_and_is_counted",),
    ),
    Mutation(
        "a restart from the founder",
        EVOLUTION,
        "start = self._best[1]\n",
        "start = self._founders[0]\n",
        DRIVEN,
    ),
    Mutation(
        "the optimizer is told accuracies",
        EVOLUTION,
        "np.where(found.finite, 1 - np.asarray(found.accuracy, np.float64), LAST)",
        "np.where(found.finite, np.asarray(found.accuracy, np.float64), LAST)",
        DRIVEN,
    ),
    Mutation(
        "CMA-ES draws from NumPy's own generator",
        EVOLUTION,
        "draws.standard_normal(shape)",
        "np.random.standard_normal(shape)",
        (f"{EVOLVED}::test_cma_finds_the_valley_by_draws_of_its_own",),
    ),
    Mutation(
        "fitness of a network that has not learnt",
        EVOLUTION,
        "network = jax.lax.fori_loop(0, length, learn, network)",
        "jax.lax.fori_loop(0, length, learn, network)",
        (f"{EVOLVED}::test_fitness_is_accuracy_after_learning_by_hand",),
    ),
)
