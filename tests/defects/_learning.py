"""Defects of evaluating rules, of the baselines that they are compared with, and of the comparison."""

from ._mutation import Mutation
from ._operators import FixCondition, ReplaceAttribute, Rewrite, SetArgument

EVALUATING, BASELINE, COMPARISON, DESCENT, ORTHOGONAL, FORWARD = (
    f"learning/{name}.py"
    for name in ("evaluation", "baselines", "comparison", "descent", "orthogonal", "forward_passes")
)
EVALUATED, BASELINES, COMPARED, MUON = (
    f"tests/learning/test_{name}.py" for name in ("evaluation", "baselines", "comparison", "orthogonal")
)
CONTESTS = "tests/runs/test_contests.py"
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
        FixCondition(False, n=1, of=2),
        (f"{EVALUATED}::test_steps_that_do_not_ascend_from_0_are_an_error",),
    ),
    Mutation(
        "numbers of a rule compiled into the program",
        DESCENT,
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
        COMPARISON,
        "tune",
        Rewrite("_c(_k, _w, steps, n_draws=n_choosing, held_out=True)", "_c(_k, _w, steps, n_draws=n_choosing)"),
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
        (f"{BASELINES}::test_what_is_chosen_for_each_step_is_the_best_on_held_out_examples",),
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
        DESCENT,
        "functions_for.step",
        SetArgument("Trained", 1, "state.optimizer"),
        (BY_HAND,),
    ),
    Mutation(
        "no weights to decay",
        DESCENT,
        "functions_for.step",
        Rewrite("_o.update(_g, _s, synapses, **_e)", "_o.update(_g, _s, _g, **_e)"),
        (f"{BASELINES}::test_an_optimizer_of_the_users_decays_weights_clips_and_follows_a_schedule",),
    ),
    Mutation(
        "the baselines' activation ignored",
        FORWARD,
        "plain",
        SetArgument("backprop", "activation", "jnp.tanh"),
        (f"{COMPARED}::test_all_begin_from_the_same_synapses",),
    ),
    Mutation(
        "a rate that falls to half of it",
        DESCENT,
        "Descent._falling",
        Rewrite("1 + _c", "3 + _c"),
        (f"{BASELINES}::test_a_rate_falls_along_a_cosine_as_in_optax",),
    ),
    Mutation(
        "a rate that rises again beyond its horizon",
        DESCENT,
        "Descent._falling",
        Rewrite("jnp.minimum(_x, 1)", "_x"),
        (f"{BASELINES}::test_a_rate_falls_along_a_cosine_as_in_optax",),
    ),
    Mutation(
        "the rate falls until the last mark of a curve, not until each",
        EVALUATING,
        "_curve",
        Rewrite("jnp.maximum(steps[n], 1)", "jnp.maximum(steps[-1], 1)"),
        (f"{BASELINES}::test_a_rate_that_falls_has_a_run_of_its_own_for_each_number_of_steps",),
    ),
    Mutation(
        "runs of a falling rate that go on from the last mark",
        EVALUATING,
        "_curve",
        Rewrite("jnp.where(falls, first, now)", "now"),
        (f"{BASELINES}::test_a_rate_that_falls_has_a_run_of_its_own_for_each_number_of_steps",),
    ),
    Mutation(
        "baselines whose forward pass is the plain one, whatever was chosen",
        BASELINE,
        "Baseline.learners",
        Rewrite("forwards[_c.forward]", 'forwards["plain"]'),
        (f"{BASELINES}::test_what_is_tried_is_what_its_name_says",),
    ),
    Mutation(
        "synapses are not brought to their length before a step",
        DESCENT,
        "functions_for.step",
        Rewrite("engine.normalized(_n, _f, state.network)", "state.network"),
        (f"{BASELINES}::test_synapses_are_brought_to_their_length_at_the_start_of_each_step",),
    ),
    Mutation(
        "the normalisation of the rule's last state",
        FORWARD,
        "_normalization",
        Rewrite("mean[:1]", "mean[-1:]"),
        (f"{CONTESTS}::test_baselines_are_tried_plain_and_normalised_as_each_rule_is",),
    ),
    Mutation(
        "Muon without the factor of the matrix's shape",
        ORTHOGONAL,
        "levels_of",
        Rewrite("np.maximum(1, _m)", "np.ones_like(_m)"),
        (f"{MUON}::test_muon_is_that_of_optax_on_the_matrix_of_each_level",),
    ),
    Mutation(
        "Muon's momentum that does not look ahead",
        ORTHOGONAL,
        "_orthogonalised.update",
        Rewrite("decay * m / (1 - decay ** (t + 1)) + _g", "m / (1 - decay**t)"),
        (f"{MUON}::test_muon_is_that_of_optax_on_the_matrix_of_each_level",),
    ),
    Mutation(
        "levels one above a neuron's first sender",
        ORTHOGONAL,
        "_levels",
        Rewrite("max(level[j], level[i] + 1)", "level[j] or level[i] + 1"),
        (f"{MUON}::test_each_level_has_the_matrix_of_all_its_senders",),
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
        Rewrite("_f(_e.curve.accuracy[:, _n])", "_f(_e.curve.accuracy[:, -1])"),
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
