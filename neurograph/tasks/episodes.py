"""Makes episodes of stored examples: a window of the shuffled support set becomes the query set."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from .sources import Window
from .task import Task, drawn_from

QUERY_FRACTION = 0.2
SHUFFLE_SEED = 0


def shuffled(n: int) -> Int[Array, " {n}"]:
    """Shuffles the numbers below n, always in the same order, that of raw bits of PCG64."""
    return jnp.asarray(np.argsort(np.random.PCG64(SHUFFLE_SEED).random_raw(n), kind="stable"), jnp.int32)


def window_episode(task: Task, key: Key[Array, ""]) -> Task:
    """Makes an episode of a task of stored examples, whose pool is an order of its support rows.

    The key draws one of n splits: a query window of a fifth of the n examples begins anywhere in the shuffled order;
    all others, from its end on around to its beginning, are the support set.
    """
    n = task.pool.shape[0]
    n_query = max(1, round(QUERY_FRACTION * n))
    start = jax.random.randint(key, (), 0, n)
    query = Window(task.support_source, task.pool, start, n_query)
    support = Window(task.support_source, task.pool, (start + n_query) % n, n - n_query)
    return drawn_from(task, support, query)
