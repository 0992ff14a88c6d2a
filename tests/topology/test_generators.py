"""Projection rules and generators, against loops, networkx, SciPy and the laws of probability."""

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import pytest
import scipy.signal
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from neurograph.topology import Topology, TopologyError, generators, levels, projections
from neurograph.topology.projections import Pairs, Sheet

# Tests of chance have fixed seeds; under the right law a fixed seed fails with this probability.
LEAST_P_VALUE = 1e-3

SIZES = st.integers(1, 12)
SEEDS = st.integers(0, 2**63 - 1)


def pairs_of(pairs: Pairs) -> list[tuple[int, int]]:
    return list(zip(pairs[0].tolist(), pairs[1].tolist(), strict=True))


def possible(n_senders: int, n_receivers: int, within: bool) -> list[tuple[int, int]]:
    """All pairs that a rule may join, sorted by receiver, then by sender."""
    return [(i, j) for j in range(n_receivers) for i in range(j if within else n_senders)]


def check_well_formed(pairs: Pairs, n_senders: int, n_receivers: int, within: bool) -> None:
    found = pairs_of(pairs)
    assert found == sorted(set(found), key=lambda pair: (pair[1], pair[0]))
    assert set(found) <= set(possible(n_senders, n_receivers, within))
    assert {array.dtype for array in pairs} == {np.dtype(np.int64)}


def test_all_to_all_joins_all_pairs():
    for n, m, within in [(3, 4, False), (1, 1, False), (6, 6, True), (1, 1, True)]:
        assert pairs_of(projections.all_to_all(n, m, within=within)) == possible(n, m, within)


def test_pairs_within_a_large_population_are_unranked_exactly():
    n = 3000
    senders, receivers = projections.all_to_all(n, n, within=True)
    expected = np.tril_indices(n, -1)
    np.testing.assert_array_equal(receivers, expected[0])
    np.testing.assert_array_equal(senders, expected[1])


def test_unranking_is_exact_far_beyond_what_is_ever_listed():
    ranks = [receiver * (receiver - 1) // 2 for receiver in (10**6, 10**8, 10**9)]
    index = np.array([rank + offset for rank in ranks for offset in (-1, 0, 1)])
    senders, receivers = projections._pairs(index, 0, True)
    assert (receivers * (receivers - 1) // 2 + senders == index).all()
    assert ((senders >= 0) & (senders < receivers)).all()


def test_one_to_one():
    assert pairs_of(projections.one_to_one(3, 3)) == [(0, 0), (1, 1), (2, 2)]
    with pytest.raises(ValueError, match="one_to_one joins 3 to 4 neurons"):
        projections.one_to_one(3, 4)


@given(SIZES, SIZES, st.floats(0, 1), st.booleans(), SEEDS)
def test_bernoulli_is_well_formed_and_repeatable(n, m, p, within, seed):
    m = n if within else m
    first, second = (
        projections.pairwise_bernoulli(projections.generator(seed), n, m, p, within=within) for _ in range(2)
    )
    check_well_formed(first, n, m, within)
    assert pairs_of(first) == pairs_of(second)


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("p", [0.02, 0.3, 0.9])
def test_bernoulli_joins_each_pair_with_probability_p(p: float, within: bool):
    n, draws = 6, 4000
    allowed = possible(n, n, within)
    counts: Counter[tuple[int, int]] = Counter()
    sizes = []
    for seed in range(draws):
        found = pairs_of(projections.pairwise_bernoulli(projections.generator(seed), n, n, p, within=within))
        counts.update(found)
        sizes.append(len(found))
    each = np.array([counts[pair] for pair in allowed])
    z = (each - draws * p) / np.sqrt(draws * p * (1 - p))
    assert scipy.stats.chi2.sf((z**2).sum(), len(allowed)) > LEAST_P_VALUE
    # Independent pairs: the number of synapses is binomial, its variance included.
    spread = len(allowed) * p * (1 - p)
    assert scipy.stats.chi2.sf(draws * np.var(sizes) / spread, draws) > LEAST_P_VALUE
    assert scipy.stats.chi2.cdf(draws * np.var(sizes) / spread, draws) > LEAST_P_VALUE


def test_bernoulli_takes_memory_for_synapses_and_not_for_pairs():
    n, p = 10**6, 1e-7
    senders, receivers = projections.pairwise_bernoulli(projections.generator(0), n, n, p)
    assert scipy.stats.binomtest(senders.size, n * n, p).pvalue > LEAST_P_VALUE
    # Every tenth of either population has its share.
    for ends in (senders, receivers):
        assert scipy.stats.chisquare(np.bincount(ends * 10 // n, minlength=10)).pvalue > LEAST_P_VALUE


def test_bernoulli_at_the_ends():
    assert not pairs_of(projections.pairwise_bernoulli(projections.generator(0), 5, 5, 0.0))
    assert pairs_of(projections.pairwise_bernoulli(projections.generator(0), 5, 5, 1.0)) == possible(5, 5, False)


@given(SIZES, SIZES, st.data(), st.booleans(), SEEDS)
def test_fixed_degrees_are_fixed(n, m, data, within, seed):
    m = n if within else m
    most = n - 1 if within else n
    degree = data.draw(st.integers(0, most))
    pairs = projections.fixed_indegree(projections.generator(seed), n, m, degree, within=within)
    check_well_formed(pairs, n, m, within)
    expected = [min(degree, j) if within else degree for j in range(m)]
    assert np.bincount(pairs[1], minlength=m).tolist() == expected

    degree = data.draw(st.integers(0, m - 1 if within else m))
    pairs = projections.fixed_outdegree(projections.generator(seed), n, m, degree, within=within)
    check_well_formed(pairs, n, m, within)
    expected = [min(degree, n - 1 - i) if within else degree for i in range(n)]
    assert np.bincount(pairs[0], minlength=n).tolist() == expected


@pytest.mark.parametrize(("n", "degree"), [(5, 2), (5, 4), (9, 2)], ids=["dense", "nearly all", "sparse"])
@pytest.mark.parametrize("rule", [projections.fixed_indegree, projections.fixed_outdegree])
def test_fixed_degrees_choose_all_sets_alike(rule: Callable[..., Pairs], n: int, degree: int):
    choosers = 20_000
    by_receiver = rule is projections.fixed_indegree
    sizes = (n, choosers) if by_receiver else (choosers, n)
    senders, receivers = rule(projections.generator(7), *sizes, degree)
    chooser, chosen = (receivers, senders) if by_receiver else (senders, receivers)
    order = np.lexsort((chosen, chooser))
    counts = Counter(map(tuple, chosen[order].reshape(choosers, degree).tolist()))
    sets = list(itertools.combinations(range(n), degree))
    assert scipy.stats.chisquare([counts[one] for one in sets]).pvalue > LEAST_P_VALUE


def test_fixed_indegree_within_chooses_alike_among_those_before():
    chosen = Counter()
    for seed in range(6000):
        senders, receivers = projections.fixed_indegree(projections.generator(seed), 9, 9, 2, within=True)
        chosen.update(senders[receivers == 8].tolist())
    assert scipy.stats.chisquare([chosen[i] for i in range(8)]).pvalue > LEAST_P_VALUE


def local_by_loop(source: Sheet, target: Sheet, kernel, stride, padding) -> list[tuple[int, int]]:
    """Receptive fields, neuron by neuron."""
    first = []
    for size, out, k, s in zip(source[:2], target[:2], kernel, stride, strict=True):
        overhang = max((out - 1) * s + k - size, 0)
        first.append(overhang // 2 if padding == "same" else 0)
    found = []
    for m, r, c in np.ndindex(target.maps, target.rows, target.columns):
        receiver = (m * target.rows + r) * target.columns + c
        for n, y, x in np.ndindex(source.maps, *kernel):
            row, column = r * stride[0] - first[0] + y, c * stride[1] - first[1] + x
            if 0 <= row < source.rows and 0 <= column < source.columns:
                found.append(((n * source.rows + row) * source.columns + column, receiver))
    return found


@given(
    st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 3)),
    st.integers(1, 2),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.sampled_from(["same", "valid"]),
)
def test_local_is_what_a_loop_makes(shape, maps, kernel, stride, padding):
    source = Sheet(*shape)
    if padding == "valid":
        kernel = (min(kernel[0], source.rows), min(kernel[1], source.columns))
        rows, columns = ((size - k) // s + 1 for size, k, s in zip(source[:2], kernel, stride, strict=True))
    else:
        rows, columns = (-(-size // s) for size, s in zip(source[:2], stride, strict=True))
    target = Sheet(rows, columns, maps)
    pairs = projections.local(source, target, kernel, stride, padding=padding)
    check_well_formed(pairs, source.maps * source.rows * source.columns, maps * rows * columns, False)
    assert pairs_of(pairs) == local_by_loop(source, target, kernel, stride, padding)


@pytest.mark.parametrize("mode", ["same", "valid"])
@pytest.mark.parametrize("kernel", [(3, 3), (5, 1), (1, 3)])
def test_local_windows_lie_as_in_a_correlation(mode, kernel):
    image = np.random.default_rng(0).integers(0, 100, (8, 7))
    expected = scipy.signal.correlate2d(image, np.ones(kernel, dtype=int), mode=mode)
    senders, receivers = projections.local(Sheet(*image.shape), Sheet(*expected.shape), kernel, padding=mode)
    summed = np.bincount(receivers, weights=image.ravel()[senders], minlength=expected.size)
    np.testing.assert_array_equal(summed.reshape(expected.shape), expected)


def test_streams_are_independent_and_seeds_count():
    def drawn(*seed: int) -> list[tuple[int, int]]:
        return pairs_of(projections.fixed_indegree(projections.generator(*seed), 50, 50, 3))

    draws = [drawn(0), drawn(0, 0), drawn(0, 1), drawn(1, 0), drawn(1)]
    assert all(a != b for a, b in itertools.combinations(draws, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda rng: projections.pairwise_bernoulli(rng, 2, 2, 1.5), "p = 1.5; a probability lies between 0 and 1"),
        (lambda rng: projections.pairwise_bernoulli(rng, 2, 2, float("nan")), "p = nan"),
        (lambda rng: projections.fixed_indegree(rng, 2, 5, 3), "n = 3; it must lie between 0 and 2"),
        (lambda rng: projections.fixed_outdegree(rng, 2, 5, 6), "n = 6; it must lie between 0 and 5"),
        (lambda rng: projections.fixed_indegree(rng, 5, 5, 5, within=True), "between 0 and 4"),
        (lambda rng: projections.local(Sheet(8, 8), Sheet(7, 8), (3, 3)), "make 8 x 8 receivers, .* is 7 x 8"),
        (lambda rng: projections.local(Sheet(8, 8), Sheet(8, 8), (0, 3)), "all must be positive"),
        (lambda rng: projections.local(Sheet(8, 8), Sheet(8, 8), (3, 3), padding="full"), "padding 'full'"),
        (lambda rng: projections.explicit([[0, 2]], 2, 2), r"\[0, 2\], has receiver 2, .* numbered 0 to 1"),
        (lambda rng: projections.explicit([[-1, 0]], 2, 2), "has sender -1"),
        (lambda rng: projections.explicit([[0.5, 1.0]], 2, 2), "the pairs have type float64"),
    ],
)
def test_wrong_parameters_are_told(call, message):
    with pytest.raises(ValueError, match=message):
        call(projections.generator(0))


# --- whole wirings --------------------------------------------------------------------------------------------------

ENDS: dict[str, Any] = {"n_inputs": 7, "n_outputs": 3}
RANDOM: list[tuple[Callable[..., Topology], dict]] = [
    (generators.random_dag, {"n_hidden": 40, "n_levels": 5, "in_degree": 3}),
    (generators.random_dag, {"n_hidden": 40, "n_levels": 40, "in_degree": 50, "output_degree": 4}),
    (generators.random_dag, {"n_hidden": 40, "n_levels": 1, "in_degree": 1, "output_degree": 1}),
    (generators.erdos_renyi, {"n_nodes": 30, "p": 0.1}),
    (generators.erdos_renyi, {"n_nodes": 30, "p": 0.0, "input_degree": 2, "output_degree": 2}),
    (generators.erdos_renyi, {"n_nodes": 12, "p": 0.3, "width": 3, "order": "random", "outputs_from": "all"}),
    (generators.small_world, {"n_nodes": 20, "inputs_to": "all", "input_degree": 2, "output_degree": 5}),
    (generators.small_world, {"n_nodes": 20, "n_neighbours": 2, "p": 0.0, "width": 2}),
    (generators.scale_free, {"n_nodes": 30, "n_attached": 2}),
    (generators.scale_free, {"n_nodes": 30, "order": "random", "outputs_from": "all", "output_degree": 6}),
]


def graph_of(topology: Topology) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_nodes_from(range(topology.n_neurons))
    graph.add_edges_from(zip(topology.senders.tolist(), topology.receivers.tolist(), strict=True))
    return graph


@pytest.mark.parametrize(("make", "options"), RANDOM)
@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_every_neuron_of_a_random_wiring_is_of_use(make, options, seed):
    topology = make(**ENDS, **options, seed=seed)
    graph = graph_of(topology)
    inputs, outputs = topology.inputs.tolist(), topology.outputs.tolist()
    assert (len(inputs), len(outputs)) == (ENDS["n_inputs"], ENDS["n_outputs"])
    assert graph.number_of_edges() == topology.n_synapses
    assert nx.is_directed_acyclic_graph(graph)
    fed = set().union(inputs, *(nx.descendants(graph, i) for i in inputs))
    heard = set().union(outputs, *(nx.ancestors(graph, o) for o in outputs))
    assert fed == heard == set(graph)
    again, other = make(**ENDS, **options, seed=seed), make(**ENDS, **options, seed=seed + 1)
    edges = [set(graph_of(one).edges) for one in (topology, again, other)]
    assert edges[0] == edges[1]
    assert edges[0] != edges[2] or options.get("n_neighbours") == 2


@pytest.mark.parametrize("activations", [None, ["relu", None, "identity"]])
def test_mlp_is_layers(activations):
    sizes = [3, 4, 2, 5]
    topology = generators.mlp(sizes, activations=activations, bias=False)
    layers = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    expected = {edge for a, b in itertools.pairwise(layers) for edge in itertools.product(a.tolist(), b.tolist())}
    assert set(graph_of(topology).edges) == expected
    assert [p.name for p in topology.populations] == ["input", "hidden_1", "hidden_2", "output"]
    assert [p.activation for p in topology.populations] == [None, *(activations or [None] * 3)]
    assert not any(p.bias for p in topology.populations)


@pytest.mark.parametrize("rule", ["all_to_all", "one_to_one"])
@pytest.mark.parametrize("skip", [2, 3])
def test_residual_mlp_adds_skip_connections(rule, skip):
    sizes = [3, 4, 4, 4, 4, 2]
    layers = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    plain = set(graph_of(generators.mlp(sizes)).edges)
    skips = set()
    for a, b in zip(layers, layers[skip:], strict=False):
        if rule == "all_to_all":
            skips |= set(itertools.product(a.tolist(), b.tolist()))
        elif a.size == b.size:
            skips |= set(zip(a.tolist(), b.tolist(), strict=True))
    assert set(graph_of(generators.residual_mlp(sizes, skip=skip, skip_rule=rule)).edges) == plain | skips


@pytest.mark.parametrize(("n_hidden", "n_levels", "in_degree"), [(60, 6, 4), (17, 5, 2), (9, 9, 30)])
def test_random_dag_has_its_levels_and_degrees(n_hidden, n_levels, in_degree):
    topology = generators.random_dag(**ENDS, n_hidden=n_hidden, n_levels=n_levels, in_degree=in_degree, seed=3)
    graph = graph_of(topology)
    level = {node: i for i, nodes in enumerate(nx.topological_generations(graph)) for node in nodes}
    hidden = range(ENDS["n_inputs"], ENDS["n_inputs"] + n_hidden)
    sizes = Counter(level[node] for node in hidden)
    assert set(sizes) == set(range(1, n_levels + 1))
    assert max(sizes.values()) - min(sizes.values()) <= 1
    below = {node: sum(other < node and level[other] < level[node] for other in graph) for node in hidden}
    # Inputs that nobody saw are given to a random neuron, beyond its in-degree.
    beyond = [graph.in_degree(node) - min(in_degree, below[node]) for node in hidden]
    assert min(beyond) == 0
    assert sum(beyond) < ENDS["n_inputs"]


def undirected_core(topology: Topology, width: int = 1) -> set[frozenset[int]]:
    first, last = ENDS["n_inputs"], topology.n_neurons - ENDS["n_outputs"]
    return {
        frozenset(((a - first) // width, (b - first) // width))
        for a, b in graph_of(topology).edges
        if a >= first and b < last
    }


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("order", ["index", "random"])
def test_cores_are_the_graphs_of_networkx(width, order):
    n, seed = 24, 5
    options: dict[str, Any] = {"width": width, "order": order, "seed": seed}
    cases = [
        (
            generators.small_world(**ENDS, n_nodes=n, n_neighbours=4, p=0.3, **options),
            nx.watts_strogatz_graph(n, 4, 0.3, seed=seed),
        ),
        (
            generators.scale_free(**ENDS, n_nodes=n, n_attached=3, **options),
            nx.barabasi_albert_graph(n, 3, seed=seed),
        ),
    ]
    for topology, expected in cases:
        core = undirected_core(topology, width)
        within = graph_of(topology).subgraph(range(ENDS["n_inputs"], topology.n_neurons - ENDS["n_outputs"]))
        assert within.number_of_edges() == width**2 * expected.number_of_edges()
        if order == "index":
            assert core == {frozenset(edge) for edge in expected.edges}
        assert nx.is_isomorphic(nx.Graph([(min(edge), max(edge)) for edge in core]), expected)


def test_erdos_renyi_has_the_binomial_number_of_edges():
    n, p = 1000, 0.01
    core = undirected_core(generators.erdos_renyi(**ENDS, n_nodes=n, p=p, seed=1))
    assert scipy.stats.binomtest(len(core), n * (n - 1) // 2, p).pvalue > LEAST_P_VALUE


def test_sources_and_sinks_alone_touch_the_ends():
    topology = generators.erdos_renyi(**ENDS, n_nodes=30, p=0.1, seed=2)
    graph = graph_of(topology)
    first, last = ENDS["n_inputs"], topology.n_neurons - ENDS["n_outputs"]
    core = graph.subgraph(range(first, last))
    assert set(graph.successors(0)) == {node for node in core if core.in_degree(node) == 0}
    assert set(graph.predecessors(last)) == {node for node in core if core.out_degree(node) == 0}


def test_a_million_synapses_are_made_as_arrays():
    topology = generators.random_dag(784, 10, 62_500, n_levels=8, in_degree=16)
    assert topology.n_synapses >= 62_500 * 16
    assert levels(topology).max() == 9


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: generators.mlp([3]), "topology 'mlp': sizes lists 1 layers"),
        (lambda: generators.mlp([3, 0, 1]), r"sizes\[1\] is 0"),
        (lambda: generators.mlp([3, 1], activations=["tanh", "tanh"]), "2 activations for 2 layers"),
        (lambda: generators.residual_mlp([3, 1], skip=1), "skip is 1"),
        (lambda: generators.residual_mlp([3, 1], skip_rule="local"), "skip_rule is 'local'"),
        (lambda: generators.random_dag(3, 1, 4, n_levels=5), "n_levels is 5; it must lie between 1 and n_hidden = 4"),
        (lambda: generators.random_dag(3, 1, 4, n_levels=2, in_degree=0), "in_degree is 0"),
        (lambda: generators.random_dag(3, 1, 4, n_levels=2, output_degree=0), "output_degree is 0"),
        (lambda: generators.erdos_renyi(3, 1, 4, p=-0.1), "p is -0.1"),
        (lambda: generators.erdos_renyi(3, 1, 4, p=0.5, input_degree=4), "input_degree is 4; .* n_inputs = 3"),
        (lambda: generators.erdos_renyi(3, 1, 4, p=0.5, order="name"), "order is 'name'"),
        (lambda: generators.small_world(3, 1, 9, n_neighbours=3), "n_neighbours is 3; it must be even"),
        (lambda: generators.small_world(3, 1, 9, p=2.0), "p is 2.0"),
        (lambda: generators.scale_free(3, 1, 4, n_attached=4), "n_attached is 4; .* n_nodes - 1 = 3"),
        (lambda: generators.scale_free(3, 0, 4), "n_outputs is 0"),
    ],
)
def test_wrong_numbers_are_told(call, message):
    with pytest.raises(TopologyError, match=message):
        call()
