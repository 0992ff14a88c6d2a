"""Naive message passing in JAX, as graph libraries do it by default: gather the senders' states along the synapses,
multiply, `jax.ops.segment_sum` into the receivers; level by level, differentiated by plain `jax.grad`.

States `[neurons, states, batch]`, neurons numbered by level; forward synapses `[synapses, channels]` by level of their
receiver, backward ones by level of their sender.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._contest import Entrant
from .._problem import Numbers, Problem, Synapses, changes, descend, flat, loss
from .._timing import looped, summed

NAME, INNERMOST = "naive JAX", "naive JAX, neurons innermost"


class Sweep(NamedTuple):
    """Synapses in the order of a sweep: index tables as arrays, and where each level's part begins.

    Attributes:
        order: the user's number of each synapse.
        reads, writes: `[synapses]`, the neuron that each reads, and that it adds to.
        parts: for each level of the sweep: (first neuron, last + 1, first synapse, last + 1).
    """

    order: np.ndarray
    reads: np.ndarray
    writes: np.ndarray
    parts: list[tuple[int, int, int, int]]


class Layout(NamedTuple):
    """Neurons numbered by level, and the two sweeps. `rank`: new number of each of the user's neurons."""

    rank: np.ndarray
    is_output: np.ndarray
    up: Sweep
    down: Sweep


def layout(problem: Problem) -> Layout:
    """Sorts neurons and synapses by level."""
    wiring = problem.wiring
    order = np.argsort(wiring.level, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    start = np.searchsorted(wiring.level[order], np.arange(wiring.n_levels + 1)).tolist()
    senders, receivers = rank[wiring.senders], rank[wiring.receivers]
    is_output = np.zeros(wiring.n_neurons, bool)
    is_output[rank[wiring.outputs]] = True

    def sweep(reads, writes, which):
        by = np.lexsort((reads, writes))
        bounds = np.searchsorted(writes[by], start).tolist()
        parts = [(start[v], start[v + 1], bounds[v], bounds[v + 1]) for v in which]
        return Sweep(by, reads[by].astype(np.int32), writes[by].astype(np.int32), parts)

    levels = range(1, wiring.n_levels)
    return Layout(rank, is_output, sweep(senders, receivers, levels), sweep(receivers, senders, reversed(levels)))


def packed(problem: Problem, where: Layout) -> tuple[Any, Any, Any]:
    """Forward and backward synapses `[synapses, channels]`, bias `[neurons, channels]`, in the order of the sweeps."""
    given = problem.synapses
    bias = np.empty_like(given.bias.T)
    bias[where.rank] = given.bias.T
    return tuple(map(jnp.asarray, (given.forward.T[where.up.order], given.backward.T[where.down.order], bias)))


def unpacked(where: Layout, synapses: tuple[Any, Any, Any], like: Synapses) -> Synapses:
    """The synapses in the user's order."""
    after = Synapses(*(np.empty_like(values) for values in like))
    forward, backward, bias = (np.asarray(values) for values in synapses)
    after.forward[:, where.up.order] = forward.T
    after.backward[:, where.down.order] = backward.T
    after.bias[:] = bias[where.rank].T
    return after


class Tables(NamedTuple):
    """The index tables on the device; arguments of the program, so that XLA does not fold them."""

    up: tuple[Any, Any]
    down: tuple[Any, Any]
    inputs: Any
    outputs: Any
    is_output: Any


def tables(problem: Problem, where: Layout) -> Tables:
    """Gives the layout's index arrays as JAX arrays."""
    rank, wiring = where.rank, problem.wiring
    up, down = ((jnp.asarray(s.reads), jnp.asarray(s.writes)) for s in (where.up, where.down))
    return Tables(up, down, *map(jnp.asarray, (rank[wiring.inputs], rank[wiring.outputs], where.is_output)))


def _received(part, table, w, sent):
    """Messages along the synapses of one level, summed at who receives them."""
    first, last, begin, end = part
    messages = sent[table[0][begin:end]] * w[begin:end, :, None]
    return jax.ops.segment_sum(messages, table[1][begin:end] - first, num_segments=last - first)


def _mixed(a, matrix):
    return jnp.einsum("ndb,dc->ncb", a, matrix)


def _forward(where: Layout, index: Tables, synapses, numbers: Numbers, x):
    forward, _, bias = synapses
    transform = numbers.update * numbers.nu
    a = jnp.zeros((len(where.rank), numbers.nu.shape[0], x.shape[1]), x.dtype).at[index.inputs, 0].set(x)
    sent = _mixed(a, transform)
    for part in where.up.parts:
        first, last = part[:2]
        u = _received(part, index.up, forward, sent) + (bias[first:last] * transform.sum(0)[None])[:, :, None]
        u = jnp.tanh(u)
        u = jnp.where(index.is_output[first:last, None, None], u, jnp.maximum(u, 0))
        a = a.at[first:last].set(u)
        sent = sent.at[first:last].set(_mixed(u, transform))
    return a


def step(where: Layout, index: Tables, synapses, numbers: Numbers, x, target):
    """A learning step; equations 5-7."""
    forward, backward, bias = synapses
    a = _forward(where, index, synapses, numbers, x)
    a = a.at[index.outputs, 1].set(target).at[index.outputs, 2:].set(0)
    transform = numbers.update * numbers.mu
    sent = _mixed(a, transform)
    for part in where.down.parts:
        first, last = part[:2]
        old = a[first:last]
        v = jnp.maximum(jnp.tanh(numbers.keep * old + _received(part, index.down, backward, sent)), 0)
        v = jnp.where(index.is_output[first:last, None, None], old, v)
        a = a.at[first:last].set(v)
        sent = sent.at[first:last].set(_mixed(v, transform))

    p, q = _mixed(a, numbers.pre), _mixed(a, numbers.post.T)

    def updated(w, pre, post):
        # e: synapse, c: channel, b: batch
        hebbian = jnp.einsum("ecb,ecb->ec", p[pre], q[post]) / x.shape[1]
        return numbers.synapse_keep * w + numbers.synapse_update * hebbian

    receives = jnp.arange(bias.shape[0])[:, None] >= where.up.parts[0][0]
    unit = numbers.pre.sum(0)[None] * q.mean(2)
    new_bias = jnp.where(receives, numbers.synapse_keep * bias + numbers.synapse_update * unit, bias)
    return updated(forward, *index.up), updated(backward, *index.down), new_bias


def steps(problem: Problem) -> Entrant:
    """A full learning step. The outputs must feed nobody."""
    where = layout(problem)

    def body(synapses, i, index, numbers, xs, targets):
        b = i % xs.shape[0]
        return step(where, index, synapses, numbers, xs[b], targets[b])

    def read(synapses):
        return changes(problem.synapses, unpacked(where, synapses, problem.synapses))

    data = jax.tree.map(jnp.asarray, (problem.numbers, problem.xs, problem.targets))
    return Entrant(NAME, looped(body, packed(problem, where), tables(problem, where), *data), read)


def gradients(problem: Problem) -> Entrant:
    """The gradient of an unroll's loss with respect to the genome; steps are recomputed, as neurograph's are."""
    where = layout(problem)

    def objective(numbers, index, synapses, xs, targets):
        @jax.checkpoint
        def one(synapses, batch):
            return step(where, index, synapses, numbers, *batch), None

        synapses, _ = jax.lax.scan(one, synapses, (xs[:-1], targets[:-1]))
        states = _forward(where, index, synapses, numbers, xs[-1])
        return loss(states[index.outputs, 0], targets[-1])

    numbers, xs, targets = jax.tree.map(jnp.asarray, (problem.numbers, problem.xs, problem.targets))
    carry, body = descend(objective, numbers)
    work = looped(body, carry, tables(problem, where), packed(problem, where), xs, targets)
    return Entrant(NAME, work, lambda c: flat(c[1]))


def sums(problem: Problem, states: np.ndarray) -> Entrant:
    """The linear sums of the whole graph at once: one gather, one `segment_sum`."""
    wiring = problem.wiring
    by = np.argsort(wiring.receivers, kind="stable")
    receiving, row = np.unique(wiring.receivers[by], return_inverse=True)

    def all_sums(a, senders, rows, w):
        return jax.ops.segment_sum(a[senders] * w[:, :, None], rows, num_segments=len(receiving))

    a = jnp.asarray(np.moveaxis(states, 0, 1))
    data = jnp.asarray(wiring.senders[by]), jnp.asarray(row), jnp.asarray(problem.synapses.forward.T[by])
    return Entrant(NAME, summed(all_sums, a, *data), lambda found: {"sums": np.moveaxis(np.asarray(found), 1, 0)})


def sums_innermost(problem: Problem, states: np.ndarray) -> Entrant:
    """The same with neurons as the innermost axis, in which XLA adds several times faster on a GPU."""
    wiring = problem.wiring
    receiving, row = np.unique(wiring.receivers, return_inverse=True)

    def all_sums(a, senders, rows, w):
        empty = jnp.zeros((*a.shape[:2], len(receiving)), a.dtype)
        return empty.at[:, :, rows].add(a[:, :, senders] * w[:, None])

    a = jnp.asarray(np.swapaxes(states, 1, 2))
    data = jnp.asarray(wiring.senders), jnp.asarray(row), jnp.asarray(problem.synapses.forward)
    return Entrant(INNERMOST, summed(all_sums, a, *data), lambda found: {"sums": np.swapaxes(np.asarray(found), 1, 2)})
