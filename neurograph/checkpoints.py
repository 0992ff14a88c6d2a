"""Between a network and the checkpoint that keeps it, whose neurons and synapses are in the user's order."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from . import runs, views
from .compile import CompiledGraph
from .engine import NetworkState
from .runs import Checkpoint, Unlogged


def to_checkpoint(graph: CompiledGraph, network: NetworkState, unlogged: Unlogged) -> Checkpoint:
    """A network as NumPy arrays in the user's order."""
    kept = {name: np.asarray(values) for name, values in _in_users_order(graph, network).items()}
    return Checkpoint(int(network.step), kept, unlogged)


def from_checkpoint(checkpoint: Checkpoint, graph: CompiledGraph, template: NetworkState) -> NetworkState:
    """Inverse of `to_checkpoint`.

    Args:
        checkpoint: as loaded.
        graph: the wiring.
        template: a network of the same run, of which only shapes and dtypes are read: its arrays may be deleted.

    Raises:
        RunError: the checkpoint does not fit the template.
    """
    expected = jax.eval_shape(functools.partial(_in_users_order, graph), template)
    runs.check_fits(checkpoint, {name: (values.dtype, values.shape) for name, values in expected.items()})
    arrays = {name: jnp.asarray(values) for name, values in checkpoint.arrays.items()}
    return NetworkState(
        forward=views.from_synapses(graph, arrays["forward"]),
        backward=views.from_synapses(graph, arrays["backward"]) if "backward" in arrays else None,
        bias=views.from_neurons(graph, arrays["bias"]),
        neurons=views.from_neurons(graph, arrays["neurons"]) if "neurons" in arrays else None,
        step=jnp.asarray(checkpoint.step, template.step.dtype),
    )


def _in_users_order(graph: CompiledGraph, network: NetworkState) -> dict[str, jax.Array]:
    arrays = {
        "forward": views.synapses(graph, network.forward),
        "backward": None if network.backward is None else views.synapses(graph, network.backward),
        "bias": views.neurons(graph, network.bias),
        "neurons": None if network.neurons is None else views.neurons(graph, network.neurons),
    }
    return {name: values for name, values in arrays.items() if values is not None}
