"""Reads Omniglot's drawings, from the official zip files of PNG files or from .npz files of the same images."""

import io
import itertools
import re
import zipfile

import numpy as np

from ..._text import shown as quoted
from ..arrays import Header
from ..foreign import opened_member, unzipped
from ._digest import sha256_of
from ._errors import DataError
from ._find import Source, foreign, shown
from ._npz import read_array
from ._prepare import prepared
from ._registry import BACKGROUND, EVALUATION, DataSet

INK = 255
MOST_BYTES = 50_000
"""Bytes that the file of a drawing may have; official ones have some hundreds."""

_PATH = re.compile(r"(?:.*/)?(images_\w+)/([^/]+)/([^/]+)/([0-9]{1,9})_([0-9]{1,9})\.png")
_ARRAYS = {
    "8bf84167413cd00beacdce3fe582f780ab538d8dbef043a6d688f2527bbce199": BACKGROUND,
    "0b84c7ffd94c4841c0040e529c86a82eaaccb986d8eadad5673f7991b7475276": EVALUATION,
}
"""The SHA-256 of .npz files that are in use, each of which holds a whole set."""


def read_characters(source: Source, role: str, data: DataSet, size: int) -> np.ndarray:
    """Reads prepared drawings, uint8 `[characters, drawings, size * size]`, characters in the order of their numbers.

    Args:
        source: a zip file of `images_.../<alphabet>/<character>/<number>_<drawing>.png`; or an .npz file with `images`,
            bool `[characters, drawings, 105, 105]`, False where there is ink, and `labels`.
        role: background or evaluation set.
        data: the data set.
        size: rows and columns.

    Raises:
        DataError: the file is damaged or holds something else, or characters have different numbers of drawings.
    """
    _check_role(source, role, data)
    if source.path.suffix == ".npz":
        return _of_arrays(source, data, size)
    with unzipped(source.path, foreign(source)) as archive:
        return _of_pictures(source, archive, data.parts[role], data, size)


def _check_role(source: Source, role: str, data: DataSet) -> None:
    known = {**dict(zip((f.sha256 for f in data.files), data.parts, strict=True)), **_ARRAYS}
    found = known.get(sha256_of(source.path), role)
    if found != role:
        raise DataError(
            f"{shown(source)} holds the {found} of {data.title} where the {role} is expected; restore the files' "
            "official names."
        )


def _of_arrays(source: Source, data: DataSet, size: int) -> np.ndarray:
    images = read_array(source._replace(member="images"), lambda header: _check_images(source, header, data))
    characters = images.shape[:2]
    labels = read_array(source._replace(member="labels"), lambda header: _check_labels(source, header, characters))
    if np.any(labels != labels[:, :1]) or np.unique(labels[:, 0]).size < len(labels):
        raise DataError(
            f"{shown(source)} has labels that do not fit its {characters[0]} characters; all drawings of a character "
            "must have the same label, which no other character has."
        )
    return np.stack([_prepared(drawings, size) for drawings in images])


def _check_images(source: Source, header: Header, data: DataSet) -> None:
    shape = header.shape
    if header.dtype != bool or len(shape) != 4 or shape[2:] != data.shape or 0 in shape:
        rows, columns = data.shape
        raise DataError(
            f"{shown(source)} holds images of type {header.kind} and shape {quoted(shape)}; they must be bool and have "
            f"shape (characters, drawings, {rows}, {columns}), with False where there is ink."
        )
    _check_number(source, shape[0] * shape[1], data)


def _check_labels(source: Source, header: Header, characters: tuple[int, ...]) -> None:
    if header.dtype.kind not in "biuf" or header.shape != characters:
        raise DataError(
            f"{shown(source)} has labels of type {header.kind} and shape {quoted(header.shape)}; they must be "
            f"numbers of shape {characters}, one for each drawing."
        )


def _check_number(source: Source, n_drawings: int, data: DataSet) -> None:
    if n_drawings > data.most_examples:
        raise DataError(
            f"{shown(source)} announces {n_drawings:,} drawings; at most {data.most_examples:,} are read, twice as "
            "many as the official data set has: get the official file."
        )


def _of_pictures(source: Source, archive: zipfile.ZipFile, top: str, data: DataSet, size: int) -> np.ndarray:
    drawn: dict[int, dict[int, str]] = {}
    _check_number(source, len(archive.namelist()), data)
    for path in archive.namelist():
        if not path.lower().endswith(".png") or path.startswith("__MACOSX/"):
            continue
        match = _PATH.fullmatch(path)
        if match is None or match[1] != top:
            raise DataError(
                f"{shown(source)} has the member {quoted(path, 200)}; its drawings must be '{top}/<alphabet>/"
                "<character>/<number>_<drawing>.png': get the official file."
            )
        drawings = drawn.setdefault(int(match[4]), {})
        if drawings.setdefault(int(match[5]), path) != path:
            raise DataError(
                f"{shown(source)} has both {quoted(drawings[int(match[5])], 200)} and {quoted(path, 200)}; every "
                "drawing has a number of its own: get the official file."
            )
    if not drawn:
        raise DataError(f"{shown(source)} holds no drawings; get the official file.")
    for (first, of_first), (number, drawings) in itertools.pairwise(sorted(drawn.items())):
        if len(drawings) != len(of_first):
            raise DataError(
                f"{shown(source)} has {len(of_first)} drawings of character {first} and {len(drawings)} of character "
                f"{number}; all must have the same number: get the official file."
            )
    return np.stack(
        [
            _prepared(np.stack([_paper(source, archive, path, data) for _, path in sorted(drawings.items())]), size)
            for _, drawings in sorted(drawn.items())
        ]
    )


def _paper(source: Source, archive: zipfile.ZipFile, path: str, data: DataSet) -> np.ndarray:
    """Reads one picture as bool, False where there is ink."""
    from PIL import Image  # no other data set needs it

    about = foreign(source._replace(member=path))
    n_bytes = archive.getinfo(path).file_size
    if n_bytes > MOST_BYTES:
        raise DataError(
            f"{about.name} announces {n_bytes:,} bytes; the file of a drawing has at most {MOST_BYTES:,}: get the "
            "official file."
        )
    with opened_member(archive, path, about) as stream:
        packed = stream.read(MOST_BYTES)
    with about.reading(Image.DecompressionBombError):
        picture = Image.open(io.BytesIO(packed), formats=["PNG"])
    with picture:
        if picture.size != data.shape[::-1]:
            raise DataError(
                f"{about.name} is a picture of {picture.size[0]} x {picture.size[1]} pixels; drawings have "
                f"{data.shape[1]} x {data.shape[0]}: get the official file."
            )
        if picture.mode != "1":
            raise DataError(
                f"{about.name} is a picture of mode '{picture.mode}'; drawings are black and white, mode '1': get the "
                "official file."
            )
        with about.reading():
            picture.load()
        return np.asarray(picture)


def _prepared(paper: np.ndarray, size: int) -> np.ndarray:
    return prepared(np.where(paper, np.uint8(0), np.uint8(INK)), size)
