"""Wirings as other programs write them are read as these mean them, or refused in a sentence that names the place."""

import json
import pathlib

import networkx as nx
import numpy as np
import pytest

from neurograph.topology import Topology, TopologyError, TopologyWarning, files, from_adjacency, from_networkx

CASES = pathlib.Path(__file__).parents[1] / "data" / "foreign"
GRAPHML = (
    '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><key id="l" for="node" attr.name="label" '
    'attr.type="string"/><graph edgedefault="directed">{}</graph>{}</graphml>'
)
NODES = '<node id="a"/><node id="b"/>'
EDGE = '<edge source="a" target="b"/>'


def synapses(topology: Topology) -> list[tuple]:
    """(sender, receiver), or (sender, receiver, weight) where there are weights, by name."""
    ends = [[str(topology.names[i]) for i in rows] for rows in (topology.senders, topology.receivers)]
    return list(zip(*ends, *([] if topology.weights is None else [topology.weights[0].tolist()]), strict=True))


def of_text(folder: pathlib.Path, text: str | bytes, name: str = "edges.csv") -> Topology:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return files.load(path)


@pytest.mark.parametrize(
    ("name", "expected"),
    {
        "edges/semicolon.csv": [("a", "c", 0.5), ("b", "c", 1.5), ("c", "d", 2.0)],
        "edges/tabs_and_comments.csv": [("0", "2"), ("1", "2"), ("2", "3")],
        "edges/tabs_and_comments.txt": [("0", "2"), ("1", "2"), ("2", "3")],
        "graphs/cytoscape.graphml": [("p1", "p2"), ("p2", "p3")],
        "graphs/d3_integer_ends.json": [("eye", "mid"), ("mid", "hand")],
        "graphs/yed_group.graphml": [("eye", "a"), ("eye", "b"), ("a", "b"), ("a", "hand"), ("b", "hand")],
    }.items(),
)
def test_they_are_read_as_their_makers_mean_them(name, expected):
    topology = files.load(CASES / name)
    assert synapses(topology) == expected
    assert [topology.names[i] for i in topology.inputs] == [
        own for own in dict.fromkeys(a for a, *_ in expected) if own not in {b for _, b, *_ in expected}
    ]


@pytest.mark.parametrize(
    ("name", "sentence"),
    {
        "edges/type_undirected.csv": "line 2: the type of the synapse is Undirected, so it has no sender",
        "graphs/parallel_edges_same_id.graphml": "p -> h appears twice, as edges number 0 and 1",
        "graphs/weight_of_400_digits.json": "edge number 0: weight is 10000.* ...; it must be a number below 1.8e308",
        "graphs/index_of_5000_digits.json": "a whole number has more digits than can be read",
    }.items(),
)
def test_they_are_refused_with_the_place(name, sentence):
    with pytest.raises(TopologyError, match=sentence) as error:
        files.load(CASES / name)
    assert len(str(error.value)) < 300


def test_attributes_of_other_programs_are_left_aside_with_a_warning():
    with pytest.warns(TopologyWarning) as told:
        neat = files.load(CASES / "graphs/neat_attributes.graphml")
    assert synapses(neat) == [("-1", "5", 0.5), ("5", "0", -1.0)]
    assert [(p.activation, p.bias) for p in neat.populations] == [(None, True), ("sigmoid", True), ("tanh", True)]
    assert "bias is ignored, since -0.37" in str(told[0].message)
    assert "enabled=False leaves out 1 synapse, the first" in str(told[1].message)
    with pytest.warns(TopologyWarning, match="shape is ignored, since 'ellipse'"):
        assert files.load(CASES / "graphs/shape_attribute.graphml").populations[0].shape is None
    graph = nx.DiGraph([("a", "b")])
    graph.add_nodes_from(["a", "b"], population=126000)
    with pytest.warns(TopologyWarning, match="population is ignored, since 126000"):
        assert [p.name for p in from_networkx(graph).populations] == ["input", "output"]
    slip = nx.DiGraph([("a", "b")])
    slip.add_nodes_from(["a", "b"], activation="tanhh")
    with pytest.raises(TopologyError, match="'tanhh', which is unknown; did you mean 'tanh'"):
        from_networkx(slip)


DIALECTS = {
    "comma": "sender,receiver,weight\na,b,0.5\n",
    "Excel's separator": "sep=;\nsender;receiver;weight\na;b;0,5\n",
    "trailing commas": "sender,receiver,weight,\na,b,0.5,\n",
    "trailing commas below": "sender,receiver,weight\na,b,0.5,,\n",
    "spaces": "sender  receiver weight\na b   0.5 \n",
    "tabs and a comma in decimals": "sender\treceiver\tweight\na\tb\t,5\n",
    "CR": "sender,receiver,weight\ra,b,0.5\r",
    "CRLF, BOM": "\ufeffSource,Target,Weight\r\na,b,0.5\r\n",
    "comments": '# made\n"sender",receiver,weight\n# by hand\na,b,0.5\n#end\n',
    "names of rows, as R writes them": "from to weight\n1 a b 0.5\n",
    "heads of connectomes": "pre_root_id,post_root_id,weight\na,b,0.5\n",
    "directed edges of Gephi": "Source,Target,Type,Id,Label,timeset,Weight\na,b,Directed,0,,,0.5\n",
}


@pytest.mark.parametrize("text", DIALECTS.values(), ids=DIALECTS)
def test_edge_lists_have_any_dialect(tmp_path, text):
    assert synapses(of_text(tmp_path, text)) == [("a", "b", 0.5)]


def test_edge_lists_of_numbers_need_no_header(tmp_path):
    assert synapses(of_text(tmp_path, "0 1\n1 2\n", "graph.edgelist")) == [("0", "1"), ("1", "2")]
    assert synapses(of_text(tmp_path, "0;1;0,5\n", "graph.tsv")) == [("0", "1", 0.5)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    {
        "sender,receiver\n3,4\n4,5\n3.0,5\n": "lines 2 and 4: 3 and 3.0 are the same number; if they are one neuron,",
        "sender;receiver;weight\na;b;0,5\na;c;1.5\n": "line 3: the number is '1.5', but '0,5' in line 2; write all",
        "sender,receiver,weight\na,b,1_000\n": "line 2: weight is '1_000'; it must be a number",
        "sender,receiver,directed\na,b,false\n": "line 2: the directed of the synapse is false",
    }.items(),
)
def test_edge_lists_that_may_mean_two_things_are_refused(tmp_path, text, sentence):
    with pytest.raises(TopologyError, match=sentence):
        of_text(tmp_path, text)


def test_a_comment_that_may_be_a_synapse_is_told(tmp_path):
    with pytest.warns(TopologyWarning, match=r"'edges\.csv': line 3: it begins with #, so it is taken for a comment"):
        assert synapses(of_text(tmp_path, "sender,receiver\na,b\n#b,c\n")) == [("a", "b")]
    path = tmp_path / "kept.csv"
    files.save(from_networkx(nx.DiGraph([("#1", "b")])), path)
    assert synapses(files.load(path)) == [("#1", "b")]


def test_a_table_of_neurons_with_ids_and_labels_goes_by_id(tmp_path):
    (tmp_path / "edges.nodes.csv").write_text("Id,Label,role\n1,eye,input\n2,hand,output\n")
    assert synapses(of_text(tmp_path, "Source,Target\n1,2\n")) == [("1", "2")]


@pytest.mark.parametrize(
    ("body", "after", "sentence"),
    [
        (NODES + EDGE, "<graph/>", "the file holds 2 graphs"),
        (NODES + EDGE + "<hyperedge/>", "", "the file has a hyperedge"),
        (NODES + '<edge source="a" target="b" directed="false"/>', "", r"edge number 0 \(a -> b\) is undirected"),
        (NODES + '<node id="a"/>' + EDGE, "", "two nodes have the id 'a'"),
        (f'<node id="g"><graph>{NODES}</graph></node><edge source="a" target="g"/>', "", "an edge joins the group 'g'"),
        (NODES + EDGE + '<edge source="a" target="c"/>', "", "an edge names 'c', which is not a node"),
    ],
)
def test_graphml_that_networkx_would_cut_is_refused(tmp_path, body, after, sentence):
    with pytest.raises(TopologyError, match=sentence):
        of_text(tmp_path, GRAPHML.format(body, after), "graph.graphml")


def test_graphml_with_an_unknown_encoding_or_a_number_without_end_is_told(tmp_path):
    text = GRAPHML.format(NODES + EDGE, "")
    with pytest.raises(TopologyError, match="the XML is malformed"):
        of_text(tmp_path, f'<?xml version="1.0" encoding="klingon"?>{text}', "graph.graphml")
    key = '<key id="i" for="node" attr.name="index" attr.type="long"/>'
    long = text.replace("<graph ", f"{key}<graph ").replace(
        '<node id="a"/>', f'<node id="a"><data key="i">{"9" * 5000}</data></node>'
    )
    with pytest.raises(TopologyError, match="networkx cannot read this GraphML: ValueError"):
        of_text(tmp_path, long, "graph.graphml")


def test_names_of_graphml_come_from_labels_where_ids_say_nothing(tmp_path):
    nodes = '<node id="n0"><data key="l">x</data></node><node id="n1"><data key="l">{}</data></node>'
    edge = '<edge source="n0" target="n1"/>'
    assert synapses(of_text(tmp_path, GRAPHML.format(nodes.format("y") + edge, ""), "g.graphml")) == [("x", "y")]
    assert synapses(of_text(tmp_path, GRAPHML.format(nodes.format("x") + edge, ""), "g.graphml")) == [("n0", "n1")]
    assert synapses(
        of_text(tmp_path, GRAPHML.format((nodes.format("y") + edge).replace("n1", "b"), ""), "g.graphml")
    ) == [("n0", "b")]


def test_ports_are_told(tmp_path):
    with pytest.warns(TopologyWarning, match="nodes have ports, which are ignored"):
        of_text(tmp_path, GRAPHML.format('<node id="a"><port name="p"/></node><node id="b"/>' + EDGE, ""), "g.graphml")


def test_json_that_would_lose_something_is_refused(tmp_path):
    twice = '{"directed": true, "nodes": [{"id": "a", "id": "b"}], "links": []}'
    with pytest.raises(TopologyError, match="an object has the key 'id' twice"):
        of_text(tmp_path, twice, "g.json")
    with pytest.raises(TopologyError, match=r"networkx\.cytoscape_graph"):
        of_text(tmp_path, json.dumps({"elements": {"nodes": []}}), "g.json")
    unnamed = {"nodes": [{"name": "x"}, {"name": "x"}], "links": [{"source": 0, "target": 1}]}
    assert synapses(of_text(tmp_path, json.dumps(unnamed), "g.json")) == [("0", "1")]


@pytest.mark.parametrize("value", [10**400, -(10**5000), float("inf")], ids=["long", "very long", "infinite"])
@pytest.mark.parametrize("where", ["weight", "synapse_index", "index", "bias_weight", "shape"])
def test_numbers_beyond_all_bounds_are_told(value, where):
    graph = nx.DiGraph([("a", "b")])
    graph.add_node("a", role="input")
    graph.add_node("b", role="output")
    if where in ("weight", "synapse_index"):
        graph.edges["a", "b"][where] = value
    else:
        graph.nodes["b"][where] = (value, 1) if where == "shape" else value
    if where == "shape":
        graph.nodes["a"]["shape"] = (1, 1)
    if where == "index" and isinstance(value, int):
        assert from_networkx(graph).outputs.tolist() == [1]  # an order of any integers
        return
    with pytest.raises(TopologyError, match=where) as error:
        from_networkx(graph)
    assert len(str(error.value)) < 300


def test_a_neuron_may_be_called_by_a_number_of_any_length():
    graph = nx.DiGraph([(10**5000, "b"), ("b", "b")])
    with pytest.raises(TopologyError, match="self-loop"):
        from_networkx(graph)
    graph = nx.DiGraph([(10**5000, "b"), ("b", 10**5000)])
    with pytest.raises(TopologyError, match="an integer of 16,610 bits"):
        from_networkx(graph)


@pytest.mark.parametrize("suffix", ["gexf", "gml", "net", "sif", "mat", "npz", "mtx"])
def test_other_formats_say_what_reads_them(tmp_path, suffix):
    with pytest.raises(TopologyError, match=r"is read in Python: topology\.files\.save\(topology\.from_"):
        of_text(tmp_path, "x", f"graph.{suffix}")


def test_a_matrix_keeps_its_numbers():
    counts = np.array([[0, 3, 1], [0, 0, 7], [0, 0, 0]])
    assert synapses(from_adjacency(counts)) == [("0", "1", 3), ("0", "2", 1), ("1", "2", 7)]
    assert from_adjacency((counts > 0).astype(int)).weights is None
    assert from_adjacency(counts > 0).weights is None
    with pytest.raises(TopologyError, match="has type complex128; it must hold real numbers"):
        from_adjacency(counts + 1j)
    with pytest.raises(TopologyError, match="has masked entries"):
        from_adjacency(np.ma.masked_less(counts, 2))
    with pytest.raises(TopologyError, match="rows of different lengths"):
        from_adjacency([[0, 1], [0]])


class Frame:
    """As much of a data frame as is read."""

    def __init__(self, values, index, columns):
        self.values, self.index, self.columns = values, index, columns

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)


def test_a_data_frame_gives_its_names_and_must_be_square_in_them():
    assert from_adjacency(Frame([[0, 1], [0, 0]], ["x", "y"], ["x", "y"])).labels == ("x", "y")
    with pytest.raises(TopologyError, match="the same names in the same order"):
        from_adjacency(Frame([[0, 1], [0, 0]], ["x", "y"], ["y", "x"]))
