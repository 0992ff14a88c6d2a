"""Hand-written dense JAX: the general rule on layers, as one writes it who knows that there are layers.

States `[states, neurons, batch]`, synapses `[channels, in, out]`, one array for each layer. The other states of the
inputs are 0, so what they send and what they are multiplied with is the datum times a number. Rates are multiplied into
the smaller factor of each product.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._contest import Entrant
from .._problem import Layers, Numbers, Problem, Synapses, changes, descend, flat, layers, loss
from .._timing import looped

NAME = "hand-written JAX"
NAME_REMAT = "hand-written JAX, steps recomputed"


class Weights(NamedTuple):
    """For each layer but the inputs: forward and backward `[channels, in, out]`, bias `[channels, out]`."""

    forward: tuple[Any, ...]
    backward: tuple[Any, ...]
    bias: tuple[Any, ...]


def packed(problem: Problem) -> Weights:
    """The problem's synapses by layer."""
    where, given = layers(problem.wiring), problem.synapses

    def matrices(values):
        found = []
        for number, edges in enumerate(where.synapses):
            matrix = np.zeros((len(values), *where.sizes[number : number + 2]), values.dtype)
            matrix[:, where.places[number][0], where.places[number][1]] = values[:, edges]
            found.append(jnp.asarray(matrix))
        return tuple(found)

    biases = tuple(jnp.asarray(given.bias[:, rows]) for rows in where.rows[1:])
    return Weights(matrices(given.forward), matrices(given.backward), biases)


def unpacked(where: Layers, weights: Weights, like: Synapses) -> Synapses:
    """The synapses of one network, or of several along a first axis, in the user's order."""
    several = np.asarray(weights.bias[0]).shape[:-2]
    after = Synapses(*(np.zeros((*several, *values.shape), values.dtype) for values in like))
    for number, edges in enumerate(where.synapses):
        place = (..., *where.places[number])
        after.forward[..., edges] = np.asarray(weights.forward[number])[place]
        after.backward[..., edges] = np.asarray(weights.backward[number])[place]
        after.bias[..., where.rows[number + 1]] = np.asarray(weights.bias[number])
    return after


def _mixed(a, matrix):
    # d: state, n: neuron, b: batch, c: resulting state
    return jnp.einsum("dnb,dc->cnb", a, matrix)


def relu_tanh(u):
    return jnp.maximum(jnp.tanh(u), 0)


def forward_states(weights: Weights, numbers: Numbers, x, activation: Callable[[Any], Any] = relu_tanh):
    """States of all layers but the inputs."""
    transform = numbers.update * numbers.nu
    unit = transform.sum(0)[:, None]
    states = []
    for number, (w, bias) in enumerate(zip(weights.forward, weights.bias, strict=True)):
        # k: state, s: sender, t: receiver, b: batch
        if number == 0:
            u = jnp.einsum("kst,sb->ktb", w, x) * transform[0][:, None, None]
        else:
            u = jnp.einsum("kst,ksb->ktb", w, _mixed(states[-1], transform))
        u = u + (bias * unit)[:, :, None]
        states.append(jnp.tanh(u) if number == len(weights.forward) - 1 else activation(u))
    return states


def step(weights: Weights, numbers: Numbers, x, target, activation: Callable[[Any], Any] = relu_tanh) -> Weights:
    """A learning step; equations 5-7. The activation is that of hidden neurons."""
    states = forward_states(weights, numbers, x, activation)
    top = states[-1]
    states[-1] = jnp.concatenate([top[:1], target[None], jnp.zeros_like(top[2:])])
    for number in range(len(states) - 2, -1, -1):
        sent = _mixed(states[number + 1], numbers.update * numbers.mu)
        v = jnp.einsum("kst,ktb->ksb", weights.backward[number + 1], sent)
        states[number] = activation(numbers.keep * states[number] + v)

    rate, post = numbers.synapse_update / x.shape[1], numbers.post.T
    unit = numbers.pre.sum(0)[:, None]
    forward, backward, bias = [], [], []
    for number, upper in enumerate(states):
        if number == 0:
            p, q = (x[None] * matrix[0][:, None, None] for matrix in (numbers.pre, post))
        else:
            p, q = _mixed(states[number - 1], numbers.pre), _mixed(states[number - 1], post)
        q_upper, p_upper = _mixed(upper, rate * post), _mixed(upper, rate * numbers.pre)
        keep = numbers.synapse_keep
        forward.append(keep * weights.forward[number] + jnp.einsum("ksb,ktb->kst", p, q_upper))
        backward.append(keep * weights.backward[number] + jnp.einsum("ksb,ktb->kst", q, p_upper))
        bias.append(keep * weights.bias[number] + unit * q_upper.sum(2))
    return Weights(tuple(forward), tuple(backward), tuple(bias))


def _body(weights, i, numbers, xs, targets):
    b = i % xs.shape[0]
    return step(weights, numbers, xs[b], targets[b])


def steps(problem: Problem) -> Entrant:
    """A full learning step."""
    where = layers(problem.wiring)

    def read(weights):
        return changes(problem.synapses, unpacked(where, weights, problem.synapses))

    data = jax.tree.map(jnp.asarray, (problem.numbers, problem.xs, problem.targets))
    return Entrant(NAME, looped(_body, packed(problem), *data), read)


def populations(problem: Problem, n: int) -> Entrant:
    """A full learning step of n genomes with synapses of their own: every product is a batched matmul."""
    where = layers(problem.wiring)
    numbers, xs, targets = jax.tree.map(jnp.asarray, (problem.numbers, problem.xs, problem.targets))
    weights, numbers = jax.tree.map(lambda leaf: jnp.stack([leaf] * n), (packed(problem), numbers))

    def body(weights, i, numbers, xs, targets):
        return jax.vmap(lambda each, genome: _body(each, i, genome, xs, targets))(weights, numbers)

    def read(weights):
        return changes(problem.synapses, unpacked(where, weights, problem.synapses))

    return Entrant(NAME, looped(body, weights, numbers, xs, targets), read)


def gradients(problem: Problem, *, recomputed: bool) -> Entrant:
    """The gradient of an unroll's loss with respect to the genome.

    Args:
        problem: its last batch is the query.
        recomputed: whether the steps are rematerialised in reverse mode (as neurograph's are), or all is kept.
    """

    def objective(numbers, weights, xs, targets):
        def one(weights, batch):
            return step(weights, numbers, *batch), None

        one = jax.checkpoint(one) if recomputed else one
        weights, _ = jax.lax.scan(one, weights, (xs[:-1], targets[:-1]))
        return loss(forward_states(weights, numbers, xs[-1])[-1][0], targets[-1])

    numbers, xs, targets = jax.tree.map(jnp.asarray, (problem.numbers, problem.xs, problem.targets))
    carry, body = descend(objective, numbers)
    work = looped(body, carry, packed(problem), xs, targets)
    return Entrant(NAME_REMAT if recomputed else NAME, work, lambda c: flat(c[1]))
