"""Files: what is saved comes back equal, and other programs' files are read."""

import csv
import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings

from neurograph.topology import (
    ACTIVATION_NAMES,
    ROLES,
    Activation,
    Population,
    Topology,
    TopologyError,
    build,
    equal,
    files,
    from_arrays,
    from_networkx,
    permute,
    relabel,
)
from tests.support.strategies import FINITE, LABELS, topologies

PROPERTY = settings(max_examples=50, deadline=None)
SUFFIXES = [".csv", ".graphml", ".json", ".yaml"]


def small() -> Topology:
    populations = [
        (Population("eye", "input", shape=(1, 2)), 2),
        (Population("mid", "hidden", activation="relu", bias=False), 2),
        (Population("hand", "output"), 1),
    ]
    return build([1, 0, 3, 2], [2, 3, 4, 4], populations, labels=["left", "right", "h1", "h2", "grip"], name="small")


@pytest.mark.parametrize("suffix", SUFFIXES)
@PROPERTY
@given(topology=topologies(labels=LABELS, weights=FINITE, activations=ACTIVATION_NAMES))
def test_what_is_saved_comes_back_equal(topology: Topology, suffix: str, tmp_path_factory: pytest.TempPathFactory):
    # One folder for all examples: also shows that nothing of an earlier file stays behind.
    path = tmp_path_factory.getbasetemp() / f"wiring{suffix}"
    files.save(topology, path)
    again = files.load(path)
    assert equal(again, topology)
    # YAML has a place for the name; elsewhere it is the file's.
    assert again.name == (topology.name if suffix == ".yaml" else path.name)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_extreme_floats_come_back_bit_by_bit(suffix: str, tmp_path: Path):
    floats = np.finfo(np.float64)
    values = [-0.0, floats.tiny, floats.smallest_subnormal, floats.max, floats.eps, 0.1, 1 / 3]
    n = len(values)
    topology = from_arrays(np.arange(n), np.full(n, n), weights=values, biases=[*values, 1e22])
    files.save(topology, tmp_path / f"floats{suffix}")
    assert equal(files.load(tmp_path / f"floats{suffix}"), topology)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_labels_that_look_alike_stay_apart(suffix: str, tmp_path: Path):
    labels = [1, "1", "'1'", ("1",), (1,), None, "None", -0.5, "-0.5", "", " ", "é", (None, (True, "x"))]
    n = len(labels)
    topology = from_arrays(np.arange(n - 1), np.full(n - 1, n - 1), labels=labels)
    path = tmp_path / f"labels{suffix}"
    files.save(topology, path)
    assert [(type(a), a) for a in files.load(path).names] == [(type(a), a) for a in labels]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("label", [frozenset([1]), 1j, ("a", b"b")])
def test_labels_that_files_do_not_hold_are_refused(suffix: str, label, tmp_path: Path):
    topology = relabel(from_arrays([0], [1]), [label, "y"])
    with pytest.raises(TopologyError):
        files.save(topology, tmp_path / f"labels{suffix}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_activations_are_saved_by_name(suffix: str, tmp_path: Path):
    def wiring(activation: Activation) -> Topology:
        populations = [(Population("eye", "input"), 1), (Population("hand", "output", activation=activation), 1)]
        return build([0], [1], populations, name="small")

    path = tmp_path / f"small{suffix}"
    for function, name in ((jax.nn.gelu, "gelu"), (jnp.tanh, "tanh"), (jax.nn.leaky_relu, "leaky_relu")):
        files.save(wiring(function), path)
        assert equal(files.load(path), wiring(name))
    before = path.read_bytes()

    def tanh(x):
        return x

    for own in (tanh, functools.partial(jax.nn.leaky_relu, negative_slope=0.3), jax.nn.celu):
        with pytest.raises(TopologyError, match=r"population hand has the function .* but files hold names only; give"):
            files.save(wiring(own), path)
    assert path.read_bytes() == before


def test_json_refuses_text_that_it_would_change(tmp_path: Path):
    high, low = "\ud83d", "\ude00"
    with pytest.raises(TopologyError, match="which JSON would change"):
        files.save(relabel(from_arrays([0], [1]), [high + low, "y"]), tmp_path / "pair.json")


@pytest.mark.parametrize("suffix", [".csv", ".graphml", ".json"])
def test_a_large_wiring_comes_back(suffix: str, tmp_path: Path):
    n_inputs, n_outputs = 50, 100
    senders, receivers = np.divmod(np.arange(n_inputs * n_outputs), n_outputs)
    weights = np.random.default_rng(0).normal(size=senders.size)
    order = np.random.default_rng(1).permutation(senders.size)
    topology = from_arrays(senders[order], n_inputs + receivers[order], weights=weights)
    files.save(topology, tmp_path / f"large{suffix}")
    assert equal(files.load(tmp_path / f"large{suffix}"), topology)


# What other programs see


def triangle() -> nx.DiGraph:
    graph = nx.DiGraph()
    for node, role in [("a", "input"), ("h", "hidden"), ("z", "output")]:
        graph.add_node(node, role=role)
    graph.add_weighted_edges_from([("a", "h", 2), ("h", "z", 1.5), ("a", "z", -1)])
    return graph


def test_networkx_reads_our_json(tmp_path: Path):
    topology = small()
    files.save(topology, tmp_path / "small.json")
    data = json.loads((tmp_path / "small.json").read_text())
    assert equal(from_networkx(nx.node_link_graph(data, edges="edges")), topology)


def test_networkx_reads_our_graphml(tmp_path: Path):
    topology = small()
    files.save(topology, tmp_path / "small.graphml")
    assert equal(from_networkx(nx.read_graphml(tmp_path / "small.graphml")), topology)


@pytest.mark.parametrize("edges", ["edges", "links"])
def test_networkx_json_is_read(edges: str, tmp_path: Path):
    graph = triangle()
    path = tmp_path / "theirs.json"
    path.write_text(json.dumps(nx.node_link_data(graph, edges=edges)))
    assert equal(files.load(path), from_networkx(graph))


def test_networkx_graphml_is_read(tmp_path: Path):
    graph = triangle()
    nx.write_graphml(graph, tmp_path / "theirs.graphml")
    assert equal(files.load(tmp_path / "theirs.graphml"), from_networkx(graph))


def test_the_edge_list_is_plain_csv(tmp_path: Path):
    topology = permute(small(), range(5), [3, 2, 1, 0])
    files.save(topology, tmp_path / "small.csv")
    with open(tmp_path / "small.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    ends = zip(topology.senders, topology.receivers, strict=True)
    assert rows == [{"sender": topology.names[i], "receiver": topology.names[j]} for i, j in ends]


@pytest.mark.parametrize("header", ["sender,receiver", "source,target", "pre,post", " From , TO "])
def test_an_edge_list_alone_infers_the_roles(header: str, tmp_path: Path):
    path = tmp_path / "edges.csv"
    path.write_text(f"# a comment, with a comma\n\n{header}\nb,10\na, 10 \n10,out\n\n")
    topology = files.load(path)
    assert topology.labels == ("b", "10", "a", "out")
    assert [ROLES[role] for role in topology.roles] == ["input", "hidden", "input", "output"]
    assert [topology.names[i] for i in topology.inputs] == ["b", "a"]
    assert topology.receivers.tolist() == [1, 1, 3]


def test_an_edge_list_may_have_weights_and_windows_line_ends(tmp_path: Path):
    path = tmp_path / "edges.csv"
    path.write_bytes("\ufeffpre,post,weight,colour\r\na,z,0.5,red\r\nb,z,-2,blue\r\n".encode())
    weights = files.load(path).weights
    assert weights is not None
    assert weights.tolist() == [[0.5, -2.0]]


def test_a_written_side_file_needs_only_labels(tmp_path: Path):
    (tmp_path / "edges.csv").write_text("pre,post\na,z\nb,z\n")
    (tmp_path / "edges.nodes.csv").write_text("name,index,shape,activation\nz,,,tanh\nb,0,1x2,\na,1,,\n")
    topology = files.load(tmp_path / "edges.csv")
    assert topology.labels == ("z", "b", "a")
    assert [topology.names[i] for i in topology.inputs] == ["b", "a"]
    assert {p.name: (p.shape, p.activation) for p in topology.populations} == {
        "output": (None, "tanh"),
        "input": ((1, 2), None),
    }
