"""Reads and writes node-link JSON, without networkx, which would drop the second of parallel edges."""

import functools
import json
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np

from ..._files.tables import read_text
from ..._text import shown
from .._columns import (
    columns_of,
    edge_columns,
    from_columns,
    is_edge_column,
    is_node_column,
    node_columns,
    population_attributes,
    rows_of,
)
from .._types import Topology, TopologyError, fail
from ._names import check_label


def read(path: Path) -> Topology:
    """Reads a node-link JSON file, as `networkx.node_link_data` or D3 gives it.

    Nodes are called by their `id`. Where none has one, edges give positions in the list of nodes, as D3 does, and nodes
    are called by `name` or `label` if all have one of their own, else by position.
    """
    name = path.name
    data = _parsed(path)
    if not isinstance(data, dict):
        raise fail(name, f"the file holds a {type(data).__name__}; it must be an object with nodes and edges.")
    if "elements" in data and "nodes" not in data:
        raise fail(
            name,
            "this is Cytoscape's JSON; read it in Python with networkx.cytoscape_graph(json.load(open(path))), and "
            "give the result to neurograph.topology.from_networkx.",
        )
    if not data.get("directed", True):
        raise fail(name, "the graph is undirected, so no synapse has a sender and a receiver; save a directed graph.")
    nodes = _records(data, ("nodes",), (), name)
    edges = _records(data, ("edges", "links"), ("source", "target"), name)
    attributes = data.get("graph", {})
    if nodes and not any("id" in node for node in nodes):
        labels = _names(nodes)
        row: dict[Hashable, int] = {i: i for i in range(len(nodes))}
    else:
        _records(data, ("nodes",), ("id",), name)
        labels = [_label(node["id"], name) for node in nodes]
        row = {label: i for i, label in enumerate(labels)}
    return from_columns(
        labels,
        _rows(edges, "source", row, name),
        _rows(edges, "target", row, name),
        columns_of(nodes, is_node_column),
        columns_of(edges, is_edge_column),
        name=name,
        populations=attributes.get("populations") if isinstance(attributes, dict) else None,
        lenient=True,
        edge_place=lambda e: f"edge number {e}",
    )


def _parsed(path: Path) -> Any:
    """Parses a file; what is malformed, or would be read as something else, is refused."""
    text = read_text(path, functools.partial(fail, path.name))
    try:
        return json.loads(text, object_pairs_hook=functools.partial(_object, name=path.name))
    except json.JSONDecodeError as error:
        raise fail(
            path.name, f"line {error.lineno}, column {error.colno}: the JSON is malformed: {error.msg}."
        ) from None
    except RecursionError:
        raise fail(path.name, "the JSON is nested too deeply.") from None
    except TopologyError:
        raise
    except ValueError:  # Python's limit for the digits of an integer
        raise fail(
            path.name, "a whole number has more digits than can be read; if it is a name, put it in quotes."
        ) from None


def _object(pairs: list[tuple[str, Any]], name: str) -> dict[str, Any]:
    """Makes an object, in which a key that comes twice would hide what came first."""
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise fail(name, f"an object has the key {shown(twice)} twice; remove one of them.")
    return result


def _names(nodes: list[dict[str, Any]]) -> list[Hashable]:
    """Gives the names of nodes without ids."""
    for key in ("name", "label"):
        names: list[Hashable] = [own for node in nodes if isinstance(own := node.get(key), str) and own]
        if len(names) == len(set(names)) == len(nodes):
            return names
    return list(range(len(nodes)))


def texts(topology: Topology, path: Path) -> dict[Path, str]:
    """Gives the file's text, with one node or edge a line."""
    names = topology.names
    for name in names:
        check_label(name, topology.name)
        if isinstance(name, str) and not name.isascii() and json.loads(json.dumps(name)) != name:
            raise fail(topology.name, f"a neuron is called {name!r}, which JSON would change; rename it.")
    nodes = rows_of(node_columns(topology), topology.n_neurons)
    columns = edge_columns(topology)
    if np.any(np.diff(topology.senders) < 0):
        # The lines are in order, but networkx would lose it.
        columns["synapse_index"] = list(range(topology.n_synapses))
    edges = rows_of(columns, topology.n_synapses)
    ends = zip(topology.senders.tolist(), topology.receivers.tolist(), edges, strict=True)
    node_lines = ",\n".join(json.dumps({"id": a, **node}) for a, node in zip(names, nodes, strict=True))
    edge_lines = ",\n".join(json.dumps({"source": names[i], "target": names[j], **edge}) for i, j, edge in ends)
    head = json.dumps({"populations": population_attributes(topology)})
    text = (
        '{"directed": true, "multigraph": false,\n'
        f'"graph": {head},\n"nodes": [\n{node_lines}\n],\n"edges": [\n{edge_lines}\n]}}\n'
    )
    return {path: text}


def _records(data: dict[str, Any], keys: tuple[str, ...], needed: tuple[str, ...], name: str) -> list[dict[str, Any]]:
    records = next((data[key] for key in keys if key in data), None)
    if not isinstance(records, list):
        raise fail(name, f"the object has no list {' or '.join(map(repr, keys))}; save it as node-link data.")
    for i, record in enumerate(records):
        if not isinstance(record, dict) or not all(key in record for key in needed):
            raise fail(name, f"{keys[0]}: entry {i} lacks {' or '.join(needed)}; add it.")
    return records


def _label(value: Any, name: str) -> Hashable:
    if isinstance(value, dict):
        raise fail(
            name, f"a node's id is the object {shown(value)}; it must be text, a number, true, false, null or a list."
        )
    return tuple(_label(part, name) for part in value) if isinstance(value, list) else value


def _rows(edges: list[dict[str, Any]], key: str, row: dict[Hashable, int], name: str) -> np.ndarray:
    rows = np.empty(len(edges), dtype=np.int64)
    for e, edge in enumerate(edges):
        label = _label(edge[key], name)
        if label not in row:
            raise fail(name, f"edge number {e} has the {key} {shown(label)}, which is not a node; add it to the nodes.")
        rows[e] = row[label]
    return rows
