"""Reads and writes GraphML through networkx, so that any tool that knows GraphML can open it."""

import functools
import io
import json
from pathlib import Path
from xml.etree import ElementTree

from .._columns import population_attributes
from .._construct import relabel
from .._networkx import from_networkx, to_networkx
from .._types import Topology, fail
from ._names import label_keys, label_of
from ._source import read_text


def read(path: Path) -> Topology:
    """Reads a GraphML file."""
    import networkx as nx

    # As bytes, since the XML may declare its encoding; `read_text` has checked them.
    data = read_text(path, functools.partial(fail, path.name)).encode()
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


def texts(topology: Topology, path: Path) -> dict[Path, str]:
    """Gives the file's text, in which names that are not plain text are marked Python literals."""
    import networkx as nx

    keys, kinds = label_keys(topology.names, topology.name)
    graph = to_networkx(relabel(topology, keys))
    if "literal" in kinds:
        nx.set_node_attributes(graph, dict(zip(keys, kinds, strict=True)), "label_type")
    graph.graph = {"populations": json.dumps(population_attributes(topology))}
    file = io.BytesIO()
    nx.write_graphml(graph, file)
    return {path: file.getvalue().decode()}
