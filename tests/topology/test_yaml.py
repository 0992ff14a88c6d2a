"""Topology files: what they mean, and that wirings come back from them."""

import inspect
import json
import re
from pathlib import Path
from typing import Any, Literal, get_args

import networkx as nx
import numpy as np
import pytest
import yaml
from hypothesis import given

from neurograph import topology
from neurograph.topology import (
    ACTIVATION_NAMES,
    Population,
    Topology,
    TopologyError,
    files,
    generators,
    projections,
)
from neurograph.topology.files import TopologyFile
from neurograph.topology.files.yaml import _schema, json_schema
from tests.support.strategies import FINITE, LABELS, topologies
from tests.topology.test_yaml_errors import WRONG

HEAD = "populations: [{name: a, role: input, size: 2}, {name: b, size: 3}, {name: c, role: output, size: 1}]\n"
LABELLED = HEAD + "labels: [x, y, h1, h2, h3, o]\n"
MLP = "generator: {kind: mlp, sizes: [2, 3, 1]}\n"


def edges_of(wiring: Topology) -> list[tuple[int, int]]:
    return list(zip(wiring.senders.tolist(), wiring.receivers.tolist(), strict=True))


def test_populations_and_projections():
    wiring = files.loads(
        """
        name: example
        populations:
          - {name: retina, role: input, shape: [4, 4]}
          - {name: maps, shape: [2, 4, 4], activation: relu, bias: no}
          - {name: decision, role: output, size: 3}
        projections:
          - {from: retina, to: maps, rule: local, kernel: [3, 1]}
          - {from: maps, to: decision, rule: all_to_all}
        """
    )
    assert wiring.name == "example"
    assert wiring.populations == (
        Population("retina", "input", shape=(4, 4)),
        Population("maps", "hidden", shape=(8, 4), activation="relu", bias=False),
        Population("decision", "output"),
    )
    assert np.bincount(wiring.population_of).tolist() == [16, 32, 3]
    local = projections.local(projections.Sheet(4, 4), projections.Sheet(4, 4, 2), (3, 1))
    dense = projections.all_to_all(32, 3)
    assert edges_of(wiring) == [
        *zip((local[0]).tolist(), (16 + local[1]).tolist(), strict=True),
        *zip((16 + dense[0]).tolist(), (48 + dense[1]).tolist(), strict=True),
    ]


RULES = {
    "all_to_all": ("", lambda rng: projections.all_to_all(16, 16)),
    "one_to_one": ("", lambda rng: projections.one_to_one(16, 16)),
    "pairwise_bernoulli": ("p: 0.6", lambda rng: projections.pairwise_bernoulli(rng, 16, 16, 0.6)),
    "fixed_indegree": ("n: 2", lambda rng: projections.fixed_indegree(rng, 16, 16, 2)),
    "fixed_outdegree": ("n: 9", lambda rng: projections.fixed_outdegree(rng, 16, 16, 9)),
    "local": ("kernel: 3", lambda rng: projections.local(projections.Sheet(4, 4), projections.Sheet(4, 4), (3, 3))),
    "edges": (
        f"pairs: {[[i, 15 - i] for i in range(16)]}",
        lambda rng: (np.arange(16), np.arange(16)[::-1]),
    ),
}


def test_every_rule_of_the_schema_is_wired():
    projection: Any = _schema.Projection
    members = get_args(get_args(projection)[0])
    assert set(RULES) == {get_args(member.model_fields["rule"].annotation)[0] for member in members}
    for rule, (options, expected) in RULES.items():
        wiring = files.loads(
            "populations: [{name: a, role: input, shape: [4, 4]}, {name: b, role: output, shape: [4, 4]}]\n"
            f"projections: [{{from: a, to: b, rule: {rule}, {options}}}]\nseed: 2"
        )
        senders, receivers = expected(projections.generator(2, 0))
        assert edges_of(wiring) == list(zip(senders.tolist(), (16 + receivers).tolist(), strict=True))


def test_seeds_make_projections_independent_and_repeatable():
    def drawn(seed: int, own: str = "") -> list[list[int]]:
        wiring = files.loads(
            f"seed: {seed}\n"
            "populations: [{name: a, role: input, size: 30}, {name: b, role: output, size: 30},"
            " {name: c, role: output, size: 30}]\n"
            f"projections: [{{from: a, to: b, rule: fixed_indegree, n: 3}},"
            f" {{from: a, to: c, rule: fixed_indegree, n: 3{own}}}]"
        )
        return wiring.senders.reshape(2, -1).tolist()

    assert drawn(0) == drawn(0)
    assert drawn(0)[0] != drawn(0)[1]
    assert drawn(0)[0] != drawn(1)[0]
    assert drawn(0, ", seed: 5")[1] == drawn(1, ", seed: 5")[1]
    assert drawn(0, ", seed: 5")[0] == drawn(0)[0]


def test_a_projection_within_a_population_runs_from_lower_to_higher_neurons():
    wiring = files.loads(
        "populations: [{name: a, role: input, size: 1}, {name: b, size: 6}, {name: c, role: output, size: 1}]\n"
        "projections: [{from: a, to: b, rule: all_to_all}, {from: b, to: b, rule: all_to_all},"
        " {from: b, to: c, rule: all_to_all}]"
    )
    graph = nx.DiGraph(edges_of(wiring))
    within = graph.subgraph(range(1, 7))
    assert within.number_of_edges() == 15
    assert nx.dag_longest_path_length(graph) == 7


def test_a_cyclic_pair_of_projections_is_told():
    text = (
        "populations: [{name: a, role: input, size: 1}, {name: b, size: 1}, {name: c, size: 1},"
        " {name: d, role: output, size: 1}]\n"
        "projections: [{from: a, to: b, rule: all_to_all}, {from: b, to: c, rule: all_to_all},"
        " {from: c, to: b, rule: all_to_all}, {from: c, to: d, rule: all_to_all}]"
    )
    with pytest.raises(TopologyError, match="closes the cycle"):
        files.loads(text)


def test_edges_by_label_with_weights_and_ordered_ends():
    wiring = files.loads(
        LABELLED + "inputs: [y, x]\nedges: [[x, h1, 0.5], [y, h2, -1e-3], [h1, o, 2], [h2, h3, 0], [h3, o, 1]]"
    )
    assert edges_of(wiring) == [(0, 2), (1, 3), (2, 5), (3, 4), (4, 5)]
    assert wiring.weights is not None
    assert wiring.weights.tolist() == [[0.5, -1e-3, 2.0, 0.0, 1.0]]
    assert wiring.inputs.tolist() == [1, 0]
    assert wiring.names == ("x", "y", "h1", "h2", "h3", "o")


def test_edges_of_a_csv_file_lie_beside_the_topology_file(tmp_path):
    (tmp_path / "edges.csv").write_text("# by hand\nsource,target,weight_2,weight_1\nx,h1,2,1\ny,h1,4,3\nh1,o,6,5\n")
    (tmp_path / "numbers.csv").write_text("sender,receiver\n1,0\n")
    file = tmp_path / "wiring.yaml"
    file.write_text(
        "populations: [{name: a, role: input, size: 2}, {name: b, size: 1}, {name: c, role: output, size: 1}]\n"
        "labels: [x, y, h1, o]\nedges: {file: edges.csv}"
    )
    wiring = files.load(file)
    assert wiring.name == "wiring.yaml"
    assert edges_of(wiring) == [(0, 2), (1, 2), (2, 3)]
    assert wiring.weights is not None
    assert wiring.weights.tolist() == [[1, 3, 5], [2, 4, 6]]
    file.write_text(
        "populations: [{name: a, role: input, size: 2}, {name: b, role: output, size: 1}]\n"
        "projections: [{from: a, to: b, rule: edges, file: numbers.csv}]"
    )
    assert edges_of(files.load(file)) == [(1, 2)]


def test_words_and_numbers():
    text = """
    x-common: &common {role: output, size: 1}
    description: 12:30
    seed: 010
    populations: [{name: a, role: input, size: 0x2, bias: No}, {<<: *common, name: b, bias: off}]
    projections: [{from: a, to: b, rule: pairwise_bernoulli, p: 1e-0}]
    train: {learning_rate: 5e-3, rule: {symmetric: yes, oja: on}}
    """
    wiring = files.loads(text)
    assert wiring.n_synapses == 2
    assert [p.bias for p in wiring.populations] == [False, False]


def test_a_byte_order_mark_is_no_text(tmp_path):
    path = tmp_path / "wiring.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + MLP.replace("\n", "\r\n").encode())
    assert files.load(path).n_synapses == 9


@pytest.mark.parametrize("name", ["mlp", "residual_mlp", "random_dag", "erdos_renyi", "small_world", "scale_free"])
def test_generators_take_what_the_schema_says(name):
    function = inspect.signature(getattr(generators, name)).parameters
    generator: Any = _schema.Generator
    (model,) = (m for m in get_args(get_args(generator)[0]) if get_args(m.model_fields["kind"].annotation) == (name,))
    fields = {key: field for key, field in model.model_fields.items() if key != "kind"}
    assert set(function) - {"seed", "name"} == set(fields)
    for key, field in fields.items():
        default = function[key].default
        assert field.is_required() if default is inspect.Parameter.empty else field.default == default


def test_a_generator_gets_the_seed_of_the_file():
    made = files.loads("seed: 9\ngenerator: {kind: erdos_renyi, n_inputs: 3, n_outputs: 2, n_nodes: 9, p: 0.3}")
    assert edges_of(made) == edges_of(generators.erdos_renyi(3, 2, 9, p=0.3, seed=9))


@given(topologies(labels=LABELS, weights=FINITE))
def test_a_dumped_wiring_comes_back_equal(wiring):
    assert topology.equal(files.loads(files.dumps(wiring)), wiring)


def test_a_dump_is_a_file_of_the_schema_and_whole(tmp_path):
    wiring = generators.random_dag(5, 2, 30, n_levels=3, in_degree=2, name='some: "name"')
    path = tmp_path / "wiring.yaml"
    files.save(wiring, path)
    back = files.load(path)
    assert topology.equal(back, wiring)
    assert back.name == wiring.name
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    # Any YAML reader sees the same.
    assert yaml.safe_load(path.read_text())["populations"][1]["size"] == 30
    with pytest.raises(TopologyError, match="cannot be written"):
        files.save(wiring, tmp_path / "none" / "wiring.yaml")


def test_labels_that_files_cannot_hold_are_told():
    wiring = topology.from_arrays([0], [1], labels=[frozenset([1]), "o"])
    with pytest.raises(TopologyError, match=r"frozenset\(\{1\}\), of type frozenset; files hold names that are"):
        files.dumps(wiring)


# --- the schema -----------------------------------------------------------------------------------------------------


def test_the_schema_names_what_the_library_has():
    population = _schema.PopulationConfig.model_fields
    roles: Any = population["role"].annotation
    assert roles == Literal["input", "hidden", "output"]
    activations: Any = population["activation"].annotation
    assert set(get_args(get_args(activations)[0])) == set(ACTIVATION_NAMES)


def test_the_json_schema_describes_files():
    schema = json.loads(json.dumps(json_schema()))
    assert set(schema["properties"]) == set(TopologyFile.model_fields)
    assert "from" in schema["$defs"]["AllToAll"]["properties"]
    assert {"type": "null"} in schema["properties"]["train"]["anyOf"]


def test_the_json_schema_agrees_with_the_reader():
    jsonschema = pytest.importorskip("jsonschema")
    schema = json_schema()
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    for entry in files.gallery():
        assert not list(validator.iter_errors(yaml.safe_load(entry.path.read_text())))
    assert validator.is_valid(yaml.safe_load(MLP + "train: {anything: 1}\nx-mine: 1\n"))
    assert validator.is_valid(yaml.safe_load(LABELLED + "edges: [[x, h1, 0.5]]"))
    for case in ("unknown key", "missing key", "negative size", "unknown role", "train"):
        assert not validator.is_valid(yaml.safe_load(WRONG[case][0].replace("@", "", 1)))


def test_the_examples_of_the_documents_are_right():
    text = (Path(__file__).parents[2] / "docs" / "topology_files.md").read_text()
    whole, edges = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[:2]
    assert files.loads(whole).n_neurons == 64 + 4 * 64 + 10
    ends = "populations: [{name: a, role: input, size: 2}, {name: b, size: 2}, {name: c, role: output, size: 1}]\n"
    wiring = files.loads(ends + edges + "  - [h1, decision]\n  - [h2, decision]\n")
    assert wiring.n_synapses == 4
    assert [name for name in TopologyFile.model_fields if f"`{name}`" not in text] == []
