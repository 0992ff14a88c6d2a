"""Reads Omniglot's drawings, from the official zip files of PNG files or from .npz files of the same images."""

import io
import itertools
import re
import zipfile
import zlib

import numpy as np

from ._digest import sha256_of
from ._errors import DataError
from ._find import Source, shown
from ._npz import read_array
from ._prepare import prepared
from ._registry import BACKGROUND, EVALUATION, DataSet

INK = 255
_PATH = re.compile(r"(?:.*/)?(images_\w+)/([^/]+)/([^/]+)/(\d+)_(\d+)\.png")
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
    try:
        with source.path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            return _of_pictures(source, archive, data.parts[role], data, size)
    except (EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{shown(source)} is damaged: it cannot be unpacked ({error}); get a fresh copy.") from None
    except OSError as error:
        raise DataError(f"{shown(source)} cannot be read: {error.strerror or error}.") from None


def _check_role(source: Source, role: str, data: DataSet) -> None:
    known = {**dict(zip((f.sha256 for f in data.files), data.parts, strict=True)), **_ARRAYS}
    found = known.get(sha256_of(source.path), role)
    if found != role:
        raise DataError(
            f"{shown(source)} holds the {found} of {data.title} where the {role} is expected; give the files their "
            "official names back."
        )


def _of_arrays(source: Source, data: DataSet, size: int) -> np.ndarray:
    images = read_array(source._replace(member="images"))
    if images.dtype != bool or images.ndim != 4 or images.shape[2:] != data.shape or 0 in images.shape:
        rows, columns = data.shape
        raise DataError(
            f"{shown(source)} holds images of type {images.dtype} and shape {images.shape}; they must be bool of shape "
            f"(characters, drawings, {rows}, {columns}), False where there is ink."
        )
    labels = read_array(source._replace(member="labels"))
    if (
        labels.shape != images.shape[:2]
        or np.any(labels != labels[:, :1])
        or np.unique(labels[:, 0]).size < len(labels)
    ):
        raise DataError(
            f"{shown(source)} has labels of shape {labels.shape} for {images.shape[:2]} characters and drawings; all "
            "drawings of a character must have its one label, and no other character's."
        )
    return np.stack([_prepared(drawings, size) for drawings in images])


def _of_pictures(source: Source, archive: zipfile.ZipFile, top: str, data: DataSet, size: int) -> np.ndarray:
    drawn: dict[int, dict[int, str]] = {}
    for path in archive.namelist():
        if not path.lower().endswith(".png") or path.startswith("__MACOSX/"):
            continue
        match = _PATH.fullmatch(path)
        if match is None or match[1] != top:
            raise DataError(
                f"{shown(source)} has the member '{path}'; its drawings must be '{top}/<alphabet>/<character>/"
                "<number>_<drawing>.png': get the official file."
            )
        drawings = drawn.setdefault(int(match[4]), {})
        if drawings.setdefault(int(match[5]), path) != path:
            raise DataError(
                f"{shown(source)} has both '{drawings[int(match[5])]}' and '{path}'; every drawing has a number of its "
                "own: get the official file."
            )
    if not drawn:
        raise DataError(f"{shown(source)} holds no drawings; get the official file.")
    for (first, of_first), (number, drawings) in itertools.pairwise(sorted(drawn.items())):
        if len(drawings) != len(of_first):
            raise DataError(
                f"{shown(source)} has {len(of_first)} drawings of character {first} and {len(drawings)} of character "
                f"{number}; all must have as many: get the official file."
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

    where = shown(source._replace(member=path))
    packed = archive.read(path)
    try:
        with Image.open(io.BytesIO(packed), formats=["PNG"]) as picture:
            if picture.size != data.shape[::-1]:
                raise DataError(
                    f"{where} is a picture of {picture.size[0]} x {picture.size[1]} pixels; drawings have "
                    f"{data.shape[1]} x {data.shape[0]}: get the official file."
                )
            if picture.mode != "1":
                raise DataError(
                    f"{where} is a picture of mode '{picture.mode}'; drawings are black and white, mode '1': get the "
                    "official file."
                )
            return np.asarray(picture)
    except (OSError, SyntaxError, EOFError, zlib.error, Image.DecompressionBombError) as error:
        raise DataError(f"{where} is not an intact PNG file ({error}); get a fresh copy.") from None


def _prepared(paper: np.ndarray, size: int) -> np.ndarray:
    return prepared(np.where(paper, np.uint8(0), np.uint8(INK)), size)
