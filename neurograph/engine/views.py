"""Between the compiled order and the user's: synapses, states and deltas by the user's own names and edge order."""

import dataclasses
from collections.abc import Hashable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Shaped

from .._text import UserError
from ..compile import CompiledGraph
from ..topology import Topology
from .arrangement import ByPart, ByStage, whole
from .state import NetworkState


def synapses(net: CompiledGraph, values: ByPart) -> Any:
    """Synapses by part (such as `NetworkState.forward`, a difference of it, or memory) in the user's edge order.

    Args:
        net: the compiled graph.
        values: an array, or a pytree of arrays, for each matmul, then one for all other synapses.

    Returns:
        `[channels, synapses]`, or a pytree of such.
    """
    return jax.tree.map(lambda *parts: net.join(parts)[:, net.synapse_rank], *values)


def from_synapses(net: CompiledGraph, values: Any) -> ByPart:
    """Inverse of `synapses`."""
    leaves, tree = jax.tree.flatten(values)
    split = [net.split(jnp.asarray(leaf)[:, net.synapse_order]) for leaf in leaves]
    n_parts = len(net.wiring.matmuls) + 1
    return tuple(jax.tree.unflatten(tree, [parts[n] for parts in split]) for n in range(n_parts))


def neurons(net: CompiledGraph, values: Array | ByStage) -> Shaped[Array, "_ neurons *rest"]:
    """Numbers of neurons in the user's order, along the second axis.

    Args:
        net: the compiled graph.
        values: in compiled order: an array of all neurons such as biases, or states by stage.
    """
    return (whole(values) if isinstance(values, tuple) else values)[:, net.neuron_rank]


def from_neurons(net: CompiledGraph, values: Shaped[Array, "_ neurons *rest"]) -> Shaped[Array, "_ neurons *rest"]:
    """Inverse of `neurons`, as one array."""
    return jnp.asarray(values)[:, net.neuron_order]


def by_name(topology: Topology, net: CompiledGraph, values: Array | ByStage) -> dict[Hashable, np.ndarray]:
    """Numbers of neurons in compiled order, such as states by stage, as a dict by the neurons' names."""
    return dict(zip(topology.names, np.moveaxis(np.asarray(neurons(net, values)), 1, 0), strict=True))


def by_edge(topology: Topology, net: CompiledGraph, values: ByPart) -> dict[tuple[Hashable, Hashable], np.ndarray]:
    """Synapses in compiled order (such as `NetworkState.forward`) as a dict by (sender, receiver) names."""
    names, columns = topology.names, np.asarray(synapses(net, values)).T
    pairs = ((names[i], names[j]) for i, j in zip(topology.senders, topology.receivers, strict=True))
    return dict(zip(pairs, columns, strict=True))


def trained(topology: Topology, net: CompiledGraph, state: NetworkState) -> Topology:
    """The topology with the network's synapses as its weights: to save, to convert, to start from again."""

    def wide(values):
        return np.asarray(values, np.float64)

    backward = None if state.backward is None else wide(synapses(net, state.backward))
    return dataclasses.replace(
        topology,
        weights=wide(synapses(net, state.forward)),
        backward_weights=backward,
        biases=wide(neurons(net, state.bias)),
    )


def with_synapses(net: CompiledGraph, state: NetworkState, *, forward=None, backward=None, bias=None) -> NetworkState:
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
        n = net.n_neurons if name == "bias" else net.n_synapses
        if value is None:
            new[name] = getattr(state, name)
            continue
        if np.ndim(value) != 2 or np.shape(value)[1] != n:
            raise UserError(f"{name} has shape {np.shape(value)}; this wiring needs [channels, {n}].")
        value = jnp.asarray(value, state.dtype)
        new[name] = from_neurons(net, value) if name == "bias" else from_synapses(net, value)
    channels = {name: jax.tree.leaves(value)[-1].shape[0] for name, value in new.items() if value is not None}
    if len(set(channels.values())) > 1:
        raise UserError(
            f"the synapses have different numbers of channels: {channels}; give all of them the same number."
        )
    return dataclasses.replace(state, **new)
