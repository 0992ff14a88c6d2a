"""Tasks of stored examples: split and standardised."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from .episodes import shuffled, window_episode
from .sources import Examples, draw
from .task import Task, TaskError, check_outputs

SPLIT_SEED = 0
LARGEST_CLASS = 2**53
"""Beyond it, floating-point numbers are no exact integers."""


def stratified_split(labels: np.ndarray, n_query: int, seed: int = SPLIT_SEED) -> tuple[np.ndarray, np.ndarray]:
    """Splits examples so that every class is spread over both parts in proportion.

    Each class is shuffled and laid out evenly over [0, 1); the `n_query` smallest positions are the query part. A class
    of two or more examples has one of them in each part. The shuffle sorts raw bits of PCG64, a stream that NumPy
    promises to keep, so that a split never changes.

    Args:
        labels: int `[examples]`, class numbers 0, 1, ...
        n_query: size of the query part.
        seed: of the shuffle.

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


def standardised(support: np.ndarray, query: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shifts and scales each feature to mean 0 and deviation 1 over the support set; features constant there become 0.

    Args:
        support, query: float64 `[examples, features]`.
    """
    mean, deviation = support.mean(axis=0), support.std(axis=0)
    # the deviation of a constant that is no binary fraction is rounding error, not 0
    varies = support.max(axis=0) > support.min(axis=0)
    scale = np.where(varies, 1 / np.where(varies, deviation, 1), 0)
    return (support - mean) * scale, (query - mean) * scale


def from_arrays(
    features: np.ndarray,
    labels: np.ndarray | Sequence,
    *,
    name: str = "arrays",
    n_outputs: int | None = None,
    dtype: Any = jnp.float32,
    query_fraction: float = 0.25,
    split_seed: int = SPLIT_SEED,
    standardise: bool = True,
) -> Task:
    """A task of the user's own examples, split into support and query by class.

    Args:
        features: numbers `[examples, ...]`; further axes are flattened.
        labels: `[examples]`, the classes: integers, booleans or text. Outputs are in the sorted order of the classes.
        name: what messages call it.
        n_outputs: one per class (the default); or 1 for two classes.
        dtype: of the examples and targets.
        query_fraction: of the examples that are kept for the query set.
        split_seed: of the split.
        standardise: shift and scale each feature to mean 0 and deviation 1 over the support set.

    Returns:
        The task.

    Raises:
        TaskError: shapes that do not fit, missing or infinite values, fewer than two classes, a class of one example.

    >>> task = from_arrays(np.eye(4), ["odd", "even", "odd", "even"], name="parity")
    >>> task.class_names, task.n_inputs, task.n_support, task.n_query
    (('even', 'odd'), 4, 2, 2)
    """
    classes, numbers = class_numbers(name, labels)
    x = check_features(name, features, numbers.shape[0])
    counts = np.bincount(numbers)
    if len(classes) == 1:
        raise TaskError(
            f"task '{name}': all {len(numbers)} examples are of class '{classes[0]}'; two classes are needed."
        )
    if counts.min() < 2:
        raise TaskError(
            f"task '{name}': class '{classes[int(counts.argmin())]}' has 1 example; every class needs 2 or more, one "
            "to learn from and one to be tested on."
        )
    if not 0 < query_fraction < 1:
        raise TaskError(f"task '{name}': query_fraction is {query_fraction}; it must lie between 0 and 1.")
    n_query = int(np.clip(round(query_fraction * len(numbers)), len(classes), len(numbers) - len(classes)))
    return split_task(name, x, numbers, classes, n_query, n_outputs, dtype, split_seed, standardise)


def split_task(
    name: str,
    features: np.ndarray,
    labels: np.ndarray,
    class_names: tuple[str, ...],
    n_query: int,
    n_outputs: int | None,
    dtype: Any,
    split_seed: int,
    standardise: bool,
    chosen: Sequence[int] | None = None,
) -> Task:
    """A task of checked examples (float64 `[examples, features]`, class numbers `[examples]`).

    Of the classes, only those `chosen` are kept, after the split: which examples are in the query set does not depend
    on it.
    """
    chosen = range(len(class_names)) if chosen is None else chosen
    n_outputs = check_outputs(name, len(chosen), n_outputs, default=len(chosen))
    numbers = np.full(len(class_names), -1)
    numbers[list(chosen)] = np.arange(len(chosen))
    parts = [rows[numbers[labels[rows]] >= 0] for rows in stratified_split(labels, n_query, split_seed)]
    x = [features[rows] for rows in parts]
    x = standardised(*x) if standardise else x
    support_set, query_set = (
        Examples(jnp.asarray(values, dtype), jnp.asarray(numbers[labels[rows]], jnp.int32))
        for values, rows in zip(x, parts, strict=True)
    )
    names = tuple(class_names[position] for position in chosen)
    order = shuffled(len(parts[0]))
    return Task(support_set, query_set, query_set, draw, name, names, n_outputs, order, window_episode)


def check_features(name: str, features: np.ndarray, n_examples: int) -> np.ndarray:
    """The features as float64 `[examples, features]`.

    Raises:
        TaskError: they are no numbers, are not finite, or do not fit the number of labels.
    """
    array = np.asarray(features)
    if array.dtype.kind not in "biuf":
        raise TaskError(f"task '{name}': the features are of type {array.dtype}; they must be real numbers.")
    if array.ndim < 2 or array.shape[0] != n_examples:
        raise TaskError(
            f"task '{name}': the features have shape {array.shape} and there are {n_examples} labels; give features of "
            f"shape ({n_examples}, number of features)."
        )
    x = array.reshape(n_examples, -1).astype(np.float64)
    if x.shape[1] == 0:
        raise TaskError(f"task '{name}': the examples have no features; at least one is needed.")
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        example, feature = bad[0]
        raise TaskError(
            f"task '{name}': feature {feature + 1} of example {example + 1} is {x[example, feature]} ({len(bad)} such "
            "values in all); remove or fill in what is missing."
        )
    return x


def class_numbers(name: str, labels: np.ndarray | Sequence) -> tuple[tuple[str, ...], np.ndarray]:
    """The sorted class names and each example's class number, int64 `[examples]`.

    Raises:
        TaskError: the labels are no list of integers, booleans or texts, or there is none.
    """
    array = np.asarray(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise TaskError(f"task '{name}': the labels have shape {array.shape}; give one class per example.")
    if array.shape[0] == 0:
        raise TaskError(f"task '{name}': there are no examples; give at least two of each class.")
    if array.dtype.kind == "f":
        whole = (array == np.floor(array)) & (np.abs(array) < LARGEST_CLASS)
        if not whole.all():
            row = int(np.argmin(whole))
            raise TaskError(
                f"task '{name}': the label of example {row + 1} is {array[row]}; classes are integers or text."
            )
        array = array.astype(np.int64)
    if array.dtype.kind not in "biuU":
        raise TaskError(f"task '{name}': the labels are of type {array.dtype}; classes are integers, booleans or text.")
    classes, numbers = np.unique(array, return_inverse=True)
    return tuple(str(c) for c in classes), numbers.astype(np.int64)
