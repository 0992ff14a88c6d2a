"""Rules that do not fit a network, or each other, are refused in a sentence that names what is wrong and the fix."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from neurograph import engine, rules
from neurograph.compile import compile_topology
from neurograph.rules import RuleError
from tests.support import cases

WIRING = cases.mlp()
APART = compile_topology(WIRING, lowering="segment_sum", rules=["hidden"])
SHARED = compile_topology(WIRING, lowering="segment_sum")
BACKPROP = rules.backprop(0.1)


def start(net, rule):
    return engine.init(jax.random.key(0), net, rule)


def test_a_rule_for_a_population_that_there_is_not():
    with pytest.raises(RuleError) as caught:
        start(APART, {"hiden": BACKPROP, "*": BACKPROP})
    assert str(caught.value) == (
        "there is a rule for population 'hiden', which the topology does not have; it has input, hidden, output "
        "('*' stands for all others)."
    )


def test_a_population_without_a_rule():
    with pytest.raises(RuleError, match=r"population 'output' has no rule; add one for it, or one named '\*' for all"):
        start(APART, {"input": BACKPROP, "hidden": BACKPROP})


def test_a_network_compiled_without_the_population_s_rule():
    with pytest.raises(RuleError) as caught:
        start(SHARED, {"hidden": BACKPROP, "*": BACKPROP})
    assert str(caught.value) == (
        "population 'hidden' has a rule of its own, but the topology was compiled without it; "
        "compile it with rules=['hidden']."
    )


@pytest.mark.parametrize(
    ("other", "flag", "one", "two"),
    [
        (rules.backprop(n_states=3), "n_states", "2", "3"),
        (rules.backprop(symmetric=False), "symmetric", "True", "False"),
        (rules.backprop(supervised_every=2), "supervised_every", "1", "2"),
        (rules.backprop(keep_states=True), "keep_states", "False", "True"),
        (
            rules.backprop(synapse_normalization=rules.SynapseNormalization()),
            "normalization",
            "None",
            "'within_sums'",
        ),
        (
            rules.backprop(forward_hebbian=BACKPROP.hebbian),
            "whether they have an early update",
            "False",
            "True",
        ),
    ],
)
def test_rules_that_shape_the_program_differently(other, flag, one, two):
    with pytest.raises(RuleError) as caught:
        start(APART, {"hidden": BACKPROP, "*": other})
    message = str(caught.value)
    assert message.startswith("the rules of populations 'hidden' and '*' differ in ")
    assert f"differ in {flag}: {one} and {two}; make them equal." in message


class ReadsInputs(rules.OjaSubspace):
    reads: bool = eqx.field(static=True, default=True)

    @property
    def reads_input_states(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.reads


def test_rules_of_one_class_that_read_inputs_or_not():
    with pytest.raises(RuleError, match="differ in reads_input_states: True and False; make them equal"):
        start(APART, {"hidden": ReadsInputs(), "*": ReadsInputs(reads=False)})


class WithAnInteger(rules.Rule):
    steps: int = 3

    def activate(self, u, activation):
        return jnp.concatenate([activation(u), jnp.zeros_like(u)])


class WithAnOption(rules.Rule):
    steps: int = eqx.field(static=True, default=3)
    rate: rules.parts.Scalar = 0.5

    def activate(self, u, activation):
        return jnp.concatenate([activation(u), jnp.zeros_like(u)])


def test_a_number_that_is_no_floating_point_number():
    with pytest.raises(RuleError) as caught:
        start(SHARED, WithAnInteger())
    assert str(caught.value) == (
        "the rule's field 'steps' is 3, which is not a floating-point number; write a number of the genome as a float "
        "(3.0) or an array of floats, and declare any other option eqx.field(static=True)."
    )
    with pytest.raises(RuleError, match=r"the rule's field 'rate' is Array\(3"):
        start(SHARED, WithAnOption(rate=jnp.array(3)))  # pyright: ignore[reportArgumentType]
    start(SHARED, WithAnOption())


def test_a_rule_that_does_not_say_what_neurons_do():
    class Idle(rules.Rule):
        pass

    with pytest.raises(RuleError, match=r"^Idle must define activate\(u, activation\)\.$"):
        start(SHARED, Idle())
    with pytest.raises(NotImplementedError, match=r"Idle must define activate\(u, activation\)"):
        engine.predict(SHARED, Idle(), start(SHARED, rules.FeedbackAlignment()), jnp.zeros((4, 1)))
