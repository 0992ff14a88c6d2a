"""`jax.grad` of a forward function written from the `Topology` alone, in the user's own numbering.

Nothing of compiler, primitives, rules or engine is used. One scan goes through the synapses in the order of their
receivers' levels and adds each message to its receiver's pre-activation; an activation is taken where it is read, by
which time its neuron has all it receives. So compile time does not grow with depth, and no neuron needs a table.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ..topology import INPUT, ROLES, Topology, levels
from ._problem import Gradient, Problem, has_bias

MIN_SLOTS = 256
"""The least number of synapses in one iteration of the scan."""

_Function = str | Callable[..., Any]
_FUNCTIONS = {
    "identity": lambda u: u,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    # jnp.maximum has slope 1/2 at 0; here the convention is 0.
    "relu": lambda u: jnp.where(u > 0, u, 0),
    "softplus": jax.nn.softplus,
    "relu_tanh": lambda u: jnp.where(u > 0, jnp.tanh(u), 0),
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
    "elu": jax.nn.elu,
    "leaky_relu": jax.nn.leaky_relu,
}


class _Wiring(NamedTuple):
    """The tables of the scan. Padding leads from an extra neuron to itself, along an extra synapse whose value is 0.

    Attributes:
        senders, receivers, synapses: rows and synapse numbers of each iteration.
        function: the index of each neuron's activation.
        inputs, outputs: their rows.
    """

    senders: Int[Array, "iterations slots"]
    receivers: Int[Array, "iterations slots"]
    synapses: Int[Array, "iterations slots"]
    function: Int[Array, " neurons_and_one"]
    inputs: Int[Array, " inputs"]
    outputs: Int[Array, " outputs"]


def plain_gradient(
    topology: Topology,
    problem: Problem,
    *,
    loss: str,
    activation: str = "tanh",
    output_activation: str = "identity",
) -> Gradient:
    """Computes the gradient of a loss by `jax.grad`, in the problem's dtype.

    Args:
        topology: the wiring; where a population has an activation of its own, a name or a function, it counts instead
            of the two below.
        problem: synapses and batch.
        loss: one of `LOSSES`.
        activation, output_activation: of hidden and of output neurons, by name.

    Returns:
        The gradient, in the user's order.
    """
    usual = {"input": "identity", "hidden": activation, "output": output_activation}
    of_population = [
        "identity" if p.role == ROLES[INPUT] else p.activation or usual[p.role] for p in topology.populations
    ]
    functions = tuple(dict.fromkeys(of_population))
    function = np.array([functions.index(own) for own in of_population])[topology.population_of]
    with jax.enable_x64(problem.x.dtype == np.float64):
        wiring = _wiring(topology, function)
        nudges = np.zeros((topology.n_neurons, problem.x.shape[1]), problem.x.dtype)
        biased = has_bias(topology).astype(problem.x.dtype)
        value, grads = jax.jit(jax.value_and_grad(_loss), static_argnames=("loss", "functions"))(
            (problem.weights, problem.biases, nudges),
            wiring,
            biased,
            problem.x,
            problem.target,
            loss=loss,
            functions=functions,
        )
        weights, biases, errors = map(np.asarray, grads)
    return Gradient(float(value), weights, biases, errors * problem.x.shape[1])


def _loss(
    parameters, wiring: _Wiring, biased, x, target, *, loss: str, functions: tuple[_Function, ...]
) -> Float[Array, ""]:
    weights, biases, nudges = parameters
    start = ((biased * biases)[:, None] + nudges).at[wiring.inputs].set(x)
    u = _pre_activations(wiring, weights, start, functions)[wiring.outputs]
    y = _activated(functions, wiring.function[wiring.outputs], u)
    if loss == "mean_squared_error":
        return jnp.mean(jnp.sum((y - target) ** 2, axis=0)) / 2
    log_probability = y - jax.scipy.special.logsumexp(y, axis=0, keepdims=True)
    return -jnp.mean(jnp.sum(jnp.where(target > 0, log_probability, 0), axis=0))


def _pre_activations(wiring: _Wiring, weights, start, functions) -> Float[Array, "neurons_and_one batch"]:
    """`u_j = b_j + sum_{i in I(j)} w_ij sigma_i(u_i)`; the u of an input is its datum."""
    start = jnp.concatenate([start, jnp.zeros((1, start.shape[1]), start.dtype)])
    slots = (
        wiring.senders,
        wiring.receivers,
        jnp.append(weights, jnp.zeros(1, weights.dtype))[wiring.synapses],
        wiring.function[wiring.senders],
    )

    def receive(u, slots):
        senders, receivers, w, function = slots
        return u.at[receivers].add(w[:, None] * _activated(functions, function, u[senders])), None

    return jax.lax.scan(receive, start, slots)[0]


def _activated(functions: tuple[_Function, ...], function, u):
    chosen = [(function == number)[:, None] for number in range(len(functions))]
    values = [(_FUNCTIONS[own] if isinstance(own, str) else own)(u) for own in functions]
    return functools.reduce(lambda a, pair: jnp.where(*pair, a), zip(chosen, values, strict=True), u)


def _wiring(topology: Topology, function: np.ndarray) -> _Wiring:
    level = levels(topology)
    # any numbering that rises along every synapse is a valid order, so that this need not trust `levels`
    assert (level[topology.senders] < level[topology.receivers]).all()
    n_levels, n = int(level.max()) + 1, topology.n_synapses
    at = level[topology.receivers]
    order = np.argsort(at, kind="stable")
    at = at[order]
    count = np.bincount(at, minlength=n_levels)
    n_slots = min(int(count.max()), max(-(-n // n_levels), MIN_SLOTS))
    iterations = -(-count // n_slots)
    position = np.arange(n) - (np.cumsum(count) - count)[at]
    slot = ((np.cumsum(iterations) - iterations)[at] + position // n_slots) * n_slots + position % n_slots
    tables = np.full((3, int(iterations.sum()) * n_slots), [[topology.n_neurons], [topology.n_neurons], [n]], np.int32)
    tables[:, slot] = topology.senders[order], topology.receivers[order], order
    senders, receivers, synapses = tables.reshape(3, -1, n_slots)
    one_more = np.append(function, 0).astype(np.int32)
    ends = (rows.astype(np.int32) for rows in (topology.inputs, topology.outputs))
    return _Wiring(*map(jnp.asarray, (senders, receivers, synapses, one_more, *ends)))
