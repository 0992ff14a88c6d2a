"""Draws classifications of many kinds, as examples of one shape, so that all of them run one compiled program."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ...tasks import Task, TaskError
from ...tasks.sources import Examples, everything, n_examples
from ...tasks.sources import draw as drawn_batch

N_SUPPORT, N_QUERY = 8192, 1024
"""The number of rows of every drawn task; of fewer examples, some rows are the same."""
N_GENERATED = 10240
FEWEST = 128
"""The least number of examples of a task to learn from."""
SCALINGS = ("each feature", "all alike", "range", "uneven")
"""How inputs are scaled: each feature to mean 0 and deviation 1; all together; to at most 1 and not centred, in four of
ten cases inverted; each by a factor and a shift of its own."""
SHARES = (0.4, 0.25, 0.2, 0.15)

Cloud = tuple[np.ndarray, np.ndarray]
"""Examples `[examples, inputs]` and class numbers `[examples]`."""


class Pictures(NamedTuple):
    """Labelled images that tasks are made of.

    Attributes:
        pixels: 0 ... 1.
        labels: class numbers, as many different ones as there are.
    """

    pixels: Float[np.ndarray, "examples inputs"]
    labels: Int[np.ndarray, " examples"]


def pictures_of(task: Task) -> Pictures:
    """The examples of a task that are to learn from; of Omniglot, those of the characters for meta-learning.

    Args:
        task: one of stored examples, loaded with `standardise=False`.

    Raises:
        TaskError: it generates its examples, or they are not labelled with classes.
    """
    pool = task.pool[0].images if isinstance(task.pool, tuple) else task.support_source
    if n_examples(pool) is None:
        raise TaskError(
            f"pictures are drawn from stored examples, but task {task.name!r} generates its own; leave it out."
        )
    found = everything(pool)
    if not jnp.issubdtype(found.labels.dtype, jnp.integer):
        raise TaskError(f"pictures have classes, but the examples of task {task.name!r} have values; leave it out.")
    return Pictures(np.asarray(found.x, np.float32), np.asarray(found.labels))


def template(n_inputs: int, n_classes: int) -> Task:
    """A task of the shape that all drawn ones have."""
    support, query = (
        Examples(jnp.zeros((n, n_inputs), jnp.float32), jnp.zeros(n, jnp.int32)) for n in (N_SUPPORT, N_QUERY)
    )
    names = tuple(str(number) for number in range(n_classes))
    return Task(support, query, query, drawn_batch, "drawn", names, n_classes)


def draw(
    random: np.random.Generator, n_inputs: int, n_classes: int, pictures: Mapping[str, Sequence[Pictures]]
) -> tuple[Task, str]:
    """Draws a task, and says of which kind it is.

    Half of the tasks are of pictures, where there are any with so many classes: classes are drawn, and numbered anew.
    Pictures of another size than the inputs are projected at random. The others are mixtures of Gaussians, labels of a
    random network, and figures in the plane behind a random projection. Half of all tasks have fewer examples, down to
    `FEWEST`. Then the inputs are scaled, in one of the ways of `SCALINGS`.

    Args:
        random: all that is random.
        n_inputs, n_classes: the numbers of inputs and of outputs.
        pictures: for each data set, its pictures, in one or several sizes.
    """
    able = [name for name, sizes in pictures.items() if len(np.unique(sizes[0].labels)) >= n_classes]
    if able and random.random() < 0.5:
        kind = str(random.choice(able))
        x, labels = _of_pictures(random, pictures[kind], n_inputs, n_classes)
    else:
        kind = str(random.choice(list(GENERATED)))
        x, labels = GENERATED[kind](random, n_inputs, n_classes)
    order = random.permutation(len(labels))
    n_query = max(len(labels) // 4, 1)
    query, support = order[:n_query], order[n_query:][:N_SUPPORT]
    if random.random() < 0.5:
        support = support[: int(np.exp(random.uniform(np.log(min(FEWEST, len(support))), np.log(len(support) + 1))))]
    support, query = np.resize(support, N_SUPPORT), np.resize(query, N_QUERY)
    inputs = _scaled(random, x[support], x[query])
    support_examples, query_examples = (
        Examples(jnp.asarray(values, jnp.float32), jnp.asarray(labels[rows], jnp.int32))
        for values, rows in zip(inputs, (support, query), strict=True)
    )
    task = template(n_inputs, n_classes)
    return dataclasses.replace(
        task, support_source=support_examples, query_source=query_examples, test=query_examples
    ), kind


def _scaled(random: np.random.Generator, support: np.ndarray, query: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inputs as they are given to the network, by numbers that come from the support examples."""
    how = str(random.choice(SCALINGS, p=SHARES))
    shift: float | np.ndarray = 0.0
    if how == "each feature":
        shift, scale = support.mean(axis=0), support.std(axis=0)
        # a feature that hardly varies becomes 0, or stays small
        least = 0.1 * scale.max() if random.random() < 0.5 else 0.0
        scale = np.where(scale > least + 1e-6, scale, least or np.inf)
    elif how == "all alike":
        shift, scale = support.mean(), support.std()
    elif how == "range":
        if random.random() < 0.4:
            highest = support.max()
            support, query = highest - support, highest - query
        scale = np.abs(support).max()
    else:
        n = support.shape[1]
        factor, shift = (
            np.exp(0.5 * random.normal(size=n)),
            random.uniform(0, 2) * support.std() * random.normal(size=n),
        )
        support, query, shift = support * factor + shift, query * factor + shift, 0.0
        scale = support.std()
    size = np.exp(0.5 * random.normal()) if random.random() < 0.3 else 1.0
    return (support - shift) / scale * size, (query - shift) / scale * size


def _projected(random: np.random.Generator, x: np.ndarray, n_inputs: int) -> np.ndarray:
    """As many inputs as wanted: random sums, of which three in ten cases are squashed."""
    if x.shape[1] == n_inputs:
        return x
    y = x @ random.normal(size=(x.shape[1], n_inputs)) / np.sqrt(x.shape[1])
    return np.tanh(random.uniform(0.5, 2) * y) if random.random() < 0.3 else y


# --- pictures ---------------------------------------------------------------------------------------------------------


def _of_pictures(random: np.random.Generator, sizes: Sequence[Pictures], n_inputs: int, n_classes: int) -> Cloud:
    fit = [one for one in sizes if one.pixels.shape[1] == n_inputs]
    pictures = fit[0] if fit else sizes[int(random.integers(len(sizes)))]
    chosen = random.permutation(np.unique(pictures.labels))[:n_classes]
    number = np.full(int(pictures.labels.max()) + 1, -1)
    number[chosen] = np.arange(n_classes)
    rows = np.flatnonzero(number[pictures.labels] >= 0)
    rows = random.permutation(rows)[:N_GENERATED]
    return _projected(random, pictures.pixels[rows], n_inputs), number[pictures.labels[rows]]


# --- generated --------------------------------------------------------------------------------------------------------


def _mixture(random: np.random.Generator, n_inputs: int, n_classes: int) -> Cloud:
    """One to three Gaussians for each class, of one covariance, in a subspace, with noise around it."""
    latent = int(random.integers(min(n_inputs, 2), min(n_inputs, 24) + 1))
    n_modes, apart = int(random.integers(1, 4)), np.exp(random.uniform(np.log(0.8), np.log(3.0)))
    centres = apart * random.normal(size=(n_classes, n_modes, latent))
    labels, modes = random.integers(n_classes, size=N_GENERATED), random.integers(n_modes, size=N_GENERATED)
    spread = 0.5 * random.normal(size=(latent, latent)) / np.sqrt(latent) + 0.7 * np.eye(latent)
    points = centres[labels, modes] + random.normal(size=(N_GENERATED, latent)) @ spread
    axes = np.linalg.qr(random.normal(size=(n_inputs, latent)))[0]
    noise = np.exp(random.uniform(np.log(0.02), np.log(0.7))) * random.normal(size=(N_GENERATED, n_inputs))
    return points @ axes.T + noise, labels


def _teacher(random: np.random.Generator, n_inputs: int, n_classes: int) -> Cloud:
    """Gaussian inputs, half of them of unequal variance, labelled by a random network of up to two hidden layers."""
    x = random.normal(size=(N_GENERATED, n_inputs))
    if random.random() < 0.5:
        x = x * np.exp(-np.arange(n_inputs) / (n_inputs * random.uniform(0.1, 1)))
        x = x @ np.linalg.qr(random.normal(size=(n_inputs, n_inputs)))[0]
    x = x / x.std()
    hidden = x
    for _ in range(int(random.integers(3))):
        u = hidden @ random.normal(size=(hidden.shape[1], 32)) / np.sqrt(hidden.shape[1])
        hidden = np.tanh(random.uniform(0.8, 2) * u / np.sqrt(np.mean(hidden**2)))
    outputs = hidden @ random.normal(size=(hidden.shape[1], n_classes))
    outputs = (outputs - outputs.mean(axis=0)) / outputs.std(axis=0)  # classes of about one size
    return x, outputs.argmax(axis=1)


def _plane(random: np.random.Generator, n_inputs: int, n_classes: int) -> Cloud:
    """Spirals, rings, a chessboard or moons, seen through random waves and a random projection."""
    labels, n = random.integers(n_classes, size=N_GENERATED), N_GENERATED
    figure = int(random.integers(4))
    if figure == 0:
        along = random.uniform(0, 2, n)
        turn = 2 * np.pi * labels / n_classes + along * random.uniform(0.5, 2)
        points = np.stack([along * np.cos(turn), along * np.sin(turn)], axis=1)
    elif figure == 1:
        turn, radius = random.uniform(0, 2 * np.pi, n), 2 * (labels + 1) / n_classes
        points = np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=1)
    elif figure == 2:
        side = max(int(random.integers(2, 5)), int(np.ceil(np.sqrt(n_classes))))
        points = random.uniform(-1, 1, (n, 2))
        board = random.permutation(np.arange(side * side) % n_classes).reshape(side, side)
        field = np.clip(((points + 1) / 2 * side).astype(int), 0, side - 1)
        labels = board[field[:, 0], field[:, 1]]
    else:
        turn, upper = np.pi * (random.uniform(0, 1, n) + labels % 2), labels % 2
        points = np.stack([np.cos(turn) + upper + 2.5 * (labels // 2), np.sin(turn) + 0.5 * upper], axis=1)
    points = points + random.uniform(0.03, 0.2) * random.normal(size=points.shape)
    points = (points - points.mean(axis=0)) / points.std(axis=0)
    if random.random() < 0.7:
        n_waves = 8 * int(random.integers(1, 4))
        phases = points @ random.normal(size=(2, n_waves)) * random.uniform(0.3, 2) + random.uniform(0, 6, n_waves)
        points = np.concatenate([points, np.cos(phases)], axis=1)
    return _projected(random, points, n_inputs) + 0.05 * random.normal(size=(n, n_inputs)), labels


GENERATED: dict[str, Callable[[np.random.Generator, int, int], Cloud]] = {
    "mixture": _mixture,
    "teacher": _teacher,
    "plane": _plane,
}
"""The kinds of generated tasks; each takes the generator and the numbers of inputs and classes."""
