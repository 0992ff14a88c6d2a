"""The engine's functions: jit, vmap, grad, dtypes, kept states, and how synapses begin and come back."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurograph import Population, engine, rules
from neurograph.compile import compile_topology
from neurograph.engine import initializers, views
from neurograph.topology import build
from tests.support.helpers import LOWERINGS, QUICK, STEP, Largest, assert_gradient_is_the_slope, assert_trees_close

TASK, BATCH = Largest(3, 2), 5
PREDICT = jax.jit(engine.predict, compiler_options=QUICK)
NORMALIZED = rules.ActivationNormalization.to_unit(2)


def wiring(**options):
    pairs = np.array(
        [(i, 3 + j) for i in range(3) for j in range(4)] + [(3 + j, 7) for j in range(4)] + [(0, 7), (3, 8)]
    )
    populations = [(Population("in", "input"), 3), (Population("h", "hidden"), 4), (Population("out", "output"), 2)]
    return build(pairs[:, 0], pairs[:, 1], populations, **options)


NET = compile_topology(wiring())


def blur(seed=1, dtype=jnp.float64, **options):
    """A random rule of tanh saturation and normalised pre-activations."""
    rule = rules.blur(jax.random.key(seed), 2, activation_normalization=NORMALIZED)
    rule = dataclasses.replace(rule, hebbian=dataclasses.replace(rule.hebbian, saturation=rules.TanhSaturation()))
    return rules.as_arrays(dataclasses.replace(rule, **options), dtype)


RULE = blur()


def network(rule=RULE, seed=0, dtype=jnp.float64, net=NET, **options):
    return engine.init(jax.random.key(seed), net, rule, dtype=dtype, **options)


def batches(length=3, dtype=jnp.float64):
    """Support batches one after the other, and a query batch."""
    drawn = [jax.device_get(TASK.support(jax.random.key(20 + n), BATCH)) for n in range(length + 1)]
    *support, (query, _) = ((x.astype(dtype), target.astype(dtype)) for x, target in drawn)
    return support, query


def query_loss(rule, state, net=NET):
    """Squared error on a query batch after two steps."""
    support, query = batches(length=2)
    support = jax.tree.map(lambda *leaves: jnp.stack(leaves), *support)
    state, _ = jax.lax.scan(lambda state, batch: (engine.step(net, rule, state, *batch)[0], None), state, support)
    return jnp.mean((engine.predict(net, rule, state, query) - jnp.sign(query[:2])) ** 2)


@pytest.mark.slow
@pytest.mark.parametrize("lowering", ["dense", "padded_gather"])
def test_the_gradient_of_a_query_loss_equals_central_differences(lowering):
    net = compile_topology(wiring(), lowering=lowering)
    start = network(net=net)
    assert_gradient_is_the_slope(lambda rule: query_loss(rule, start, net), RULE)


@pytest.mark.slow
def test_vmap_over_rules_and_draws_equals_a_loop():
    members, starts = [blur(seed) for seed in (4, 5)], [network(seed=seed) for seed in (6, 7)]
    stack = lambda *trees: jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)  # noqa: E731
    together = jax.jit(jax.vmap(jax.grad(query_loss)))(stack(*members), stack(*starts))
    alone = jax.jit(jax.grad(query_loss))
    for n in range(2):
        one = jax.tree.map(lambda leaf, n=n: leaf[n], together)
        assert_trees_close(one, alone(members[n], starts[n]), rtol=1e-9)


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(rules.backprop(0.25, loss=rules.squared_error), marks=pytest.mark.slow),
        rules.adam(0.1, loss=rules.squared_error),
    ],
)
def test_bfloat16_is_a_coarse_float64(rule):
    """Three steps and a query, from the same numbers: within a few roundings (2^-8 each) of the largest state.

    Adam's b2 of 0.999 is 1 in bfloat16: the numbers of the rule must not be rounded.
    """
    start = network(rule, dtype=jnp.bfloat16)
    support, query = batches(dtype=jnp.bfloat16)

    def results(state, dtype):
        for x, target in support:
            state, _ = STEP(NET, rule, state, x.astype(dtype), target.astype(dtype))
        return [PREDICT(NET, rule, state, query.astype(dtype)), *state.synapses]

    wide = jax.tree.map(lambda v: v if v.dtype == jnp.int32 else jnp.asarray(np.asarray(v).astype(np.float64)), start)
    coarse, fine = results(start, jnp.bfloat16), results(wide, jnp.float64)
    for one, other in zip(coarse, fine, strict=True):
        assert one.dtype == jnp.bfloat16
        error = np.abs(np.asarray(one, np.float64) - np.asarray(other))
        assert error.max() <= 8 * 2.0**-8 * np.abs(np.asarray(other)).max()
    assert np.abs(np.asarray(fine[0]) - np.asarray(PREDICT(NET, rule, start, query), np.float64)).max() > 0.2


@pytest.mark.parametrize("kind", ["within_sums", "persistent"])
@pytest.mark.parametrize("dtype", [jnp.bfloat16, pytest.param(jnp.float16, marks=pytest.mark.slow)])
def test_a_narrow_network_stays_narrow_where_synapses_are_normalised(kind, dtype):
    """Its numbers are of float32, states and synapses are not: a loop can carry them."""
    rule = blur(dtype=dtype, synapse_normalization=rules.SynapseNormalization(0.5, kind), keep_states=True)
    assert {leaf.dtype for leaf in jax.tree.leaves(rule)} == {jnp.dtype(jnp.float32)}
    start = network(rule, dtype=dtype, batch_size=BATCH)
    batch = jax.ShapeDtypeStruct((3, BATCH), dtype), jax.ShapeDtypeStruct((2, BATCH), dtype)
    after, info = jax.eval_shape(engine.step, NET, rule, start, *batch)
    types = lambda tree: [leaf.dtype for leaf in jax.tree.leaves(tree)]  # noqa: E731
    assert types(after) == types(start)
    assert set(types(info)) == {jnp.dtype(dtype)}


def test_supervised_every_second_step():
    rule = blur(supervised_every=2)
    states = [network(rule)]
    for x, target in batches()[0]:
        states.append(STEP(NET, rule, states[-1], x, target)[0])
    values = [np.asarray(views.synapses(NET, state.forward)) for state in states]
    assert [np.array_equal(*pair) for pair in itertools.pairwise(values)] == [False, True, False]
    assert [int(state.step) for state in states] == [0, 1, 2, 3]


def test_initial_synapses_do_not_depend_on_the_lowering():
    reference = None
    for lowering in LOWERINGS:
        net = compile_topology(wiring(), lowering=lowering)
        drawn = engine.init(jax.random.key(0), net, RULE)
        assert drawn.backward is not None
        values = views.synapses(net, drawn.forward), views.synapses(net, drawn.backward)
        reference = reference or values
        assert_trees_close(values, reference)


@pytest.mark.parametrize("name", initializers.INITIALIZERS)
def test_initializers_have_their_spread(name):
    """Standard deviations over many draws, against the formulas of their sources."""
    fan_in, fan_out, n = 6.0, 3.0, 40_000
    uniform = 1 / np.sqrt(3)
    expected = {
        "uniform": uniform,
        "scaled_uniform": uniform / np.sqrt(fan_in + 1 + fan_out),
        "glorot_uniform": np.sqrt(2 / (fan_in + fan_out)),
        "lecun_normal": 1 / np.sqrt(fan_in),
        "he_normal": np.sqrt(2 / fan_in),
    }[name]
    draw = initializers.INITIALIZERS[name].synapses
    fans = jnp.full(n, int(fan_in)), jnp.full(n, int(fan_out))
    drawn = draw(jax.random.key(0), (1, n), *fans, jnp.float64)
    np.testing.assert_allclose(np.std(drawn), expected, rtol=0.02)
    assert abs(float(jnp.mean(drawn))) < 4 * expected / np.sqrt(n)


def test_given_weights_are_the_initial_ones_and_come_back():
    rng = np.random.default_rng(0)
    m, n = wiring().n_synapses, wiring().n_neurons
    biases, weights = rng.normal(size=(2, n)) * (wiring().roles != 0), rng.normal(size=(2, m))
    given = wiring(weights=weights, backward_weights=rng.normal(size=(2, m)), biases=biases)
    net = compile_topology(given)
    start = network(net=net)
    back = views.trained(given, net, start)
    for one, other in (
        (back.weights, given.weights),
        (back.backward_weights, given.backward_weights),
        (back.biases, biases),
    ):
        np.testing.assert_array_equal(one, other)
    edges = views.by_edge(given, net, start.forward)
    for e, pair in enumerate(zip(given.senders.tolist(), given.receivers.tolist(), strict=True)):
        np.testing.assert_array_equal(edges[pair], weights[:, e])
    one_channel = compile_topology(dataclasses.replace(given, weights=weights[:1]))
    shared = views.synapses(one_channel, network(net=one_channel).forward)
    np.testing.assert_array_equal(shared[0], shared[1])
    three = compile_topology(dataclasses.replace(given, weights=np.zeros((3, m))))
    with pytest.raises(ValueError, match="weights have 3 channels; the rule stores 2"):
        network(net=three)


def test_storage_follows_the_rule():
    """Tied copies are stored once, single states once, except where the published rule parts them."""
    tied = network(rules.backprop())
    assert tied.backward is None
    assert tied.n_channels == 1
    assert network(rules.backprop(n_channels=2)).n_channels == 1
    rule = rules.backprop(n_channels=2)
    rule = dataclasses.replace(rule, hebbian=dataclasses.replace(rule.hebbian, oja=rules.Oja(form="activations")))
    parted = network(rule)
    assert parted.backward is not None
    assert parted.n_channels == 2
    forward, backward = (views.synapses(NET, values) for values in (parted.forward, parted.backward))
    np.testing.assert_array_equal(forward, backward)
    np.testing.assert_array_equal(forward[0], forward[1])


def test_kept_states_need_their_batch_size():
    rule = blur(keep_states=True)
    with pytest.raises(ValueError, match="give batch_size"):
        network(rule)
    start = network(rule, batch_size=BATCH)
    ((x, target), *_), query = batches()
    after, info = STEP(NET, rule, start, x, target)
    assert after.neurons is not None
    np.testing.assert_array_equal(views.neurons(NET, after.neurons), views.neurons(NET, info.backward))
    again = PREDICT(NET, rule, after, query)
    fresh = PREDICT(NET, rule, dataclasses.replace(after, neurons=start.neurons), query)
    assert np.abs(np.asarray(again) - fresh).max() > 1e-3, "the kept states are not read"


def test_a_query_batch_of_another_size_starts_from_states_of_zero():
    rule = blur(keep_states=True)
    start = network(rule, batch_size=BATCH)
    ((x, target), *_), query = batches()
    after, _ = STEP(NET, rule, start, x, target)
    fresh = dataclasses.replace(after, neurons=jnp.zeros((2, NET.n_neurons, 4)))
    assert_trees_close(PREDICT(NET, rule, after, query[:, :4]), PREDICT(NET, rule, fresh, query[:, :4]))


def test_copies_that_the_rule_ties_may_be_given_apart():
    """They receive the same changes, those of state 1 and of the forward synapse, and keep their differences."""
    rule = rules.backprop(0.5, loss=rules.squared_error, n_channels=2)
    rng = np.random.default_rng(1)
    m, n = NET.n_synapses, NET.n_neurons
    forward, backward = rng.normal(size=(2, 2, m))
    start = views.with_synapses(NET, network(rule), forward=forward, backward=backward, bias=np.zeros((2, n)))
    (x, target), *_ = batches()[0]
    after, _ = STEP(NET, rule, start, x, target)
    assert after.backward is not None
    delta = np.asarray(views.synapses(NET, after.forward)) - forward
    assert np.abs(delta).max() > 0
    np.testing.assert_allclose(delta[1], delta[0], rtol=1e-10)
    np.testing.assert_allclose(np.asarray(views.synapses(NET, after.backward)) - backward, delta, rtol=1e-10)
    with pytest.raises(ValueError, match=r"different numbers of channels: \{'forward': 2, 'bias': 1\}"):
        views.with_synapses(NET, network(rule), forward=forward)
    with pytest.raises(ValueError, match=r"forward has shape \(2, 3\); this wiring needs \[channels, 18\]"):
        views.with_synapses(NET, network(rule), forward=forward[:, :3])
