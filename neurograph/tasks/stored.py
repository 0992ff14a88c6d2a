"""Makes tasks of stored examples, which are split into support and query and standardised."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from .checks import check_counts, check_features, class_numbers, is_regression, target_values
from .episodes import shuffled, window_episode
from .errors import TaskError
from .sources import Examples, draw
from .task import Task, check_outputs, check_values

SPLIT_SEED = 0


def stratified_split(labels: np.ndarray, n_query: int, seed: int = SPLIT_SEED) -> tuple[np.ndarray, np.ndarray]:
    """Splits examples so that every class is spread over both parts in proportion.

    Each class is shuffled and laid out evenly over [0, 1); the `n_query` smallest positions are the query part. A class
    of two or more examples has one of them in each part. The shuffle sorts raw bits of PCG64, a stream that NumPy
    promises to keep, so that a split never changes.

    Args:
        labels: int `[examples]`, class numbers 0, 1, ...
        n_query: size of the query part.
        seed: the seed of the shuffle.

    Returns:
        (support, query): int64 row numbers, each ascending.
    """
    shuffled = np.argsort(np.random.PCG64(seed).random_raw(labels.shape[0]), kind="stable")
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    counts = np.bincount(labels)
    starts = np.cumsum(counts) - counts
    count = counts[labels[by_class]]
    rank = np.arange(labels.shape[0]) - starts[labels[by_class]]
    position = (rank + 0.5) / count
    position[rank == 0] = 0.0
    position[rank == count - 1] = 1.0
    in_order = by_class[np.argsort(position, kind="stable")]
    return np.sort(in_order[n_query:]), np.sort(in_order[:n_query])


def random_split(n_examples: int, n_query: int, seed: int = SPLIT_SEED) -> tuple[np.ndarray, np.ndarray]:
    """Splits examples at random, as `stratified_split` does those of a single class."""
    return stratified_split(np.zeros(n_examples, np.int64), n_query, seed)


def standardised(support: np.ndarray, query: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shifts and scales each feature to mean 0 and deviation 1 over the support set; features constant there become 0.

    Args:
        support, query: float64 `[examples, features]`.
    """
    mean, deviation = support.mean(axis=0), support.std(axis=0)
    # the deviation of a constant such as 0.1 may be a rounding error instead of 0
    varies = support.max(axis=0) > support.min(axis=0)
    scale = np.where(varies, 1 / np.where(varies, deviation, 1), 0)
    return (support - mean) * scale, (query - mean) * scale


def from_arrays(
    features: np.ndarray,
    labels: np.ndarray | Sequence,
    *,
    kind: str = "auto",
    name: str = "arrays",
    n_outputs: int | None = None,
    dtype: Any = jnp.float32,
    query_fraction: float = 0.25,
    split_seed: int = SPLIT_SEED,
    standardise: bool = True,
) -> Task:
    """Makes a task of your own examples, split into support and query: by class, or at random for a regression.

    Args:
        features: numbers `[examples, ...]`; further axes are flattened.
        labels: `[examples]`, the classes: integers, booleans or text. Outputs are in the sorted order of the classes.
            For a regression: the values to predict, numbers `[examples]` or `[examples, outputs]`.
        kind: "classification", "regression", or "auto": a regression where the labels are numbers, not all of
            which are integers.
        name: what messages call it.
        n_outputs: one per class (the default); or 1 for two classes. Of a regression, one per value.
        dtype: the type of the examples and targets.
        query_fraction: the fraction of the examples that are kept for the query set.
        split_seed: the seed of the split.
        standardise: shift and scale each feature to mean 0 and deviation 1 over the support set; for a regression each
            target, too.

    Returns:
        The task.

    Raises:
        TaskError: shapes that do not fit, missing or infinite values, fewer than two classes, a class of one example,
            a target that never varies.

    >>> task = from_arrays(np.eye(4), ["odd", "even", "odd", "even"], name="parity")
    >>> task.class_names, task.n_inputs, task.n_support, task.n_query
    (('even', 'odd'), 4, 2, 2)
    >>> x = np.linspace(0, 1, 40)[:, None]
    >>> task = from_arrays(x, x**2)
    >>> task.is_regression, task.n_outputs, task.n_support, task.n_query
    (True, 1, 30, 10)
    """
    if is_regression(name, labels, kind):
        values = target_values(name, labels)
        x = check_features(name, features, len(values))
        n_outputs, n_least, classes = check_values(name, values.shape[1], n_outputs), 1, ()
    else:
        classes, values = class_numbers(name, labels)
        x = check_features(name, features, len(values))
        check_counts(name, classes, values)
        n_outputs, n_least = check_outputs(name, len(classes), n_outputs, default=len(classes)), len(classes)
    if not 0 < query_fraction < 1:
        raise TaskError(f"task '{name}': query_fraction is {query_fraction}; it must lie between 0 and 1.")
    check_split_seed(name, split_seed)
    n_query = int(np.clip(round(query_fraction * len(values)), n_least, len(values) - n_least))
    rows = stratified_split(values, n_query, split_seed) if classes else random_split(len(values), n_query, split_seed)
    return stored_task(name, x, values, rows, classes, n_outputs, dtype, standardise)


def check_split_seed(name: str, seed: int) -> None:
    """Checks the seed of a task's split.

    Raises:
        TaskError: it is negative.
    """
    if seed < 0:
        raise TaskError(f"task '{name}': split_seed is {seed}; it must be a whole number, 0 or more.")


def stored_task(
    name: str,
    features: np.ndarray,
    labels: np.ndarray,
    rows: tuple[np.ndarray, np.ndarray],
    class_names: tuple[str, ...],
    n_outputs: int,
    dtype: Any,
    standardise: bool,
) -> Task:
    """Makes a task of checked examples.

    Args:
        name: what messages call it.
        features: float64 `[examples, features]`.
        labels: class numbers `[examples]`; or for a regression float64 `[examples, outputs]`.
        rows: those for support and for query.
        class_names: the names of class 0, 1, ...; empty for a regression.
        n_outputs, dtype, standardise: as for `from_arrays`.

    Raises:
        TaskError: a value to predict is the same in all support examples.
    """
    x, y = ([array[part] for part in rows] for array in (features, labels))
    if not class_names:
        constant = np.flatnonzero(y[0].max(axis=0) == y[0].min(axis=0))
        if len(constant):
            raise TaskError(
                f"task '{name}': all {len(rows[0])} support examples have the target {y[0][0, constant[0]]:g}"
                f"{f' in column {constant[0] + 1}' if n_outputs > 1 else ''}; there is nothing to learn: leave the "
                "target out, or give more examples."
            )
    if standardise:
        x = standardised(*x)
        y = y if class_names else standardised(*y)
    support, query = (
        Examples(jnp.asarray(values, dtype), jnp.asarray(wanted, jnp.int32 if class_names else dtype))
        for values, wanted in zip(x, y, strict=True)
    )
    return Task(
        support, query, query, draw, name, class_names, n_outputs, shuffled(len(rows[0])), episode_of=window_episode
    )
