"""A step is `forward`, then `backward`, then `update`: every array that a step leaves, under every option and rule."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurograph import engine, rules
from neurograph.compile import compile_topology
from tests.rules.test_rule_options import ALONE, small
from tests.support.helpers import QUICK, Largest, assert_trees_close, random_genes, rule_of, thorough
from tests.support.reference import Options

BATCH, STEPS = 4, 3


WIRING = small()
NET = compile_topology(WIRING, lowering="segment_sum")
APART = compile_topology(WIRING, lowering="segment_sum", rules=["hidden", "own"])
TASK = Largest(len(WIRING.inputs), len(WIRING.outputs))

OTHERS = {
    "backpropagation": rules.backprop(0.1),
    "two channels": rules.backprop(0.1, n_channels=2),
    "momentum": rules.backprop(0.1, momentum=0.9, weight_decay=0.1),
    "RMSprop": rules.rmsprop(0.01),
    "Adam": rules.adam(0.01, supervised_every=2),
    "LARS": rules.lars(weight_decay=0.1),
    "feedback alignment": rules.FeedbackAlignment(0.1),
    "Oja's subspace": rules.OjaSubspace(0.01),
}


def composed(net, rule, state, x, target):
    left, a = engine.forward(net, rule, state, x)
    b = engine.backward(net, rule, left, a, target)
    return left, engine.update(net, rule, left, a, b), a, b


@functools.partial(jax.jit, compiler_options=QUICK)
def both(net, rule, state, x, target):
    """In one program, which is compiled faster than two. Last, what `forward` left, and the update without it."""
    left, by_hand, a, b = composed(net, rule, state, x, target)
    alone = engine.predict(net, rule, state, x), by_hand, a, b
    return alone, engine.step(net, rule, state, x, target), (left, engine.update(net, rule, state, a, b))


def option_rule(name: str, seed: int = 0):
    options = Options(**ALONE[name])
    genes = random_genes(np.random.default_rng(seed), 3, forward_synapse=options.forward_synapse_update)
    return rule_of(genes, options)


def assert_composed(net, rule):
    state = engine.init(jax.random.key(0), net, rule, dtype=jnp.float64, batch_size=BATCH)
    first = state
    for n in range(STEPS):
        x, target = TASK.support(jax.random.key(n), BATCH)
        (prediction, by_hand, a, b), (state, info), _ = both(net, rule, state, x, target)
        assert_trees_close(by_hand, state)
        assert_trees_close((a, b), (info.forward, info.backward))
        assert_trees_close(prediction, info.prediction)
        assert int(state.step) == n + 1
    changes = [np.max(np.abs(w - v)) for w, v in zip(state.forward, first.forward, strict=True) if w.size]
    assert max(changes) > 1e-6, "nothing was learnt"


MANNERS = {"... symmetric": False, "for good and rescaled": True, "forward synapse update, Oja, saturation": True}
"""Each makes the three parts share something else, as do states that are kept; the other options stay within one of
them. Whether `forward` changes synapses."""


@pytest.mark.parametrize("name", thorough(ALONE, set(ALONE).difference(MANNERS), ci=["... symmetric"]))
def test_a_step_is_its_three_parts_under_every_option(name):
    assert_composed(NET, option_rule(name))


@pytest.mark.parametrize("name", thorough(OTHERS, set(OTHERS) - {"Adam"}))
@pytest.mark.ci
def test_a_step_is_its_three_parts_under_other_rules(name):
    assert_composed(NET, OTHERS[name])


@pytest.mark.parametrize(
    "name",
    thorough(
        ("kept, supervised every 2", "for good and rescaled", "forward synapse update, Oja, saturation"),
        ("for good and rescaled", "forward synapse update, Oja, saturation"),
    ),
)
@pytest.mark.ci
def test_a_step_is_its_three_parts_where_populations_have_rules_of_their_own(name):
    assert_composed(APART, {"hidden": option_rule(name, 1), "own": option_rule(name, 2), "*": option_rule(name, 3)})


def test_the_early_update_and_the_normalisation_are_the_forward_pass_s():
    """`forward` changes synapses exactly where the rule says so, and `update` starts from what it left."""
    x, target = TASK.support(jax.random.key(0), BATCH)
    for name, changes in MANNERS.items():
        rule = option_rule(name)
        start = engine.init(jax.random.key(0), NET, rule, dtype=jnp.float64, batch_size=BATCH)
        _, (right, _), (left, wrong) = both(NET, rule, start, x, target)
        same = all(np.array_equal(w, v) for w, v in zip(start.synapses, left.synapses, strict=True))
        assert same != changes, name
        difference = max(np.max(np.abs(w - v), initial=0) for w, v in zip(wrong.synapses, right.synapses, strict=True))
        assert (difference > 1e-6) == changes, name
