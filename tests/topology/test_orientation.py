"""Orientation of graphs with cycles, against all orders of small graphs, the paper's bound, and networkx."""

import itertools

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurograph import topology
from neurograph.topology import orientation
from neurograph.topology.orientation import OrientationError, lower_bound, orient, orient_networkx
from neurograph.topology.orientation._greedy import greedy_order, improved_order


def random_graph(n: int, n_edges: int, seed: int, *, loops: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    pairs = [(i, j) for i in range(n) for j in range(n) if loops or i != j]
    senders, receivers = np.array(pairs)[rng.choice(len(pairs), n_edges, replace=False)].T
    return senders, receivers, rng.integers(1, 10, n_edges).astype(float)


def backward(order: np.ndarray, senders: np.ndarray, receivers: np.ndarray, weights: np.ndarray) -> float:
    place = np.argsort(order)
    return float(weights[place[senders] >= place[receivers]].sum())


def least(n: int, senders: np.ndarray, receivers: np.ndarray, weights: np.ndarray) -> float:
    """The smallest feedback arc set, by all orders."""
    return min(backward(np.array(o), senders, receivers, weights) for o in itertools.permutations(range(n)))


def is_acyclic(senders: np.ndarray, receivers: np.ndarray) -> bool:
    return nx.is_directed_acyclic_graph(nx.DiGraph(list(zip(senders.tolist(), receivers.tolist(), strict=True))))


@pytest.mark.parametrize("seed", range(6))
def test_against_all_orders(seed):
    senders, receivers, weights = random_graph(6, 14, seed)
    best = least(6, senders, receivers, weights)
    found = orient(senders, receivers, 6, weights=weights, seed=seed)
    assert is_acyclic(senders[found.kept], receivers[found.kept])
    assert best <= found.weight_dropped <= 1.25 * best
    assert found.weight_dropped == weights[~found.kept].sum()
    assert 0 < lower_bound(senders, receivers, weights) <= best


def test_the_optimum_is_found_in_most_small_graphs():
    n_found = 0
    for seed in range(20):
        graph = random_graph(5, 11, 100 + seed)
        n_found += orient(*graph[:2], 5, weights=graph[2]).weight_dropped == least(5, *graph)
    assert n_found >= 15


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_the_greedy_order_keeps_the_bound_of_its_paper(n, seed):
    """Without two-cycles at most m / 2 - n / 6 edges lead backward, where no neuron is alone (theorem 2.1 there)."""
    rng = np.random.default_rng(seed)
    pairs = np.array([(i, j) if rng.random() < 0.5 else (j, i) for i in range(n) for j in range(i)])
    senders, receivers = pairs[rng.random(len(pairs)) < max(rng.random(), 0.2)].T
    used, rows = np.unique(np.concatenate([senders, receivers]), return_inverse=True)
    senders, receivers = rows[: senders.size], rows[senders.size :]
    ones = np.ones(senders.size)
    order = greedy_order(senders, receivers, ones, used.size, rng.permutation(used.size))
    assert sorted(order.tolist()) == list(range(used.size))
    assert backward(order, senders, receivers, ones) <= senders.size / 2 - used.size / 6 + 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_no_single_move_improves_the_order_any_more(seed):
    senders, receivers, weights = random_graph(14, 70, seed)
    start = np.random.default_rng(seed).permutation(14)
    order, n_passes = improved_order(start, senders, receivers, weights, 100, np.random.default_rng(0))
    cost = backward(order, senders, receivers, weights)
    assert 1 < n_passes < 100
    assert cost < backward(start, senders, receivers, weights)
    for i, j in itertools.product(range(14), repeat=2):
        moved = np.insert(np.delete(order, i), j, order[i])
        assert backward(moved, senders, receivers, weights) >= cost


@pytest.mark.parametrize("seed", range(3))
def test_a_pass_moves_each_neuron_to_its_best_place(seed):
    """All pairs are joined, with weights of many digits, so that each best place is the only one."""
    senders, receivers, _ = random_graph(9, 72, seed)
    weights = np.random.default_rng(seed).random(72)
    order, _ = improved_order(np.arange(9), senders, receivers, weights, 1, np.random.default_rng(seed))
    expected = np.arange(9)
    for neuron in np.random.default_rng(seed).permutation(9):
        others = expected[expected != neuron]
        moved = [np.insert(others, place, neuron) for place in range(9)]
        expected = min(moved, key=lambda one: backward(one, senders, receivers, weights))
    assert order.tolist() == expected.tolist()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_graph_without_cycles_loses_nothing(seed):
    rng = np.random.default_rng(seed)
    label = rng.permutation(12)
    pairs = np.array([(i, j) for j in range(12) for i in range(j)])
    senders, receivers = label[pairs[rng.random(len(pairs)) < 0.4].T]
    assert orient(senders, receivers, 12, most_passes=0).n_dropped == 0
    assert lower_bound(senders, receivers) == 0


@pytest.mark.parametrize("method", orientation.METHODS)
@pytest.mark.parametrize("outputs_last", [True, False])
def test_roles_and_counts(method, outputs_last):
    senders, receivers, weights = random_graph(20, 150, 5, loops=True)
    inputs, outputs = [3, 4, 5], [0, 19]
    found = orient(
        senders,
        receivers,
        20,
        weights=weights,
        inputs=inputs,
        outputs=outputs,
        outputs_last=outputs_last,
        method=method,
    )
    kept_senders, kept_receivers = senders[found.kept], receivers[found.kept]
    assert is_acyclic(kept_senders, kept_receivers)
    assert not np.isin(kept_receivers, inputs).any()
    feeds_on = np.isin(senders, outputs) & ~np.isin(receivers, [*inputs, *outputs])
    assert (found.kept & feeds_on).any() != outputs_last
    assert found.n_out_of_outputs == (feeds_on.sum() if outputs_last else 0)
    assert found.n_loops == np.sum(senders == receivers) > 0
    assert found.n_into_inputs == np.sum(np.isin(receivers, inputs) & (senders != receivers))
    assert found.n_dropped == np.sum(~found.kept)
    assert found.weight_dropped == weights[~found.kept].sum()
    assert (found.n_synapses, found.weight) == (150, weights.sum())
    assert sorted(found.order.tolist()) == list(range(20))
    assert set(found.order[:3].tolist()) == set(inputs)
    assert f"{found.n_dropped} of 150 synapses dropped" in str(found)


def test_distances_are_those_of_networkx():
    senders, receivers, _ = random_graph(30, 80, 2)
    found = orient(senders, receivers, 30, inputs=[0, 1], method="distance")
    graph = nx.DiGraph([(i, j) for i, j in zip(senders.tolist(), receivers.tolist(), strict=True) if j > 1])
    graph.add_edges_from([("all", 0), ("all", 1)])
    distance = nx.single_source_shortest_path_length(graph, "all")
    for i, j, kept in zip(senders.tolist(), receivers.tolist(), found.kept.tolist(), strict=True):
        if i in distance and j in distance:
            assert kept == (distance[i] < distance[j] and j > 1)
    assert found.kept.any()


def test_orders_are_better_than_random_ones():
    senders, receivers, weights = random_graph(60, 900, 0)
    dropped = {
        (method, passes): orient(
            senders, receivers, 60, weights=weights, method=method, most_passes=passes
        ).weight_dropped
        for method, passes in (("random", 0), ("eades_lin_smyth", 0), ("eades_lin_smyth", 100), ("given", 100))
    }
    assert dropped["eades_lin_smyth", 100] < dropped["eades_lin_smyth", 0] < 0.8 * dropped["random", 0]
    assert lower_bound(senders, receivers, weights) < dropped["eades_lin_smyth", 100] < 0.7 * dropped["random", 0]


def test_the_lower_bound_counts_loops_pairs_and_triangles():
    senders, receivers = np.array([0, 0, 1, 2, 3, 4]), np.array([0, 1, 0, 3, 4, 2])
    assert lower_bound(senders, receivers, np.array([7.0, 2.0, 3.0, 5.0, 4.0, 6.0])) == 7 + 2 + 4
    assert lower_bound(np.array([], dtype=int), np.array([], dtype=int)) == 0


def test_a_graph_of_networkx():
    graph = nx.DiGraph([("a", "b"), ("b", "c"), ("c", "b"), ("c", "d"), ("b", "a")])
    nx.set_edge_attributes(graph, {("b", "c"): -3.0, ("c", "b"): 1.0}, "weight")
    graph.nodes["a"]["role"], graph.nodes["d"]["role"] = "input", "output"
    acyclic, found = orient_networkx(graph)
    assert set(acyclic.edges) == {("a", "b"), ("b", "c"), ("c", "d")}
    assert (found.n_into_inputs, found.n_backward, found.weight_dropped) == (1, 1, 2.0)
    assert graph.number_of_edges() == 5
    unweighted = nx.DiGraph(graph.edges)
    assert topology.from_networkx(orient_networkx(unweighted, weight=None)[0]).n_neurons == 4


WRONG = {
    "method": ({"method": "eades"}, "method 'eades', which is unknown; choose one of"),
    "passes": ({"most_passes": -1}, "most_passes -1"),
    "negative": ({"weights": [1.0, -1.0]}, "negative or not finite"),
    "shape": ({"weights": [1.0]}, "weights of shape (1,); give 2"),
    "text": ({"weights": ["a", "b"]}, "a weight that is no number"),
    "row": ({"inputs": [9]}, "9 among inputs; neurons are numbered 0 to 2"),
    "float": ({"inputs": [0.5]}, "inputs of type float64"),
    "both": ({"inputs": [0], "outputs": [0]}, "both inputs and outputs"),
    "distance": ({"method": "distance"}, "orient by distance needs inputs"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments(case):
    options, sentence = WRONG[case]
    with pytest.raises(OrientationError) as error:
        orient([0, 1], [1, 2], 3, **options)
    assert sentence in str(error.value)


def test_wrong_graphs():
    with pytest.raises(OrientationError, match="join the same pair"):
        orient([0, 0], [1, 1], 2)
    with pytest.raises(OrientationError, match="2 senders but 1 receivers"):
        orient([0, 0], [1], 2)
    for graph in (nx.Graph([(0, 1)]), nx.MultiDiGraph([(0, 1)])):
        with pytest.raises(OrientationError, match="give a DiGraph"):
            orient_networkx(graph)  # pyright: ignore[reportArgumentType]
    with pytest.raises(OrientationError, match="an edge has a weight that is no number"):
        orient_networkx(nx.DiGraph([(0, 1, {"weight": "x"})]))
