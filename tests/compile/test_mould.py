"""Casts of a mould compute what each wiring's own compiled graph does, and share one program."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurograph as ng
from neurograph.compile.mould import Mould, compile_alike, shape_of
from neurograph.engine import views
from neurograph.topology import Topology, from_arrays, generators
from tests.support.helpers import thorough

RULES = {
    "backprop": ng.rules.backprop(0.3),
    "relative to the length of a receiver's synapses": ng.rules.backprop(0.3, moments=ng.rules.Lars(trust=0.1)),
    "two states": ng.rules.blur(jax.random.key(3), 2, eta=-0.1),
    "by level and height": ng.rules.Universal(output=jnp.asarray(np.random.default_rng(2).normal(size=(2, 7, 16)))),
}

ENDS = ["input"] * 4 + ["output"] * 2


def _outputs_at_two_levels() -> Topology:
    """Four inputs, three hidden neurons, and two outputs, of which one feeds a neuron that the other one hears."""
    senders = [0, 1, 2, 3, 4, 5, 4, 7, 6]
    receivers = [4, 4, 5, 5, 7, 7, 6, 6, 8]
    roles = ["input"] * 4 + ["hidden", "hidden", "hidden", "output", "output"]
    return from_arrays(senders, receivers, roles=roles, name="two levels")


def _wirings() -> list[Topology]:
    return [
        generators.mlp([4, 5, 3, 2]),
        generators.random_dag(n_inputs=4, n_outputs=2, n_hidden=9, n_levels=3, in_degree=3, seed=1),
        _outputs_at_two_levels(),
    ]


def _carried_over(wiring: Topology, own, own_values, net, like):
    """The synapses of the wiring's own network, at their places in the cast: matched by names of neurons alone."""
    level = ng.topology.levels(wiring)
    n = wiring.n_neurons
    rank = np.full(n, -1)
    # places are taken in row order at each level, outputs in their own order: found here from the cast's masks alone
    outputs = {int(o): int(r) for o, r in zip(wiring.outputs, np.asarray(net.output_rows), strict=True)}
    for row, place in outputs.items():
        rank[row] = place
    for column, row in enumerate(wiring.inputs):
        rank[row] = column
    stages = net.wiring.stages
    for at in range(1, int(level.max()) + 1):
        hidden = [r for r in range(n) if level[r] == at and r not in outputs and r not in set(wiring.inputs.tolist())]
        of = [s for s, name in enumerate(net.stage_names) if name.startswith(f"hidden_{at} ")]
        for k, row in enumerate(hidden):
            rank[row] = stages[of[0]].start + k
    values = np.asarray(views.synapses(own, own_values))
    parts = [np.array(part) for part in like]
    for e, (i, j) in enumerate(zip(rank[wiring.senders], rank[wiring.receivers], strict=True)):
        for m, part in zip(net.wiring.matmuls, parts, strict=False):
            low, high = stages[m.source], stages[m.target]
            if low.start <= i < low.stop and high.start <= j < high.stop:
                assert bool(m.mask[i - low.start, j - high.start])
                part[:, i - low.start, j - high.start] = values[:, e]
    return tuple(jnp.asarray(part) for part in parts)


@pytest.mark.parametrize("name", thorough(RULES, ci=[name for name in RULES if name != "backprop"]))
def test_a_cast_learns_as_the_wirings_own_graph_does(name):
    rule = RULES[name]
    mould = Mould.of(shape_of(_wirings()))
    # in float64, since three steps make the rounding of another order of sums visible
    x = jax.random.normal(jax.random.key(1), (4, 6), jnp.float64)
    target = 2 * jax.nn.one_hot(jnp.arange(6) % 2, 2, dtype=jnp.float64).T - 1
    for wiring in _wirings():
        own = ng.compile(wiring, lowering="segment_sum", n_states=rule.n_states)
        net = mould.cast(wiring)
        own_state = ng.engine.init(jax.random.key(0), own, rule, dtype=jnp.float64)
        state = ng.engine.init(jax.random.key(5), net, rule, dtype=jnp.float64)
        forward = _carried_over(wiring, own, own_state.forward, net, state.forward)
        state = dataclasses.replace(state, forward=forward)
        if state.backward is not None:
            backward = _carried_over(wiring, own, own_state.backward, net, state.forward)
            state = dataclasses.replace(state, backward=backward)
        for _ in range(3):
            own_state, seen = ng.engine.step(own, rule, own_state, x, target)
            state, info = ng.engine.step(net, rule, state, x, target)
            np.testing.assert_allclose(info.prediction, seen.prediction, rtol=1e-9, atol=1e-10)
        start = ng.engine.init(jax.random.key(0), own, rule, dtype=jnp.float64)
        before = ng.engine.predict(own, rule, start, x)
        assert float(jnp.abs(ng.engine.predict(own, rule, own_state, x) - before).max()) > 1e-3


def test_casts_share_one_program():
    nets, traced = compile_alike(_wirings()), []

    @jax.jit
    def predicted(net, x):
        traced.append(1)
        rule = ng.rules.backprop(0.1)
        return ng.engine.predict(net, rule, ng.engine.init(jax.random.key(0), net, rule), x)

    found = [np.asarray(predicted(net, jnp.ones((4, 3), jnp.float32))) for net in nets]
    assert len(traced) == 1
    assert not np.allclose(found[0], found[1])
    side_by_side = jax.vmap(predicted, in_axes=(0, None))(
        jax.tree.map(lambda *leaves: jnp.stack(leaves), *nets), jnp.ones((4, 3), jnp.float32)
    )
    np.testing.assert_allclose(side_by_side, np.stack(found), rtol=1e-5, atol=1e-6)


def test_fans_are_those_of_the_wiring():
    wiring = _wirings()[1]
    net = Mould.of(shape_of(_wirings())).cast(wiring)
    in_degree = np.bincount(wiring.receivers, minlength=wiring.n_neurons)
    masks = [np.asarray(m.mask) for m in net.wiring.matmuls]
    fan_in = views.from_synapses(net, jnp.asarray(net.fan_in)[None])
    found = np.sort(np.concatenate([np.asarray(f)[0][mask] for f, mask in zip(fan_in, masks, strict=False)]))
    np.testing.assert_array_equal(found, np.sort(in_degree[wiring.receivers]))
    assert sum(int(mask.sum()) for mask in masks) == wiring.n_synapses


@pytest.mark.parametrize(
    ("wiring", "says"),
    [
        (generators.mlp([4, 6, 3, 2]), "6 hidden neurons at level 1, where the mould has places for 5"),
        (generators.mlp([4, 5, 3, 2, 2]), "at level 3, where the mould has places for 0"),
        (generators.mlp([3, 5, 2]), "3 inputs and 2 outputs, the mould has 4 and 2"),
        (from_arrays([0, 1, 2, 3, 0], [4, 4, 4, 4, 5], weights=np.ones(5), roles=ENDS), "values of its synapses"),
        (generators.random_dag(4, 2, 3, n_levels=1, in_degree=2, activation="relu"), "has an activation of its own"),
    ],
)
def test_what_does_not_fit_is_refused(wiring, says):
    mould = Mould.of(shape_of([generators.mlp([4, 5, 3, 2])]))
    with pytest.raises(ValueError, match=says):
        mould.cast(wiring)


def test_levels_that_the_mould_does_not_join_are_refused():
    skips = from_arrays([0, 1, 2, 3, 4, 0], [4, 4, 4, 4, 5, 5], roles=["input"] * 4 + ["hidden", "output"])
    outputs = from_arrays([0, 1, 2, 3, 4], [4, 4, 4, 4, 5], roles=["input"] * 4 + ["hidden", "output"])
    with pytest.raises(ValueError, match="joins level 0 to level 2, which the mould does not"):
        Mould.of(shape_of([outputs])).cast(skips)


def test_moulds_need_wirings_of_equal_ends():
    with pytest.raises(ValueError, match="there is no wiring"):
        shape_of([])
    with pytest.raises(ValueError, match="4 to 2 and 5 to 2"):
        shape_of([generators.mlp([4, 3, 2]), generators.mlp([5, 3, 2])])
