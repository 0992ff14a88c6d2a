"""Reads and writes GraphML through networkx, so that any tool that knows GraphML can open it.

What networkx would drop or merge without a word is refused first: further graphs, hyperedges, edges without direction,
parallel edges, two nodes of one id. Groups, which are nodes that hold a graph, are no neurons; the nodes in them are.
Where ids are opaque, such as n0 of yEd or 71 of Cytoscape, neurons have their names from `label` or `name`.
"""

import functools
import io
import json
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from ..._files.tables import read_text
from ..._text import count, shown
from .._columns import population_attributes
from .._construct import relabel
from .._networkx import from_networkx, to_networkx
from .._types import Topology, TopologyWarning, fail
from ._names import label_keys, label_of

if TYPE_CHECKING:
    import networkx as nx

_OPAQUE = re.compile(r"n?[0-9]+(::n?[0-9]+)*")
_NAME_ATTRIBUTES = ("label", "name", "shared name")
_GROUP = "yfiles.foldertype"


def read(path: Path) -> Topology:
    """Reads a GraphML file."""
    name = path.name
    # As bytes, since the XML may declare its encoding; `read_text` has checked them.
    data = read_text(path, functools.partial(fail, name)).encode()
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise fail(name, f"line {error.position[0]}: the XML is malformed: {error}.") from None
    except (LookupError, ValueError) as error:  # of an encoding that is not known
        raise fail(name, f"the XML is malformed: {error}.") from None
    groups = _check(root, name)
    graph = _parsed(root, name)
    nodes = {node.get("id") for node in root.iterfind(".//{*}node")}
    for node in graph:
        if node not in nodes:
            # networkx would add it, so that a slip in a name makes a neuron.
            raise fail(name, f"an edge names {shown(node)}, which is not a node; add it to the nodes.")
    for group in groups:
        if graph.degree(group):
            raise fail(name, f"an edge joins the group {shown(group)}; join the neurons in it instead.")
    graph.remove_nodes_from(groups)
    kinds = dict(graph.nodes(data="label_type"))
    topology = from_networkx(graph, name=name)
    if any(kinds.values()):
        return relabel(topology, [label_of(key, kind, f"node {key}", name) for key, kind in kinds.items()])
    names = None if "populations" in graph.graph else _names(graph)
    return topology if names is None else relabel(topology, names)


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


def _check(root: ElementTree.Element, name: str) -> list[str]:
    """Refuses what networkx would not tell of; marks groups as it knows them, and gives their ids."""
    n_graphs = len(root.findall("{*}graph"))
    if n_graphs != 1:
        raise fail(name, f"the file holds {count(n_graphs, 'graph')}; save one graph with all neurons.")
    if root.find(".//{*}hyperedge") is not None:
        raise fail(name, "the file has a hyperedge, but a synapse has one sender and one receiver; save it as edges.")
    if root.find(".//{*}port") is not None:
        warnings.warn(
            f"topology {name!r}: nodes have ports, which are ignored: an edge to a port leads to its node.",
            TopologyWarning,
            stacklevel=4,
        )
    groups: list[str] = []
    seen: set[str | None] = set()
    for node in root.iterfind(".//{*}node"):
        key = node.get("id")
        if key in seen:
            raise fail(name, f"two nodes have the id {shown(key)}; give each an id of its own.")
        seen.add(key)
        if key is not None and (node.find("{*}graph") is not None or node.get(_GROUP) == "group"):
            node.set(_GROUP, "group")
            groups.append(key)
    _check_edges(root, name)
    return groups


def _check_edges(root: ElementTree.Element, name: str) -> None:
    edges: dict[tuple[str | None, str | None], int] = {}
    for number, edge in enumerate(root.iterfind(".//{*}edge")):
        ends = edge.get("source"), edge.get("target")
        if edge.get("directed") in ("false", "0"):
            raise fail(
                name,
                f"edge number {number} ({ends[0]} -> {ends[1]}) is undirected, so it has no sender and no receiver; "
                "save a directed graph.",
            )
        first = edges.setdefault(ends, number)
        if first != number:
            raise fail(
                name,
                f"{ends[0]} -> {ends[1]} appears twice, as edges number {first} and {number}: two neurons have at "
                "most one synapse in a direction; remove one of them.",
            )


def _parsed(root: ElementTree.Element, name: str) -> "nx.Graph":
    import networkx as nx

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of ports
            return nx.read_graphml(io.BytesIO(ElementTree.tostring(root)))
    except (
        nx.NetworkXException,
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as e:
        raise fail(name, f"networkx cannot read this GraphML: {type(e).__name__}, {shown(str(e), 200)}.") from None


def _names(graph: "nx.Graph") -> list[str] | None:
    """Gives the nodes' names where ids are opaque and an attribute names each, none twice; else None."""
    if not all(_OPAQUE.fullmatch(node) for node in graph):
        return None
    for attribute in _NAME_ATTRIBUTES:
        names = [name.strip() if isinstance(name, str) else "" for _, name in graph.nodes(data=attribute)]
        if all(names) and len(set(names)) == len(names):
            return names
    return None
