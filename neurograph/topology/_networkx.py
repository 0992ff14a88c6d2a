"""Converts networkx graphs to topologies, and back."""

import itertools
from typing import TYPE_CHECKING

import numpy as np

from ._columns import (
    columns_of,
    edge_columns,
    from_columns,
    is_edge_column,
    is_node_column,
    node_columns,
    population_attributes,
    rows_of,
)
from ._types import Topology, fail
from ._validate import text_of

if TYPE_CHECKING:
    import networkx as nx


def from_networkx(graph: "nx.Graph", *, name: str | None = None) -> Topology:
    """Makes a validated `Topology` from a directed networkx graph.

    Node attributes, all optional: `role` ("input", "hidden" or "output"; default hidden), `population` (default: the
    role), `index` (orders inputs and outputs among themselves; default: the graph's node order), `activation`, `bias`
    and `shape` of the node's population, `bias_weight`. Edge attributes, all optional: `weight`, `backward_weight`,
    `synapse_index`, the place in the synapses' order where that is not the order of `graph.edges`, and `enabled`: an
    edge with `enabled=False` is left out. Values of several channels are `weight_1`, `weight_2`, ... The graph
    attribute `populations` may hold {name: {role, shape, activation, bias}}. If no node has a role, those that receive
    nothing are inputs and those that send nothing outputs. Other attributes are left aside. So are, with a warning,
    `population`, `activation`, `bias` and `shape` without a single value of the right form, such as `shape="ellipse"`.

    Args:
        graph: the wiring, a `DiGraph`; any hashable nodes. A `MultiDiGraph` is taken if it has no parallel edges.
        name: what messages call it; by default the graph's name.

    Returns:
        The topology; its rows are the graph's nodes, in the graph's order.

    Raises:
        TopologyError: the graph is undirected, an attribute has the wrong form, or a rule is broken (see `validate`).

    Warns:
        TopologyWarning: an attribute is left aside as another program's, or an edge that is not enabled is left out.

    >>> import networkx as nx
    >>> graph = nx.DiGraph([("x", "y")])
    >>> graph.nodes["x"]["role"], graph.nodes["y"]["role"] = "input", "output"
    >>> from_networkx(graph).labels
    ('x', 'y')
    """
    import networkx as nx

    if not isinstance(graph, nx.Graph):
        raise fail(name or "topology", f"got an object of type {type(graph).__name__}; give a networkx.DiGraph.")
    name = name or str(graph.graph.get("name") or "topology")
    if not graph.is_directed():
        raise fail(
            name,
            f"the graph is undirected (networkx.{type(graph).__name__}), so no synapse has a sender and a receiver; "
            "give a networkx.DiGraph, with every edge in the direction in which the signal goes.",
        )
    labels = list(graph)
    row = {label: i for i, label in enumerate(labels)}
    if isinstance(graph, nx.MultiDiGraph):
        edges = list(graph.edges(data=True))
        senders = np.array([row[u] for u, _, _ in edges], dtype=np.int64)
        receivers = np.array([row[v] for _, v, _ in edges], dtype=np.int64)
        attributes = [data for _, _, data in edges]
    else:
        # Reads the dictionaries of successors whole: several times faster than edge by edge.
        successors = [mapping for _, mapping in graph.adjacency()]
        degree = np.fromiter(map(len, successors), np.int64, count=len(labels))
        senders = np.repeat(np.arange(len(labels)), degree)
        targets = map(row.__getitem__, itertools.chain.from_iterable(successors))
        receivers = np.fromiter(targets, np.int64, count=senders.size)
        attributes = list(itertools.chain.from_iterable(mapping.values() for mapping in successors))
    return from_columns(
        labels,
        senders,
        receivers,
        columns_of([data for _, data in graph.nodes(data=True)], is_node_column),
        columns_of(attributes, is_edge_column),
        name=name,
        populations=graph.graph.get("populations"),
        lenient=True,
    )


def to_networkx(topology: Topology) -> "nx.DiGraph":
    """Gives the wiring as a networkx graph, without loss: `from_networkx` gives an equal topology back.

    Args:
        topology: the wiring.

    Returns:
        The graph, with the attributes that `from_networkx` reads.

    Raises:
        TopologyError: a neuron is called None, which cannot be a node.
    """
    import networkx as nx

    if None in topology.names:
        raise fail(topology.name, f"a neuron is called {text_of(None)}, which networkx cannot hold; rename it.")
    graph = nx.DiGraph(name=topology.name, populations=population_attributes(topology))
    graph.add_nodes_from(zip(topology.names, rows_of(node_columns(topology), topology.n_neurons), strict=True))
    columns = edge_columns(topology)
    if np.any(np.diff(topology.senders) < 0):
        # networkx lists edges by their senders, in node order.
        columns["synapse_index"] = list(range(topology.n_synapses))
    names = topology.names
    graph.add_edges_from(
        zip(
            [names[i] for i in topology.senders.tolist()],
            [names[j] for j in topology.receivers.tolist()],
            rows_of(columns, topology.n_synapses),
            strict=True,
        )
    )
    return graph
