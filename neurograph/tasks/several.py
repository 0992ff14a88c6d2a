"""Makes one task of several, such as different divisions of the same examples."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from .errors import TaskError
from .task import Task, describe


def one_of(several: Sequence[Task]) -> Task:
    """Makes a task each of whose trials, and each of whose episodes, is of one of several tasks; the key draws it.

    With different divisions of few examples into support and query set, an interval over draws tells how much the
    result owes to the division, too; not what it owes to the examples, which are the same. Used without trials, it is
    the first task.

    Args:
        several: tasks that differ in nothing but their numbers: the same kind, classes and numbers of examples.

    Raises:
        TaskError: there is none, or they differ in more.

    >>> from neurograph import tasks
    >>> wines = one_of([tasks.load("wine", split_seed=seed) for seed in range(20)])
    >>> wines.trial(jax.random.key(1)).n_query
    45
    """
    several = list(several)
    if not several:
        raise TaskError("one_of got no task; give it one or more.")
    for number, one in enumerate(several):
        if not isinstance(one, Task):
            raise TaskError(f"task {number} of one_of is {one!r}; give tasks, such as those that tasks.load returns.")
    first = several[0]
    for number, other in enumerate(several[1:], start=1):
        if _shape(other) != _shape(first):
            raise TaskError(
                f"task {number} of one_of is {describe(other)}, but task 0 is {describe(first)}; give tasks that "
                "differ in their numbers alone."
            )
    pool = jax.tree.map(lambda *values: jnp.stack(values), *several)
    return dataclasses.replace(
        first, pool=pool, episode_of=None if first.episode_of is None else _episode, trial_of=_trial
    )


def _shape(task: Task) -> object:
    """All that is the same of two tasks which differ in their numbers alone: name, classes, loss, shapes, ..."""
    return jax.tree.structure(task), [jnp.shape(values) for values in jax.tree.leaves(task)]


def _drawn(task: Task, key: Key[Array, ""]) -> Task:
    number = jax.random.randint(key, (), 0, jax.tree.leaves(task.pool)[0].shape[0])
    return jax.tree.map(lambda values: values[number], task.pool)


def _episode(task: Task, key: Key[Array, ""]) -> Task:
    which, within = jax.random.split(key)
    return _drawn(task, which).episode(within)


def _trial(task: Task, key: Key[Array, ""]) -> Task:
    which, within = jax.random.split(key)
    return _drawn(task, which).trial(within)
