"""From tables of a connectome to a wiring that fits a task: reading, roles, pruning, attached inputs and outputs."""

import pathlib

import networkx as nx
import numpy as np
import pytest

from neurograph import topology
from neurograph.topology import Population, TopologyError, attach, equal, files, generators, projections, rewire
from neurograph.topology.files import ConfigError, read_connectome
from neurograph.topology.orientation import wiring_of

CONNECTIONS = """source,target,weight,type
s1,a,3,chemical
s1,b,1,chemical
s2,b,2,chemical
s2,a,9,electrical
a,b,5,chemical
b,a,2,chemical
b,a,1,chemical
b,m,4,chemical
a,a,6,chemical
m,a,1,chemical
b,s1,2,chemical
lost,m2,1,chemical
muscle,m,1,chemical
"""
NEURONS = """id,kind,class,fires
s1,neuron,sensory,1
s2,neuron,sensory,1
a,neuron,inter,0
b,neuron,inter,0
m,neuron,motor,0
m2,neuron,motor,0
lost,neuron,inter,0
muscle,muscle,motor,0
"""
YAML = """
connectome:
  connections: edges.csv
  neurons: cells.csv
  inputs: {class: sensory}
  outputs: {class: motor}
  keep: {kind: neuron}
  where: {type: chemical}
  population: class
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> pathlib.Path:
    (tmp_path / "edges.csv").write_text(CONNECTIONS)
    (tmp_path / "cells.csv").write_text(NEURONS)
    (tmp_path / "worm.yaml").write_text(YAML)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names_of(wiring: topology.Topology) -> dict[tuple, float | None]:
    values = [None] * wiring.n_synapses if wiring.weights is None else wiring.weights[0].tolist()
    ends = zip(wiring.senders.tolist(), wiring.receivers.tolist(), strict=True)
    return {(wiring.names[i], wiring.names[j]): value for (i, j), value in zip(ends, values, strict=True)}


def test_a_connectome_becomes_a_wiring(folder):
    wiring = files.load(folder / "worm.yaml")
    # a -> b weighs 5, b -> a only 2 + 1; m2 is fed by `lost` alone, which no input reaches
    assert names_of(wiring) == dict.fromkeys([("s1", "a"), ("s1", "b"), ("s2", "b"), ("a", "b"), ("b", "m")])
    assert [p.name for p in wiring.populations] == ["sensory", "inter", "motor"]
    assert [wiring.names[i] for i in wiring.inputs.tolist()] == ["s1", "s2"]
    assert wiring.history == (
        "oriented: 4 of 10 synapses dropped, 12 of 28 of their weight (42.9%): 1 self-loops, 1 into inputs, 1 out of "
        "outputs, 1 others that lead backward",
        "pruned: 2 neurons on no path from an input to an output left out (0 inputs, 1 hidden, 1 outputs)",
    )


def test_weights_and_least(folder):
    options = {"inputs": {"class": "sensory"}, "outputs": {"class": ["motor"]}, "keep": {"kind": "neuron"}}
    found = read_connectome("edges.csv", "cells.csv", **options)
    assert names_of(wiring_of(found, weights="counts"))["s2", "a"] == 9
    fractions = names_of(wiring_of(found, weights="fractions"))
    assert fractions["s1", "a"] == 3 / 12
    assert fractions["b", "m"] == 1
    strong = read_connectome("edges.csv", "cells.csv", **options, least=3)
    assert names_of(wiring_of(strong)).keys() == {("s1", "a"), ("s2", "a"), ("a", "b"), ("b", "m")}
    with pytest.raises(TopologyError, match="weights is 'count', which is unknown; did you mean 'counts'"):
        wiring_of(found, weights="count")
    with pytest.raises(TopologyError, match="no input reaches 1 output"):
        wiring_of(found, prune=False)


def test_groups_of_several_roles_are_divided(folder):
    found = read_connectome(
        "edges.csv",
        "cells.csv",
        inputs={"id": ["s1", "a"]},
        outputs={"id": "m"},
        keep={"kind": "neuron"},
        group="class",
    )
    assert [p.name for p in wiring_of(found).populations] == ["sensory", "inter (input)", "inter (hidden)", "motor"]


WRONG = {
    "column": (
        ("{class: sensory}", "{clas: sensory}"),
        "connectome: topology 'cells.csv': there is no column 'clas'; did",
    ),
    "value": (
        ("{class: sensory}", "{class: sensor}"),
        "no row has 'sensor' in the column 'class'; did you mean",
    ),
    "file": (("cells.csv", "cell.csv"), "there is no such file"),
    "key": (("keep:", "kep:"), "unknown key 'kep'; did you mean 'keep'?"),
    "nothing kept": (("{kind: neuron}", "{kind: muscle}"), "none of the neurons that are kept is among the inputs"),
    "no edge": (("{type: chemical}", "{type: chemical}\n  least: 100"), "no connection is left"),
    "two ways": (
        ("connectome:", "generator: {kind: mlp, sizes: [1, 1]}\nconnectome:"),
        "both say how neurons are joined",
    ),
    "populations": (("connectome:", "labels: [a]\nconnectome:"), "a connectome makes a whole wiring, labels included"),
    "orient": (("connectome:", "orient: {method: best}\nconnectome:"), "orient.method: 'best' is unknown"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_files(case, folder):
    (old, new), sentence = WRONG[case]
    assert old in YAML
    with pytest.raises(ConfigError) as error:
        files.loads(YAML.replace(old, new), "worm.yaml", folder)
    assert "worm.yaml:" in str(error.value)
    assert sentence in str(error.value)


TABLES = {
    "unknown neuron": ("edges.csv", "s1,a,3", "s9,a,3", "line 2: the sender 's9' is not in cells.csv"),
    "count": ("edges.csv", "s1,b,1", "s1,b,-1", "line 3: weight is '-1'; it must be a finite number of at least 0"),
    "word": ("edges.csv", "s1,b,1", "s1,b,many", "line 3: weight is 'many'"),
    "twice": ("cells.csv", "s2,", "s1,", "neuron 's1' comes twice"),
    "no names": ("cells.csv", "id,", "key,", "no column names neurons"),
}


@pytest.mark.parametrize("case", TABLES)
def test_wrong_tables(case, folder):
    name, old, new, sentence = TABLES[case]
    text = (folder / name).read_text()
    (folder / name).write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError) as error:
        files.load("worm.yaml")
    assert sentence in str(error.value)


def test_orientation_of_a_list_of_edges():
    text = """
populations: [{name: i, role: input, size: 1}, {name: h, size: 2}, {name: o, role: output, size: 1}]
edges: [[0, 1, 1.0], [1, 2, -5.0], [2, 1, 4.0], [2, 3, 1.0], [3, 1, 9.0], [1, 0, 2.0]]
orient: {}
"""
    wiring = files.loads(text)
    assert names_of(wiring) == {(0, 1): 1.0, (1, 2): -5.0, (2, 3): 1.0}
    assert "3 of 6 synapses dropped, 15 of 22" in wiring.history[0]
    with pytest.raises(TopologyError, match="closes the cycle"):
        files.loads(text.replace("orient: {}", ""))


def test_rewired_files(folder):
    (folder / "null.yaml").write_text("rewire: {of: worm.yaml, method: degree_preserving, seed: 3}\nseed: 9\n")
    rewired = files.load("null.yaml")
    assert equal(rewired, rewire(files.load("worm.yaml"), "degree_preserving", seed=3))
    assert rewired.history[2] == "read from 'worm.yaml'"
    saved = files.dumps(rewired)
    assert saved.startswith("# oriented: 4 of 10 synapses dropped")
    assert equal(files.loads(saved), rewired)
    own = files.loads("generator: {kind: mlp, sizes: [5, 6, 2]}\nrewire: {method: erdos_renyi, order: total}\nseed: 9")
    assert equal(own, rewire(generators.mlp([5, 6, 2]), "erdos_renyi", order="total", seed=9))
    short = files.loads("rewire: {of: 'mlp:5-6-2', method: configuration}")
    assert names_of(short) == names_of(generators.mlp([5, 6, 2]))  # its degrees leave no choice
    gallery = files.loads("name: x\nrewire: {of: xor, method: degree_preserving}")
    assert (gallery.name, gallery.n_synapses) == ("x", files.load("xor").n_synapses)


def test_a_file_that_is_rewired_from_itself(folder):
    (folder / "one.yaml").write_text("rewire: {of: two.yaml, method: erdos_renyi}")
    (folder / "two.yaml").write_text("rewire: {of: one.yaml, method: erdos_renyi}")
    with pytest.raises(ConfigError, match=r"two\.yaml:1:14: rewire\.of: 'one\.yaml' is made of this file itself"):
        files.load("one.yaml")
    assert files.load("worm.yaml").n_synapses == 5


def test_attached_inputs_and_outputs(folder):
    text = YAML + "attach:\n  inputs: {name: pixels, shape: [2, 2], rule: fixed_indegree, n: 3}\n  outputs: {size: 3}\n"
    wiring = files.loads(text, "worm.yaml", folder)
    assert [(p.name, p.role) for p in wiring.populations] == [
        ("sensory", "hidden"),
        ("inter", "hidden"),
        ("motor", "hidden"),
        ("pixels", "input"),
        ("task output", "output"),
    ]
    graph = topology.to_networkx(wiring)
    assert [graph.in_degree(name) for name in ("s1", "s2")] == [3, 3]
    assert set(graph.successors("m")) == {f"task output {i}" for i in range(3)}
    core = graph.subgraph(["s1", "s2", "a", "b", "m"])
    assert set(core.edges) == names_of(files.load("worm.yaml")).keys()
    assert wiring.populations[3].shape == (2, 2)
    topology.check_fits(wiring, 4, 3, "task")
    assert wiring.history[-2:] == (
        "4 inputs 'pixels' attached by 6 synapses",
        "3 outputs 'task output' attached by 3 synapses",
    )


def test_attached_synapses_have_weights_where_the_others_do():
    core = topology.from_arrays(
        np.repeat([0, 1, 2], 40), 3 + np.tile(np.arange(40), 3), weights=np.ones((2, 120)), biases=np.ones(43)
    )
    pixels, pairs = (Population("pixels", "input"), 400), projections.all_to_all(400, 3)
    wiring = attach(core, inputs=pixels, into=pairs, seed=1)
    assert wiring.weights is not None
    assert wiring.biases is not None
    np.testing.assert_array_equal(wiring.weights[:, :120], 1)
    drawn = wiring.weights[:, 120:]
    assert drawn.shape == (2, 1200)
    # of 1200 normal numbers the standard deviation is within 10% but for a chance of 1e-6
    np.testing.assert_allclose(drawn.std(axis=1), 400**-0.5, rtol=0.1)
    np.testing.assert_array_equal(wiring.biases[0], np.r_[np.ones(43), np.zeros(400)])
    assert equal(wiring, attach(core, inputs=pixels, into=pairs, seed=1))


def test_wrong_attachments():
    core = generators.mlp([3, 2])
    pixels = Population("pixels", "input")
    with pytest.raises(TopologyError, match="inputs and into go together"):
        attach(core, inputs=(pixels, 2))
    with pytest.raises(TopologyError, match="has sender 2; these are numbered 0 to 1"):
        attach(core, inputs=(pixels, 2), into=projections.all_to_all(3, 3))
    with pytest.raises(TopologyError, match="role 'hidden'; give it 'input'"):
        attach(core, inputs=(Population("pixels", "hidden"), 3), into=projections.all_to_all(3, 3))
    for text, sentence in (
        ("{size: 3, rule: fixed_indegree}", "attach.inputs: the key 'n' is missing, which fixed_indegree needs"),
        ("{size: 3, p: 1.0}", "attach.inputs.p: p belongs to pairwise_bernoulli"),
        ("{rule: all_to_all}", "attach.inputs: the population has neither size nor shape"),
        ("{size: 2, rule: one_to_one}", "attach.inputs: one_to_one joins 2 to 3 neurons"),
    ):
        with pytest.raises(ConfigError) as error:
            files.loads(f"generator: {{kind: mlp, sizes: [3, 2]}}\nattach: {{inputs: {text}}}")
        assert sentence in str(error.value)


@pytest.mark.filterwarnings("ignore::neurograph.topology.TopologyWarning")
def test_the_graph_of_a_rewired_connectome_is_acyclic(folder):
    wiring = files.loads(YAML + "rewire: {method: erdos_renyi, unreached: join}", "worm.yaml", folder)
    graph = nx.DiGraph(zip(wiring.senders.tolist(), wiring.receivers.tolist(), strict=True))
    assert nx.is_directed_acyclic_graph(graph)
