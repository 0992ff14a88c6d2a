"""Topology files: what they mean, that wirings come back from them, and what is said of those that are wrong."""

import dataclasses
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
from hypothesis import strategies as st

from neurograph import config, generators, initializers, projections, rules, topology
from neurograph.config import ConfigError, RuleConfig, TopologyFile, TrainConfig, _schema, _train
from neurograph.topology import Population, Topology, TopologyError
from tests.strategies import FINITE, LABELS, topologies

HEAD = "populations: [{name: a, role: input, size: 2}, {name: b, size: 3}, {name: c, role: output, size: 1}]\n"
LABELLED = HEAD + "labels: [x, y, h1, h2, h3, o]\n"
MLP = "generator: {kind: mlp, sizes: [2, 3, 1]}\n"


def edges_of(wiring: Topology) -> list[tuple[int, int]]:
    return list(zip(wiring.senders.tolist(), wiring.receivers.tolist(), strict=True))


# --- what files mean ------------------------------------------------------------------------------------------------


def test_populations_and_projections():
    wiring = config.loads_topology(
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
        wiring = config.loads_topology(
            "populations: [{name: a, role: input, shape: [4, 4]}, {name: b, role: output, shape: [4, 4]}]\n"
            f"projections: [{{from: a, to: b, rule: {rule}, {options}}}]\nseed: 2"
        )
        senders, receivers = expected(projections.generator(2, 0))
        assert edges_of(wiring) == list(zip(senders.tolist(), (16 + receivers).tolist(), strict=True))


def test_seeds_make_projections_independent_and_repeatable():
    def drawn(seed: int, own: str = "") -> list[list[int]]:
        wiring = config.loads_topology(
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
    wiring = config.loads_topology(
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
        config.loads_topology(text)


def test_edges_by_label_with_weights_and_ordered_ends():
    wiring = config.loads_topology(
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
    wiring = config.load_topology(file)
    assert wiring.name == "wiring.yaml"
    assert edges_of(wiring) == [(0, 2), (1, 2), (2, 3)]
    assert wiring.weights is not None
    assert wiring.weights.tolist() == [[1, 3, 5], [2, 4, 6]]
    file.write_text(
        "populations: [{name: a, role: input, size: 2}, {name: b, role: output, size: 1}]\n"
        "projections: [{from: a, to: b, rule: edges, file: numbers.csv}]"
    )
    assert edges_of(config.load_topology(file)) == [(1, 2)]


def test_words_and_numbers():
    text = """
    x-common: &common {role: output, size: 1}
    description: 12:30
    seed: 010
    populations: [{name: a, role: input, size: 0x2, bias: No}, {<<: *common, name: b, bias: off}]
    projections: [{from: a, to: b, rule: pairwise_bernoulli, p: 1e-0}]
    train: {learning_rate: 5e-3, rule: {symmetric: yes, oja: on}}
    """
    wiring = config.loads_topology(text)
    assert wiring.n_synapses == 2
    assert [p.bias for p in wiring.populations] == [False, False]


def test_a_byte_order_mark_is_no_text(tmp_path):
    path = tmp_path / "wiring.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + MLP.replace("\n", "\r\n").encode())
    assert config.load_topology(path).n_synapses == 9


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
    made = config.loads_topology(
        "seed: 9\ngenerator: {kind: erdos_renyi, n_inputs: 3, n_outputs: 2, n_nodes: 9, p: 0.3}"
    )
    assert edges_of(made) == edges_of(generators.erdos_renyi(3, 2, 9, p=0.3, seed=9))


# --- there and back -------------------------------------------------------------------------------------------------


@given(topologies(labels=LABELS, weights=FINITE))
def test_a_dumped_wiring_comes_back_equal(wiring):
    assert topology.equal(config.loads_topology(config.dumps(wiring)), wiring)


def test_a_dump_is_a_file_of_the_schema_and_whole(tmp_path):
    wiring = generators.random_dag(5, 2, 30, n_levels=3, in_degree=2, name='some: "name"')
    path = tmp_path / "wiring.yaml"
    config.dump_topology(wiring, path)
    back = config.load_topology(path)
    assert topology.equal(back, wiring)
    assert back.name == wiring.name
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    # Any YAML reader sees the same.
    assert yaml.safe_load(path.read_text())["populations"][1]["size"] == 30
    with pytest.raises(TopologyError, match="cannot be written"):
        config.dump_topology(wiring, tmp_path / "none" / "wiring.yaml")


def test_labels_that_files_cannot_hold_are_told():
    wiring = topology.from_arrays([0], [1], labels=[frozenset([1]), "o"])
    with pytest.raises(TopologyError, match=r"frozenset\(\{1\}\) is of type frozenset"):
        config.dumps(wiring)


# --- what is wrong --------------------------------------------------------------------------------------------------

# The place that the message must name is marked by @.
WRONG = {
    "unknown key": ("@nmae: x\n" + MLP, "nmae: unknown key 'nmae'; did you mean 'name'?"),
    "far key": (MLP + "@zzz: 1", "zzz: unknown key 'zzz'; valid are 'name', 'description'"),
    "unknown key below": (
        "generator: {kind: mlp, sizes: [2, 1], @activation: tanh}",
        "generator.activation: unknown key 'activation'; did you mean 'activations'?",
    ),
    "key of another rule": (
        HEAD + "projections: [{from: a, to: b, rule: local, kernel: 2, @p: 1}]",
        "projections[0].p: unknown key 'p'; valid are",
    ),
    "missing key": (
        HEAD + "projections: [@{from: a, to: b, rule: local}]",
        "projections[0]: the key 'kernel' is missing",
    ),
    "missing rule": (HEAD + "projections: [@{from: a, to: b}]", "projections[0]: the key 'rule' is missing"),
    "unknown rule": (
        HEAD + "projections: [@{from: a, to: b, rule: all_to_al}]",
        "projections[0]: rule 'all_to_al' is not known; did you mean 'all_to_all'?",
    ),
    "unknown kind": ("generator: @{kind: mlpp}", "generator: kind 'mlpp' is not known; did you mean 'mlp'?"),
    "unknown population": (
        HEAD + "projections: [{from: @aa, to: b, rule: all_to_all}]",
        "projections[0].from: there is no population 'aa'; did you mean 'a'?",
    ),
    "unknown role": (
        "populations: [{name: a, role: @inputs, size: 1}]\nedges: []",
        "populations[0].role: 'inputs' is not known here; did you mean 'input'?",
    ),
    "unknown activation": (
        "populations: [{name: a, activation: @tahn, size: 1}]\nedges: []",
        "did you mean 'tanh'?",
    ),
    "negative size": (
        "populations: [{name: a, size: @-5}]\nedges: []",
        "populations[0].size: -5 is out of range; it must be at least 1.",
    ),
    "text for a number": (
        "generator: {kind: mlp, sizes: [2, @ten]}",
        "generator.sizes[1]: 'ten' is not a whole number",
    ),
    "fraction": ("generator: {kind: mlp, sizes: [2, @1.5]}", "generator.sizes[1]: 1.5 is not a whole number"),
    "truth value for a number": ("generator: {kind: mlp, sizes: [2, @yes]}", "True is not a whole number"),
    "truth value for text": (
        "name: @yes\n" + MLP,
        "name: YAML reads this word as true; it must be text: put it in quotes.",
    ),
    "number for text": ("name: @12\n" + MLP, "name: 12 is a number; it must be text: put it in quotes."),
    "nothing": ("seed:@ \n" + MLP, "seed: there is no value; give a whole number."),
    "mapping for a list": ("populations: @{a: 1}\nedges: []", "populations: {'a': 1} is not a list"),
    "list for a mapping": ("generator: @[1]", "generator: [1] is not a mapping"),
    "improbable": (
        HEAD + "projections: [{from: a, to: b, rule: pairwise_bernoulli, p: @1.5}]",
        "projections[0].p: 1.5 is out of range; it must be at most 1.",
    ),
    "not a number": (
        HEAD + "projections: [{from: a, to: b, rule: pairwise_bernoulli, p: @.nan}]",
        "projections[0].p: nan is not finite",
    ),
    "shape and size": (
        "populations: [{name: a, size: 3, shape: @[2, 2]}]\nedges: []",
        "populations[0].shape: a shape of 2 x 2 holds 4 neurons, but the size is 3",
    ),
    "no size": ("populations: [@{name: a}]\nedges: []", "populations[0]: the population has neither size nor shape"),
    "flat shape": (
        "populations: [{name: a, shape: @[4]}]\nedges: []",
        "there are 1 entries; there must be at least 2.",
    ),
    "same name": (
        "populations: [{name: a, size: 1}, {name: @a, size: 1}]\nedges: []",
        "populations[1].name: populations 0 and 1 are both called 'a'",
    ),
    "key twice": ("name: a\n@name: b\n" + MLP, "name: the key 'name' is already there in line 1"),
    "two ways": (MLP + HEAD + "edges: @[]", "edges: generator and edges both say how neurons are joined"),
    "no way": ("@name: a", "nothing says how neurons are joined"),
    "generator and populations": (MLP + "populations: @[{name: a, size: 1}]", "populations: a generator makes a whole"),
    "no populations": ("@projections: []", "there are none; give populations"),
    "generator's own rule": (
        "generator: @{kind: small_world, n_inputs: 1, n_outputs: 1, n_nodes: 4, n_neighbours: 4}",
        "generator: n_neighbours is 4; it must be even, at least 2 and less than n_nodes = 4.",
    ),
    "odd ring": (
        "generator: {kind: small_world, n_inputs: 1, n_outputs: 1, n_nodes: 9, n_neighbours: @3}",
        "generator.n_neighbours: 3 is out of range; it must be a multiple of 2.",
    ),
    "unequal sizes": (
        HEAD + "projections: [@{from: a, to: b, rule: one_to_one}]",
        "projections[0]: one_to_one joins 2 to 3 neurons",
    ),
    "no shape": (
        HEAD + "projections: [@{from: a, to: b, rule: local, kernel: 1}]",
        "projections[0]: local needs populations with a shape, but 'a' has none",
    ),
    "too many senders": (
        HEAD + "projections: [@{from: a, to: b, rule: fixed_indegree, n: 3}]",
        "projections[0]: fixed_indegree has n = 3",
    ),
    "pair out of range": (
        HEAD + "projections: [@{from: a, to: b, rule: edges, pairs: [[0, 3]]}]",
        "projections[0]: pair number 0, [0, 3], has receiver 3",
    ),
    "pairs and file": (
        HEAD + "projections: [@{from: a, to: b, rule: edges, pairs: [], file: x}]",
        "projections[0]: there are pairs and file of pairs, file; give one of them.",
    ),
    "unknown neuron": (LABELLED + "edges: [[x, @h]]", "edges[0][1]: there is no neuron labelled 'h'; did you mean 'h"),
    "number out of range": (HEAD + "edges: [[0, @6]]", "edges[0][1]: there is no neuron 6; without labels"),
    "label that is none": (LABELLED.replace("h2", "@{a: 1}") + "edges: []", "labels[3]: a mapping cannot be a label"),
    "label within": (LABELLED.replace("h2", "@[b, {a: 1}]") + "edges: []", "labels[3]: a mapping cannot be a label"),
    "too few labels": (HEAD + "labels: @[x, y]\nedges: []", "labels: there are 2 labels for 6 neurons"),
    "unknown output": (LABELLED + "outputs: [@p]\nedges: []", "outputs[0]: there is no neuron labelled 'p'"),
    "text for a weight": (LABELLED + "edges: [[x, o, @heavy]]", "edges[0][2]: the weight 'heavy' is no number."),
    "infinite weight": (LABELLED + "edges: [[x, o, @.inf]]", "edges[0][2]: the weight is inf"),
    "some weights": (LABELLED + "edges: [[x, o, 1], @[y, o]]", "edges[1]: some synapses have a weight and some"),
    "unknown column": (
        HEAD + "edges: {columns: @[sender, receiver, wieght], rows: ''}",
        "edges.columns: unknown column 'wieght'; did you mean 'weight'?",
    ),
    "no sender": (HEAD + "edges: {columns: @[receiver, weight], rows: ''}", "there is no column 'sender'"),
    "column twice": (
        HEAD + "edges: {columns: @[sender, receiver, sender], rows: ''}",
        "column 'sender' is there twice",
    ),
    "channel left out": (HEAD + "edges: {columns: @[sender, receiver, weight_2], rows: ''}", "weight are [2]"),
    "columns alone": (HEAD + "edges: @{columns: [sender, receiver]}", "columns and rows go together"),
    "members": (HEAD + "members: @2*0 3*x\nedges: []", "members: '3*x' is no run length"),
    "too few members": (HEAD + "members: @2*0\nedges: []", "members: 2 neurons are listed, but populations have 6"),
    "other members": (HEAD + "members: @3*0 2*1 2\nedges: []", "population 'a' has size 2, but 3 neurons are listed"),
    "biases": (HEAD + "biases: @1 2 3\nedges: []", "biases: these are not lines of 6 numbers each"),
    "rule of learning": (MLP + "train: {rule: @backprob}", "train.rule: 'backprob' is not known here; did you mean"),
    "option of the rule": (
        MLP + "train: {rule: {oja: {form: @weight}}}",
        "train.rule.oja.form: 'weight' is not known here; did you mean 'weights'?",
    ),
    "word for an option": (MLP + "train: {rule: {saturation: @tan}}", "train.rule.saturation: 'tan' is not known here"),
    "genome": (MLP + "train: {genome: @5}", "train.genome: 5 is a number; it must be text or a mapping"),
    "learning rate": (MLP + "train: {learning_rate: @0}", "train.learning_rate: 0 is out of range; it must be greater"),
    "key of train": (MLP + "train: {@stps: 1}", "train.stps: unknown key 'stps'; did you mean 'steps'?"),
    "list as a file": ("@[1, 2]", "a topology file is a mapping"),
    "text as a file": ("@hello", "a topology file is a mapping"),
    "malformed": ("name: a\npopulations: [1, 2\nseed@: 3", "this is no YAML: while parsing a flow sequence"),
    "tab": ("@\tname: a", "this is no YAML: while scanning"),
    "two documents": (MLP + "@---\nname: a", "this is no YAML: expected a single document"),
    "python object": ("name: @!!python/object:os.system x", "the tag 'tag:yaml.org,2002:python/object:os.system'"),
    "anchor within itself": ("labels: &a [@*a]", "labels[0]: an anchor contains itself"),
    "key that is a list": ("@[a, b]: c", "a key is a list or a mapping"),
    "merge of text": ("<<: @a", "<< merges only mappings"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_with_its_place(case):
    marked, message = WRONG[case]
    before = marked[: marked.index("@")]
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    if case == "anchor within itself":
        # YAML gives an alias the place of its anchor.
        column = marked.index("&") + 1
    with pytest.raises(ConfigError) as caught:
        config.loads_topology(marked.replace("@", "", 1), "file.yaml")
    mine = [str(problem) for problem in caught.value.problems if message in str(problem)]
    assert mine, str(caught.value)
    assert mine[0].startswith(f"file.yaml:{line}:{column}: "), mine[0]


@pytest.mark.parametrize(
    ("rows", "line", "message"),
    [
        ("0 2 1\n    1 2 x", 5, "'x' is no number"),
        ("0 2 1\n    # a comment\n\n    1 2", 7, "this line has 2 numbers, but there are 3 columns"),
        ("# a comment\n    0.5 2 1", 5, "0.5 and 2 are no numbers of two neurons"),
        ("0 6 1", 4, "0 and 6 are no numbers of two neurons; they are whole numbers from 0 to 5."),
    ],
)
def test_lines_of_a_table_are_told(rows, line, message):
    text = HEAD + f"edges:\n  columns: [sender, receiver, weight]\n  rows: |\n    {rows}\n"
    # The table starts below `rows: |`, in line 5 of the file when counted with the populations' line.
    with pytest.raises(ConfigError, match=f"^file.yaml:{line + 1}: edges.rows: {re.escape(message)}"):
        config.loads_topology(text, "file.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "edges.csv: the file is empty"),
        ("sender,receiver\n0,2\n1,2,3\n", "edges.csv:3: this line has 3 cells, the header 2"),
        ("sender,reciever\n0,2\n", "edges.csv:1: unknown column 'reciever'; did you mean 'receiver'?"),
        ("sender,receiver\n0,2\n1,nine\n", "edges.csv:3: there is no neuron 'nine'"),
        ("sender,receiver,weight\n0,2,nan\n", "edges.csv:2: the weight is nan"),
        ("sender,receiver,weight\n0,2,\n", "edges.csv:2: the weight '' is no number"),
        ('sender,receiver\n0,"2\n', "this is no CSV"),
        (b"sender,receiver\n0,\xff\n", "is not UTF-8"),
        (None, "edges.csv: there is no such file"),
    ],
)
def test_a_wrong_csv_file_is_told(tmp_path, content, message):
    if content is not None:
        (tmp_path / "edges.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=re.escape(message)):
        config.loads_topology(HEAD + "edges: {file: edges.csv}", folder=tmp_path)


def test_parallel_synapses_are_told_with_both_places(tmp_path):
    (tmp_path / "edges.csv").write_text("sender,receiver\n0,2\n2,5\n0,2\n")
    with pytest.raises(TopologyError, match=r"at edges.csv line 2 and edges.csv line 4"):
        config.loads_topology(HEAD + "edges: {file: edges.csv}", folder=tmp_path)
    with pytest.raises(TopologyError, match="at line 3 and line 5"):
        config.loads_topology(LABELLED + "edges: [[x, h1],\n [h1, o],\n [x, h1]]")
    with pytest.raises(TopologyError, match=r"at projections\[0\] in line 3 and projections\[1\] in line 4"):
        config.loads_topology(
            HEAD
            + "projections:\n - {from: a, to: c, rule: all_to_all}\n - {from: a, to: c, rule: fixed_indegree, n: 1}"
        )


def test_everything_wrong_is_told_at_once_in_the_order_of_the_file():
    text = (
        "populations:\n- {name: a, role: input, size: -1}\n- {name: b, role: output, sise: 2}\n"
        "projections:\n- {from: c, to: b, rule: pairwise_bernoulli, p: 2}\ntrain: {steps: 0}"
    )
    with pytest.raises(ConfigError) as caught:
        config.loads_topology(text)
    paths = [problem.path for problem in caught.value.problems]
    assert paths == [
        "populations[0].size",
        "populations[1]",
        "populations[1].sise",
        "projections[0].from",
        "projections[0].p",
        "train.steps",
    ]
    assert str(caught.value).count("\n") == len(paths) - 1


@pytest.mark.parametrize("opening", ["[", "{", "- ", "? "])
def test_deep_nesting_is_an_error_and_no_crash(opening):
    with pytest.raises(ConfigError, match="nested more than 100 deep"):
        config.loads_topology("name:\n " + opening * 100_000)


def test_files_that_are_none(tmp_path):
    folder = tmp_path / "folder.yaml"
    folder.mkdir()
    empty = tmp_path / "empty.yaml"
    empty.write_text("# nothing\n")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    for path, message in [
        (folder, "this is a directory"),
        (empty, "the file is empty"),
        (binary, "byte 0 is not UTF-8"),
        (tmp_path / "none.yaml", "there is no such file"),
    ]:
        for read in (config.load_file, config.load_topology, config.train_config):
            with pytest.raises(ConfigError, match=f"^{re.escape(str(path))}: {message}"):
                read(path)


@given(st.text(st.sampled_from("abc:[]{}&*!|>'\"%@`,#?-~<\n \t0.é\0"), max_size=60))
def test_any_text_is_a_topology_or_a_sentence(text):
    with pytest.raises((ConfigError, TopologyError)):
        config.loads_topology(text)


# --- the train section ----------------------------------------------------------------------------------------------


def test_values_of_the_command_line_stand_above_the_file(tmp_path):
    path = tmp_path / "wiring.yaml"
    path.write_text(MLP + "train: {steps: 7, seed: 3, rule: blur, genome: mine.txt}")
    plain, folder = config.train_config(path)
    assert (plain.steps, plain.seed, plain.rule.name, plain.genome) == (7, 3, "blur", "mine.txt")
    assert folder == tmp_path
    given, _ = config.train_config(
        path, {"steps": 9, "rule.oja.form": "activations", "rule.saturation": "tanh", "genome": None}
    )
    assert (given.steps, given.seed, given.rule.name) == (9, 3, "blur")
    assert given.rule.oja is not None
    assert given.rule.oja.form == "activations"
    assert given.rule.saturation is not None
    assert given.rule.saturation.kind == "tanh"
    assert (given.genome, given.learning_rate) == ("random", 1e-3)
    # A deep value within a word: the word stays.
    deep, _ = config.train_config(path, {"rule": "published", "rule.saturation.epsilon": 0.5})
    assert deep.rule.name == "published"
    assert deep.rule.saturation is not None
    assert (deep.rule.saturation.kind, deep.rule.saturation.epsilon) == ("exp_update", 0.5)


def test_defaults_depend_on_the_rule():
    assert config.train_config("mlp", {"learning_rate": None})[0].learning_rate == 0.1
    blur, _ = config.train_config("mlp", {"rule": "blur", "learning_rate": None})
    assert (blur.genome, blur.learning_rate) == ("random", 1e-3)
    several, _ = config.train_config("mlp", {"genome": {"*": "backprop", "output": "x.txt"}, "learning_rate": None})
    assert several.learning_rate is None


def test_a_topology_of_another_format_takes_defaults(tmp_path):
    path = tmp_path / "wiring.csv"
    path.write_text("sender,receiver\na,b\n")
    taken, folder = config.train_config(path, {"steps": 3})
    assert taken == TrainConfig(steps=3, genome="backprop", learning_rate=0.1)
    assert folder == tmp_path
    with pytest.raises(ConfigError, match=r"^command line: steps: 0 is out of range"):
        config.train_config(path, {"steps": 0})


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"steps": 0}, "command line: steps: 0 is out of range"),
        ({"stps": 1}, "command line: stps: unknown key 'stps'; did you mean 'steps'?"),
        ({"rule.oja.frm": 1}, "command line: rule.oja.frm: unknown key 'frm'; did you mean 'form'?"),
        ({"steps.x": 1}, "command line: steps.x: steps is no mapping"),
        ({"rule": "sgd"}, "command line: rule: 'sgd' is not known here; valid are 'backprop', 'blur', 'published'."),
    ],
)
def test_wrong_values_of_the_command_line_are_told(overrides, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        config.train_config("mlp", overrides)


def test_paths_of_the_command_line_start_at_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "mine.txt").write_text("")
    monkeypatch.chdir(tmp_path)
    taken, _ = config.train_config("mlp", {"genome": "mine.txt", "task": "other.csv"})
    found = str((tmp_path / "mine.txt").resolve())
    assert (taken.genome, taken.task) == (found, "other.csv")
    several = {"*": "backprop", "output": "mine.txt"}
    for overrides in ({"genome": several}, {f"genome.{name}": what for name, what in several.items()}):
        taken, _ = config.train_config("mlp", overrides)
        assert taken.genome == {"*": "backprop", "output": found}


def test_assignments():
    given = config.parse_assignments(
        ["steps=10", "rule.oja=yes", "task=a=b", "learning_rate=1e-3", "genome=", "seed = 4"]
    )
    assert given == {
        "steps": 10,
        "rule.oja": True,
        "task": "a=b",
        "learning_rate": 1e-3,
        "genome": None,
        "seed": 4,
    }
    for wrong in ["steps", "=3", ""]:
        with pytest.raises(ConfigError, match="is no assignment; write KEY=VALUE"):
            config.parse_assignments([wrong])
    with pytest.raises(ConfigError, match="this is no YAML"):
        config.parse_assignments(["steps=[1"])


def test_a_resolved_configuration_survives_being_written():
    taken, _ = config.train_config("mlp", {"rule.oja": True, "rule.synapse_normalization": "persistent"})
    assert TrainConfig.model_validate(taken.model_dump(mode="json", exclude_none=True)) == taken
    assert TrainConfig.model_validate(yaml.safe_load(yaml.safe_dump(taken.model_dump(mode="json")))) == taken


def test_the_schema_names_what_the_library_has():
    assert set(get_args(_train.ActivationName)) == set(rules.ACTIVATIONS)
    assert set(get_args(_train.InitializerName)) == set(initializers.INITIALIZERS)
    options = {"batch_mean": "batch", "synapse_update": "saturation"}
    fields = {options.get(field.name, field.name) for field in dataclasses.fields(rules.Rule)}
    assert fields == set(RuleConfig.model_fields) - {"name"}
    oja, normalization = _train.OjaConfig(), _train.ActivationNormalizationConfig()
    assert rules.Oja(**oja.model_dump()) == rules.Oja()
    assert rules.ActivationNormalization(**normalization.model_dump()) == rules.ActivationNormalization()
    roles: Any = _schema.PopulationConfig.model_fields["role"].annotation
    assert roles == Literal["input", "hidden", "output"]


# --- gallery and JSON Schema ----------------------------------------------------------------------------------------

GALLERY = config.gallery()


def test_the_gallery_is_as_large_as_promised():
    names = {entry.name for entry in GALLERY}
    promised = {"mlp", "residual_mlp", "random_dag", "small_world", "scale_free", "local_receptive_fields"}
    assert promised | {"multi_level_outputs", "edge_list", "erdos_renyi", "xor"} <= names


@pytest.mark.parametrize("entry", GALLERY, ids=lambda entry: entry.name)
def test_gallery_files_are_documented_and_small(entry):
    file = config.load_file(entry.name)
    assert entry.path.read_text().startswith("# ")
    assert entry.description == file.description.strip()
    assert file.train is not None
    wiring = config.load_topology(entry.path)
    assert topology.equal(wiring, config.load_topology(f"{entry.name}.yaml"))
    assert wiring.n_synapses <= 30_000
    assert topology.levels(wiring).max() < 25
    if file.train.task == "digits":
        topology.check_fits(wiring, 64, 10, "digits")


def test_outputs_of_the_gallery_lie_at_several_levels():
    wiring = config.load_topology("multi_level_outputs")
    level = topology.levels(wiring)[wiring.outputs]
    assert level.tolist() == [2, 4] * 5


def test_a_file_comes_before_a_gallery_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert config.find_file("mlp") == config.gallery_path("mlp.yaml")
    Path("mlp").mkdir()
    assert config.find_file("mlp") == config.gallery_path("mlp")
    Path("mlp.yaml").write_text(MLP)
    assert config.load_topology("mlp.yaml").n_synapses == 9
    for wrong in ("mlpp", "mlpp.yaml"):
        with pytest.raises(ConfigError, match=f"^{wrong}: there is no such file, nor .* did you mean 'mlp'"):
            config.load_topology(wrong)
    with pytest.raises(ConfigError, match="the gallery has no such topology; did you mean 'xor'"):
        config.gallery_path("xxor")


def test_the_json_schema_describes_files(tmp_path):
    schema = json.loads(json.dumps(config.json_schema()))
    assert set(schema["properties"]) == set(TopologyFile.model_fields)
    assert "from" in schema["$defs"]["AllToAll"]["properties"]
    assert schema["$defs"]["TrainConfig"]["properties"]["steps"]["description"]


def test_the_json_schema_agrees_with_the_reader():
    jsonschema = pytest.importorskip("jsonschema")
    schema = config.json_schema()
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    for entry in GALLERY:
        assert not list(validator.iter_errors(yaml.safe_load(entry.path.read_text())))
    options = "train: {rule: {oja: on, saturation: tanh, synapse_normalization: {rescale: on}}}\nx-mine: 1\n"
    assert validator.is_valid(yaml.safe_load(MLP + options))
    assert validator.is_valid(yaml.safe_load(LABELLED + "edges: [[x, h1, 0.5]]"))
    for case in ("unknown key", "missing key", "negative size", "unknown role", "rule of learning", "key of train"):
        assert not validator.is_valid(yaml.safe_load(WRONG[case][0].replace("@", "", 1)))


def test_the_examples_of_the_documents_are_right():
    text = (Path(__file__).parents[2] / "docs" / "topology_files.md").read_text()
    whole, edges = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[:2]
    assert config.loads_topology(whole).n_neurons == 64 + 4 * 64 + 10
    ends = "populations: [{name: a, role: input, size: 2}, {name: b, size: 2}, {name: c, role: output, size: 1}]\n"
    wiring = config.loads_topology(ends + edges + "  - [h1, decision]\n  - [h2, decision]\n")
    assert wiring.n_synapses == 4
    for names in (_train.TrainConfig.model_fields, RuleConfig.model_fields, TopologyFile.model_fields):
        assert [name for name in names if f"`{name}`" not in text] == []
