"""Checks the user's arrays; every array that cannot be used is refused in a sentence."""

from collections.abc import Sequence

import numpy as np

from .._text import count, nearest, shown
from .errors import TaskError

KINDS = ("classification", "regression", "auto")
LARGEST_CLASS = 2**53
"""Beyond this, floating-point numbers do not represent every integer."""


def is_regression(name: str, labels: np.ndarray | Sequence, kind: str) -> bool:
    """Says whether a task is a regression; for "auto", whether any label is a finite number but not an integer.

    Raises:
        TaskError: there is no such kind.
    """
    if kind not in KINDS:
        raise TaskError(f"task '{name}': there is no kind '{kind}'; {nearest(kind, KINDS)}")
    array = np.asarray(labels)
    if kind != "auto" or array.dtype.kind != "f":
        return kind == "regression"
    finite = array[np.isfinite(array)]
    return bool((finite != np.floor(finite)).any())


def check_features(name: str, features: np.ndarray, n_examples: int) -> np.ndarray:
    """Gives the features as float64 `[examples, features]`.

    Raises:
        TaskError: they are not numbers, are not finite, or do not fit the number of labels.
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
    _check_finite(name, "feature", x)
    return x


def class_numbers(name: str, labels: np.ndarray | Sequence) -> tuple[tuple[str, ...], np.ndarray]:
    """Gives the sorted class names and each example's class number, int64 `[examples]`.

    Raises:
        TaskError: the labels are not a list of integers, booleans or texts, or the list is empty.
    """
    array = np.asarray(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise TaskError(
            f"task '{name}': the labels have shape {array.shape}; give one class per example, or kind='regression' if "
            "they are values to predict."
        )
    if array.shape[0] == 0:
        raise TaskError(f"task '{name}': there are no examples; give at least two of each class.")
    if array.dtype.kind == "f":
        whole = (array == np.floor(array)) & (np.abs(array) < LARGEST_CLASS)
        if not whole.all():
            row = int(np.argmin(whole))
            raise TaskError(
                f"task '{name}': the label of example {row + 1} is {array[row]}; classes are integers or text, and "
                "values to predict need kind='regression'."
            )
        array = array.astype(np.int64)
    if array.dtype.kind not in "biuU":
        raise TaskError(f"task '{name}': the labels are of type {array.dtype}; classes are integers, booleans or text.")
    classes, numbers = np.unique(array, return_inverse=True)
    return tuple(str(c) for c in classes), numbers.astype(np.int64)


def check_counts(name: str, classes: tuple[str, ...], numbers: np.ndarray) -> None:
    """Checks that there are two classes or more, each with two examples or more.

    Raises:
        TaskError: there are fewer.
    """
    counts = np.bincount(numbers)
    if len(classes) == 1:
        raise TaskError(
            f"task '{name}': all {len(numbers)} examples are of class {shown(classes[0])}; two or more are needed."
        )
    if counts.min() < 2:
        raise TaskError(
            f"task '{name}': class {shown(classes[int(counts.argmin())])} has 1 example; every class needs 2 or more, "
            "one to learn from and one to be tested on. If the labels are values to predict, give kind='regression'."
        )


def target_values(name: str, labels: np.ndarray | Sequence) -> np.ndarray:
    """Gives the values to predict, float64 `[examples, outputs]`.

    Raises:
        TaskError: they are not numbers, are not finite, have more than two axes, or are fewer than three.
    """
    array = np.asarray(labels)
    if array.dtype.kind not in "biuf":
        raise TaskError(f"task '{name}': the targets are of type {array.dtype}; a regression needs real numbers.")
    if array.ndim not in (1, 2) or 0 in array.shape[1:]:
        raise TaskError(
            f"task '{name}': the targets have shape {array.shape}; give one value per example, or [examples, outputs]."
        )
    values = array.reshape(len(array), -1).astype(np.float64) if len(array) else np.zeros((0, 1))
    if len(values) < 3:
        raise TaskError(
            f"task '{name}' has {count(len(values), 'example')}; a regression needs three or more, two to learn from "
            "and one to be tested on."
        )
    _check_finite(name, "target", values)
    return values


def _check_finite(name: str, what: str, values: np.ndarray) -> None:
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        example, column = bad[0]
        raise TaskError(
            f"task '{name}': {what} {column + 1} of example {example + 1} is {values[example, column]} ({len(bad)} "
            "such values in all); remove or fill in what is missing."
        )
