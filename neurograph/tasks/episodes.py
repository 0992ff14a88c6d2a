"""Episodes of stored examples: a window of the shuffled support examples is the query set, the rest the support set."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from .sources import Window, draw
from .task import Task

QUERY_FRACTION = 0.2
SHUFFLE_SEED = 0


def shuffled(n: int) -> Int[Array, " {n}"]:
    """The numbers below n in an order that never changes, whatever the seed: that of raw bits of PCG64."""
    return jnp.asarray(np.argsort(np.random.PCG64(SHUFFLE_SEED).random_raw(n), kind="stable"), jnp.int32)


def window_episode(task: Task, key: Key[Array, ""]) -> Task:
    """An episode of a task of stored examples, whose pool is an order of its support rows.

    The key draws one of n splits: a query window of a fifth of the n examples begins anywhere in the shuffled order;
    all others, from its end on around to its beginning, are the support set.
    """
    n = task.pool.shape[0]
    n_query = max(1, round(QUERY_FRACTION * n))
    start = jax.random.randint(key, (), 0, n)
    query = Window(task.support_source, task.pool, start, n_query)
    support = Window(task.support_source, task.pool, (start + n_query) % n, n - n_query)
    return Task(support, query, query, draw, task.name, task.class_names, task.n_outputs)
