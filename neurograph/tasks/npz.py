"""Makes tasks from .npz files of features and labels."""

import os
import pathlib
from typing import Any

from .arrays import Arrays, Header, opened_arrays
from .errors import TaskError
from .foreign import Foreign
from .stored import from_arrays
from .task import Task

NPZ_KEYS = (("x", "y"), ("X", "Y"), ("X", "y"), ("features", "labels"))
_NUMBERS, _TEXT = "biuf", "U"


def read_npz(path: str | os.PathLike[str], **options: Any) -> Task:
    """Makes a task from an .npz file with the arrays `x` and `y`, or `features` and `labels`.

    Args:
        path: the file. Features `[examples, ...]` are real numbers; labels are as for `from_arrays`: classes
            `[examples]`, integers or text, or the values of a regression, `[examples]` or `[examples, outputs]`.
        **options: as for `from_arrays`.

    Raises:
        TaskError: the file is missing, damaged or not an .npz file; it lacks the arrays, or they are neither numbers
            nor text, or take more memory than this computer has; and for the reasons of `from_arrays`.
    """
    file = pathlib.Path(path)
    about = Foreign(f"task file '{file}'", TaskError, "save it with numpy.savez(path, x=..., y=...)")
    _check_is_file(file, about)
    with opened_arrays(file, about) as arrays:
        keys = next((pair for pair in NPZ_KEYS if set(pair) <= set(arrays.names)), None)
        if keys is None:
            raise TaskError(f"{about.name} has the arrays {arrays.listed}; it needs x and y, or features and labels.")
        kinds = dict(zip(keys, (_NUMBERS, _NUMBERS + _TEXT), strict=True))
        features, labels = arrays.read({key: _header(arrays, key, about, kinds[key]) for key in keys})
    return from_arrays(features, labels, name=file.name, **options)


def _header(arrays: Arrays, key: str, about: Foreign, kinds: str) -> Header:
    """Gives the header of an array, whose type must be of one of NumPy's `kinds`."""
    header = arrays.header(key)
    if header.dtype.kind not in kinds:
        what = "real numbers or text" if _TEXT in kinds else "real numbers"
        raise TaskError(f"{about.member(key).name} holds {header.kind} values; they must be {what}: {about.fix}.")
    return header


def _check_is_file(file: pathlib.Path, about: Foreign) -> None:
    with about.reading():
        is_folder, is_file, is_there = file.is_dir(), file.is_file(), file.exists()
    if is_folder:
        raise TaskError(f"{about.name} is a directory; name a .csv or .npz file.")
    if not is_there:
        raise TaskError(f"{about.name} does not exist; check the path.")
    if not is_file:
        raise TaskError(f"{about.name} is not a regular file; name a .csv or .npz file.")
