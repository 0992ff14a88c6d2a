"""Defects of the formulas of rules, of losses, and of a rule's file."""

from ._mutation import ALONE, BACKPROP, CENTRAL, RUNS, Mutation
from ._operators import ChangeReturn, FixCondition, FlipSign, NegateCondition, Rewrite

BLUR, PARTS = "rules/blur.py", "rules/parts.py"
MLP, DEFAULTS = f"{BACKPROP}[mlp]", f"{ALONE}[published defaults]"
FILES = "tests/rules/test_rule_files.py"

UNIVERSAL, OF_UNIVERSAL = "rules/universal.py", "tests/rules/test_universal.py"

FORMULAS = (
    Mutation(
        "synapses that go all the way to where plain steps lead",
        UNIVERSAL,
        "Universal.update",
        Rewrite("(1 - share) * (synapses.memory[4] + base)", "synapses.memory[4] + base"),
        (OF_UNIVERSAL,),
    ),
    Mutation(
        "errors relative to those of one step",
        UNIVERSAL,
        "Universal.statistics",
        Rewrite("neurons.memory[1:] + 1", "1"),
        (OF_UNIVERSAL,),
    ),
    Mutation(
        "the common part of a neuron's pre-activations is subtracted wholly on the way down",
        UNIVERSAL,
        "Universal.receive_down",
        Rewrite("self.centring * jnp.mean(direct, axis=2, keepdims=True)", "jnp.mean(direct, axis=2, keepdims=True)"),
        (OF_UNIVERSAL,),
    ),
    Mutation(
        "steps that are greater where paths are longer",
        UNIVERSAL,
        "Universal.adapt",
        Rewrite("self.log_early[of] - self.path_power * path", "self.log_early[of] + self.path_power * path"),
        (OF_UNIVERSAL,),
    ),
    Mutation(
        "steps that do not know how many in-neighbours there are",
        UNIVERSAL,
        "Universal.adapt",
        Rewrite("jnp.log(jnp.maximum(n / USUAL_FAN_IN, 1))", "jnp.zeros_like(n)"),
        (OF_UNIVERSAL,),
    ),
    Mutation("nu transposed", BLUR, "Blur.send_up", Rewrite("self.nu", "self.nu.T"), (RUNS,)),
    Mutation("mu transposed", BLUR, "Blur.send_down", Rewrite("self.mu", "self.mu.T"), (RUNS,)),
    Mutation(
        "forward messages without eta",
        BLUR,
        "Blur.send_up",
        Rewrite("self.eta * self.nu", "self.nu"),
        (DEFAULTS,),
    ),
    Mutation(
        "backward messages without eta",
        BLUR,
        "Blur.send_down",
        Rewrite("self.eta * _m", "_m"),
        (DEFAULTS,),
    ),
    Mutation(
        "kept states without f",
        BLUR,
        "Blur.receive_up",
        Rewrite("self.f * kept", "kept"),
        (f"{ALONE}[k states kept]",),
    ),
    Mutation(
        "output activation on hidden neurons",
        BLUR,
        "Blur.default_activation",
        NegateCondition(),
        (RUNS,),
    ),
    Mutation(
        "the derivative's sign",
        "rules/base.py",
        "value_and_slope",
        Rewrite("jnp.ones_like(u)", "-jnp.ones_like(u)"),
        (MLP,),
    ),
    Mutation(
        "the first state's derivative in the second",
        BLUR,
        "Blur.activate",
        Rewrite("u[1:2] if _c else _u", "u[:1]"),
        (f"{ALONE}[derivative state]",),
    ),
    Mutation("feedback's sign", "rules/losses.py", "slope", ChangeReturn("-_x"), (MLP,)),
    Mutation(
        "feedback by the slope of the batch's mean",
        "rules/losses.py",
        "slope",
        Rewrite("jnp.sum(each(loss, _y, target))", "jnp.mean(each(loss, _y, target))"),
        (MLP,),
    ),
    Mutation(
        "the slope of the loss without the derivative",
        BLUR,
        "Blur.feedback",
        Rewrite("_s * a[1] if self.derivative_state else _s", "_s"),
        (BACKPROP,),
    ),
    Mutation(
        "states 3.. of the outputs kept",
        BLUR,
        "Blur.feedback",
        Rewrite("jnp.zeros_like(a[2:])", "a[2:]"),
        (f"{RUNS}::test_the_engine_reproduces_the_recorded_runs[12_three_hidden_k3-float64]",),
    ),
    Mutation(
        "outputs that feed on lose their feedback",
        BLUR,
        "Blur.receive_down",
        Rewrite("jnp.concatenate([_n[:1], _n[1:] + fed[1:]])", "_n"),
        (f"{BACKPROP}[outputs_feed_on]",),
    ),
    Mutation(
        "the second state added instead of multiplied",
        BLUR,
        "Blur.receive_down",
        Rewrite("a[1:] * received", "a[1:] + received"),
        (MLP,),
    ),
    Mutation(
        "P and Q exchanged",
        BLUR,
        "Blur.pre",
        Rewrite("self.hebbian.pre[:, :_n]", "self.hebbian.post[:_n].T"),
        (RUNS,),
    ),
    Mutation(
        "Q transposed",
        BLUR,
        "Blur.post",
        Rewrite("self.hebbian.post[:_n].T", "self.hebbian.post[:, :_n]"),
        (RUNS,),
    ),
    Mutation(
        "the backward synapse learns as the forward one",
        BLUR,
        "Blur.update",
        Rewrite("seen.sums[-1]", "seen.sums[0]"),
        (RUNS,),
    ),
    Mutation(
        "summed, not averaged",
        BLUR,
        "Blur.post",
        Rewrite("1 / _n if self.batch_mean else 1.0", "1.0"),
        (MLP,),
    ),
    Mutation(
        "Oja's statistics of the other end",
        BLUR,
        "Blur.statistics",
        Rewrite("(self._lower(_n), _n.backward)", "(_n.backward, self._lower(_n))"),
        (f"{ALONE}[forward states, Oja]",),
    ),
    Mutation("Oja's sign", BLUR, "Hebbian.learn", FlipSign(n=1, of=2), (f"{ALONE}[Oja, weights]",)),
    Mutation(
        "Oja amplifies under descent",
        BLUR,
        "Hebbian.learn",
        Rewrite("jnp.abs(self.eta)", "self.eta"),
        (f"{ALONE}[Oja, weights]",),
    ),
    Mutation(
        "saturation without its f",
        PARTS,
        "ExponentialSaturation.bound",
        Rewrite("(f - 1) * w", "f * w"),
        (f"{ALONE}[exponential saturation]",),
    ),
    Mutation(
        "normalised by the sample variance",
        PARTS,
        "_normalized",
        Rewrite("jnp.mean(_c**2, axis=2, keepdims=True)", "jnp.var(_c, axis=2, keepdims=True, ddof=1)"),
        (f"{ALONE}[normalised forward]",),
    ),
    Mutation(
        "the gradient of a transform transposed",
        BLUR,
        "_products_bwd",
        Rewrite(
            "_a[:, None].astype(_w) * _d[None].astype(_w)",
            "_d[:, None].astype(_w) * _a[None].astype(_w)",
        ),
        (CENTRAL,),
    ),
)

WRITTEN = (
    Mutation(
        "numbers of a file rounded",
        "rules/files.py",
        "_number",
        Rewrite("repr(_x)", 'format(_x, ".12g")'),
        (f"{FILES}::test_a_file_gives_back_every_bit",),
    ),
    Mutation(
        "the rule's class not the last defined",
        "rules/_names.py",
        "_by_name",
        Rewrite("_subclasses(_b)", "reversed(_subclasses(_b))"),
        (f"{FILES}::test_the_class_of_a_name_is_the_one_defined_last",),
    ),
    Mutation(
        "a file written in place",
        "rules/files.py",
        "save",
        Rewrite("write_atomically(_p, _t)", "_p.write_text(_t)"),
        (f"{FILES}::test_a_file_is_written_whole_or_not_at_all",),
    ),
    Mutation(
        "f and eta of version 1 exchanged",
        "rules/version1.py",
        "_rule.hebbian",
        Rewrite("Hebbian(_p, _q, _f, _e, _o, _b)", "Hebbian(_p, _q, _e, _f, _o, _b)"),
        (f"{FILES}::test_files_of_version_1_give_the_same_rule",),
    ),
)

CHECKS, CHECKED = "rules/checks.py", "tests/rules/test_checks.py::test_a_mistake_is_a_sentence"

UNCHECKED = (
    Mutation(
        "lengths of axes not compared",
        CHECKS,
        "_expect",
        Rewrite("want not in (None, have)", "False"),
        (f"{CHECKED}[one state]",),
    ),
    Mutation(
        "numbers of axes not compared",
        CHECKS,
        "_expect",
        Rewrite("len(_f.shape) == len(_w)", "True"),
        (f"{CHECKED}[a mean over the batch]",),
    ),
    Mutation(
        "an update that gives anything",
        CHECKS,
        "_same",
        FixCondition(False),
        (f"{CHECKED}[memory from nowhere]",),
    ),
    Mutation(
        "the unit neuron's synapses not tried",
        CHECKS,
        "_check_update",
        Rewrite("[Synapses(_w, None, _m)] if rule.stores_backward else []", "[]"),
        (f"{CHECKED}[no way back left out]",),
    ),
    Mutation(
        "misspelt methods unnoticed",
        CHECKS,
        "_check_names",
        Rewrite("_m is not None and _m not in _o", "False"),
        ("tests/rules/test_checks.py::test_a_method_that_is_missing_or_misspelt",),
    ),
)
