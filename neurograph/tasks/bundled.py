"""Makes tasks of data sets that come with scikit-learn: digits (the default task), tables of features of three or two
classes, and diabetes (a regression)."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from .spec import positions, written
from .stored import SPLIT_SEED, check_split_seed, random_split, stored_task, stratified_split
from .task import Task, check_outputs

N_DIGITS_QUERY = 500
N_DIABETES_QUERY = 110
N_TABLE_QUERY = {"iris": 38, "wine": 45, "breast_cancer": 142}
"""About a quarter of the examples of each."""


def digits(
    *, n_outputs: int | None = None, dtype: Any = jnp.float32, standardise: bool = True, classes: Any = None,
    split_seed: int = SPLIT_SEED,
) -> Task:  # fmt: skip
    """Makes a task of 8 x 8 images of ten digits: 1,297 support and 500 query examples.

    Args:
        n_outputs: one per class (the default); or 1 for two classes.
        dtype: the type of the examples and targets.
        standardise: shift and scale each pixel to mean 0 and deviation 1 over the support set (pixels constant there
            become 0); otherwise pixels are 0 ... 1.
        classes: such as `0-4` or `3,8`; default: all. Each keeps its support and query examples.
        split_seed: the seed of the division into support and query examples, which depends on nothing else.

    Returns:
        The task. Inputs are the pixels in row-major order.

    Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998.

    >>> task = digits()
    >>> task.n_inputs, task.n_outputs, task.n_support, task.n_query
    (64, 10, 1297, 500)
    """
    from sklearn.datasets import load_digits

    pixels, labels = map(np.asarray, load_digits(return_X_y=True))
    names = tuple(str(digit) for digit in range(10))
    x = pixels / pixels.max()
    return _classified("digits", x, labels, names, N_DIGITS_QUERY, n_outputs, dtype, standardise, classes, split_seed)


def table(
    name: str, *, n_outputs: int | None = None, dtype: Any = jnp.float32, standardise: bool = True, classes: Any = None,
    split_seed: int = SPLIT_SEED,
) -> Task:  # fmt: skip
    """Makes a task of a table of features: `iris`, `wine` or `breast_cancer`, split by class.

    Args:
        name: which table is loaded.
        n_outputs: one per class, or 1 for two classes (the default of `breast_cancer` is 2).
        dtype: the type of the examples and targets.
        standardise: shift and scale each feature to mean 0 and deviation 1 over the support set; otherwise features
            are in their original units.
        classes: such as `0,2` or names; default: all. Each keeps its support and query examples.
        split_seed: the seed of the division into support and query examples, which depends on nothing else.

    Sources, all from the UCI Machine Learning Repository: R. A. Fisher, "Iris", 1936; S. Aeberhard and M. Forina,
    "Wine", 1992; W. Wolberg, O. Mangasarian, N. Street, W. Street, "Breast Cancer Wisconsin (Diagnostic)", 1993.

    >>> task = table("wine")
    >>> task.n_inputs, task.n_outputs, task.n_support, task.n_query
    (13, 3, 133, 45)
    """
    from sklearn import datasets

    found = getattr(datasets, f"load_{name}")()
    return _classified(
        name, np.asarray(found.data), np.asarray(found.target), tuple(map(str, found.target_names)),
        N_TABLE_QUERY[name], n_outputs, dtype, standardise, classes, split_seed,
    )  # fmt: skip


def diabetes(*, dtype: Any = jnp.float32, standardise: bool = True, split_seed: int = SPLIT_SEED) -> Task:
    """Makes a regression of the progression of diabetes on 10 features: 332 support and 110 query patients.

    Args:
        dtype: the type of the examples and targets.
        standardise: shift and scale each feature and the target to mean 0 and deviation 1 over the support set;
            otherwise the target is the original score, 25 ... 346, and features are in their original units.
        split_seed: the seed of the division into support and query examples, which depends on nothing else.

    Source: B. Efron, T. Hastie, I. Johnstone, R. Tibshirani, "Least Angle Regression", Annals of Statistics 32, 2004.

    >>> task = diabetes()
    >>> task.n_inputs, task.n_outputs, task.n_support, task.n_query
    (10, 1, 332, 110)
    """
    from sklearn.datasets import load_diabetes

    features, progression = map(np.asarray, load_diabetes(return_X_y=True, scaled=False))
    check_split_seed("diabetes", split_seed)
    rows = random_split(len(features), N_DIABETES_QUERY, split_seed)
    return stored_task("diabetes", features, progression[:, None], rows, (), 1, dtype, standardise)


def _classified(
    name: str,
    x: np.ndarray,
    labels: np.ndarray,
    class_names: tuple[str, ...],
    n_query: int,
    n_outputs: int | None,
    dtype: Any,
    standardise: bool,
    classes: Any,
    split_seed: int,
) -> Task:
    """A task of some classes of a table, each of which keeps its support and query examples."""
    check_split_seed(name, split_seed)
    chosen = positions(name, classes, class_names)
    told = name if len(chosen) == len(class_names) else f"{name}:{written(class_names, chosen)}"
    n_outputs = check_outputs(told, len(chosen), n_outputs, default=len(chosen))
    numbers = np.full(len(class_names), -1)
    numbers[list(chosen)] = np.arange(len(chosen))
    parts = stratified_split(labels, n_query, split_seed)
    labels = numbers[np.asarray(labels, np.int64)]
    support, query = (rows[labels[rows] >= 0] for rows in parts)
    names = tuple(class_names[position] for position in chosen)
    return stored_task(told, x, labels, (support, query), names, n_outputs, dtype, standardise)
