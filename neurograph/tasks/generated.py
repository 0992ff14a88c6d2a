"""Makes tasks whose examples a function generates without end."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from .errors import TaskError
from .sources import Examples
from .task import Sampler, Task, check_outputs, check_values

N_QUERY = 1000

Parameters = Callable[[Key[Array, ""], Any], Any]
"""Maps (key, dtype) to the parameters of a task: arrays, in any pytree."""


def no_parameters(key: Key[Array, ""], dtype: Any) -> dict[str, Array]:
    """Draws the parameters of a task that has none."""
    return {}


class _Redraw(NamedTuple):
    """Makes episodes: the same task with other parameters and another query set. Equal where the function is equal."""

    parameters: Parameters

    def __call__(self, task: Task, key: Key[Array, ""]) -> Task:
        source, test = _draw(key, task.sampler, self.parameters, task.dtype, task.n_query)
        return dataclasses.replace(task, support_source=source, query_source=source, test=test)


def generated(
    key: Key[Array, ""],
    sampler: Sampler,
    *,
    parameters: Parameters = no_parameters,
    class_names: tuple[str, ...] = (),
    n_outputs: int | None = None,
    name: str = "generated",
    dtype: Any = jnp.float32,
    query_size: int = N_QUERY,
) -> Task:
    """Makes a task whose batches are fresh examples, drawn by a function.

    The parameters are leaves of the task, so that a batch of tasks comes by `jax.vmap`. An episode draws
    parameters and a query set of its own.

    Args:
        key: draws the parameters and the fixed query set.
        sampler: (parameters, key, batch_size, dtype) -> (x `[batch, inputs]`, labels): for a classification integers
            `[batch]`, for a regression real numbers `[batch, outputs]`. Pure, and defined once: it is static.
        parameters: (key, dtype) -> the parameters, arrays in any pytree; default: none.
        class_names: name of class 0, 1, ...; empty for a regression.
        n_outputs: two classes: 1 (the default: +1 for class 1, -1 for class 0) or 2; more classes: one per class; a
            regression: as many as the sampler gives.
        name: what messages call it.
        dtype: the type of the examples and targets.
        query_size: size of the fixed query set.

    Raises:
        TaskError: a number of outputs or a query size that does not fit; examples that have another shape.

    >>> def slope(key, dtype):
    ...     return jax.random.normal(key, (3, 1), dtype)
    >>> def on_a_plane(slope, key, batch_size, dtype):
    ...     x = jax.random.normal(key, (batch_size, 3), dtype)
    ...     return x, x @ slope
    >>> task = generated(jax.random.key(0), on_a_plane, parameters=slope, name="plane")
    >>> task.n_inputs, task.n_outputs, task.score_name
    (3, 1, 'R2')
    """
    if query_size < 1:
        raise TaskError(f"task '{name}': query_size is {query_size}; the query set needs at least one example.")
    if query_size >= 2**31:
        raise TaskError(f"task '{name}': query_size is {query_size:,}, more than can be counted; give a smaller one.")
    source, test = _draw(key, sampler, parameters, dtype, query_size)
    n_axes = 1 if class_names else 2
    if test.x.ndim != 2 or test.labels.ndim != n_axes or {test.x.shape[0], test.labels.shape[0]} != {query_size}:
        labels = "class numbers [batch]" if class_names else "real values [batch, outputs]"
        raise TaskError(
            f"task '{name}': for a batch of {query_size}, the sampler gives examples of shape {test.x.shape} and "
            f"labels of shape {test.labels.shape}; it must give examples [batch, inputs] and {labels}."
        )
    n_classes = len(class_names)
    if n_classes:
        n_outputs = check_outputs(name, n_classes, n_outputs, default=1 if n_classes == 2 else n_classes)
    else:
        n_outputs = check_values(name, test.labels.shape[1], n_outputs)
    return Task(source, source, test, sampler, name, class_names, n_outputs, episode_of=_Redraw(parameters))


@functools.partial(jax.jit, static_argnames=("sampler", "parameters", "dtype", "query_size"))
def _draw(
    key: Key[Array, ""], sampler: Sampler, parameters: Parameters, dtype: Any, query_size: int
) -> tuple[Any, Examples]:
    """Draws the parameters and the query set."""
    parameter_key, query_key = jax.random.split(key)
    source = parameters(parameter_key, dtype)
    return source, Examples(*sampler(source, query_key, query_size, dtype))
