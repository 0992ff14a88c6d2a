"""Defects of evaluating genomes, of the baselines that they are compared with, and of the comparison."""

from ._mutation import Mutation

EVALUATION, BASELINES, COMPARISON = (
    f"tests/learning/test_{name}.py" for name in ("evaluation", "baselines", "comparison")
)
COMMANDS = "tests/cli/test_cli_evaluate.py"

CURVES = (
    Mutation(
        "trials are episodes",
        "evaluation.py",
        "task.episode(task_key) if held_out else task.trial(task_key)",
        "task.episode(task_key)",
        (f"{EVALUATION}::test_each_draw_is_a_trial_of_its_own_classes",),
    ),
    Mutation(
        "draws share their batches",
        "evaluation.py",
        "drawn.support(jax.random.fold_in(support_key, i), batch_size)",
        "drawn.support(jax.random.fold_in(key, i), batch_size)",
        (f"{EVALUATION}::test_draws_differ_in_synapses_and_in_batches",),
    ),
    Mutation(
        "every step learns from the first batch",
        "evaluation.py",
        "drawn.support(jax.random.fold_in(support_key, i), batch_size)",
        "drawn.support(jax.random.fold_in(support_key, 0), batch_size)",
        (f"{EVALUATION}::test_a_curve_equals_a_plain_loop",),
    ),
    Mutation(
        "steps are counted anew after each mark",
        "evaluation.py",
        "prediction, done = learner.predict(network, x_query), step",
        "prediction, done = learner.predict(network, x_query), 0",
        (f"{EVALUATION}::test_marks_ascend_from_0_and_end_where_asked",),
    ),
    Mutation(
        "loss of a single output is a softmax",
        "evaluation.py",
        "if prediction.shape[0] == 1 else",
        "if prediction.shape[0] == 0 else",
        (f"{EVALUATION}::test_a_curve_equals_a_plain_loop",),
    ),
    Mutation(
        "Student's t with n degrees of freedom",
        "evaluation.py",
        "stats.t.ppf(0.975, n - 1)",
        "stats.t.ppf(0.975, n)",
        (f"{EVALUATION}::test_the_interval_is_students",),
    ),
    Mutation(
        "deviation over n",
        "evaluation.py",
        "np.std(values, ddof=1)",
        "np.std(values, ddof=0)",
        (f"{EVALUATION}::test_the_interval_is_students",),
    ),
)
TUNING = (
    Mutation(
        "learning rates chosen on the test set",
        "evaluation.py",
        "jnp.arange(n_draws), True, batch_size",
        "jnp.arange(n_draws), False, batch_size",
        (f"{BASELINES}::test_the_test_set_has_no_say_in_the_choice",),
    ),
    Mutation(
        "learning rates chosen on the draws of the trials",
        "baselines.py",
        "choosing = jax.random.fold_in(key, _CHOOSING)",
        "choosing = key",
        (f"{BASELINES}::test_draws_for_choosing_are_others_than_those_of_the_trials",),
    ),
    Mutation(
        "one learning rate for all numbers of steps",
        "baselines.py",
        "np.argmax(means, axis=0)",
        "np.full(means.shape[1], np.argmax(means[:, -1]))",
        (f"{BASELINES}::test_the_rate_of_each_step_is_the_best_on_held_out_examples",),
    ),
    Mutation(
        "no momentum",
        "baselines.py",
        "optax.trace, decay=0.9",
        "optax.trace, decay=0.0",
        (f"{BASELINES}::test_an_optimizer_equals_optax_on_a_function_by_hand",),
    ),
    Mutation(
        "the optimizer's state forgotten",
        "baselines.py",
        "return Trained(_with(plain, moved), state)",
        "return Trained(_with(plain, moved), network.state)",
        (f"{BASELINES}::test_an_optimizer_equals_optax_on_a_function_by_hand",),
    ),
    Mutation(
        "the baselines' activation ignored",
        "baselines.py",
        "rules.backprop(activation=self.activation)",
        "rules.backprop(activation=rules.tanh)",
        (f"{COMPARISON}::test_all_begin_from_the_same_synapses",),
    ),
)
COMPARING = (
    Mutation(
        "draws of a difference not paired",
        "comparison.py",
        "one.curve.accuracy[:, n] - other.curve.accuracy[:, n]",
        "one.curve.accuracy[:, n] - other.curve.accuracy[::-1, n]",
        (f"{COMPARISON}::test_the_interval_of_a_difference_is_that_of_pairs",),
    ),
    Mutation(
        "the best of another step leads",
        "comparison.py",
        "key=lambda entry: entry.curve.accuracy[:, n].mean()",
        "key=lambda entry: entry.curve.accuracy[:, -1].mean()",
        (f"{COMPARISON}::test_leads_are_of_the_best_genome_and_the_best_baseline_at_each_mark",),
    ),
    Mutation(
        "ahead within the interval",
        "comparison.py",
        "abs(lead.difference.mean) > lead.difference.half",
        "abs(lead.difference.mean) > 0",
        (f"{COMPARISON}::test_sentences_say_who_is_ahead_and_where",),
    ),
    Mutation(
        "the rule of a genome's file ignored",
        "resolve.py",
        'if file.rule is not None and "rule" not in config.model_fields_set:',
        "if False:",
        (f"{COMMANDS}::test_rule_and_initializer_are_those_of_the_genomes_file",),
    ),
    Mutation(
        "the rule of a topology's file before that of the genome's",
        "config/_load.py",
        'for name in ("rule", "initializer") if isinstance(said, dict)',
        'for name in ("initializer",) if isinstance(said, dict)',
        (f"{COMMANDS}::test_rule_and_initializer_are_those_of_the_genomes_file",),
    ),
    Mutation(
        "the rule of a genome's file before the one asked for",
        "resolve.py",
        'if file.rule is not None and "rule" not in config.model_fields_set:',
        "if file.rule is not None:",
        (f"{COMMANDS}::test_what_is_asked_for_stands_above_the_genomes_file",),
    ),
)
