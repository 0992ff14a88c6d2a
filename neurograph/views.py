"""Between the compiled order and the user's: synapses, states and deltas by the user's own names and edge order."""

import dataclasses
from collections.abc import Hashable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Shaped

from .compile import CompiledGraph
from .engine import NetworkState
from .topology import Topology


def synapses(graph: CompiledGraph, values: Shaped[Array, "*channels synapses"]) -> Shaped[Array, "*channels synapses"]:
    """Per-synapse values (weights, deltas) from compiled order to the user's edge order, along the last axis."""
    return values[..., graph.synapse_rank]


def from_synapses(
    graph: CompiledGraph, values: Shaped[Array, "*channels synapses"]
) -> Shaped[Array, "*channels synapses"]:
    """Inverse of `synapses`."""
    return jnp.asarray(values)[..., graph.synapse_order]


def neurons(graph: CompiledGraph, values: Shaped[Array, "neurons *rest"]) -> Shaped[Array, "neurons *rest"]:
    """Per-neuron values (states) from compiled order to the user's rows, along the first axis."""
    return values[graph.neuron_rank]


def from_neurons(graph: CompiledGraph, values: Shaped[Array, "neurons *rest"]) -> Shaped[Array, "neurons *rest"]:
    """Inverse of `neurons`."""
    return jnp.asarray(values)[graph.neuron_order]


def by_name(
    topology: Topology, graph: CompiledGraph, values: Shaped[Array, "neurons *rest"]
) -> dict[Hashable, np.ndarray]:
    """Per-neuron values in compiled order (such as states `[neurons, states, batch]`) as a dict by neuron name."""
    return dict(zip(topology.names, np.asarray(neurons(graph, values)), strict=True))


def by_edge(
    topology: Topology, graph: CompiledGraph, values: Shaped[Array, "channels synapses"]
) -> dict[tuple[Hashable, Hashable], np.ndarray]:
    """Per-synapse values in compiled order (such as `NetworkState.forward`) as a dict by (sender, receiver) names."""
    names, columns = topology.names, np.asarray(synapses(graph, values)).T
    pairs = ((names[i], names[j]) for i, j in zip(topology.senders, topology.receivers, strict=True))
    return dict(zip(pairs, columns, strict=True))


def trained(topology: Topology, graph: CompiledGraph, network: NetworkState) -> Topology:
    """The topology with the network's synapses as its weights: to save, to convert, to start from again."""

    def wide(values):
        return np.asarray(values, np.float64)

    backward = None if network.backward is None else wide(synapses(graph, network.backward))
    return dataclasses.replace(
        topology,
        weights=wide(synapses(graph, network.forward)),
        backward_weights=backward,
        biases=wide(network.bias[:, graph.neuron_rank]),
    )


def with_synapses(
    graph: CompiledGraph, network: NetworkState, *, forward=None, backward=None, bias=None
) -> NetworkState:
    """The network with synapses given in the user's order: `[channels, synapses]`, bias `[channels, neurons]`.

    Raises:
        ValueError: a shape does not fit, or backward synapses are given where they share the forward values.
    """

    def fitted(name, value, old, order):
        if value is None:
            return old
        if old is None:
            raise ValueError("backward synapses share the forward values under this rule; set the forward ones alone.")
        if np.shape(value) != old.shape:
            raise ValueError(f"{name} has shape {np.shape(value)}; this network's has {old.shape}.")
        return jnp.asarray(value, old.dtype)[:, order]

    new = (
        fitted("forward", forward, network.forward, graph.synapse_order),
        fitted("backward", backward, network.backward, graph.synapse_order),
        fitted("bias", bias, network.bias, graph.neuron_order),
    )
    return eqx.tree_at(lambda n: (n.forward, n.backward, n.bias), network, new, is_leaf=lambda leaf: leaf is None)
