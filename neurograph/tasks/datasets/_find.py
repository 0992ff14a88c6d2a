"""Finds the files of a data set, in a folder that the user names or in the cache folder."""

import os
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

from ..._files import cache_folder
from ..._text import nearest
from ..foreign import Foreign
from ._errors import DataError
from ._registry import DATA_SETS, DataSet

VARIABLE = "NEUROGRAPH_DATA"
Path = str | os.PathLike[str]


class Source(NamedTuple):
    """Names a file, or a member of it: a path within a zip file, or an array of an .npz file."""

    path: pathlib.Path
    member: str | None = None


class Place(NamedTuple):
    """Names a data folder. If the user did not name it, it is in the cache, and files may be downloaded to it."""

    folder: pathlib.Path
    named: bool


def shown(source: Source) -> str:
    """Gives the name of a source that messages use."""
    return foreign(source).name


def foreign(source: Source) -> Foreign:
    """Says how errors about a source are put."""
    whole = Foreign(f"'{source.path}'", DataError, "get a fresh copy")
    return whole if source.member is None else whole.member(source.member)


def named_place(data_dir: Path | None = None) -> pathlib.Path | None:
    """Gives the data folder that the user named: the one given, else that of `NEUROGRAPH_DATA`, else None."""
    named = os.environ.get(VARIABLE, "") if data_dir is None else os.fspath(data_dir)
    return pathlib.Path(named).expanduser().absolute() if named else None


def place_of(data_dir: Path | None = None) -> Place:
    """Gives the data folder that the user named, else `data` within the cache folder.

    Raises:
        DataError: nothing is named, and `NEUROGRAPH_CACHE` is off.
    """
    named = named_place(data_dir)
    if named is not None:
        return Place(named, True)
    cache = cache_folder()
    if cache is None:
        raise DataError(
            "data sets are kept in the cache folder, and NEUROGRAPH_CACHE switches that off; name a folder with "
            f"--data-dir or {VARIABLE}, or let NEUROGRAPH_CACHE be."
        )
    return Place(cache / "data", False)


def find(data: DataSet, folder: pathlib.Path) -> dict[str, Source] | None:
    """Finds each part of a data set, or gives None if any part is missing.

    Parts are not mixed from several folders or kinds of file: MNIST and Fashion-MNIST have files of the same names.
    """
    for place in places(data, folder):
        for form in forms(data, place):
            if all(source.path.is_file() for source in form.values()):
                return form
    return None


def most_of(data: DataSet, folder: pathlib.Path) -> dict[str, Source] | None:
    """Gives where each part is or belongs, in the folder that has most of a data set; None where there is nothing."""
    there = {}
    for place in places(data, folder):
        for form in forms(data, place):
            there.setdefault(sum(source.path.is_file() for source in form.values()), form)
    return there[max(there)] if max(there) else None


def what_is_missing(data: DataSet, folder: pathlib.Path) -> tuple[pathlib.Path, list[str]]:
    """Gives the folder in which files of an incomplete data set are missing, and their names."""
    form = most_of(data, folder)
    if form is None:
        return places(data, folder)[0], [file.name for file in data.files]
    missing = [source.path for source in form.values() if not source.path.is_file()]
    return missing[0].parent, [path.name for path in missing]


def places(data: DataSet, folder: pathlib.Path) -> list[pathlib.Path]:
    """Lists the folders that are searched, in order."""
    return [*(folder / below for below in data.folders), folder]


def forms(data: DataSet, place: pathlib.Path) -> Iterator[dict[str, Source]]:
    """Gives, for each type of file that can hold a data set, the sources of its parts; they need not exist."""
    if data.class_names:
        for below in (place, place / "gzip") if data.archive else (place,):
            yield {role: _either(below, f"{name}.gz", name) for role, name in data.parts.items()}
        if data.archive:
            yield {role: Source(place / data.archive, f"gzip/{name}.gz") for role, name in data.parts.items()}
        if data.arrays:
            file, arrays = data.arrays
            yield {role: Source(place / file, arrays[role]) for role in data.parts}
    else:
        yield {role: _either(place, f"{name}.zip", f"{name}.npz") for role, name in data.parts.items()}


def _either(place: pathlib.Path, first: str, second: str) -> Source:
    return Source(place / (second if not (place / first).is_file() and (place / second).is_file() else first))


def data_set(name: str) -> DataSet:
    """Gives the data set of that name.

    Raises:
        DataError: there is none.
    """
    known = DATA_SETS.get(name.strip().lower().replace("-", "_"))
    if known is None:
        fix = nearest(name, DATA_SETS, f"known are {', '.join(DATA_SETS)}.")
        raise DataError(f"there is no data set '{name}'; {fix}")
    return known
