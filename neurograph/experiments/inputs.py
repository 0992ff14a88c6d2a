"""Tasks with other statistics of their inputs, or with labels that are partly wrong: all else of a task stays."""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from ..tasks import Task
from ..tasks.episodes import shuffled
from ..tasks.sources import Examples, everything

_LEAST_VARIANCE = 1e-2
"""A direction of less variance than this share of the mean one is not magnified further where inputs are whitened."""

Change = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Changes examples `[examples, inputs]` by the statistics of the first argument, the support examples."""


def _standardised(support: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Each input has mean 0 and deviation 1; one that is constant becomes 0."""
    deviation = support.std(axis=0)
    varies = deviation > 1e-6
    return (x - support.mean(axis=0)) * np.where(varies, 1 / np.where(varies, deviation, 1), 0)


def _whitened(support: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Inputs are uncorrelated, each nearly as it was: `(x - mean) (C + c I)^(-1/2)` with their covariance C."""
    mean = support.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(support - mean, rowvar=False, bias=True))
    scale = 1 / np.sqrt(np.maximum(values, 0) + _LEAST_VARIANCE * max(float(values.mean()), 1e-12))
    return (x - mean) @ (vectors * scale) @ vectors.T


def _one_mean(support: np.ndarray, x: np.ndarray) -> np.ndarray:
    return (x - support.mean()) / max(float(support.std()), 1e-12)


def _centred(support: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Each input has mean 0, and all together deviation 1."""
    centred = support - support.mean(axis=0)
    return (x - support.mean(axis=0)) / max(float(centred.std()), 1e-12)


CHANGES: dict[str, Change] = {
    "each standardised": _standardised,
    "each centred": _centred,
    "one mean": _one_mean,
    "0 to 1": lambda support, x: x,
    "inverted": lambda support, x: 1 - x,
    "whitened": _whitened,
}
"""What inputs from 0 to 1 become, by name; the word after them may scale or shift the result (see `changed`)."""


def parse(words: str) -> tuple[str, float, float]:
    """The name of a change, a factor and an offset.

    >>> parse("one mean"), parse("one mean * 0.1"), parse("0 to 1 + 2")
    (('one mean', 1.0, 0.0), ('one mean', 0.1, 0.0), ('0 to 1', 1.0, 2.0))

    Raises:
        ValueError: there is no change of that name, or what follows is no number.
    """
    factor, offset, name = 1.0, 0.0, words
    for sign in (" * ", " + "):
        if sign in words:
            name, _, number = words.partition(sign)
            factor, offset = (float(number), 0.0) if sign == " * " else (1.0, float(number))
    if name not in CHANGES:
        raise ValueError(f"inputs cannot be made '{name}'; give one of {', '.join(CHANGES)}")
    return name, factor, offset


def changed(task: Task, inputs: str, *, wrong_labels: float = 0.0, most: int | None = None, seed: int = 0) -> Task:
    """A task of stored examples with its inputs changed.

    Tasks of equally many examples, inputs and classes share programs, whatever they were called before.

    Args:
        task: its inputs are from 0 to 1.
        inputs: a name of `CHANGES`; then perhaps ` * FACTOR` or ` + OFFSET`, for all inputs alike. Statistics are those
            of the support examples.
        wrong_labels: the share of support examples whose label is drawn anew from all classes.
        most: the most support examples that are kept, and a fifth as many test examples; they are drawn at random.
        seed: the seed of all draws.
    """
    name, factor, offset = parse(inputs)
    rng = np.random.default_rng(seed)
    (shown, labels), (unseen, test_labels) = (
        _some(rng, everything(source), limit)
        for source, limit in ((task.support_source, most), (task.test, None if most is None else max(1, most // 5)))
    )

    def of(x: np.ndarray) -> jnp.ndarray:
        return jnp.asarray(factor * CHANGES[name](shown, x) + offset, task.dtype)

    wrong = rng.random(labels.size) < wrong_labels
    labels = np.where(wrong, rng.integers(task.n_classes, size=labels.size), labels).astype(labels.dtype)
    support = Examples(of(shown), jnp.asarray(labels))
    test = Examples(of(unseen), jnp.asarray(test_labels))
    names = tuple(map(str, range(task.n_classes)))
    return dataclasses.replace(
        task, support_source=support, query_source=test, test=test, name="changed", class_names=names,
        pool=shuffled(labels.size),
    )  # fmt: skip


def _some(rng: np.random.Generator, examples: Examples, most: int | None) -> tuple[np.ndarray, np.ndarray]:
    x, labels = np.asarray(examples.x, np.float64), np.asarray(examples.labels)
    if most is None or labels.size <= most:
        return x, labels
    rows = np.sort(rng.choice(labels.size, most, replace=False))
    return x[rows], labels[rows]
