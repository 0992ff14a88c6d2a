"""Between a network and the arrays of a checkpoint, in which neurons and synapses have the user's order."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._text import UserError
from ..compile import CompiledGraph
from ..engine import NetworkState, views

Arrays = dict[str, np.ndarray]


def to_arrays(net: CompiledGraph, state: NetworkState) -> Arrays:
    """The network's arrays by name: `forward`, `backward`, `bias`; `neurons`, `noise` and memory where it has them."""
    return {name: np.asarray(leaf) for name, leaf in _named(_in_users_order(net, state)).items()}


def from_arrays(arrays: Arrays, step: int, net: CompiledGraph, template: NetworkState) -> NetworkState:
    """Inverse of `to_arrays`.

    Args:
        arrays: by name.
        step: index of the next step.
        net: the compiled graph.
        template: a network of the same run, of which only shapes and dtypes are read: its arrays may be deleted.

    Raises:
        ValueError: an array is missing, or has another shape or type, or there is one too many.
    """
    expected = jax.eval_shape(functools.partial(_in_users_order, net), template)
    check_fits(arrays, _named(expected))
    given = jax.tree.unflatten(jax.tree.structure(expected), [jnp.asarray(arrays[name]) for name in _named(expected)])
    n_parts, stages = len(net.wiring.matmuls) + 1, net.wiring.stages
    memory = views.from_synapses(net, given["memory"]) if jax.tree.leaves(given["memory"]) else template.memory[0]
    assert len(memory) == n_parts
    of_neurons = template.neuron_memory
    if jax.tree.leaves(of_neurons):
        whole = jax.tree.map(lambda leaf: views.from_neurons(net, leaf), given["neuron_memory"])
        of_neurons = tuple(jax.tree.map(lambda leaf, s=s: leaf[:, s.start : s.stop], whole) for s in stages)
    return NetworkState(
        forward=views.from_synapses(net, given["forward"]),
        backward=None if given["backward"] is None else views.from_synapses(net, given["backward"]),
        bias=views.from_neurons(net, given["bias"]),
        memory=(memory, jax.tree.map(lambda leaf: views.from_neurons(net, leaf), given["bias_memory"])),
        neuron_memory=of_neurons,
        neurons=None if given["neurons"] is None else views.from_neurons(net, given["neurons"]),
        noise=given["noise"],
        step=jnp.asarray(step, template.step.dtype),
    )


def check_fits(arrays: Arrays, expected: dict[str, Any]) -> None:
    """Whether there are just the arrays that are expected.

    Raises:
        ValueError: there are not; the message says which.
    """
    for name in (*expected, *(name for name in arrays if name not in expected)):
        held, wanted = (
            "absent" if leaf is None else f"{np.dtype(leaf.dtype)} {tuple(leaf.shape)}"
            for leaf in (arrays.get(name), expected.get(name))
        )
        if held != wanted:
            raise UserError(f"{name} is {held}; it must be {wanted}")


def _in_users_order(net: CompiledGraph, state: NetworkState) -> dict[str, Any]:
    memory, bias_memory = state.memory
    of_neurons = jax.tree.map(lambda *parts: jnp.concatenate(parts, axis=1), *state.neuron_memory)
    return {
        "forward": views.synapses(net, state.forward),
        "backward": None if state.backward is None else views.synapses(net, state.backward),
        "bias": views.neurons(net, state.bias),
        "memory": views.synapses(net, memory),
        "bias_memory": jax.tree.map(lambda leaf: views.neurons(net, leaf), bias_memory),
        "neuron_memory": jax.tree.map(lambda leaf: views.neurons(net, leaf), of_neurons),
        "neurons": None if state.neurons is None else views.neurons(net, state.neurons),
        "noise": state.noise,
    }


def _named(tree: Any) -> dict[str, Any]:
    """Leaves by the path that leads to them."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}
