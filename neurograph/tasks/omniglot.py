"""Makes tasks of Omniglot: handwritten characters, ten by default, drawn from 1,623 of 50 alphabets.

There are 20 drawings of each.
"""

import os
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from .._text import nearest
from . import datasets
from .errors import TaskError
from .images import scaling
from .sources import Chosen, Images, draw
from .spec import side
from .task import Task, check_outputs, drawn_from

DEFAULT_SIDE = 28
N_CHARACTERS = 10
SPLIT_SEED = 0
META_CHARACTERS, ALL_CHARACTERS = 1200, 1623
QUERY_FRACTION = 0.25
SPLITS = ("characters", "alphabets")


class Characters(eqx.Module):
    """Holds drawings of characters, one after the other; the images' labels are the characters' numbers.

    Attributes:
        images: all drawings.
        n_drawings: how many drawings there are of each character.
    """

    images: Images
    n_drawings: int = eqx.field(static=True)


def omniglot(
    key: Key[Array, ""],
    *,
    size: Any = None,
    data_dir: str | os.PathLike[str] | None = None,
    split: str = "characters",
    n_characters: int = N_CHARACTERS,
    standardise: bool = True,
    n_outputs: int | None = None,
    dtype: Any = jnp.float32,
) -> Task:
    """Makes a task of ten characters, or another number, each with 15 drawings to learn from and 5 to be tested on.

    The task itself is a trial: ten of the characters for evaluation. `Task.episode` gives ten of those for
    meta-learning, `Task.trial` others for evaluation.

    Args:
        key: draws the characters.
        size: such as `14x14` or 14; default: 28x28.
        data_dir: folder of the files; default: that of `NEUROGRAPH_DATA`, else the cache folder, where files are
            downloaded if need be.
        split: `characters`: 1,200 of all characters are for meta-learning, as many as in the paper (4.5), and the
            other 423 for evaluation; which ones never changes. `alphabets`: the data set's own background set of 964
            and evaluation set of 659, which have no alphabet in common.
        n_characters: how many characters are to be told apart, 2 or more.
        standardise: shift and scale all pixels alike, to mean 0 and deviation 1 over all drawings for meta-learning;
            otherwise pixels are 0 ... 1 (ink).
        n_outputs: as many as characters.
        dtype: the type of the examples and targets.

    Raises:
        TaskError: no such size or split; fewer than two characters, or more than there are; files that are missing or
            damaged, or have too few characters.
    """
    data = datasets.data_set("omniglot")
    pixels = side(data.name, size, DEFAULT_SIDE, data.shape[0])
    label = data.name + (f":{pixels}x{pixels}" if pixels != DEFAULT_SIDE else "")
    if n_characters < 2:
        raise TaskError(f"task '{label}': n_characters is {n_characters}; at least two characters can be told apart.")
    n_outputs = check_outputs(label, n_characters, n_outputs, default=n_characters)
    if split not in SPLITS:
        fix = nearest(split, SPLITS, f"give {' or '.join(SPLITS)}.")
        raise TaskError(f"task '{label}': there is no split '{split}'; {fix}")
    try:
        drawings = datasets.load_characters(size=pixels, data_dir=data_dir)
    except datasets.DataError as error:
        raise TaskError(str(error)) from error
    parts = (drawings.background, drawings.evaluation)
    if parts[0].shape[1] != parts[1].shape[1] or parts[0].shape[1] < 2:
        raise TaskError(
            f"task '{label}': characters have {parts[0].shape[1]} drawings in the background set and "
            f"{parts[1].shape[1]} in the evaluation set; both must have the same number, at least 2."
        )
    if split == "characters":
        parts = _split_characters(np.concatenate(parts))
    for part, purpose in zip(parts, ("meta-learning", "evaluation"), strict=True):
        if len(part) < n_characters:
            fix = "get the official files" if n_characters <= N_CHARACTERS else "ask for fewer"
            raise TaskError(
                f"task '{label}': there are {len(part)} characters for {purpose}; {n_characters} are needed: {fix}."
            )
    shift, scale = (jnp.asarray(value, dtype) for value in scaling(parts[0], standardise))
    pool = tuple(_characters(part, shift, scale) for part in parts)
    names = tuple(f"character {i + 1}" for i in range(n_characters))
    support, query = _some(pool[1], key, n_characters)
    return Task(support, query, query, draw, label, names, n_outputs, pool, _episode, _trial)


def _split_characters(drawings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Splits characters for meta-learning and for evaluation, 1,200 to 423, by a shuffle that never changes."""
    order = np.argsort(np.random.PCG64(SPLIT_SEED).random_raw(len(drawings)), kind="stable")
    n_meta = round(len(drawings) * META_CHARACTERS / ALL_CHARACTERS)
    return drawings[np.sort(order[:n_meta])], drawings[np.sort(order[n_meta:])]


def _characters(drawings: np.ndarray, shift: Array, scale: Array) -> Characters:
    n_characters, n_drawings, _ = drawings.shape
    labels = jnp.repeat(jnp.arange(n_characters, dtype=jnp.int32), n_drawings)
    pixels = jnp.asarray(drawings.reshape(n_characters * n_drawings, -1))
    return Characters(Images(pixels, labels, shift, scale), n_drawings)


def _episode(task: Task, key: Key[Array, ""]) -> Task:
    return drawn_from(task, *_some(task.pool[0], key, task.n_classes))


def _trial(task: Task, key: Key[Array, ""]) -> Task:
    return drawn_from(task, *_some(task.pool[1], key, task.n_classes))


def _some(characters: Characters, key: Key[Array, ""], n_chosen: int) -> tuple[Chosen, Chosen]:
    """Draws (support, query) of different characters; a quarter of the drawings of each is the query set."""
    n_drawings, images = characters.n_drawings, characters.images
    character_key, drawing_key = jax.random.split(key)
    n = images.pixels.shape[0] // n_drawings
    chosen = jax.random.choice(character_key, n, (n_chosen,), replace=False)
    drawings = jax.vmap(lambda k: jax.random.permutation(k, n_drawings))(jax.random.split(drawing_key, n_chosen))
    rows = chosen[:, None] * n_drawings + drawings
    n_query = max(1, round(QUERY_FRACTION * n_drawings))
    query, support = (
        Chosen(images, part.reshape(-1), jnp.repeat(jnp.arange(n_chosen, dtype=jnp.int32), part.shape[1]))
        for part in (rows[:, :n_query], rows[:, n_query:])
    )
    return support, query
