"""Defects of the forward and the backward pass, of feedback, and of what the engine makes of an update."""

from ._mutation import ALONE, BACKPROP, POPULATIONS, RUNS, Mutation
from ._operators import FixCondition, Rewrite

PASSES, SYNAPSES, ARRANGEMENT = "engine/passes.py", "engine/synapses.py", "engine/arrangement.py"
MLP, DEFAULTS, EACH = f"{BACKPROP}[mlp]", f"{ALONE}[published defaults]", f"{POPULATIONS}[published defaults]"

FIXED = "tests/rules/test_fixed_numbers.py"

PASSING = (
    Mutation(
        "a rule that never ages",
        "engine/arguments.py",
        "rules_of",
        Rewrite("rule.at(state.step)", "rule.at(0 * state.step)"),
        ("tests/engine/test_age.py",),
    ),
    Mutation(
        "numbers drawn once that are drawn anew",
        PASSES,
        "_noise",
        Rewrite("jax.random.fold_in(key, _ONCE)", "jax.random.fold_in(key, state.step)"),
        (f"{FIXED}::test_they_are_drawn_once_and_kept",),
    ),
    Mutation(
        "numbers drawn once that predictions lack",
        PASSES,
        "_noise",
        Rewrite(
            "jnp.broadcast_to(once, _s)", "jnp.broadcast_to(0 * once, _s) if quiet else jnp.broadcast_to(once, _s)"
        ),
        (f"{FIXED}::test_they_are_there_in_predictions",),
    ),
    Mutation(
        "no bias on the way forward",
        PASSES,
        "ForwardCell.__call__",
        Rewrite("_u + rows.bias * _s", "_u + 0 * rows.bias * _s"),
        (MLP,),
    ),
    Mutation(
        "the bias neuron sends state 1 alone",
        PASSES,
        "ForwardCell.__call__",
        Rewrite("jnp.ones((_k, 1, 1), _d)", "jnp.ones((1, 1, 1), _d)"),
        (RUNS,),
    ),
    Mutation(
        "the bias neuron does not send by the rule",
        PASSES,
        "ForwardCell.__call__",
        Rewrite("_u + rows.bias * _s", "_u + rows.bias"),
        (DEFAULTS,),
    ),
    Mutation(
        "a population's own activation ignored",
        PASSES,
        "activation_of",
        FixCondition(True, n=1, of=2),
        (f"{BACKPROP}[own_activations]",),
    ),
    Mutation(
        "neurons send by the rule of those below them",
        PASSES,
        "forward_pass",
        Rewrite("(_r[_t.rule_below], _r[_t.rule])", "(_r[_t.rule_below], _r[_t.rule_below])"),
        (EACH,),
    ),
    Mutation(
        "kept states of no neuron",
        PASSES,
        "forward_pass",
        Rewrite("None if state.neurons is None else _a", "None"),
        (f"{ALONE}[k states kept]",),
    ),
    Mutation(
        "outputs in the wrong order",
        PASSES,
        "_fed_back",
        Rewrite("_x[:, net.column[_a:_b]]", "_x[:, net.column[_a:_b][::-1]]"),
        (MLP,),
    ),
    Mutation(
        "all outputs of a population fed back to",
        PASSES,
        "BackwardCell.__call__",
        Rewrite("jnp.where(rows.feeds > 0, _n, _a)", "_n"),
        (EACH,),
    ),
    Mutation(
        "inputs changed on the way back",
        PASSES,
        "BackwardCell.receives",
        Rewrite("return self.reads_inputs", "return True"),
        (DEFAULTS,),
    ),
    Mutation(
        "every neuron sends back by its own rule",
        PASSES,
        "BackwardCell.__call__",
        Rewrite("tuple(_r.send_down(_a).astype(_d) for _r in _s)", "tuple(own.send_down(_a).astype(_d) for _r in _s)"),
        (EACH,),
    ),
    Mutation(
        "the last channels skipped on the way back, not the first",
        PASSES,
        "backward_pass",
        Rewrite("tuple(_w[_f:] for _w in _s)", "tuple(_w[: _w.shape[0] - _f] for _w in _s)"),
        (f"{ALONE}[multiplicative second state]",),
    ),
    Mutation(
        "all channels on the way back, where state 1 passes",
        PASSES,
        "backward_pass",
        Rewrite("_f and _w.shape[0] > 1", "False"),
        (f"{ALONE}[multiplicative second state]",),
    ),
    Mutation(
        "norms of other channels on the way back, where state 1 passes",
        PASSES,
        "backward_pass",
        Rewrite("_s[_f:] if _c else _d", "_s[: _s.shape[0] - _f] if _c else _d"),
        (f"{ALONE}[... second state]",),
    ),
    Mutation(
        "synapses that the backward pass reads without their gradient",
        PASSES,
        "_read_by_backward_pass",
        Rewrite("jax.lax.stop_gradient(_w) if _c else _w", "jax.lax.stop_gradient(_w)"),
        ("tests/engine/test_engine.py::test_the_gradient_of_a_query_loss_equals_central_differences[dense]",),
    ),
)

UPDATING = (
    Mutation(
        "the bias learns from state 1 of the unit neuron",
        SYNAPSES,
        "_unit",
        Rewrite("jnp.ones((_k, 1, 1), _d)", "jnp.ones((1, 1, 1), _d)"),
        (RUNS,),
    ),
    Mutation(
        "every bias learns by the first rule",
        SYNAPSES,
        "updated.of_unit",
        Rewrite("_r = _t.rule_below", "_r = 0"),
        (EACH,),
    ),
    Mutation(
        "every sparse synapse learns by the first rule",
        ARRANGEMENT,
        "over_synapses",
        Rewrite("[_g.rule for _g in wiring.up]", "[0 for _g in wiring.up]"),
        (EACH,),
    ),
    Mutation(
        "the first type's numbers for all neurons of a stage",
        ARRANGEMENT,
        "of_types",
        Rewrite("jnp.where(_i == _n, _o, _r)", "_r"),
        (DEFAULTS,),
    ),
    Mutation(
        "what is summed at senders laid at receivers",
        SYNAPSES,
        "updated",
        Rewrite("_laid(net, ops.DOWN, _o)", "_laid(net, ops.UP, _o)", n=2, of=2),
        (f"{ALONE}[Oja, weights]",),
    ),
    Mutation(
        "the bias left out of a norm",
        "engine/norms.py",
        "factors",
        Rewrite("_t + _b**2", "_t"),
        (f"{ALONE}[synapses normalised within the sums]",),
    ),
    Mutation(
        "supervised one step late",
        "engine/steps.py",
        "_when_supervised",
        Rewrite("_s % _e == 0", "_s % _e == 1"),
        (f"{ALONE}[supervised every 2]",),
    ),
)

MISFITS = tuple(
    Mutation(name, file, where, FixCondition(value, n=n, of=of), (f"tests/engine/test_arguments.py{case}",))
    for name, file, where, value, n, of, case in (
        ("data of any shape", "engine/arguments.py", "data", True, 1, 4, "::test_what_does_not_fit_is_a_sentence"),
        ("a state of other synapses", "engine/arguments.py", "_check_state", False, 2, 4, ""),
        ("channels that are given apart", "engine/arguments.py", "_check_state", True, 3, 4, ""),
        ("memory of another rule", "engine/arguments.py", "check_memory", False, 1, 2, ""),
        ("a batch that is not the one kept", "engine/arguments.py", "check_batch", False, 1, 1, ""),
        ("targets that are broadcast", "rules/losses.py", "check_alike", False, 1, 1, ""),
    )
)
