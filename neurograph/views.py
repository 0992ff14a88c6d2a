"""Between the compiled order and the user's: synapses, states and deltas by the user's own names and edge order."""

import dataclasses
from collections.abc import Hashable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Shaped

from .compile import CompiledGraph
from .engine import NetworkState
from .topology import Topology


def synapses(
    graph: CompiledGraph, values: tuple[Shaped[Array, "channels ..."], ...]
) -> Shaped[Array, "channels synapses"]:
    """Synapses (such as `NetworkState.forward`, or differences of it) from compiled order to the user's edge order.

    Args:
        values: the parts: one array for each matmul, then one of all other synapses.
    """
    return graph.join(values)[:, graph.synapse_rank]


def from_synapses(
    graph: CompiledGraph, values: Shaped[Array, "channels synapses"]
) -> tuple[Shaped[Array, "channels ..."], ...]:
    """Inverse of `synapses`."""
    return graph.split(jnp.asarray(values)[:, graph.synapse_order])


def neurons(graph: CompiledGraph, values: Shaped[Array, "_ neurons *rest"]) -> Shaped[Array, "_ neurons *rest"]:
    """Per-neuron values (states, biases) from compiled order to the user's, along the second axis."""
    return values[:, graph.neuron_rank]


def from_neurons(graph: CompiledGraph, values: Shaped[Array, "_ neurons *rest"]) -> Shaped[Array, "_ neurons *rest"]:
    """Inverse of `neurons`."""
    return jnp.asarray(values)[:, graph.neuron_order]


def by_name(
    topology: Topology, graph: CompiledGraph, values: Shaped[Array, "_ neurons *rest"]
) -> dict[Hashable, np.ndarray]:
    """Per-neuron values in compiled order (such as states `[states, neurons, batch]`) as a dict by neuron name."""
    return dict(zip(topology.names, np.moveaxis(np.asarray(neurons(graph, values)), 1, 0), strict=True))


def by_edge(
    topology: Topology, graph: CompiledGraph, values: tuple[Shaped[Array, "channels ..."], ...]
) -> dict[tuple[Hashable, Hashable], np.ndarray]:
    """Synapses in compiled order (such as `NetworkState.forward`) as a dict by (sender, receiver) names."""
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
        biases=wide(neurons(graph, network.bias)),
    )


def with_synapses(
    graph: CompiledGraph, network: NetworkState, *, forward=None, backward=None, bias=None
) -> NetworkState:
    """The network with synapses given in the user's order; what is not given stays.

    Copies that the rule ties may be given apart (a channel for each state of single-state synapses, backward synapses
    of symmetric ones): they are then stored apart and receive the same changes, as in the published code.

    Args:
        forward, backward: `[channels, synapses]`.
        bias: `[channels, neurons]`.

    Raises:
        ValueError: a shape does not fit, or the numbers of channels differ.
    """
    given = {"forward": forward, "backward": backward, "bias": bias}
    new = {}
    for name, value in given.items():
        n = graph.n_neurons if name == "bias" else graph.n_synapses
        if value is None:
            new[name] = getattr(network, name)
            continue
        if np.ndim(value) != 2 or np.shape(value)[1] != n:
            raise ValueError(f"{name} has shape {np.shape(value)}; this wiring needs [channels, {n}].")
        value = jnp.asarray(value, network.dtype)
        new[name] = from_neurons(graph, value) if name == "bias" else from_synapses(graph, value)
    channels = {name: jax.tree.leaves(value)[-1].shape[0] for name, value in new.items() if value is not None}
    if len(set(channels.values())) > 1:
        raise ValueError(f"the synapses have different numbers of channels: {channels}; give all of them alike.")
    return NetworkState(**new, neurons=network.neurons, step=network.step)
