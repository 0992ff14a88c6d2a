"""Compiling changes no result: lowerings, padding, renumbering, isolated neurons; and the tables hold the wiring."""

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurograph import Genome, Population, compile_topology, engine, rules, views
from neurograph.compile import LOWERINGS, padding
from neurograph.genome import astype
from neurograph.topology import build, levels, permute
from tests.strategies import topologies

jax.config.update("jax_enable_x64", True)

RULES = {
    "blur": rules.blur(oja=rules.Oja("weights"), synapse_normalization=rules.SynapseNormalization()),
    "backprop": rules.backprop(rules.mean_squared_error),
}
GENOMES = {"blur": Genome.random(jax.random.key(7), 3), "backprop": Genome.backprop(0.3)}
STEP = jax.jit(engine.step, static_argnames="rule")


def draw(topology, seed=0):
    """Synapses of three channels and biases, in the user's order."""
    rng = np.random.default_rng(seed)
    n, m = topology.n_neurons, topology.n_synapses
    with_bias = np.array([p.bias and p.role != "input" for p in topology.populations])[topology.population_of]
    return rng.normal(size=(3, m)), rng.normal(size=(3, m)), rng.normal(size=(3, n)) * with_bias


def run(topology, name, synapses, **options):
    """Everything after two steps, in the user's order."""
    rule, genome = RULES[name], astype(GENOMES[name], float)
    graph = compile_topology(topology, **options)
    network = engine.init(jax.random.key(0), graph, genome, rule=rule, dtype=jnp.float64)
    channels = network.forward.shape[0]
    forward, backward, bias = (values[:channels] for values in synapses)
    backward = None if network.backward is None else backward
    network = views.with_synapses(graph, network, forward=forward, backward=backward, bias=bias)
    rng = np.random.default_rng(5)
    info = None
    for _ in range(2):
        x = rng.normal(size=(graph.n_inputs, 3))
        target = np.where(rng.random((graph.n_outputs, 3)) < 0.5, 1.0, -1.0)
        network, info = STEP(graph, genome, network, x, target, rule=rule)
    assert info is not None
    result = {
        "forward": views.synapses(graph, network.forward),
        "bias": network.bias[:, graph.neuron_rank],
        "forward states": views.neurons(graph, info.forward_states),
        "backward states": views.neurons(graph, info.backward_states),
        "prediction": info.prediction,
    }
    if network.backward is not None:
        result["backward"] = views.synapses(graph, network.backward)
    return {key: np.asarray(value) for key, value in result.items()}


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-10, atol=1e-10, err_msg=name)


def wiring(isolated=0):
    """5 inputs, 9 + 20 hidden, 3 outputs, skip connections, a hub, and if wanted isolated neurons at the end."""
    rng = np.random.default_rng(0)
    level = np.repeat(np.arange(4), [5, 9, 20, 3])
    possible = np.argwhere(level[:, None] < level[None, :])
    chosen = possible[rng.random(len(possible)) < 0.4]
    spine = [(0, 5 + i) for i in range(9)] + [(5, 14 + i) for i in range(20)] + [(14, 34 + i) for i in range(3)]
    pairs = np.unique(np.array([*map(tuple, chosen), *spine, *((i, 34) for i in range(34))]), axis=0)
    pairs = rng.permutation(pairs)
    populations = [(Population("in", "input"), 5), (Population("h", "hidden"), 29), (Population("out", "output"), 3)]
    if isolated:
        populations.append((Population("alone", "hidden"), isolated))
    return build(pairs[:, 0], pairs[:, 1], populations)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("options", [{"lowering": name} for name in LOWERINGS[:2]] + [{"pad_to": 7}], ids=str)
def test_lowering_and_padding_change_nothing(name, options):
    topology = wiring()
    reference = run(topology, name, draw(topology), lowering="segment_sum")
    assert_equal(reference, run(topology, name, draw(topology), **options))


@pytest.mark.parametrize("name", RULES)
def test_renumbering_neurons_and_synapses_changes_nothing(name):
    topology = wiring()
    rng = np.random.default_rng(3)
    neurons, synapses = rng.permutation(topology.n_neurons), rng.permutation(topology.n_synapses)
    forward, backward, bias = draw(topology)
    plain = run(topology, name, (forward, backward, bias))
    renumbered = permute(topology, neurons, synapses)
    other = run(renumbered, name, (forward[:, synapses], backward[:, synapses], bias[:, neurons]))
    moved = {"forward": (..., synapses), "backward": (..., synapses), "bias": (..., neurons)}
    moved |= {"forward states": neurons, "backward states": neurons, "prediction": ...}
    assert_equal({key: value[moved[key]] for key, value in plain.items()}, other)


@pytest.mark.filterwarnings("ignore::neurograph.topology.TopologyWarning")
@pytest.mark.parametrize("name", RULES)
def test_isolated_neurons_change_nothing(name):
    alone, among = wiring(), wiring(isolated=4)
    forward, backward, bias = draw(alone)
    wider = np.concatenate([bias, np.ones((3, 4))], axis=1)
    plain, other = run(alone, name, (forward, backward, bias)), run(among, name, (forward, backward, wider))
    n = alone.n_neurons
    other["bias"] = other["bias"][:, :n]
    for key in ("forward states", "backward states"):
        other[key] = other[key][:n]
    assert_equal(plain, other)


@settings(max_examples=4)
@given(topology=topologies(max_hidden=5), pad_to=st.integers(1, 5))
def test_drawn_wirings_give_the_same_under_every_lowering(topology, pad_to):
    synapses = draw(topology)
    reference = run(topology, "backprop", synapses, lowering="segment_sum")
    assert_equal(reference, run(topology, "backprop", synapses, pad_to=pad_to))


@settings(max_examples=40)
@given(topology=topologies(), lowering=st.sampled_from(LOWERINGS))
def test_tables_hold_every_synapse_once_in_its_place(topology, lowering):
    graph = compile_topology(topology, lowering=lowering)
    order = np.asarray(graph.neuron_order)
    found, base = [], 0
    for wires, block in zip(graph.forward_wires, graph.forward_blocks, strict=True):
        rows = np.concatenate([np.arange(graph.groups[s].start, graph.groups[s].stop) for s in wires.sources])
        target = graph.groups[wires.target].start
        if block.lowering == "dense":
            senders, receivers = np.divmod(np.arange(block.n_synapses), block.n_targets)
        else:
            senders, receivers = np.asarray(block.senders), np.asarray(block.receivers)
        for table, near, far in ((block.by_target, receivers, senders), (block.by_source, senders, receivers)):
            if table is None:
                continue
            sources, synapses = np.asarray(table.sources), np.asarray(table.synapses)
            used = synapses < block.n_synapses
            assert sorted(synapses[used]) == list(range(block.n_synapses))
            np.testing.assert_array_equal(sources[used], far[synapses[used]])
            np.testing.assert_array_equal(np.nonzero(used)[1], near[synapses[used]])
        found += list(zip(order[rows[senders]], order[target + receivers], strict=True))
        base += block.n_synapses
    user = list(zip(topology.senders, topology.receivers, strict=True))
    assert [user[i] for i in np.asarray(graph.synapse_order)] == found
    level = levels(topology)
    assert [group.level for group in graph.groups for _ in range(group.start, group.stop)] == level[order].tolist()


def test_levels_are_longest_paths():
    topology = wiring()
    graph = nx.DiGraph(list(zip(topology.senders.tolist(), topology.receivers.tolist(), strict=True)))
    expected = {}
    for generation, members in enumerate(nx.topological_generations(graph)):
        expected |= dict.fromkeys(members, generation)
    assert levels(topology).tolist() == [expected[i] for i in range(topology.n_neurons)]
    assert compile_topology(topology).n_levels == 1 + nx.dag_longest_path_length(graph)


def test_layers_become_matmuls_and_uneven_degrees_segment_sums():
    pairs = np.array([(i, 8 + j) for i in range(8) for j in range(9)] + [(8 + j, 17) for j in range(9)])
    layers = build(
        pairs[:, 0],
        pairs[:, 1],
        [(Population("in", "input"), 8), (Population("h", "hidden"), 9), (Population("out", "output"), 1)],
    )
    graph = compile_topology(layers)
    assert [block.lowering for block in graph.forward_blocks] == ["dense", "dense"]
    assert graph.feedback_blocks == ()
    assert padding(graph) == 0
    hub = [(i, 100) for i in range(99)] + [(i, 101 + i % 99) for i in range(100)]
    pairs = np.array(hub)
    graph = compile_topology(
        build(pairs[:, 0], pairs[:, 1], [(Population("in", "input"), 100), (Population("out", "output"), 100)])
    )
    assert graph.forward_blocks[0].by_target is None
    assert graph.forward_blocks[0].lowering == "segment_sum"
    assert compile_topology(wiring(), lowering="padded_gather", pad_to=16).forward_blocks[0].by_target is not None


def test_one_compilation_for_two_wirings_of_equal_shape():
    """Two wirings that differ in who is joined to whom, not in shape, run the same program: tables are no constants."""
    traces = []

    def step(graph, network, x, target):
        traces.append(1)
        return engine.step(graph, GENOMES["backprop"], network, x, target, rule=RULES["backprop"])[0]

    jitted = jax.jit(step)
    results = []
    for shift in (1, 2):
        pairs = [(i, 8 + (i + s) % 8) for i in range(8) for s in (0, shift)] + [(8 + i, 16) for i in range(8)]
        pairs = np.array(pairs)
        topology = build(
            pairs[:, 0],
            pairs[:, 1],
            [(Population("in", "input"), 8), (Population("h", "hidden"), 8), (Population("out", "output"), 1)],
        )
        graph = compile_topology(topology)
        network = engine.init(jax.random.key(0), graph, GENOMES["backprop"], rule=RULES["backprop"])
        results.append(jitted(graph, network, jnp.ones((8, 2)) * jnp.arange(8.0)[:, None], jnp.ones((1, 2))).forward)
    assert len(traces) == 1
    assert not np.array_equal(results[0], results[1])


def test_unknown_choices_are_refused():
    with pytest.raises(ValueError, match=r"lowering is 'fast'; it must be one of auto"):
        compile_topology(wiring(), lowering="fast")
    with pytest.raises(ValueError, match="pad_to is 0"):
        compile_topology(wiring(), pad_to=0)
