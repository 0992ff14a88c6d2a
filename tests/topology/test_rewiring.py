"""Null models: what stays, by networkx and by counting; that all wirings which may come do come alike."""

import collections
import hashlib
import itertools
from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from scipy import stats

from neurograph import topology
from neurograph.topology import INPUT, OUTPUT, Topology, TopologyError, equal, from_arrays, generators, rewire, rewiring
from tests.support.helpers import thorough
from tests.support.strategies import WEIGHTS, topologies

FAILURE = 1e-4
"""How seldom a sampler that is right fails a test of uniformity, over the choice of seeds; the seeds are fixed."""
IDLE = "ignore::neurograph.topology.TopologyWarning"
"""Hidden neurons that a random wiring leaves without use."""
BY_STRUCTURE = ("degree_preserving", "configuration", "erdos_renyi")
CASES = [(method, order) for method in BY_STRUCTURE for order in rewiring.ORDERS]
TINY = from_arrays([0, 1, 0, 2, 1, 3, 0, 4, 2], [2, 2, 3, 3, 4, 4, 5, 5, 5], roles=[0, 0, 1, 1, 1, 2], name="tiny")


def graph_of(wiring: Topology) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_nodes_from(range(wiring.n_neurons))
    graph.add_edges_from(pairs_of(wiring))
    assert graph.number_of_edges() == wiring.n_synapses, "two synapses join the same pair"
    return graph


def pairs_of(wiring: Topology) -> frozenset[tuple[int, int]]:
    return frozenset(zip(wiring.senders.tolist(), wiring.receivers.tolist(), strict=True))


def levels_of(graph: nx.DiGraph) -> list[int]:
    level: dict[int, int] = {}
    for number, generation in enumerate(nx.topological_generations(graph)):
        level |= dict.fromkeys(generation, number)
    return [level[node] for node in sorted(graph)]


def allowed(wiring: Topology, order: str) -> list[tuple[int, int]]:
    """The pairs that lead forward in an order, by its definition."""
    level = levels_of(graph_of(wiring))
    place = [(level[i], i if order == "total" else 0) for i in range(wiring.n_neurons)]
    return [(i, j) for i in range(wiring.n_neurons) for j in range(wiring.n_neurons) if place[i] < place[j]]


def moderate() -> Topology:
    return generators.random_dag(12, 4, 60, in_degree=4, n_levels=5, output_degree=9, seed=3)


@pytest.mark.filterwarnings(IDLE)
@pytest.mark.parametrize(("method", "order"), CASES)
def test_what_stays(method, order):
    wiring = moderate()
    rewired = rewire(wiring, method, order=order, seed=1)
    before, after = graph_of(wiring), graph_of(rewired)
    assert nx.is_directed_acyclic_graph(after)
    assert pairs_of(rewired) != pairs_of(wiring)
    assert pairs_of(rewired) <= set(allowed(wiring, order))
    assert rewired.n_synapses == wiring.n_synapses
    assert rewired.populations == wiring.populations
    for field in ("population_of", "inputs", "outputs"):
        np.testing.assert_array_equal(getattr(rewired, field), getattr(wiring, field))
    assert all(after.in_degree(i) == 0 for i in rewired.inputs.tolist())
    assert all(after.out_degree(i) == 0 for i in rewired.outputs.tolist())
    if method != "erdos_renyi":
        assert dict(before.in_degree()) == dict(after.in_degree())
        assert dict(before.out_degree()) == dict(after.out_degree())
    if order == "level_pairs":
        level = levels_of(before)
        counts = [collections.Counter((level[i], level[j]) for i, j in graph.edges) for graph in (before, after)]
        assert counts[0] == counts[1]
        if method != "erdos_renyi":
            assert levels_of(after) == level


@pytest.mark.filterwarnings(IDLE)
@pytest.mark.parametrize("method", rewiring.METHODS)
@settings(max_examples=15, deadline=None)
@given(wiring=topologies(weights=WEIGHTS))
def test_any_wiring(method, wiring):
    """Of whatever kind: roles, rows in any order, outputs that feed on, several channels."""
    if method == "shuffle_weights" and wiring.weights is None and wiring.backward_weights is None:
        return
    rewired = rewire(wiring, method, seed=5, **({"unreached": "join"} if method == "erdos_renyi" else {}))
    assert nx.is_directed_acyclic_graph(graph_of(rewired))
    assert rewired.n_synapses == wiring.n_synapses
    assert not (rewired.roles[rewired.receivers] == INPUT).any()
    if not (wiring.roles[wiring.senders] == OUTPUT).any():
        assert not (rewired.roles[rewired.senders] == OUTPUT).any()
    if method != "erdos_renyi":
        np.testing.assert_array_equal(rewired.receivers, wiring.receivers)
        np.testing.assert_array_equal(np.sort(rewired.senders), np.sort(wiring.senders))
    for values, old in ((rewired.weights, wiring.weights), (rewired.backward_weights, wiring.backward_weights)):
        assert (values is None) == (old is None)
        if values is not None and old is not None:
            np.testing.assert_array_equal(np.sort(values, axis=1), np.sort(old, axis=1))


def with_degrees(wiring: Topology, order: str) -> list[frozenset[tuple[int, int]]]:
    """All wirings of the same degrees (by level under level_pairs), by going through all sets of pairs."""
    level = levels_of(graph_of(wiring)) if order == "level_pairs" else [0] * wiring.n_neurons

    def degrees(pairs) -> tuple:
        sent = collections.Counter((i, level[j]) for i, j in pairs)
        return sent, collections.Counter((j, level[i]) for i, j in pairs)

    wanted = degrees(pairs_of(wiring))
    candidates = itertools.combinations(allowed(wiring, order), wiring.n_synapses)
    return [frozenset(pairs) for pairs in candidates if degrees(pairs) == wanted]


def assert_uniform(draw: Callable[[int], Topology], all_of_them: list, n_draws: int) -> None:
    found = collections.Counter(pairs_of(draw(seed)) for seed in range(n_draws))
    assert found.keys() <= set(all_of_them)
    assert len(all_of_them) > 5
    assert n_draws >= 20 * len(all_of_them)
    assert stats.chisquare([found[one] for one in all_of_them]).pvalue > FAILURE


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("degree_preserving", {"order": "levels"}),
        ("degree_preserving", {"order": "total"}),
        ("configuration", {"order": "total", "parallel": "reject"}),
    ],
    ids=str,
)
def test_all_wirings_of_the_degrees_come_alike(method, options):
    assert_uniform(lambda seed: rewire(TINY, method, seed=seed, **options), with_degrees(TINY, options["order"]), 400)


@pytest.mark.filterwarnings(IDLE)
@pytest.mark.parametrize("order", thorough(("levels", "total"), ci=["total"]))
def test_all_wirings_of_as_many_synapses_come_alike(order):
    wiring = from_arrays([0, 1, 0, 2, 1], [2, 3, 4, 4, 4], roles=[0, 0, 1, 1, 2])
    pairs = [(i, j) for i, j in allowed(wiring, order) if j not in (0, 1) and i != 4]
    sets = [frozenset(chosen) for chosen in itertools.combinations(pairs, 5)]
    reached = [one for one in sets if 4 in nx.descendants(nx.DiGraph([*one, ("all", 0), ("all", 1)]), "all")]
    assert_uniform(lambda seed: rewire(wiring, "erdos_renyi", order=order, seed=seed), reached, 21 * len(reached))


def test_the_chain_leaves_no_wiring_out_of_reach_with_level_pairs():
    """Two levels joined by a ring of six: all wirings with two synapses for each neuron are found."""
    ring = [(i, 3 + j) for i in range(3) for j in (i, (i + 1) % 3)]
    wiring = from_arrays(*np.array(ring).T, roles=[0] * 3 + [2] * 3)
    found = {pairs_of(rewire(wiring, "degree_preserving", order="level_pairs", seed=seed)) for seed in range(60)}
    assert found == set(with_degrees(wiring, "level_pairs"))
    assert len(found) == 6


@pytest.mark.filterwarnings(IDLE)
@pytest.mark.parametrize(("method", "order"), CASES)
def test_a_seed_gives_one_wiring(method, order):
    one, same, other = (rewire(moderate(), method, order=order, seed=seed) for seed in (7, 7, 8))
    assert equal(one, same)
    assert not equal(one, other)


@pytest.mark.filterwarnings(IDLE)
@pytest.mark.parametrize(
    ("method", "digest"),
    [
        ("degree_preserving", "e93b875c415ac5ff"),
        ("configuration", "d86927c71f25809a"),
        ("erdos_renyi", "d3b6fb104673d4f2"),
    ],
)
def test_a_seed_gives_the_same_wiring_on_every_platform(method, digest):
    wiring = generators.random_dag(5, 2, 20, in_degree=3, n_levels=4, seed=0)
    rewired = rewire(wiring, method, seed=11)
    table = np.stack([rewired.senders, rewired.receivers]).astype("<i8")
    assert hashlib.sha256(table.tobytes()).hexdigest()[:16] == digest


def test_configuration_of_degrees_that_leave_no_choice():
    """Random matchings of stubs of a perceptron are full of parallel synapses; repaired, only one wiring is left."""
    wiring = generators.mlp([9, 8, 6])
    rewired = rewire(wiring, "configuration", seed=2)
    assert pairs_of(rewired) == pairs_of(wiring)
    assert " 0 parallel" not in rewired.history[-1]
    with pytest.raises(TopologyError, match="each of 1000 drawings by configuration has parallel synapses"):
        rewire(wiring, "configuration", parallel="reject")


def test_merged_parallel_synapses_add_up():
    wiring = generators.random_dag(6, 3, 12, in_degree=6, n_levels=3, seed=1)
    weights = np.arange(1.0, wiring.n_synapses + 1)
    weighted = from_arrays(wiring.senders, wiring.receivers, roles=wiring.roles, weights=weights)
    merged = rewire(weighted, "configuration", parallel="merge", seed=0)
    assert merged.n_synapses < wiring.n_synapses
    assert nx.is_directed_acyclic_graph(graph_of(merged))
    received = [
        np.bincount(w.receivers, w.weights[0], w.n_neurons) for w in (weighted, merged) if w.weights is not None
    ]
    np.testing.assert_allclose(received[0], received[1])


def test_every_output_is_reached_though_neurons_without_senders_feed_them():
    """Neuron 1 is no input and receives nothing; a swap may give it an output's only synapse."""
    with pytest.warns(topology.TopologyWarning):
        wiring = from_arrays([0, 0, 2, 3, 1, 2], [2, 3, 4, 5, 5, 6], roles=[0, 1, 1, 1, 2, 2, 2])
    for method in ("degree_preserving", "configuration"):
        with pytest.warns(topology.TopologyWarning):
            found = [pairs_of(rewire(wiring, method, seed=seed)) for seed in range(20)]
        assert len(set(found)) > 2
        for pairs in found:
            assert {4, 5, 6} <= nx.descendants(nx.DiGraph(pairs), 0)


def test_outputs_that_are_out_of_reach():
    wiring = from_arrays(np.arange(20) // 2, 10 + np.arange(20), roles=[0] * 10 + [2] * 20)
    with pytest.raises(TopologyError, match="in none of 1000 drawings by erdos_renyi do the inputs reach every output"):
        rewire(wiring, "erdos_renyi")
    joined = rewire(wiring, "erdos_renyi", unreached="join")
    assert sorted(joined.receivers.tolist()) == list(range(10, 30))
    assert len(set(joined.senders.tolist())) < 10


def test_weights_stay_with_the_receiver():
    base = moderate()
    wiring = from_arrays(
        base.senders, base.receivers, roles=base.roles, weights=np.arange(2.0 * base.n_synapses).reshape(2, -1)
    )
    rewired = rewire(wiring, "degree_preserving", seed=1)
    np.testing.assert_array_equal(rewired.receivers, wiring.receivers)
    np.testing.assert_array_equal(rewired.weights, wiring.weights)


@pytest.mark.parametrize("within", rewiring.WITHIN)
def test_shuffled_weights(within):
    base = moderate()
    n = base.n_synapses
    weights, backward = np.arange(2.0 * n).reshape(2, -1), np.arange(n) + 0.5
    wiring = from_arrays(base.senders, base.receivers, roles=base.roles, weights=weights, backward_weights=backward)
    rewired = rewire(wiring, "shuffle_weights", within=within, seed=4)
    assert rewired.weights is not None
    assert rewired.backward_weights is not None
    assert pairs_of(rewired) == pairs_of(wiring)
    source = rewired.weights[0].astype(int)  # which synapse a value comes from
    assert sorted(source.tolist()) == list(range(n))
    assert np.mean(source != np.arange(n)) > 0.5
    np.testing.assert_array_equal(rewired.weights[1], source + n)
    np.testing.assert_array_equal(rewired.backward_weights[0], source + 0.5)
    if within != "all":
        ends = wiring.receivers if within == "receivers" else wiring.senders
        np.testing.assert_array_equal(ends[source], ends)


def test_permutations_of_weights_come_alike():
    wiring = from_arrays([0, 1, 2], [3, 3, 3], weights=[0.0, 1.0, 2.0])
    found = collections.Counter()
    for seed in range(300):
        weights = rewire(wiring, "shuffle_weights", within="receivers", seed=seed).weights
        assert weights is not None
        found[tuple(weights[0].tolist())] += 1
    assert len(found) == 6
    assert stats.chisquare(list(found.values())).pvalue > FAILURE


def test_structure_is_what_networkx_counts():
    wiring = moderate()
    graph, found = graph_of(wiring), rewiring.structure(wiring)
    lengths = [
        nx.shortest_path_length(graph, i, j)
        for i in wiring.inputs.tolist()
        for j in wiring.outputs.tolist()
        if nx.has_path(graph, i, j)
    ]
    assert found.n_levels == nx.dag_longest_path_length(graph) + 1
    assert found.mean_level == pytest.approx(np.mean(levels_of(graph)))
    assert found.n_pairs == len(lengths)
    assert found.mean_path == pytest.approx(np.mean(lengths))
    assert (found.n_outputs_reached, found.n_idle, found.n_synapses) == (4, 0, wiring.n_synapses)


@pytest.mark.filterwarnings(IDLE)
def test_comparison_counts_what_is_common():
    wiring = moderate()
    rewired = rewire(wiring, "erdos_renyi", order="total", seed=1, unreached="join")
    before, after, found = graph_of(wiring), graph_of(rewired), rewiring.compare(wiring, rewired)
    assert found.n_synapses_kept == len(pairs_of(wiring) & pairs_of(rewired))
    assert found.n_in_degrees_changed == sum(before.in_degree(i) != after.in_degree(i) for i in before)
    assert found.n_out_degrees_changed == sum(before.out_degree(i) != after.out_degree(i) for i in before)
    assert found.n_levels_changed == sum(np.array(levels_of(before)) != np.array(levels_of(after)))
    with pytest.raises(TopologyError, match="both must have the same neurons"):
        rewiring.compare(wiring, TINY)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "method": ({"method": "degree_preservin"}, "did you mean 'degree_preserving'?"),
    "order": ({"method": "erdos_renyi", "order": "level"}, "order is 'level', which is unknown; did you mean 'levels'"),
    "seed": ({"method": "erdos_renyi", "seed": -1}, "seed is -1; it must be a whole number of at least 0"),
    "swaps": ({"method": "degree_preserving", "swaps_per_synapse": 0}, "swaps_per_synapse is 0"),
    "option": ({"method": "erdos_renyi", "swaps_per_synapse": 3}, "erdos_renyi has no option 'swaps_per_synapse'"),
    "parallel": ({"method": "configuration", "parallel": "mend"}, "parallel is 'mend'"),
    "weights": ({"method": "shuffle_weights"}, "shuffle_weights needs synapses with given weights"),
    "join": ({"method": "erdos_renyi", "order": "level_pairs", "unreached": "join"}, "choose another of the two"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_options(case):
    options, sentence = WRONG[case]
    with pytest.raises(TopologyError, match="topology 'tiny'") as error:
        rewire(TINY, **options)
    assert sentence in str(error.value)


def test_a_hundred_thousand_synapses_take_few_rounds():
    """Each attempt costs a small part of a pass over the synapses: ten per synapse are less than fifty passes."""
    wiring = generators.random_dag(64, 10, 1500, in_degree=64, n_levels=8, seed=0)
    rewired = rewire(wiring, "degree_preserving", seed=0)
    n_attempted = int(rewired.history[-1].split(" of ")[1].split()[0].replace(",", ""))
    assert n_attempted == 10 * wiring.n_synapses
    assert rewiring.compare(wiring, rewired).n_synapses_kept < wiring.n_synapses / 4
