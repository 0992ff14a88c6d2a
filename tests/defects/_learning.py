"""Defects of evaluating rules, of the baselines that they are compared with, and of the comparison."""

from ._mutation import Mutation
from ._operators import FixCondition, ReplaceAttribute, Rewrite, SetArgument

EVALUATING, BASELINE, COMPARISON = (f"learning/{name}.py" for name in ("evaluation", "baselines", "comparison"))
EVALUATED, BASELINES, COMPARED = (
    f"tests/learning/test_{name}.py" for name in ("evaluation", "baselines", "comparison")
)
RESOLVE = "runs/resolve.py"
COMMANDS = "tests/cli/test_cli_evaluate.py"
BY_HAND = f"{BASELINES}::test_an_optimizer_equals_optax_on_a_function_by_hand"
OF_FILE = f"{COMMANDS}::test_rule_and_initializer_are_those_of_the_genomes_file"
LOOP = f"{EVALUATED}::test_a_curve_equals_a_plain_loop"

CURVES = (
    Mutation(
        "trials are episodes",
        EVALUATING,
        "_curve",
        ReplaceAttribute("trial", "episode"),
        (f"{EVALUATED}::test_each_draw_is_a_trial_of_its_own_classes",),
    ),
    Mutation(
        "draws share their batches",
        EVALUATING,
        "_curve",
        SetArgument("engine.learn", 0, "key"),
        (f"{EVALUATED}::test_draws_differ_in_synapses_and_in_batches",),
    ),
    Mutation(
        "every step learns from the first batch",
        "engine/loop.py",
        "learn",
        Rewrite("jax.random.fold_in(key, _i)", "jax.random.fold_in(key, 0)"),
        (LOOP,),
    ),
    Mutation(
        "steps are counted anew after each mark",
        EVALUATING,
        "_curve",
        Rewrite("_m - state.step", "_m"),
        (f"{EVALUATED}::test_marks_ascend_from_0_and_end_where_asked",),
    ),
    Mutation(
        "loss and score exchanged",
        EVALUATING,
        "_curve",
        Rewrite("(_d.mean_loss(_p, _t), _d.score(_p, _t))", "(_d.score(_p, _t), _d.mean_loss(_p, _t))"),
        (LOOP,),
    ),
    Mutation(
        "steps in any order",
        EVALUATING,
        "evaluate",
        FixCondition(False),
        (f"{EVALUATED}::test_steps_that_do_not_ascend_from_0_are_an_error",),
    ),
    Mutation(
        "numbers of a rule compiled into the program",
        BASELINE,
        "learner",
        Rewrite("as_arrays(_r, dtype)", "_r"),
        (f"{EVALUATED}::test_one_program_serves_all_numbers_of_a_rule_and_all_steps",),
    ),
    Mutation(
        "Student's t with n degrees of freedom",
        EVALUATING,
        "interval",
        Rewrite("stats.t.ppf(_p, _n - 1)", "stats.t.ppf(_p, _n)"),
        (f"{EVALUATED}::test_the_interval_is_students",),
    ),
    Mutation(
        "deviation over n",
        EVALUATING,
        "interval",
        SetArgument("np.std", "ddof", "0"),
        (f"{EVALUATED}::test_the_interval_is_students",),
    ),
)
TUNING = (
    Mutation(
        "learning rates chosen on the test set",
        EVALUATING,
        "held_out_curves",
        SetArgument("evaluate", "held_out", "False"),
        (f"{BASELINES}::test_the_test_set_has_no_say_in_the_choice",),
    ),
    Mutation(
        "learning rates chosen on the draws of the trials",
        COMPARISON,
        "tune",
        Rewrite("jax.random.fold_in(key, _)", "key"),
        (f"{BASELINES}::test_draws_for_choosing_are_others_than_those_of_the_trials",),
    ),
    Mutation(
        "one learning rate for all numbers of steps",
        COMPARISON,
        "tune",
        Rewrite("np.argmax(_m, axis=0)", "np.full(_m.shape[1], np.argmax(_m[:, -1]))"),
        (f"{BASELINES}::test_the_rate_of_each_step_is_the_best_on_held_out_examples",),
    ),
    Mutation(
        "no momentum",
        BASELINE,
        "_momentum",
        SetArgument("optax.sgd", "momentum", "0 * _x"),
        (BY_HAND,),
    ),
    Mutation(
        "the optimizer's state forgotten",
        BASELINE,
        "functions_for.step",
        SetArgument("Trained", 1, "state.optimizer"),
        (BY_HAND,),
    ),
    Mutation(
        "no weights to decay",
        BASELINE,
        "functions_for.step",
        Rewrite("_o.update(_g, _s, synapses)", "_o.update(_g, _s, _g)"),
        (f"{BASELINES}::test_an_optimizer_of_the_users_decays_weights_clips_and_follows_a_schedule",),
    ),
    Mutation(
        "the baselines' activation ignored",
        BASELINE,
        "Descent.rule",
        SetArgument("backprop", "activation", "jnp.tanh"),
        (f"{COMPARED}::test_all_begin_from_the_same_synapses",),
    ),
)
COMPARING = (
    Mutation(
        "draws of a difference not paired",
        COMPARISON,
        "",
        Rewrite("_a - _b.curve.accuracy[:, _n]", "_a - _b.curve.accuracy[::-1, _n]"),
        (f"{COMPARED}::test_the_interval_of_a_difference_is_that_of_pairs",),
    ),
    Mutation(
        "the best of another step leads",
        COMPARISON,
        "",
        Rewrite("_e.curve.accuracy[:, _n].mean()", "_e.curve.accuracy[:, -1].mean()"),
        (f"{COMPARED}::test_leads_are_of_the_best_rule_and_the_best_baseline_at_each_mark",),
    ),
    Mutation(
        "ahead within the interval",
        COMPARISON,
        "sentences",
        Rewrite("abs(_d.mean) > _d.half", "abs(_d.mean) > 0"),
        (f"{COMPARED}::test_sentences_say_who_is_ahead_and_where",),
    ),
    Mutation(
        "the file of a rule is not read",
        RESOLVE,
        "one_rule",
        Rewrite("genome not in COMPUTED", "False"),
        (OF_FILE,),
    ),
    Mutation(
        "the rule of a topology's file before that of the genome's",
        "runs/settings",
        "_named_by_genome",
        Rewrite('{"rule"}', "set()"),
        (OF_FILE,),
    ),
    Mutation(
        "the rule of a genome's file before the one asked for",
        RESOLVE,
        "one_rule",
        Rewrite('"rule" not in _c.model_fields_set', "True"),
        (f"{COMMANDS}::test_what_is_given_stands_above_the_genomes_file",),
    ),
)
