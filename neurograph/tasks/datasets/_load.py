"""Loads a data set's files as checked, prepared images."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..arrays import Header
from ._digest import contents_sha256
from ._errors import AbsentError, DataError
from ._fetch import fetch
from ._find import VARIABLE, Path, Source, data_set, find, most_of, place_of, shown, unclear, what_is_missing
from ._idx import KINDS, check_shape, read_idx
from ._npz import read_array
from ._omniglot import read_characters
from ._prepare import prepared
from ._registry import (
    BACKGROUND,
    DATA_SETS,
    EVALUATION,
    TEST_IMAGES,
    TEST_LABELS,
    TRAINING_IMAGES,
    TRAINING_LABELS,
    DataSet,
)

KNOWN = {sha256: (data, role) for data in DATA_SETS.values() for role, sha256 in data.contents.items()}
"""Maps the checksum of a part's contents to its data set and part."""


class Pictures(NamedTuple):
    """Holds prepared images and their class numbers; `support` is the official training set, `query` the test set.

    Attributes:
        support, query: uint8 `[images, pixels]`, 0 background, 255 ink.
        support_labels, query_labels: int32 `[images]`, 0, 1, ... in the order of the chosen classes.
    """

    support: np.ndarray
    support_labels: np.ndarray
    query: np.ndarray
    query_labels: np.ndarray


class Characters(NamedTuple):
    """Holds Omniglot's two sets of prepared drawings, uint8 `[characters, drawings, pixels]`, 0 background, 255 ink."""

    background: np.ndarray
    evaluation: np.ndarray


def load_pictures(name: str, *, size: int, classes: Sequence[int], data_dir: Path | None = None) -> Pictures:
    """Loads a data set of labelled images; downloads it where no folder is named and the cache lacks it.

    Args:
        name: `mnist`, `fashion_mnist`, `emnist_letters`, `emnist_byclass`.
        size: rows and columns of the prepared images.
        classes: those to take, as ascending positions in the data set's class names.
        data_dir: the data folder; default: that of `NEUROGRAPH_DATA`, else the cache's.

    Raises:
        DataError: files are missing, damaged or those of another data set; or cannot be downloaded.
    """
    data = data_set(name)
    sources = located(data, data_dir)
    support = _half(data, sources, TRAINING_IMAGES, TRAINING_LABELS, size, classes)
    query = _half(data, sources, TEST_IMAGES, TEST_LABELS, size, classes)
    return Pictures(*support, *query)


def load_characters(*, size: int, data_dir: Path | None = None) -> Characters:
    """Loads Omniglot's background and evaluation sets, characters in the order of their official numbers.

    Raises:
        DataError: for the reasons of `load_pictures`.
    """
    data = data_set("omniglot")
    sources = located(data, data_dir)
    return Characters(*(read_characters(sources[role], role, data, size) for role in (BACKGROUND, EVALUATION)))


def located(data: DataSet, data_dir: Path | None = None) -> dict[str, Source]:
    """Finds each part of a data set, after a download if need be.

    Raises:
        AbsentError: a named folder has nothing of it; or it cannot be downloaded.
        DataError: a named folder does not exist, or has a part of it.
    """
    place = place_of(data_dir)
    found = find(data, place.folder)
    if found is None and not place.named:
        fetch(data, place)
        found = find(data, place.folder)
    if found is not None:
        return found
    if not place.folder.is_dir():
        raise DataError(
            f"data set '{data.name}': there is no folder '{place.folder}'; check the folder that --data-dir or "
            f"{VARIABLE} names."
        )
    folder, missing = what_is_missing(data, place.folder)
    if both := unclear(data, folder):
        raise DataError(
            f"data set '{data.name}': '{folder}' has both '{both[0]}' and '{both[1]}', but its files do not share "
            "one form of name; keep those that belong together."
        )
    kind = AbsentError if most_of(data, place.folder) is None else DataError
    raise kind(
        f"data set '{data.name}': '{folder}' lacks {', '.join(missing)}; put what is missing there, or download "
        f"it: neurograph data fetch {data.name} --data-dir '{place.folder}'."
    )


def read_part(data: DataSet, role: str, source: Source) -> np.ndarray:
    """Reads images (uint8 `[n, rows, columns]`, as stored) or labels (uint8 `[n]`, as stored) of a data set.

    Raises:
        DataError: the file is damaged, or that of another part or data set; or a label is out of range.
    """
    of_images = role in (TRAINING_IMAGES, TEST_IMAGES)
    n_axes, shape = (3, data.shape) if of_images else (1, ())
    if source.path.suffix == ".npz":
        values = read_array(source, lambda header: _check_header(source, header, n_axes, shape, data.most_examples))
    else:
        values = read_idx(source, n_axes, shape, data.most_examples)
    _check_identity(data, role, source, values)
    if not of_images:
        _check_labels(data, source, values)
    return values


def _half(
    data: DataSet, sources: Mapping[str, Source], images_role: str, labels_role: str, size: int, classes: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Loads the prepared images of the chosen classes, and their class numbers."""
    labels = read_part(data, labels_role, sources[labels_role]).astype(np.int32) - data.first_label
    images = read_part(data, images_role, sources[images_role])
    check_counts(sources[images_role], images, sources[labels_role], labels)
    numbers = np.full(len(data.class_names), -1, np.int32)
    numbers[list(classes)] = np.arange(len(classes))
    found = np.bincount(labels, minlength=len(data.class_names))
    for position in classes:
        if not found[position]:
            raise DataError(
                f"{shown(sources[labels_role])} has no example of class '{data.class_names[position]}'; leave the "
                "class out, or get the official file."
            )
    if len(classes) < len(data.class_names):
        rows = np.flatnonzero(numbers[labels] >= 0)
        images, labels = images[rows], labels[rows]
    if data.transposed:
        images = images.transpose(0, 2, 1)
    return prepared(images, size), numbers[labels]


def check_counts(images_source: Source, images: np.ndarray, labels_source: Source, labels: np.ndarray) -> None:
    """Checks that there is a label for each image.

    Raises:
        DataError: there is not.
    """
    if len(images) != len(labels):
        raise DataError(
            f"{shown(images_source)} holds {len(images):,} images, but {shown(labels_source)} holds {len(labels):,} "
            "labels; there must be one label for each image: get fresh copies of both files."
        )


def _check_header(source: Source, header: Header, n_axes: int, shape: tuple[int, ...], most: int) -> None:
    if header.dtype != np.uint8:
        raise DataError(f"{shown(source)} holds {header.kind} values; {KINDS[n_axes]} must be uint8: get a fresh copy.")
    if len(header.shape) != n_axes:
        found = KINDS.get(len(header.shape), f"values of {len(header.shape)} axes")
        raise DataError(f"{shown(source)} holds {found} where {KINDS[n_axes]} are expected; get the official file.")
    check_shape(source, header.shape, shape, most)


def _check_identity(data: DataSet, role: str, source: Source, values: np.ndarray) -> None:
    """Checks that known contents are those of this part: files of several data sets have the same names.

    Raises:
        AbsentError: they are those of another data set.
        DataError: they are those of another part.
    """
    owner, part = KNOWN.get(contents_sha256(values), (data, role))
    if owner.name != data.name:
        raise AbsentError(
            f"{shown(source)} holds the {part} of {owner.title}, but data set '{data.name}' was requested; name the "
            f"folder of {data.title}, or request '{owner.name}'."
        )
    if part != role:
        raise DataError(
            f"{shown(source)} holds the {part} of {owner.title} where the {role} are expected; restore the files' "
            "official names."
        )


def _check_labels(data: DataSet, source: Source, labels: np.ndarray) -> None:
    last = data.first_label + len(data.class_names) - 1
    wrong = np.flatnonzero((labels < data.first_label) | (labels > last))
    if wrong.size:
        raise DataError(
            f"{shown(source)} has the label {labels[wrong[0]]} at example {wrong[0] + 1} ({wrong.size:,} such labels "
            f"in all); the labels of {data.title} are {data.first_label} to {last}: get the official file."
        )
