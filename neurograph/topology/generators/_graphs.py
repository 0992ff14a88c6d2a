"""Makes wirings of undirected random graphs, oriented by the order of their nodes, between inputs and outputs."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .. import _size, projections
from .._construct import build
from .._types import Activation, Topology, fail
from ..projections import Pairs
from ._parts import (
    STREAM_CORE,
    STREAM_INPUTS,
    STREAM_ORDER,
    STREAM_OUTPUTS,
    check_counts,
    from_inputs,
    three,
    to_outputs,
)

if TYPE_CHECKING:
    import networkx as nx

NODE_OF_NETWORKX, EDGE_OF_NETWORKX = 400, 250
"""Bytes that a node and an edge of a networkx graph take, at most, with the list of their ends."""


class _Sizes(NamedTuple):
    n_inputs: int
    n_outputs: int
    n_nodes: int
    width: int


class _Ends(NamedTuple):
    inputs_to: str
    input_degree: int | None
    outputs_from: str
    output_degree: int | None


def erdos_renyi(
    n_inputs: int,
    n_outputs: int,
    n_nodes: int,
    *,
    p: float,
    width: int = 1,
    order: str = "index",
    inputs_to: str = "sources",
    input_degree: int | None = None,
    outputs_from: str = "sinks",
    output_degree: int | None = None,
    activation: Activation | None = None,
    bias: bool = True,
    seed: int = 0,
    name: str = "erdos_renyi",
) -> Topology:
    """Joins each pair of nodes of a random graph with probability p, between inputs and outputs.

    Args:
        n_inputs, n_outputs: neurons of each role.
        n_nodes: nodes of the random graph.
        p: probability of an edge.
        width: neurons of each node; `n_nodes * width` hidden neurons.
        order: what orients the edges: the nodes' "index", or a "random" order of them.
        inputs_to: what the inputs feed: the "sources" (nodes without sender) or "all" nodes.
        input_degree: inputs that each neuron fed by inputs sees; None: all.
        outputs_from: what feeds the outputs: the "sinks" (nodes without receiver) or "all" nodes.
        output_degree: hidden senders of each output (all there are, where there are fewer); None: all that may feed it.
        activation, bias: of the hidden neurons.
        seed: the seed of the random choices.
        name: what messages call it.

    Returns:
        The wiring, with the populations input, hidden, output.

    Raises:
        TopologyError: a number is out of range, or the wiring is too large for this computer's memory.
    """
    sizes = _Sizes(n_inputs, n_outputs, n_nodes, width)
    ends = _Ends(inputs_to, input_degree, outputs_from, output_degree)
    _check(sizes, ends, order, name)
    if not 0 <= p <= 1:
        raise fail(name, f"p is {p}; a probability lies between 0 and 1.")
    _check_memory(sizes, ends, _size.pairwise_bernoulli(n_nodes, n_nodes, p, within=True), name)
    rng = projections.generator(seed, STREAM_CORE)
    edges = projections.pairwise_bernoulli(rng, n_nodes, n_nodes, p, within=True)
    return _built(edges, sizes, ends, order, activation, bias, seed, name)


def small_world(
    n_inputs: int,
    n_outputs: int,
    n_nodes: int,
    *,
    n_neighbours: int = 4,
    p: float = 0.75,
    width: int = 1,
    order: str = "index",
    inputs_to: str = "sources",
    input_degree: int | None = None,
    outputs_from: str = "sinks",
    output_degree: int | None = None,
    activation: Activation | None = None,
    bias: bool = True,
    seed: int = 0,
    name: str = "small_world",
) -> Topology:
    """Rewires some edges of a ring of nodes at random (Watts and Strogatz 1998), between inputs and outputs.

    Args:
        n_inputs, n_outputs, n_nodes: see `erdos_renyi`.
        n_neighbours: nearest neighbours of each node on the ring, an even number.
        p: probability that an edge is rewired.
        width, order, inputs_to, input_degree, outputs_from, output_degree, activation, bias: see `erdos_renyi`. With
            order "index" the ring is one long path; many levels follow.
        seed, name: see `erdos_renyi`.

    Returns:
        The wiring, with the populations input, hidden, output.

    Raises:
        TopologyError: see `erdos_renyi`.
    """
    sizes = _Sizes(n_inputs, n_outputs, n_nodes, width)
    ends = _Ends(inputs_to, input_degree, outputs_from, output_degree)
    _check(sizes, ends, order, name)
    if not 0 <= p <= 1:
        raise fail(name, f"p is {p}; a probability lies between 0 and 1.")
    if n_neighbours % 2 or not 2 <= n_neighbours < n_nodes:
        raise fail(
            name, f"n_neighbours is {n_neighbours}; it must be even, at least 2 and less than n_nodes = {n_nodes}."
        )
    _check_memory(sizes, ends, n_nodes * (n_neighbours // 2), name, of_networkx=True)
    import networkx as nx

    edges = _oriented(nx.watts_strogatz_graph(n_nodes, n_neighbours, p, seed=seed))
    return _built(edges, sizes, ends, order, activation, bias, seed, name)


def scale_free(
    n_inputs: int,
    n_outputs: int,
    n_nodes: int,
    *,
    n_attached: int = 4,
    width: int = 1,
    order: str = "index",
    inputs_to: str = "sources",
    input_degree: int | None = None,
    outputs_from: str = "sinks",
    output_degree: int | None = None,
    activation: Activation | None = None,
    bias: bool = True,
    seed: int = 0,
    name: str = "scale_free",
) -> Topology:
    """Adds nodes that attach to well-connected ones (Barabasi and Albert 1999), between inputs and outputs.

    Args:
        n_inputs, n_outputs, n_nodes: see `erdos_renyi`.
        n_attached: older nodes that each new node is joined to, 1 or more, less than n_nodes.
        width, order, inputs_to, input_degree, outputs_from, output_degree, activation, bias: see `erdos_renyi`. With
            order "index" old nodes, the hubs among them, send to younger ones.
        seed, name: see `erdos_renyi`.

    Returns:
        The wiring, with the populations input, hidden, output.

    Raises:
        TopologyError: see `erdos_renyi`.
    """
    sizes = _Sizes(n_inputs, n_outputs, n_nodes, width)
    ends = _Ends(inputs_to, input_degree, outputs_from, output_degree)
    _check(sizes, ends, order, name)
    if not 1 <= n_attached < n_nodes:
        raise fail(name, f"n_attached is {n_attached}; it must lie between 1 and n_nodes - 1 = {n_nodes - 1}.")
    _check_memory(sizes, ends, n_attached * (n_nodes - n_attached), name, of_networkx=True)
    import networkx as nx

    edges = _oriented(nx.barabasi_albert_graph(n_nodes, n_attached, seed=seed))
    return _built(edges, sizes, ends, order, activation, bias, seed, name)


def _check(sizes: _Sizes, ends: _Ends, order: str, name: str) -> None:
    """Checks what the random graphs have in common."""
    check_counts(name, **sizes._asdict())
    for key, value, allowed in [
        ("order", order, ("index", "random")),
        ("inputs_to", ends.inputs_to, ("sources", "all")),
        ("outputs_from", ends.outputs_from, ("sinks", "all")),
    ]:
        if value not in allowed:
            raise fail(name, f"{key} is {value!r}; it must be {allowed[0]!r} or {allowed[1]!r}.")


def _check_memory(
    sizes: _Sizes,
    ends: _Ends,
    n_edges: float,
    name: str,
    *,
    n_sources: int = 1,
    n_sinks: int = 1,
    of_networkx: bool = False,
) -> None:
    """Checks that a random graph of so many edges fits into memory; it has one source and one sink or more."""
    n_inputs, n_outputs, n_nodes, width = map(int, sizes)
    n_fed = width * (n_nodes if ends.inputs_to == "all" else n_sources)
    n_feeding = width * (n_nodes if ends.outputs_from == "all" else n_sinks)
    n_seen = n_inputs if ends.input_degree is None else min(ends.input_degree, n_inputs)
    n_read = n_feeding if ends.output_degree is None else min(ends.output_degree, n_feeding)
    # Each input, and each neuron of a sink, has a synapse at least.
    n_synapses = max(n_inputs, n_fed * n_seen) + n_edges * width**2 + max(n_outputs * n_read, n_sinks * width)
    other = n_nodes * NODE_OF_NETWORKX + int(n_edges) * EDGE_OF_NETWORKX if of_networkx else 0
    _size.check(name, n_synapses, n_inputs + n_nodes * width + n_outputs, other)


def _built(
    edges: Pairs,
    sizes: _Sizes,
    ends: _Ends,
    order: str,
    activation: Activation | None,
    bias: bool,
    seed: int,
    name: str,
) -> Topology:
    """Puts a DAG of nodes (edges from lower to higher numbers) between inputs and outputs."""
    synapses = _joined(edges, sizes, ends, order, seed, name)
    n_inputs, n_outputs, n_nodes, width = sizes
    return build(*synapses, three(n_inputs, n_nodes * width, n_outputs, activation, bias), name=name)


def _joined(edges: Pairs, sizes: _Sizes, ends: _Ends, order: str, seed: int, name: str) -> Pairs:
    """Gives the synapses from the inputs, those of the edges, and those to the outputs."""
    n_inputs, n_outputs, n_nodes, width = sizes
    if order == "random":
        rank = projections.generator(seed, STREAM_ORDER).permutation(n_nodes)
        from_to = np.sort(rank[np.stack(edges)], axis=0)
        edges = (from_to[0], from_to[1])
    nodes = np.arange(n_nodes)
    sources, sinks = np.setdiff1d(nodes, edges[1]), np.setdiff1d(nodes, edges[0])
    _check_memory(sizes, ends, edges[0].size, name, n_sources=sources.size, n_sinks=sinks.size)
    fed = sources if ends.inputs_to == "sources" else nodes
    feeding = sinks if ends.outputs_from == "sinks" else nodes
    column = np.arange(width)
    senders = (edges[0][:, None, None] * width + column).repeat(width, axis=1).ravel()
    receivers = (edges[1][:, None, None] * width + column[:, None]).repeat(width, axis=2).ravel()

    def neurons(of: np.ndarray) -> np.ndarray:
        return n_inputs + (of[:, None] * width + column).ravel()

    inputs, outputs = (projections.generator(seed, stream) for stream in (STREAM_INPUTS, STREAM_OUTPUTS))
    first_output = n_inputs + n_nodes * width
    parts = [
        from_inputs(inputs, n_inputs, neurons(fed), ends.input_degree, name),
        (n_inputs + senders, n_inputs + receivers),
        to_outputs(outputs, neurons(feeding), neurons(sinks), first_output, n_outputs, ends.output_degree, name),
    ]
    return projections.join(parts)


def _oriented(graph: "nx.Graph") -> Pairs:
    """Gives every edge from the lower to the higher number, sorted by receiver, then by sender; empties the graph."""
    ends = np.fromiter((end for edge in graph.edges for end in edge), dtype=np.int64).reshape(-1, 2)
    graph.clear()
    ends.sort(axis=1)
    ends = ends[np.lexsort((ends[:, 0], ends[:, 1]))]
    return ends[:, 0], ends[:, 1]
