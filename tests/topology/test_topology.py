"""Topologies: construction, levels, all rules of validation, networkx, adjacency matrices; networkx is the oracle."""

import collections
import dataclasses
import doctest
import itertools
from unittest import mock

import networkx as nx
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from neurograph.topology import (
    HIDDEN,
    INPUT,
    OUTPUT,
    ROLES,
    Population,
    Topology,
    _adjacency,
    _construct,
    _graph,
    _networkx,
    _validate,
    build,
    equal,
    from_adjacency,
    from_arrays,
    from_networkx,
    heights,
    levels,
    path_lengths,
    permute,
    relabel,
    to_adjacency,
    to_networkx,
    validate,
)
from tests.support.strategies import FINITE, LABELS, topologies

PROPERTY = settings(max_examples=50, deadline=None)

# Of nodes that networkx takes: all but None.
NODES = LABELS.filter(lambda label: label is not None)

EDGES = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(lambda e: e[0] != e[1]), min_size=1, max_size=20
)


def as_graph(topology: Topology) -> nx.DiGraph:
    """The bare graph of row numbers, built without `to_networkx`."""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(topology.n_neurons))
    graph.add_edges_from(zip(topology.senders.tolist(), topology.receivers.tolist(), strict=True))
    return graph


def chain() -> Topology:
    """Two inputs, a hidden neuron, an output; with all kinds of values."""
    return from_arrays(
        [0, 1, 2],
        [2, 2, 3],
        roles=["input", "input", "hidden", "output"],
        labels=["x", "y", "h", "out"],
        weights=[1.0, 2.0, 3.0],
        backward_weights=[[4.0, 5.0, 6.0], [7.0, 8.0, 9.0]],
        biases=[0.0, 0.0, 0.5, -0.5],
        name="chain",
    )


def graph_of(*edges: tuple, kind: type[nx.Graph] = nx.DiGraph, **nodes: dict) -> nx.Graph:
    graph = kind(name="net.yaml")
    for node, attributes in ({"a": {"role": "input"}, "z": {"role": "output"}} | nodes).items():
        graph.add_node(node, **attributes)
    graph.add_edges_from(edges)
    return graph


# Construction


def test_arrays_are_kept_in_order_and_cannot_be_written():
    senders = np.array([2, 0, 1], dtype=np.int32)
    topology = from_arrays(senders, [3, 2, 2], roles=[0, 0, 1, 2], weights=np.array([1, 2, 3], dtype=np.float32))
    senders[0] = 0
    assert topology.senders.tolist() == [2, 0, 1]
    assert topology.receivers.tolist() == [3, 2, 2]
    assert topology.weights is not None
    assert topology.weights.tolist() == [[1, 2, 3]]
    for field in dataclasses.fields(topology):
        value = getattr(topology, field.name)
        if isinstance(value, np.ndarray):
            assert value.dtype == (np.float64 if field.name == "weights" else np.int64)
            with pytest.raises(ValueError, match="read-only"):
                value[0] = 0


@pytest.mark.filterwarnings("ignore::neurograph.topology.TopologyWarning")
@PROPERTY
@given(topologies())
def test_roles_are_inferred_from_degrees(drawn: Topology):
    graph = as_graph(drawn)
    inferred = from_arrays(drawn.senders, drawn.receivers, n_neurons=drawn.n_neurons)
    for neuron in graph:
        ends = (graph.in_degree(neuron) == 0, graph.out_degree(neuron) == 0)
        assert inferred.roles[neuron] == {(True, False): INPUT, (False, True): OUTPUT}.get(ends, HIDDEN)


@pytest.mark.parametrize("roles", [["input", "output", "hidden"], np.array([INPUT, OUTPUT, HIDDEN])])
def test_roles_make_one_population_each(roles):
    topology = from_arrays([0, 2], [2, 1], roles=roles)
    assert [p.name for p in topology.populations] == list(ROLES)
    assert topology.roles.tolist() == [INPUT, OUTPUT, HIDDEN]
    assert (topology.inputs.tolist(), topology.outputs.tolist()) == ([0], [1])


def test_given_inputs_and_outputs_make_the_roles():
    topology = from_arrays([1, 0, 2], [2, 2, 3], inputs=[1, 0], outputs=[3])
    assert topology.inputs.tolist() == [1, 0]
    assert topology.roles.tolist() == [INPUT, INPUT, HIDDEN, OUTPUT]


def test_labels_are_pythons_and_row_numbers_are_none():
    assert from_arrays([0], [1], labels=[0, 1]).labels is None
    assert from_arrays([0], [1], labels=[0.0, 1]).labels == (0.0, 1)
    label = from_arrays([0], [1], labels=[np.int64(7), np.str_("b")]).names[0]
    assert type(label) is int
    assert relabel(chain(), range(4)).labels is None


def test_build_numbers_population_by_population():
    layers = [Population("a", "input", shape=(1, 2)), Population("o", "output"), Population("h", "hidden", bias=False)]
    topology = build([0, 1, 3], [3, 3, 2], list(zip(layers, (2, 1, 1), strict=True)), name="built")
    assert topology.populations == tuple(layers)
    assert topology.population_of.tolist() == [0, 0, 1, 2]
    assert (topology.inputs.tolist(), topology.outputs.tolist()) == ([0, 1], [2])


@PROPERTY
@given(topologies(labels=NODES, weights=FINITE), st.data())
def test_permuting_renames_and_moves_nothing(topology: Topology, data: st.DataObject):
    neurons = data.draw(st.permutations(range(topology.n_neurons)))
    synapses = data.draw(st.permutations(range(topology.n_synapses)))
    permuted = permute(topology, neurons, synapses)
    validate(permuted)

    def facts(graph: nx.DiGraph) -> tuple:
        edges = {(u, v): {k: x for k, x in d.items() if k != "synapse_index"} for u, v, d in graph.edges(data=True)}
        return dict(graph.nodes(data=True)), edges

    assert facts(to_networkx(permuted)) == facts(to_networkx(topology))
    assert equal(permute(permuted, np.argsort(neurons), np.argsort(synapses)), topology)


def test_equal_sees_every_field():
    topology = chain()
    assert equal(topology, dataclasses.replace(topology, name="other", history=("made",)))
    changed = {
        "senders": topology.senders[::-1],
        "receivers": topology.receivers[::-1],
        "populations": (*topology.populations[:-1], Population("output", "output", bias=False)),
        "population_of": topology.population_of[::-1],
        "inputs": topology.inputs[::-1],
        "outputs": topology.inputs,
        "labels": None,
        "weights": np.nextafter(np.asarray(topology.weights), np.inf),
        "backward_weights": None,
        "biases": -np.asarray(topology.biases),
    }
    assert set(changed) == {f.name for f in dataclasses.fields(Topology)} - {"name", "history"}
    for field, value in changed.items():
        assert not equal(topology, dataclasses.replace(topology, **{field: value})), field
    assert not equal(relabel(topology, [0, 1, 2, 4]), relabel(topology, [False, True, 2, 4]))


def test_display_counts():
    topology = chain()
    text, page = repr(topology), topology._repr_html_()
    assert text.splitlines()[0] == (
        "Topology 'chain': 4 neurons, 3 synapses, 3 levels, weights in 1 channel, backward weights in 2 channels, "
        "biases in 1 channel"
    )
    for population in topology.populations:
        assert population.name in text
        assert f"<td>{population.name}</td>" in page
    assert "&lt;b&gt;" in dataclasses.replace(topology, name="<b>")._repr_html_()


@pytest.mark.parametrize("part", [_adjacency, _construct, _networkx, _validate])
def test_examples_in_docstrings(part):
    found = doctest.testmod(part)
    assert found.attempted
    assert not found.failed


# Levels and the other questions about arrays


@PROPERTY
@given(topologies(), st.sampled_from([0, 6, _graph._FEW]))
def test_levels_are_topological_generations(topology: Topology, few: int):
    """Whether all, some or no levels are gone through as arrays."""
    expected = {
        neuron: level for level, group in enumerate(nx.topological_generations(as_graph(topology))) for neuron in group
    }
    with mock.patch.object(_graph, "_FEW", few):
        assert dict(enumerate(levels(topology).tolist())) == expected
        backwards = nx.topological_generations(as_graph(topology).reverse())
        expected = {neuron: height for height, group in enumerate(backwards) for neuron in group}
        assert dict(enumerate(heights(topology).tolist())) == expected


@PROPERTY
@given(topologies())
def test_path_lengths_are_means_over_random_walks(topology: Topology):
    """Both ways, from neuron to neuron in networkx's order."""
    expected = np.zeros(topology.n_neurons)
    for graph in (as_graph(topology), as_graph(topology).reverse()):
        length: dict[int, float] = {}
        for j in nx.topological_sort(graph):
            before = [length[i] for i in graph.predecessors(j)]
            length[j] = 1 + sum(before) / len(before) if before else 0.0
        expected += [length[j] for j in range(topology.n_neurons)]
    np.testing.assert_allclose(path_lengths(topology), expected, rtol=1e-12)


@pytest.mark.filterwarnings("ignore::neurograph.topology.TopologyWarning")
@pytest.mark.parametrize("n_neurons", [200, np.iinfo(np.uint16).max + 10])
def test_levels_of_a_large_random_graph(n_neurons: int):
    rng = np.random.default_rng(0)
    ends = np.sort(rng.integers(0, n_neurons, (3 * n_neurons, 2)), axis=1)
    ends = np.unique(ends[ends[:, 0] != ends[:, 1]], axis=0)
    rank = rng.permutation(n_neurons)
    senders, receivers = rank[rng.permutation(ends)].T
    topology = from_arrays(senders, receivers, n_neurons=n_neurons)
    level = levels(topology)
    # The longest path: every synapse goes up, and every neuron above level 0 has a sender just below.
    assert (level[receivers] > level[senders]).all()
    just_below = level[receivers] == level[senders] + 1
    assert np.array_equal(np.unique(receivers[just_below]), np.flatnonzero(level > 0))
    assert topology.n_synapses == ends.shape[0]


def test_levels_of_a_deep_chain():
    n_neurons = 20_000
    topology = from_arrays(np.arange(n_neurons - 1), np.arange(1, n_neurons))
    assert np.array_equal(levels(topology), np.arange(n_neurons))


@PROPERTY
@given(EDGES)
def test_the_cycle_shown_is_a_shortest_one(pairs: list[tuple[int, int]]):
    number = {node: i for i, node in enumerate(sorted(set(itertools.chain.from_iterable(pairs))))}
    graph = nx.DiGraph([(number[i], number[j]) for i, j in pairs])
    senders, receivers = np.array(list(graph.edges)).T
    level = _graph.levels_or_minus_one(senders, receivers, len(graph))
    cycles = list(nx.simple_cycles(graph))
    assert (level < 0).any() == bool(cycles)
    if cycles:
        cycle = _graph.find_cycle(senders, receivers, len(graph))
        assert all(graph.has_edge(*edge) for edge in itertools.pairwise([*cycle, cycle[0]]))
        # Of the smallest strongly connected component, the shortest.
        component = next(c for c in nx.strongly_connected_components(graph) if cycle[0] in c)
        assert len(cycle) == min(len(c) for c in cycles if set(c) <= component)


@PROPERTY
@given(EDGES)
def test_parallel_edges_are_found(pairs: list[tuple[int, int]]):
    senders, receivers = np.array(pairs).T
    count = collections.Counter(pairs)
    found = _graph.first_parallel(senders, receivers, int(max(map(max, pairs))) + 1)
    if found is None:
        assert max(count.values()) == 1
    else:
        first, second = found
        assert first < second
        assert pairs[first] == pairs[second]
        assert len(set(pairs[:second])) == second


@PROPERTY
@given(EDGES, st.sets(st.integers(0, 6), min_size=1))
def test_reachable_agrees_with_networkx(pairs: list[tuple[int, int]], sources: set[int]):
    graph = nx.DiGraph(pairs)
    graph.add_nodes_from(range(7))
    senders, receivers = np.array(pairs).T
    expected = sources.union(*(nx.descendants(graph, source) for source in sources))
    found = _graph.reachable(senders, receivers, len(graph), np.array(sorted(sources)))
    assert set(np.flatnonzero(found).tolist()) == expected


# networkx


@PROPERTY
@given(topologies(labels=NODES, weights=FINITE))
def test_networkx_and_back(topology: Topology):
    graph = to_networkx(topology)
    assert set(graph.edges) == {(topology.names[i], topology.names[j]) for i, j in as_graph(topology).edges}
    assert equal(from_networkx(graph), topology)
    assert equal(from_networkx(nx.MultiDiGraph(graph)), topology)


def test_a_bare_graph_takes_the_order_of_networkx():
    graph = graph_of(("h", "z"), ("a", "h"), ("a", "z"))
    topology = from_networkx(graph)
    names = topology.names
    edges = [(names[i], names[j]) for i, j in zip(topology.senders, topology.receivers, strict=True)]
    assert edges == list(graph.edges)
    assert list(names) == list(graph)
    assert topology.name == "net.yaml"
    assert topology.weights is None


def test_index_orders_inputs_and_outputs():
    graph = nx.DiGraph()
    for node, role, index in [("a", "input", 5), ("b", "input", -1), ("y", "output", 1), ("z", "output", 0)]:
        graph.add_node(node, role=role, index=index)
    graph.add_edges_from(itertools.product("ab", "yz"))
    topology = from_networkx(graph)
    assert [topology.names[i] for i in topology.inputs] == ["b", "a"]
    assert [topology.names[i] for i in topology.outputs] == ["z", "y"]


def test_attributes_of_nodes_describe_their_population():
    graph = graph_of(
        ("a", "h"), ("h", "z"), h={"population": "mid", "activation": "relu", "bias": False, "shape": "1x1"}
    )
    topology = from_networkx(graph)
    assert Population("mid", "hidden", (1, 1), "relu", False) in topology.populations


def test_edges_added_to_an_exported_graph_come_last():
    topology = chain()
    graph = to_networkx(permute(topology, range(4), [2, 1, 0]))
    graph.add_edge("x", "out", weight=0.25, backward_weight_1=0.5, backward_weight_2=0.75)
    again = from_networkx(graph)
    assert again.senders[:-1].tolist() == topology.senders[::-1].tolist()
    assert (again.names[again.senders[-1]], again.names[again.receivers[-1]]) == ("x", "out")
    assert again.weights is not None
    assert again.weights[0, -1] == graph.edges["x", "out"]["weight"]


def test_missing_bias_weights_of_inputs_are_zero():
    graph = graph_of(("a", "z"), z={"role": "output", "bias_weight": 2})
    biases = from_networkx(graph).biases
    assert biases is not None
    assert biases.tolist() == [[0, 2]]


# Adjacency matrices


@PROPERTY
@given(topologies(labels=LABELS, weights=FINITE, several_populations=False))
def test_adjacency_and_back(topology: Topology):
    again = from_adjacency(
        to_adjacency(topology),
        inputs=topology.inputs,
        outputs=topology.outputs,
        labels=topology.labels,
        weighted=topology.weights is not None,
    )
    first_channel = None if topology.weights is None else np.array(topology.weights[:1])
    expected = dataclasses.replace(topology, weights=first_channel, backward_weights=None, biases=None)
    assert equal(again, expected)


@PROPERTY
@given(topologies())
def test_every_kind_of_matrix_gives_the_edges_of_networkx(topology: Topology):
    graph = as_graph(topology)
    dense = nx.to_numpy_array(graph, nodelist=range(topology.n_neurons))
    kinds = [scipy.sparse.csr_array, scipy.sparse.csc_array, scipy.sparse.lil_array, scipy.sparse.coo_matrix]
    for matrix in [dense, dense.astype(bool), dense.astype(int), *(kind(dense) for kind in kinds)]:
        made = from_adjacency(matrix, inputs=topology.inputs, outputs=topology.outputs)
        assert set(as_graph(made).edges) == set(graph.edges)
        assert made.weights is None
    weighted = from_adjacency(2 * dense, inputs=topology.inputs, outputs=topology.outputs)
    assert weighted.weights is not None
    assert set(weighted.weights.ravel()) == {2.0}
