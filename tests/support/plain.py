"""A forward function that knows nothing of the engine: dense matrices, sweep by sweep. `jax.grad` of it is the oracle.

Wirings are padded to one size, and activations chosen by number, so that all of them share one compilation.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np

from neurograph import Topology
from tests.support.helpers import QUICK, edges_of, wiring_of

SIZE = 64
"""Neurons after padding; more than any case has, and more than its levels."""

ACTIVATIONS = ("identity", "tanh", "sigmoid", "relu", "softplus")


class Tables(NamedTuple):
    """What is known of each of `SIZE` neurons.

    Attributes:
        turn: the sweep in which it is computed; 0 for inputs (and padding).
        activation: index into `ACTIVATIONS`.
        is_output: whether it is an output.
    """

    turn: np.ndarray
    activation: np.ndarray
    is_output: np.ndarray


def tables(topology: Topology, activation: str, output_activation: str) -> Tables:
    wiring = wiring_of(topology)
    turn, index = np.zeros((2, SIZE), int)
    is_output = np.isin(np.arange(SIZE), wiring.outputs)
    assert topology.n_neurons <= SIZE
    for j in nx.topological_sort(wiring.graph):
        if wiring.role(j) != "input":
            turn[j] = 1 + max((turn[i] for i in wiring.graph.predecessors(j)), default=0)
            default = output_activation if wiring.role(j) == "output" else activation
            index[j] = ACTIVATIONS.index(wiring.graph.nodes[j]["activation"] or default)
    return Tables(turn, index, is_output)


def dense(topology: Topology, weights: np.ndarray) -> np.ndarray:
    """`[SIZE, SIZE]` from one number for each synapse, in the user's order."""
    matrix = np.zeros((SIZE, SIZE), np.asarray(weights).dtype)
    matrix[tuple(np.array(edges_of(topology)).T)] = weights
    return matrix


def padded(values: np.ndarray) -> np.ndarray:
    """Rows of zeros up to `SIZE`."""
    return np.concatenate([values, np.zeros((SIZE - len(values), *values.shape[1:]), values.dtype)])


def by_row(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """`[SIZE, batch]` with the given rows set: data at the inputs, targets at the outputs."""
    whole = np.zeros((SIZE, values.shape[1]), values.dtype)
    whole[rows] = values
    return whole


def forward(about: Tables, weights: jax.Array, biases: jax.Array, x: jax.Array, sweeps: int = SIZE) -> jax.Array:
    """States of all neurons, `[SIZE, batch]`, from data at the rows of the inputs; sweeps: more than any `turn`."""
    functions = (lambda u: u, jnp.tanh, jax.nn.sigmoid, jax.nn.relu, jax.nn.softplus)
    which = about.activation[None, :, None] == np.arange(len(functions))[:, None, None]

    def sweep(turn, y):
        u = jnp.einsum("ij,ib->jb", weights, y) + biases[:, None]
        value = sum(jnp.where(mask, f(u), 0) for mask, f in zip(which, functions, strict=True))
        return jnp.where(about.turn[:, None] == turn, value, y)

    return jax.lax.fori_loop(1, sweeps, sweep, x)


def loss(about: Tables, weights, biases, x, target, *, kind: str, sweeps: int = SIZE) -> jax.Array:
    """Mean over the batch of the loss of the outputs; `target` at the rows of the outputs."""
    y = forward(about, weights, biases, x, sweeps)
    at_output = about.is_output[:, None]
    if kind == "mean_squared_error":
        return 0.5 * jnp.mean(jnp.sum((y - target) ** 2, axis=0, where=at_output))
    positive = jnp.where(at_output, (target + 1) / 2, 0)
    share = positive / jnp.sum(positive, axis=0, keepdims=True)
    normalizer = jax.nn.logsumexp(y, axis=0, where=at_output)
    return jnp.mean(normalizer - jnp.sum(share * y, axis=0))


@functools.partial(jax.jit, static_argnames=("kind", "sweeps"), compiler_options=QUICK)
def loss_and_gradient(about: Tables, weights, biases, x, target, *, kind: str, sweeps: int = SIZE):
    """The loss, and its gradient with respect to weights and biases."""
    function = functools.partial(loss, kind=kind, sweeps=sweeps)
    return jax.value_and_grad(function, argnums=(1, 2))(about, weights, biases, x, target)
