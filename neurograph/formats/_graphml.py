"""GraphML, read and written by networkx: any tool that knows GraphML can open it."""

import io
import json
from pathlib import Path
from xml.etree import ElementTree

import networkx as nx

from ..topology import Topology, from_networkx, relabel, to_networkx
from ..topology._columns import population_attributes
from ..topology._types import fail
from ._text import label_keys, label_of, read_text, write_texts


def read(path: Path) -> Topology:
    """The topology of a GraphML file."""
    # As bytes, since the XML may declare its encoding; `read_text` has checked them.
    data = read_text(path).encode()
    try:
        declared = {node.get("id") for node in ElementTree.fromstring(data).findall(".//{*}node")}
        graph = nx.read_graphml(io.BytesIO(data))
    except ElementTree.ParseError as error:
        raise fail(path.name, f"line {error.position[0]}: malformed XML, {error}.") from None
    except (nx.NetworkXException, KeyError, ValueError, TypeError, AttributeError) as error:
        raise fail(path.name, f"this is no GraphML that networkx reads: {error}.") from None
    undeclared = [node for node in graph if node not in declared]
    if undeclared:
        # networkx would add it, so that a slip in a name makes a neuron.
        raise fail(path.name, f"an edge names {undeclared[0]}, which is no node; add it to the nodes.")
    kinds = dict(graph.nodes(data="label_type"))
    topology = from_networkx(graph, name=path.name)
    if not any(kinds.values()):
        return topology
    return relabel(topology, [label_of(key, kind, f"node {key}", path.name) for key, kind in kinds.items()])


def write(topology: Topology, path: Path) -> None:
    """Write GraphML; names that are not plain text as Python literals, and so marked."""
    keys, kinds = label_keys(topology.names, topology.name)
    graph = to_networkx(relabel(topology, keys))
    if "literal" in kinds:
        nx.set_node_attributes(graph, dict(zip(keys, kinds, strict=True)), "label_type")
    graph.graph = {"populations": json.dumps(population_attributes(topology))}
    file = io.BytesIO()
    nx.write_graphml(graph, file)
    write_texts({path: file.getvalue().decode()})
