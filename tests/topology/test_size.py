"""The synapses of a wiring are counted, and the memory that it takes is refused, before it is built."""

import gc
import tracemalloc

import networkx as nx
import numpy as np
import pytest

from neurograph import _files
from neurograph.topology import (
    Population,
    Topology,
    TopologyError,
    _size,
    build,
    files,
    from_arrays,
    generators,
    projections,
)
from neurograph.topology.files.yaml import ConfigError
from neurograph.topology.projections import Sheet

YAML = """populations:
  - {name: a, role: input, size: 300}
  - {name: b, size: 200}
  - {name: c, role: output, size: 100}
projections:
"""


def memory(monkeypatch: pytest.MonkeyPatch, n_bytes: float | None) -> None:
    monkeypatch.setattr(_files, "memory_size", lambda: n_bytes)


def rng() -> np.random.Generator:
    return projections.generator(0)


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("n", [1, 2, 7, 12])
@pytest.mark.parametrize("m", [1, 5, 12])
def test_what_rules_join_is_counted(n, m, within):
    m = n if within else m
    sizes = (n, m)
    assert _size.all_to_all(*sizes, within=within) == projections.all_to_all(*sizes, within=within)[0].size
    for degree in range(n - within + 1):
        made = projections.fixed_indegree(rng(), *sizes, degree, within=within)
        assert _size.fixed_indegree(*sizes, degree, within=within) == made[0].size
    for degree in range(m - within + 1):
        made = projections.fixed_outdegree(rng(), *sizes, degree, within=within)
        assert _size.fixed_outdegree(*sizes, degree, within=within) == made[0].size


def test_what_windows_see_is_counted():
    for size, kernel, stride, padding in np.ndindex(9, 12, 4, 2):
        size, kernel, stride, padding = size + 1, kernel + 1, stride + 1, ("same", "valid")[padding]
        out = -(-size // stride) if padding == "same" else max((size - kernel) // stride + 1, 0)
        source, target = Sheet(size, 4, 2), Sheet(out, 4, 3)
        windows = (kernel, 3), (stride, 1)
        if padding == "valid":
            target = Sheet(out, 2, 3)
        made = projections.local(source, target, *windows, padding=padding)
        assert _size.local(source, target, *windows, padding=padding) == made[0].size


def test_windows_far_larger_than_the_sheet_see_all_of_it():
    """In the memory of the synapses: a window of 10^8 places, for each of 64 neurons, is never laid out."""
    made = projections.local(Sheet(8, 8), Sheet(8, 8), (10_001, 10_001))
    np.testing.assert_array_equal(made, projections.all_to_all(64, 64))


WIRINGS = {
    "mlp": lambda: generators.mlp([400, 300, 2]),
    "a deep mlp": lambda: generators.mlp([1] * 2000),
    "residual_mlp": lambda: generators.residual_mlp([100] * 8, skip=3),
    "skips one by one": lambda: generators.residual_mlp([60] * 20, skip_rule="one_to_one"),
    "random_dag": lambda: generators.random_dag(50, 10, 8000, in_degree=12),
    "random_dag of many inputs": lambda: generators.random_dag(100_000, 2, 4, n_levels=2, in_degree=1),
    "erdos_renyi": lambda: generators.erdos_renyi(10, 10, 500, p=0.8),
    "erdos_renyi in random order": lambda: generators.erdos_renyi(10, 10, 500, p=0.8, order="random"),
    "erdos_renyi of columns": lambda: generators.erdos_renyi(10, 10, 40, p=0.5, width=15),
    "erdos_renyi fed everywhere": lambda: generators.erdos_renyi(
        60, 60, 800, p=0.01, inputs_to="all", outputs_from="all"
    ),
    "erdos_renyi without edges": lambda: generators.erdos_renyi(30, 20, 2000, p=0.0),
    "erdos_renyi of few ends": lambda: generators.erdos_renyi(
        9, 400, 400, p=0.3, inputs_to="all", input_degree=4, outputs_from="all", output_degree=50
    ),
    "small_world": lambda: generators.small_world(5, 5, 2500, n_neighbours=20),
    "small_world of columns": lambda: generators.small_world(5, 5, 300, n_neighbours=8, width=8),
    "scale_free": lambda: generators.scale_free(5, 5, 2500, n_attached=10),
    "a file": lambda: files.loads(
        YAML
        + "- {from: a, to: b, rule: pairwise_bernoulli, p: 0.9}\n- {from: b, to: c, rule: all_to_all}\n"
        + "- {from: a, to: c, rule: fixed_indegree, n: 40}\n- {from: b, to: b, rule: fixed_outdegree, n: 20}"
    ),
}


def needed(topology: Topology) -> int:
    return topology.n_synapses * _size.BYTES_PER_SYNAPSE + topology.n_neurons * _size.BYTES_PER_NEURON


def of_networkx(case: str, topology: Topology) -> int:
    """Bytes, at most, that its graph takes besides."""
    return topology.n_synapses * 250 + topology.n_neurons * 400 if case in ("small_world", "scale_free") else 0


@pytest.mark.parametrize("case", WIRINGS)
def test_a_wiring_is_built_in_the_memory_that_is_said(case):
    """At its peak it takes no more than that, and a third of it at least."""
    WIRINGS[case]()
    gc.collect()
    tracemalloc.start()
    try:
        topology = WIRINGS[case]()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    layers = len(topology.populations) * _size.BYTES_PER_LAYER
    said = needed(topology) + layers + of_networkx(case, topology)
    assert said / 3 < peak < said + 200_000


@pytest.mark.parametrize("case", WIRINGS)
def test_a_wiring_is_refused_where_there_is_less_memory(case, monkeypatch):
    topology = WIRINGS[case]()
    memory(monkeypatch, 1.1 * needed(topology) + of_networkx(case, topology) + 1700 * len(topology.populations))
    assert WIRINGS[case]().n_synapses == topology.n_synapses
    memory(monkeypatch, 0.75 * needed(topology))
    with pytest.raises(
        (TopologyError, ConfigError), match=r"of memory to build, but this computer has .*; choose fewer"
    ):
        WIRINGS[case]()


def test_the_count_of_layers_is_exact(monkeypatch):
    topology = generators.mlp([40, 30, 1], name="three layers")
    n_bytes = needed(topology) + 3 * _size.BYTES_PER_LAYER
    memory(monkeypatch, n_bytes)
    generators.mlp([40, 30, 1])
    memory(monkeypatch, n_bytes - 1)
    words = r"topology 'three layers': about 1,230 synapses and 71 neurons take 118\.8 kB of memory to build, but this "
    with pytest.raises(
        TopologyError, match=words + r"computer has 118\.8 kB; choose fewer neurons, or join them with fewer"
    ):
        generators.mlp([40, 30, 1], name="three layers")


def test_where_the_memory_is_unknown_nothing_is_refused(monkeypatch):
    memory(monkeypatch, None)
    assert _size.problem(1e30, 10**30) is None


HUGE = {
    "mlp": (lambda: generators.mlp([10**5, 10**4, 1]), "'mlp': about 1,000,010,000 synapses and 110,001 neurons take"),
    "residual_mlp": (lambda: generators.residual_mlp([10**6] * 3), "'residual_mlp': about 3,000,000,000,000 synapses"),
    "neurons": (lambda: generators.mlp([10**11, 1]), "'mlp': about 100,000,000,000 synapses and 100,000,000,001 neu"),
    "absurd": (lambda: generators.mlp([10**200, 10**200]), r"about 1\.0e\+300 synapses and 2\.0e\+200 neurons take"),
    "erdos_renyi": (lambda: generators.erdos_renyi(1, 1, 10**6, p=0.5), "'erdos_renyi': about 249,999,750,002 syn"),
    "fans": (
        lambda: generators.erdos_renyi(10**6, 1, 10**6, p=0.0, inputs_to="all"),
        "about 1,000,000,000,001 synapses",
    ),
    "fans to nodes without senders": (
        lambda: generators.erdos_renyi(10**5, 1, 10**5, p=0.0),
        "about 10,000,100,000 synapses and 200,001 neurons",
    ),
    "columns": (
        lambda: generators.small_world(1, 1, 1000, width=10**4),
        r"about 200,000,\d{3},\d{3} synapses and 10,0",
    ),
    "small_world": (lambda: generators.small_world(1, 1, 10**9), "'small_world': about 2,000,000,002 synapses"),
    "scale_free": (lambda: generators.scale_free(1, 1, 10**8), "'scale_free': about 399,999,986 synapses"),
    "random_dag": (lambda: generators.random_dag(1, 1, 10**9), "'random_dag': about 1,000,000,000 synapses and 1,000,"),
    "many senders": (
        lambda: generators.random_dag(9, 1, 10**5, n_levels=2, in_degree=10**5),
        r"about 2,500,\d{3},\d{3} synapses",
    ),
    "all_to_all": (lambda: projections.all_to_all(10**6, 10**6), "all_to_all: about 1,000,000,000,000 synapses take"),
    "within": (lambda: projections.all_to_all(10**6, 10**6, within=True), "all_to_all: about 499,999,500,000 synapses"),
    "one_to_one": (lambda: projections.one_to_one(10**9, 10**9), "one_to_one: about 1,000,000,000 synapses"),
    "pairwise_bernoulli": (
        lambda: projections.pairwise_bernoulli(rng(), 10**6, 10**6, 0.5),
        "pairwise_bernoulli: about 500,000,000,000 synapses take 45.0 TB of memory to build, but",
    ),
    "fixed_indegree": (
        lambda: projections.fixed_indegree(rng(), 10**6, 10**6, 10**6),
        "fixed_indegree: about 1,000,000,000,000 synapses and 1,000,000 neurons take",
    ),
    "fixed_outdegree": (
        lambda: projections.fixed_outdegree(rng(), 10**9, 9, 0),
        "fixed_outdegree: about 1,000,000,000 neurons take 80.0 GB",
    ),
    "local": (
        lambda: projections.local(Sheet(2000, 2000), Sheet(2000, 2000), (51, 51)),
        r"local: about 10,\d{3},\d{3},\d{3} synapses and 4,000,000 neurons take",
    ),
    "arrays": (lambda: from_arrays([0], [10**12]), "about 1 synapse and 1,000,000,000,001 neurons take 80.0 TB"),
    "populations": (
        lambda: build([0], [1], [(Population("in", "input"), 1), (Population("out", "output"), 10**12)]),
        "about 1 synapse and 1,000,000,000,001 neurons take",
    ),
}


@pytest.mark.parametrize("case", HUGE)
def test_what_is_far_too_large_is_refused_at_once(case, monkeypatch):
    """With neither arrays nor graphs of its size; each would fail here, or last for hours."""
    make, words = HUGE[case]
    memory(monkeypatch, 2e9)
    for name in ("watts_strogatz_graph", "barabasi_albert_graph"):
        monkeypatch.setattr(nx, name, lambda *_, **__: pytest.fail("networkx is called"))
    tracemalloc.start()
    try:
        with pytest.raises(TopologyError, match=words):
            make()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


@pytest.mark.parametrize(
    ("text", "n_bytes", "words"),
    [
        (
            "generator: {kind: mlp, sizes: [100000, 10000, 1]}",
            2e9,
            "large.yaml:1:12: generator: about 1,000,010,000 syn",
        ),
        (
            YAML + "- {from: a, to: b, rule: all_to_all}\n- {from: b, to: c, rule: fixed_outdegree, n: 100}",
            3e6,
            "large.yaml:6:3: projections[0]: about 60,000 synapses and 600 neurons take 5.4 MB of memory to build, but",
        ),
        (
            YAML + "".join(f"- {{from: a, to: b, rule: fixed_indegree, n: 3, seed: {n}}}\n" for n in range(10)),
            4e5,
            "large.yaml:6:1: projections: all projections together, of which projections[0] is the largest: about "
            "6,000 synapses and 600 neurons take 588.0 kB of memory to build, but this computer has 400.0 kB; choose",
        ),
        (
            YAML + "- {from: a, to: b, rule: local, kernel: 3}",
            4e5,
            "projections[0]: local needs populations with a shape",
        ),
        (
            "populations: [{name: a, role: input, size: 2000000000}, {name: b, role: output, size: 1}]\nedges: []",
            2e9,
            "large.yaml:1:14: populations: about 2,000,000,001 neurons take 160.0 GB of memory to build, but this comp",
        ),
        (
            "populations: [{name: a, role: input, shape: [90, 90]}, {name: b, role: output, shape: [90, 90]}]\n"
            "projections: [{from: a, to: b, rule: local, kernel: 2000000000}]",
            4e9,
            "projections[0]: about 65,610,000 synapses and 16,200 neurons take 5.9 GB of memory to build, but this com",
        ),
    ],
)
def test_a_file_is_told_with_its_place(text, n_bytes, words, monkeypatch):
    memory(monkeypatch, n_bytes)
    with pytest.raises(ConfigError) as told:
        files.loads(text, "large.yaml")
    assert words in str(told.value)
    assert "\n" not in str(told.value)


def test_the_shorthand_is_told(monkeypatch):
    memory(monkeypatch, 25e9)
    words = "mlp:100000-10000-1.* about 1,000,010,000 synapses and 110,001 neurons take 90.0 GB of memory to build, but"
    with pytest.raises(ConfigError, match=words):
        files.load("mlp:100000-10000-1")
