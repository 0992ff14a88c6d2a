"""A bare `lax.scan` over the levels of a narrow, deep wiring whose synapses join each level to the next: the forward
pass, hand-written. The carry is one level's states, `[states, width, batch]`.
"""

import jax
import jax.numpy as jnp
import numpy as np

from .._contest import Entrant
from .._problem import Problem, layers
from .._timing import looped

NAME = "bare lax.scan"


def forwards(problem: Problem) -> Entrant:
    """The forward pass, with the states of all levels as its result."""
    where, given = layers(problem.wiring), problem.synapses
    senders, weights = [], []
    for edges, (sender, receiver) in zip(where.synapses, where.places, strict=True):
        by = np.lexsort((sender, receiver)).reshape(where.sizes[1], -1)
        senders.append(sender[by].T)
        weights.append(given.forward[:, edges[by]].transpose(2, 0, 1))
    bias = np.stack([given.bias[:, rows] for rows in where.rows[1:]])
    is_last = np.arange(len(senders)) == len(senders) - 1
    tables = tuple(map(jnp.asarray, (np.array(senders, np.int32), np.array(weights), bias, is_last)))

    def body(_, i, tables, numbers, xs):
        x = xs[i % xs.shape[0]]
        transform = numbers.update * numbers.nu
        unit = transform.sum(0)[:, None]

        def level(sent, table):
            senders, weights, bias, is_last = table
            u = (bias * unit)[:, :, None]
            for slot in range(senders.shape[0]):
                u = u + sent.at[:, senders[slot]].get(mode="promise_in_bounds") * weights[slot][:, :, None]
            u = jnp.tanh(u)
            a = jnp.where(is_last, u, jnp.maximum(u, 0))
            return jnp.einsum("dnb,dc->cnb", a, transform), a

        first = x[None] * transform[0][:, None, None]
        return jax.lax.scan(level, first, tables)[1]

    numbers, xs = jax.tree.map(jnp.asarray, (problem.numbers, problem.xs))
    start = jnp.zeros((len(senders), problem.n_states, where.sizes[1], problem.batch), problem.xs.dtype)
    return Entrant(
        NAME, looped(body, start, tables, numbers, xs), lambda states: {"prediction": np.asarray(states[-1, 0])}
    )
