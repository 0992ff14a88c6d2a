"""The embedded default task: 1,797 real handwritten digits."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits

from .spec import positions, written
from .stored import SPLIT_SEED, split_task
from .task import Task

N_QUERY = 500


def digits(
    *, n_outputs: int | None = None, dtype: Any = jnp.float32, standardise: bool = True, classes: Any = None
) -> Task:
    """Scikit-learn's bundled 8 x 8 images of ten digits: 1,297 support and 500 query examples, always the same.

    Args:
        n_outputs: one per class (the default); or 1 for two classes.
        dtype: of the examples and targets.
        standardise: shift and scale each pixel to mean 0 and deviation 1 over the support set (pixels constant there
            become 0); otherwise pixels are 0 ... 1.
        classes: such as `0-4` or `3,8`; default: all. Each keeps its support and query examples.

    Returns:
        The task. Inputs are the pixels in row-major order.

    Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998.

    >>> task = digits()
    >>> task.n_inputs, task.n_outputs, task.n_support, task.n_query
    (64, 10, 1297, 500)
    """
    pixels, labels = (np.asarray(part) for part in load_digits(return_X_y=True))
    class_names = tuple(str(digit) for digit in range(10))
    x = pixels / pixels.max()
    chosen = positions("digits", classes, class_names)
    name = "digits" if len(chosen) == len(class_names) else f"digits:{written(class_names, chosen)}"
    return split_task(name, x, labels, class_names, N_QUERY, n_outputs, dtype, SPLIT_SEED, standardise, chosen)
