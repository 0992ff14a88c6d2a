"""The engine's functions among themselves: parts make up a step, steps an unroll; jit, vmap, grad, dtypes, synapses."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurograph import Genome, Population, compile_topology, engine, initializers, rules, views
from neurograph.compile import LOWERINGS
from neurograph.genome import GenomeError, astype
from neurograph.topology import build

jax.config.update("jax_enable_x64", True)

RULE = rules.blur(activation_normalization=rules.ActivationNormalization(), synapse_update=rules.tanh_saturation)
STEP = jax.jit(engine.step, static_argnames="rule")


def wiring(**options):
    pairs = np.array(
        [(i, 3 + j) for i in range(3) for j in range(4)] + [(3 + j, 7) for j in range(4)] + [(0, 7), (3, 8)]
    )
    populations = [(Population("in", "input"), 3), (Population("h", "hidden"), 4), (Population("out", "output"), 2)]
    return build(pairs[:, 0], pairs[:, 1], populations, **options)


GRAPH = compile_topology(wiring(), genomes="by_population")
GENOME = astype(Genome.random(jax.random.key(1), 2), jnp.float64)


def batches(length=3, batch=5, dtype=jnp.float64):
    x = jax.random.normal(jax.random.key(2), (length, 3, batch), dtype)
    target = jnp.where(x[:, :2] > 0, 1.0, -1.0).astype(dtype)
    return x, target, jax.random.normal(jax.random.key(3), (3, batch), dtype)


def network(rule=RULE, genome=GENOME, seed=0, dtype=jnp.float64, graph=GRAPH, **options):
    return engine.init(jax.random.key(seed), graph, genome, rule=rule, dtype=dtype, **options)


def assert_close(one, other, rtol=1e-11):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-12)


@pytest.mark.parametrize("use_forward_states", [False, True])
def test_a_step_is_forward_backward_learn(use_forward_states):
    rule = dataclasses.replace(RULE, use_forward_states=use_forward_states)
    (x, *_), (target, *_), _ = batches()
    start = network(rule)
    states = engine.forward(GRAPH, GENOME, start, x, rule=rule)
    after = engine.backward(GRAPH, GENOME, start, states, target, rule=rule)
    learnt = engine.learn(GRAPH, GENOME, start, states, after, rule=rule)
    stepped, info = STEP(GRAPH, GENOME, start, x, target, rule=rule)
    assert_close((learnt.forward, learnt.backward, learnt.bias), (stepped.forward, stepped.backward, stepped.bias))
    assert_close((states, after), (info.forward_states, info.backward_states))
    assert_close(info.prediction, engine.predict(GRAPH, GENOME, start, x, rule=rule))
    assert (int(start.step), int(stepped.step)) == (0, 1)


def test_an_unroll_is_steps_then_a_query():
    xs, targets, query = batches()
    start = network()
    end, prediction, infos = jax.jit(engine.unroll, static_argnames="rule")(
        GRAPH, GENOME, start, xs, targets, query, rule=RULE
    )
    by_hand, losses = start, []
    for x, target in zip(xs, targets, strict=True):
        by_hand, info = STEP(GRAPH, GENOME, by_hand, x, target, rule=RULE)
        losses.append(info.loss)
    assert_close(end, by_hand)
    assert_close(infos.loss, jnp.stack(losses))
    assert_close(prediction, engine.predict(GRAPH, GENOME, by_hand, query, rule=RULE))


def meta_loss(genome, start, graph=GRAPH):
    xs, targets, query = batches(length=2)
    _, prediction, _ = engine.unroll(graph, genome, start, xs, targets, query, rule=RULE)
    return jnp.mean((prediction - jnp.sign(query[:2])) ** 2)


@pytest.mark.parametrize("lowering", ["dense", "padded_gather"])
def test_meta_gradient_equals_central_differences(lowering):
    """d(query loss after two steps)/d(genome) in a random direction, against finite differences."""
    graph = compile_topology(wiring(), lowering=lowering)
    start, value = network(graph=graph), jax.jit(meta_loss)
    gradient = jax.jit(jax.grad(meta_loss))(GENOME, start, graph)
    leaves, tree = jax.tree.flatten(GENOME)
    keys = jax.random.split(jax.random.key(9), len(leaves))
    direction = [jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)]
    slope = sum(jnp.vdot(g, d) for g, d in zip(jax.tree.leaves(gradient), direction, strict=True))

    def moved(size):
        return value(tree.unflatten([leaf + size * d for leaf, d in zip(leaves, direction, strict=True)]), start, graph)

    h = 1e-5
    np.testing.assert_allclose(slope, (moved(h) - moved(-h)) / (2 * h), rtol=1e-6)


def test_vmap_over_genomes_and_draws_equals_a_loop():
    genomes = [astype(Genome.random(jax.random.key(s), 2), jnp.float64) for s in (4, 5)]
    starts = [network(seed=s) for s in (6, 7)]
    stack = lambda *trees: jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)  # noqa: E731
    together = jax.jit(jax.vmap(jax.grad(meta_loss)))(stack(*genomes), stack(*starts))
    alone = jax.jit(jax.grad(meta_loss))
    for n in range(2):
        assert_close(jax.tree.map(lambda leaf, n=n: leaf[n], together), alone(genomes[n], starts[n]), rtol=1e-9)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32, jnp.float64])
def test_a_network_leaves_a_step_as_it_came(dtype):
    """Structure, shapes and dtypes: what `lax.scan` asks of a carry."""
    x, target, _ = batches(dtype=dtype)
    for rule in (RULE, rules.backprop(), rules.blur(keep_states=True, oja=rules.Oja("activations"), single_state=True)):
        genome = astype(GENOME, dtype)
        start = network(rule, genome, dtype=dtype, batch_size=5)
        after = jax.eval_shape(lambda n, r=rule, g=genome: engine.step(GRAPH, g, n, x[0], target[0], rule=r)[0], start)
        assert jax.tree.structure(start) == jax.tree.structure(after)
        for one, other in zip(jax.tree.leaves(start), jax.tree.leaves(after), strict=True):
            assert (one.shape, one.dtype) == (other.shape, other.dtype)


def test_bfloat16_is_a_coarse_float64():
    """Three steps and a query, from the same numbers: within a few roundings (2^-8 each) of the largest state."""
    rule = rules.backprop(rules.mean_squared_error)
    genome = astype(Genome.backprop(0.25), jnp.bfloat16)
    start = network(rule, genome, dtype=jnp.bfloat16)
    xs, targets, query = (values.astype(jnp.bfloat16) for values in batches())
    coarse = engine.unroll(GRAPH, genome, start, xs, targets, query, rule=rule)
    exact = jax.tree.map(lambda v: v if v.dtype == jnp.int32 else v.astype(jnp.float64), (start, xs, targets, query))
    fine = engine.unroll(GRAPH, astype(genome, jnp.float64), *exact, rule=rule)
    assert coarse[1].dtype == jnp.bfloat16
    for one, other in ((coarse[1], fine[1]), *zip(coarse[0].synapses, fine[0].synapses, strict=True)):
        error = np.abs(np.asarray(one, np.float64) - np.asarray(other))
        assert error.max() <= 8 * 2.0**-8 * np.abs(other).max()
    assert np.abs(np.asarray(fine[1]) - np.asarray(engine.predict(GRAPH, genome, start, query, rule=rule))).max() > 0.2


def test_supervised_every_second_step():
    rule = dataclasses.replace(RULE, supervised_every=2)
    xs, targets, _ = batches()
    start = network(rule)
    first, _ = STEP(GRAPH, GENOME, start, xs[0], targets[0], rule=rule)
    second, _ = STEP(GRAPH, GENOME, first, xs[1], targets[1], rule=rule)
    third, _ = STEP(GRAPH, GENOME, second, xs[2], targets[2], rule=rule)
    values = [np.asarray(views.synapses(GRAPH, n.forward)) for n in (start, first, second, third)]
    assert [np.array_equal(*pair) for pair in itertools.pairwise(values)] == [False, True, False]


def test_initial_synapses_do_not_depend_on_the_lowering():
    reference = None
    for lowering in LOWERINGS:
        graph = compile_topology(wiring(), lowering=lowering)
        drawn = engine.init(jax.random.key(0), graph, GENOME, rule=RULE)
        assert drawn.backward is not None
        values = views.synapses(graph, drawn.forward), views.synapses(graph, drawn.backward)
        reference = reference or values
        assert_close(values, reference)


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
    graph = compile_topology(given)
    start = engine.init(jax.random.key(0), graph, GENOME, rule=RULE, dtype=jnp.float64)
    back = views.trained(given, graph, start)
    for one, other in (
        (back.weights, given.weights),
        (back.backward_weights, given.backward_weights),
        (back.biases, biases),
    ):
        np.testing.assert_array_equal(one, other)
    edges = views.by_edge(given, graph, start.forward)
    for e, pair in enumerate(zip(given.senders.tolist(), given.receivers.tolist(), strict=True)):
        np.testing.assert_array_equal(edges[pair], weights[:, e])
    one_channel = compile_topology(dataclasses.replace(given, weights=weights[:1]))
    drawn = engine.init(jax.random.key(0), one_channel, GENOME, rule=RULE, dtype=jnp.float64)
    shared = views.synapses(one_channel, drawn.forward)
    np.testing.assert_array_equal(shared[0], shared[1])
    three = compile_topology(dataclasses.replace(given, weights=np.zeros((3, m))))
    with pytest.raises(ValueError, match="weights have 3 channels; the rule stores 2"):
        engine.init(jax.random.key(0), three, GENOME, rule=RULE)


def test_storage_follows_the_rule():
    """Tied copies are stored once, single states once, except where the published rule parts them."""
    tied = network(rules.backprop())
    assert tied.backward is None
    assert tied.n_channels == 1
    parted = network(rules.backprop(oja=rules.Oja("activations")))
    assert parted.backward is not None
    assert parted.n_channels == 2
    forward, backward = (views.synapses(GRAPH, values) for values in (parted.forward, parted.backward))
    np.testing.assert_array_equal(forward, backward)
    np.testing.assert_array_equal(forward[0], forward[1])


def test_genomes_by_population_are_checked():
    two, three = GENOME, astype(Genome.random(jax.random.key(0), 3), jnp.float64)
    x = batches()[0][0]
    with pytest.raises(GenomeError, match="different numbers of states"):
        engine.forward(GRAPH, {"h": two, "*": three}, network(), x, rule=RULE)
    with pytest.raises(GenomeError, match="'hidden', which the topology does not have; it has in, h, out"):
        engine.forward(GRAPH, {"hidden": two, "*": two}, network(), x, rule=RULE)
    with pytest.raises(GenomeError, match="'out' has no genome"):
        engine.forward(GRAPH, {"h": two, "in": two}, network(), x, rule=RULE)
    same = engine.forward(GRAPH, {"h": two, "*": two}, network(), x, rule=RULE)
    assert_close(same, engine.forward(GRAPH, two, network(), x, rule=RULE))
    other = astype(Genome.random(jax.random.key(5), 2), jnp.float64)
    with pytest.raises(GenomeError, match='give compile_topology genomes="by_population"'):
        engine.forward(compile_topology(wiring()), {"h": two, "*": other}, network(), x, rule=RULE)


def test_kept_states_need_their_batch_size():
    rule = rules.blur(keep_states=True)
    with pytest.raises(ValueError, match="give batch_size"):
        network(rule)
    start = network(rule, batch_size=5)
    x, target, _ = batches()
    after, info = STEP(GRAPH, GENOME, start, x[0], target[0], rule=rule)
    np.testing.assert_array_equal(after.neurons, info.backward_states)
    with pytest.raises(ValueError, match="the query batch has 4"):
        engine.unroll(GRAPH, GENOME, start, x, target, x[0][:, :4], rule=rule)


def test_copies_that_the_rule_ties_may_be_given_apart():
    """They receive the same changes, those of state 1 and of the forward synapse, and keep their differences."""
    rule = rules.backprop(rules.mean_squared_error)
    genome = astype(Genome.backprop(0.5), jnp.float64)
    rng = np.random.default_rng(1)
    m, n = GRAPH.n_synapses, GRAPH.n_neurons
    forward, backward = rng.normal(size=(2, 2, m))
    start = views.with_synapses(GRAPH, network(rule, genome), forward=forward, backward=backward, bias=np.zeros((2, n)))
    x, target, _ = batches()
    after, _ = STEP(GRAPH, genome, start, x[0], target[0], rule=rule)
    assert after.backward is not None
    delta = np.asarray(views.synapses(GRAPH, after.forward) - forward)
    assert np.abs(delta).max() > 0
    np.testing.assert_allclose(delta[1], delta[0], rtol=1e-10)
    np.testing.assert_allclose(views.synapses(GRAPH, after.backward) - backward, delta, rtol=1e-10)
    with pytest.raises(ValueError, match=r"different numbers of channels: \{'forward': 2, 'bias': 1\}"):
        views.with_synapses(GRAPH, network(rule, genome), forward=forward)
    with pytest.raises(ValueError, match=r"forward has shape \(2, 3\); this wiring needs \[channels, 18\]"):
        views.with_synapses(GRAPH, network(rule, genome), forward=forward[:, :3])
