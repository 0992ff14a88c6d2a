"""Makes tasks of labelled images: MNIST, Fashion-MNIST, EMNIST."""

import os
from typing import Any

import jax.numpy as jnp
import numpy as np

from . import datasets
from .episodes import shuffled, window_episode
from .errors import TaskError
from .sources import Images, draw
from .spec import positions, side, written
from .task import Task, check_outputs

NAMES = tuple(name for name, data in datasets.DATA_SETS.items() if data.class_names)
DEFAULT_SIDE = 28


def images(
    name: str,
    *,
    size: Any = None,
    classes: Any = None,
    data_dir: str | os.PathLike[str] | None = None,
    standardise: bool = True,
    n_outputs: int | None = None,
    dtype: Any = jnp.float32,
) -> Task:
    """Makes a task of labelled images; the official training set is to learn from, the test set is the query set.

    Pixels are kept as bytes and become numbers when a batch is drawn.

    Args:
        name: one of `NAMES`.
        size: such as `10x10` or 10; default: 28x28.
        classes: such as `0-4` or `A-J,X`; default: all. Outputs are in the data set's order of classes.
        data_dir: folder of the files; default: that of `NEUROGRAPH_DATA`, else the cache folder, where files are
            downloaded if need be.
        standardise: shift and scale all pixels alike, to mean 0 and deviation 1 over all pixels of the support set;
            otherwise pixels are 0 ... 1.
        n_outputs: one per class (the default); or 1 for two classes.
        dtype: the type of the examples and targets.

    Raises:
        TaskError: no such size or class; files that are missing, damaged or of another data set.
    """
    data = datasets.data_set(name)
    pixels = side(data.name, size, DEFAULT_SIDE, data.shape[0])
    chosen = positions(data.name, classes, data.class_names, data.first_label)
    label = data.name + (f":{pixels}x{pixels}" if pixels != DEFAULT_SIDE else "")
    if len(chosen) < len(data.class_names):
        label += f":{written(data.class_names, chosen)}"
    n_outputs = check_outputs(label, len(chosen), n_outputs, default=len(chosen))
    try:
        pictures = datasets.load_pictures(data.name, size=pixels, classes=chosen, data_dir=data_dir)
    except datasets.DataError as error:
        raise TaskError(str(error)) from error
    shift, scale = scaling(pictures.support, standardise)
    support, query = (
        Images(jnp.asarray(values), jnp.asarray(labels), jnp.asarray(shift, dtype), jnp.asarray(scale, dtype))
        for values, labels in (
            (pictures.support, pictures.support_labels),
            (pictures.query, pictures.query_labels),
        )
    )
    class_names = tuple(data.class_names[position] for position in chosen)
    order = shuffled(len(pictures.support))
    return Task(support, query, query, draw, label, class_names, n_outputs, order, window_episode)


def scaling(pixels: np.ndarray, standardise: bool) -> tuple[float, float]:
    """Gives the shift and scale that bring bytes to mean 0 and deviation 1 (equal bytes: to 0), or to 0 ... 1."""
    if not standardise:
        return 0.0, 1 / 255
    flat = pixels.reshape(-1)
    counts = np.zeros(256, np.int64)
    for start in range(0, flat.size, 1 << 24):
        counts += np.bincount(flat[start : start + (1 << 24)], minlength=256)
    values = np.arange(256)
    mean = counts @ values / flat.size
    deviation = float(np.sqrt(counts @ (values - mean) ** 2 / flat.size))
    return float(mean), 1 / deviation if deviation > 0 else 0.0
