"""What is said of edge lists, GraphML and JSON that are wrong, with the line, and of paths."""

import json
from pathlib import Path

import pytest

from neurograph.topology import (
    Population,
    Topology,
    TopologyError,
    build,
    files,
    relabel,
)
from neurograph.topology.files import ConfigError


def small() -> Topology:
    populations = [
        (Population("eye", "input", shape=(1, 2)), 2),
        (Population("mid", "hidden", activation="relu", bias=False), 2),
        (Population("hand", "output"), 1),
    ]
    return build([1, 0, 3, 2], [2, 3, 4, 4], populations, labels=["left", "right", "h1", "h2", "grip"], name="small")


CSV = {
    "empty": (b"", "the file is empty"),
    "blank": (b"\n \n", "the file is empty"),
    "comments only": (b"# nothing\n", "the file has no header"),
    "header only": (b"sender,receiver\n", "no lines below its header"),
    "no header": (b"a,b\nb,c\n", "line 1: the header lacks sender and receiver; it has a, b"),
    "column missing": (b"\nsender,weight\na,1\n", "line 2: the header lacks receiver"),
    "column twice": (b"pre,source,receiver\na,b,c\n", "line 1: column sender appears twice"),
    "column with a slip": (
        b"sender,receiver,wieght\na,b,1\n",
        "line 1: column 'wieght' is unknown; did you mean 'weight'?",
    ),
    "ragged": (b'sender,receiver\na,"b\nb"\nc,d,e\n', "line 4: it has 3 cells, but line 1 has 2"),
    "cell missing": (b"sender,receiver\na,b\n,c\n", "line 3: the sender is missing"),
    "quote open": (b'sender,receiver\na,"b\n', "line 2: the CSV is malformed"),
    "latin-1": ("sender,receiver\na,b\né,c\n".encode("latin-1"), "line 3: the file is not UTF-8 text"),
    "binary": (bytes(range(256)), "line 1: the file is not UTF-8|line 2: the file is not UTF-8"),
    "nan": (b"sender,receiver,weight\na,c,1\nb,c,nan\n", "line 3: weight is 'nan'; it must be a finite number"),
    "weight text": (b"sender,receiver,weight\na,c,1\nb,c,x\n", "line 3: weight is 'x'; it must be a number"),
    "weight missing": (b"sender,receiver,weight\na,c,1\nb,c,\n", "line 3 has no weight, but others have one"),
    "parallel": (b"sender,receiver\na,c\n\nb,c\na,c\n", "a -> c appears twice, at line 2 and line 5"),
    "self-loop": (b"sender,receiver\na,c\nc,c\n", r"c -> c \(line 3\) is a self-loop"),
    "cycle": (b"sender,receiver\na,b\nb,c\nc,b\nc,d\n", "synapse c -> b closes the cycle b -> c -> b"),
}


@pytest.mark.parametrize("case", CSV)
def test_a_wrong_edge_list_is_told_with_its_line(case: str, tmp_path: Path):
    data, sentence = CSV[case]
    path = tmp_path / "edges.csv"
    path.write_bytes(data)
    with pytest.raises(TopologyError, match=sentence) as caught:
        files.load(path)
    assert str(caught.value).startswith("topology 'edges.csv': ")


NODES = {
    "empty": ("", "the file is empty"),
    "neuron missing": ("label,role\na,input\n", "line 3: the sender b is not in edges.nodes.csv"),
    "neuron twice": ("label\na\nb\na\nz\n", "lines 2 and 4: both neurons are called a"),
    "role": (
        "label,role\na,imput\nb,\nz,\n",
        "line 2 of edges.nodes.csv has role 'imput', which is unknown; did you mean",
    ),
    "index": (
        "label,index\na,1\nb,first\nz,\n",
        "line 3 of edges.nodes.csv: index is 'first'; it must be a whole number",
    ),
    "index missing": (
        "label,index\na,1\nb,\nz,\n",
        "line 2 of edges.nodes.csv has an index, but line 3 of edges.nodes.csv",
    ),
    "index twice": ("label,index\na,1\nb,1\nz,\n", "have the same index 1"),
    "shape": ("label,shape\na,wide\nb,\nz,\n", "line 2 of edges.nodes.csv: shape is 'wide'"),
    "bias": ("label,bias\na,\nb,\nz,perhaps\n", "line 4 of edges.nodes.csv: bias is 'perhaps'"),
    "bias weight": ("label,bias_weight\na,\nb,\nz,inf\n", "line 4 of edges.nodes.csv: bias_weight is 'inf'"),
    "type": ("label,type\na,txt\nb,\nz,\n", "line 2 of edges.nodes.csv: a label's type is 'txt'; did you mean 'text'?"),
    "literal": (
        "label,type\na,literal\nb,\nz,\n",
        "line 2 of edges.nodes.csv: the label a has type 'literal', but is not a",
    ),
    "population order": ("label,population_index\na,x\nb,\nz,\n", "line 2 of edges.nodes.csv: population_index is 'x'"),
    "population": ("label,role,population\na,input,p\nb,input,q\nz,output,p\n", "population p mixes roles: line 4"),
}


@pytest.mark.parametrize("case", NODES)
def test_a_wrong_side_file_is_told_with_its_line(case: str, tmp_path: Path):
    text, sentence = NODES[case]
    (tmp_path / "edges.csv").write_text("sender,receiver\na,z\nb,z\n")
    (tmp_path / "edges.nodes.csv").write_text(text)
    with pytest.raises(TopologyError, match=sentence):
        files.load(tmp_path / "edges.csv")


def test_the_side_file_is_no_edge_list(tmp_path: Path):
    files.save(small(), tmp_path / "small.csv")
    with pytest.raises(TopologyError, match=r"give the edge list beside it, small\.csv"):
        files.load(tmp_path / "small.nodes.csv")


def graphml(body: str, direction: str = "directed") -> str:
    keys = "".join(f'<key id="{key}" for="all" attr.name="{key}" attr.type="string"/>' for key in ("role", "weight"))
    return (
        f'<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n{keys}<graph edgedefault="{direction}">\n'
        f'<node id="a"><data key="role">input</data></node>\n<node id="z"><data key="role">output</data></node>\n'
        f"{body}\n</graph>\n</graphml>"
    )


EDGE = '<edge source="a" target="z"/>'
GRAPHML = {
    "empty": ("", "the file is empty"),
    "text": ("hello", "line 1: the XML is malformed"),
    "open": ("<graphml>\n<graph>", "line 2: the XML is malformed"),
    "other XML": ("<svg/>", "the file holds 0 graphs; save one graph"),
    "undirected": (graphml(EDGE, "undirected"), "the graph is undirected"),
    "parallel": (graphml(EDGE + EDGE), "a -> z appears twice, as edges number 0 and 1"),
    "no node": (graphml('<edge source="a" target="y"/>'), "an edge names 'y', which is not a node"),
    "no target": (graphml('<edge source="a"/>'), "an edge names 'None', which is not a node"),
    "no key": (graphml(f'{EDGE[:-2]}><data key="w">1</data></edge>'), "networkx cannot read this GraphML"),
    "weight": (graphml(f'{EDGE[:-2]}><data key="weight">x</data></edge>'), "synapse number 0: weight is 'x'"),
}


@pytest.mark.parametrize("case", GRAPHML)
def test_wrong_graphml_is_told(case: str, tmp_path: Path):
    text, sentence = GRAPHML[case]
    path = tmp_path / "wiring.graphml"
    path.write_text(text)
    with pytest.raises(TopologyError, match=sentence):
        files.load(path)


def test_the_graphml_of_the_error_table_is_right_without_the_error(tmp_path: Path):
    path = tmp_path / "wiring.graphml"
    path.write_text(graphml(EDGE))
    assert files.load(path).labels == ("a", "z")


RIGHT = {
    "nodes": [{"id": "a", "role": "input"}, {"id": "z", "role": "output"}],
    "edges": [{"source": "a", "target": "z"}],
}
JSON = {
    "empty": ("", "the file is empty"),
    "malformed": ('{"nodes": [\n  }', "line 2, column 3: the JSON is malformed"),
    "deep": ("[" * 100_000, "nested too deeply"),
    "digits": ('{"nodes": [{"id": ' + "1" * 5000 + "}]}", "a whole number has more digits than can be read"),
    "list": ("[]", "the file holds a list"),
    "no nodes": ({"edges": []}, "no list 'nodes'"),
    "no edges": ({"nodes": []}, "no list 'edges' or 'links'"),
    "node without id": (RIGHT | {"nodes": [*RIGHT["nodes"], {}]}, "nodes: entry 2 lacks id"),
    "edge without target": (RIGHT | {"edges": [{"source": "a"}]}, "edges: entry 0 lacks source or target"),
    "id": (RIGHT | {"nodes": [{"id": {}}]}, "a node's id is the object"),
    "id twice": (RIGHT | {"nodes": RIGHT["nodes"] * 2}, "are both called a"),
    "no node": (
        RIGHT | {"edges": [{"source": "a", "target": "y"}]},
        "edge number 0 has the target 'y', which is not a node",
    ),
    "undirected": (RIGHT | {"directed": False}, "the graph is undirected"),
    "parallel": (RIGHT | {"edges": RIGHT["edges"] * 2}, "a -> z appears twice, at edge number 0 and edge number 1"),
    "nan": (RIGHT | {"edges": [RIGHT["edges"][0] | {"weight": float("nan")}]}, "edge number 0: weight is nan"),
    "populations": (RIGHT | {"graph": {"populations": {"a": {"roel": 1}}}}, "did you mean 'role'?"),
}


@pytest.mark.parametrize("case", JSON)
def test_wrong_json_is_told(case: str, tmp_path: Path):
    content, sentence = JSON[case]
    path = tmp_path / "wiring.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(TopologyError, match=sentence):
        files.load(path)


def test_the_json_of_the_error_table_is_right_without_the_error(tmp_path: Path):
    path = tmp_path / "wiring.json"
    path.write_text(json.dumps(RIGHT))
    assert files.load(path).labels == ("a", "z")


# Paths


@pytest.mark.parametrize("suffix", [".csv", ".graphml", ".json"])
def test_paths_that_are_no_files_are_told(suffix: str, tmp_path: Path):
    with pytest.raises(ConfigError, match=f"missing{suffix}: there is no such file"):
        files.load(tmp_path / f"missing{suffix}")
    folder = tmp_path / f"folder{suffix}"
    folder.mkdir()
    with pytest.raises(ConfigError, match=f"folder{suffix}: this is a directory; give a file"):
        files.load(folder)
    with pytest.raises(TopologyError, match="cannot be written"):
        files.save(small(), folder)
    with pytest.raises(TopologyError, match="cannot be written: No such file"):
        files.save(small(), tmp_path / "nowhere" / f"small{suffix}")
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    ("name", "hint"), [("a.jsn", "did you mean '.json'"), ("a", "choose one of '.yaml', '.yml', '.csv'")]
)
def test_an_unknown_suffix_is_told(name: str, hint: str, tmp_path: Path):
    (tmp_path / name).touch()
    with pytest.raises(TopologyError, match=hint):
        files.load(tmp_path / name)
    with pytest.raises(TopologyError, match=hint):
        files.save(small(), tmp_path / name)


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "small.json"
    files.save(small(), path)
    before = path.read_bytes()

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(TopologyError, match="cannot be written: No space left on device"):
        files.save(relabel(small(), "abcde"), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
