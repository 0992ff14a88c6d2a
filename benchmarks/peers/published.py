"""The published algorithm's cost: for each layer one full synapse matrix between all neurons of it and of the next.

The matrix of a layer joins `in + 1 + out` neurons (the lower ones, the unit neuron, the upper ones) with each other,
per channel; channels lie innermost. Each pass multiplies the whole of it with all their states, those of the receiving
side being 0, and keeps the part that receives; the Hebbian update is computed for every pair. Entries within a side,
and those into the unit neuron, carry no signal.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._contest import Entrant
from .._problem import Layers, Numbers, Problem, Synapses, changes, layers
from .._timing import looped

NAME = "published algorithm"


def packed(problem: Problem) -> tuple[Any, ...]:
    """One matrix `[in + 1 + out, in + 1 + out, channels]` for each layer."""
    where, given = layers(problem.wiring), problem.synapses
    matrices = []
    for number, edges in enumerate(where.synapses):
        lower, upper = where.sizes[number], where.sizes[number + 1]
        matrix = np.zeros((lower + 1 + upper, lower + 1 + upper, problem.n_states), given.forward.dtype)
        senders, receivers = where.places[number]
        matrix[senders, lower + 1 + receivers] = given.forward[:, edges].T
        matrix[lower + 1 + receivers, senders] = given.backward[:, edges].T
        matrix[lower, lower + 1 :] = given.bias[:, where.rows[number + 1]].T
        matrices.append(jnp.asarray(matrix))
    return tuple(matrices)


def unpacked(where: Layers, matrices: tuple[Any, ...], like: Synapses) -> Synapses:
    """The synapses in the user's order."""
    after = Synapses(*(np.zeros_like(values) for values in like))
    for number, edges in enumerate(where.synapses):
        lower, matrix = where.sizes[number], np.asarray(matrices[number])
        senders, receivers = where.places[number]
        after.forward[:, edges] = matrix[senders, lower + 1 + receivers].T
        after.backward[:, edges] = matrix[lower + 1 + receivers, senders].T
        after.bias[:, where.rows[number + 1]] = matrix[lower, lower + 1 :].T
    return after


def _received(matrix, states, transform):
    # s: sending neuron, r: receiving neuron, d: state, c: channel, b: batch
    return jnp.einsum("src,bsc->brc", matrix, jnp.einsum("bsd,dc->bsc", states, transform))


def step(matrices: tuple[Any, ...], numbers: Numbers, x, target) -> tuple[Any, ...]:
    """A learning step; states are `[batch, neurons, states]`."""
    k, batch, last = numbers.nu.shape[0], x.shape[1], len(matrices) - 1
    ones, zeros = jnp.ones((batch, 1, k), x.dtype), jnp.zeros((batch, x.shape[0], k - 1), x.dtype)
    states = [jnp.concatenate([x.T[:, :, None], zeros], axis=2)]
    for number, matrix in enumerate(matrices):
        lower = states[-1].shape[1]
        nobody = jnp.zeros((batch, matrix.shape[0] - lower - 1, k), x.dtype)
        u = _received(matrix, jnp.concatenate([states[-1], ones, nobody], axis=1), numbers.nu)[:, lower + 1 :]
        u = jnp.tanh(numbers.update * u)
        states.append(u if number == last else jnp.maximum(u, 0))

    top = states[-1]
    states[-1] = jnp.concatenate([top[:, :, :1], target.T[:, :, None], jnp.zeros_like(top[:, :, 2:])], axis=2)
    for number in range(last, 0, -1):
        lower = states[number].shape[1]
        nobody = jnp.zeros((batch, lower + 1, k), x.dtype)
        v = _received(matrices[number], jnp.concatenate([nobody, states[number + 1]], axis=1), numbers.mu)[:, :lower]
        states[number] = jnp.maximum(jnp.tanh(numbers.keep * states[number] + numbers.update * v), 0)

    new = []
    for number, matrix in enumerate(matrices):
        everyone = jnp.concatenate([states[number], ones, states[number + 1]], axis=1)
        p = jnp.einsum("bnd,dc->bnc", everyone, numbers.pre)
        q = jnp.einsum("bnd,cd->bnc", everyone, numbers.post)
        hebbian = jnp.einsum("bsc,brc->src", p, q) / batch
        new.append(numbers.synapse_keep * matrix + numbers.synapse_update * hebbian)
    return tuple(new)


def steps(problem: Problem) -> Entrant:
    """A full learning step."""
    where = layers(problem.wiring)

    def body(matrices, i, numbers, xs, targets):
        b = i % xs.shape[0]
        return step(matrices, numbers, xs[b], targets[b])

    def read(matrices):
        return changes(problem.synapses, unpacked(where, matrices, problem.synapses))

    data = jax.tree.map(jnp.asarray, (problem.numbers, problem.xs, problem.targets))
    return Entrant(NAME, looped(body, packed(problem), *data), read)
