"""Finds the files of a data set, in a folder that the user names or in the cache folder."""

import os
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

from ..._files import cache_folder, expanded
from ..._text import nearest
from ..foreign import Foreign
from ._errors import AbsentError, DataError
from ._registry import DATA_SETS, DataSet

VARIABLE = "NEUROGRAPH_DATA"
_SUBFOLDERS = ("gzip", "emnist_source_files")
"""Folders that unpacked archives of EMNIST have, that of NIST and that of Kaggle."""

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
    return expanded(named).absolute() if named else None


def place_of(data_dir: Path | None = None) -> Place:
    """Gives the data folder that the user named, else `data` within the cache folder.

    Raises:
        AbsentError: nothing is named, and there is no cache folder.
    """
    named = named_place(data_dir)
    if named is not None:
        return Place(named, True)
    cache = cache_folder()
    if cache is None:
        raise AbsentError(
            "data sets are kept in the cache folder, but there is none: NEUROGRAPH_CACHE is off, or you have no home "
            f"folder; name a folder with --data-dir or {VARIABLE}, or set NEUROGRAPH_CACHE to one."
        )
    return Place(cache / "data", False)


def find(data: DataSet, folder: pathlib.Path) -> dict[str, Source] | None:
    """Finds each part of a data set, or gives None if any part is missing.

    Parts are not mixed from several folders or kinds of file: MNIST and Fashion-MNIST have files of the same names.

    Raises:
        DataError: the folder cannot be read.
    """
    for place in places(data, folder):
        for form in forms(data, place):
            if all(is_there(source.path) for source in form.values()):
                return form
    return None


def files_of(name: str, data_dir: Path | None = None) -> list[pathlib.Path]:
    """Lists the files of a data set that are read, each once; none where it is not there.

    Raises:
        DataError: for the reasons of `place_of`.
    """
    sources = find(data_set(name), place_of(data_dir).folder) or {}
    return list(dict.fromkeys(source.path for source in sources.values()))


def most_of(data: DataSet, folder: pathlib.Path) -> dict[str, Source] | None:
    """Gives where each part is or belongs, in the folder that has most of a data set; None where there is nothing."""
    there = {}
    for place in places(data, folder):
        for form in forms(data, place):
            there.setdefault(sum(is_there(source.path) for source in form.values()), form)
    return there[max(there)] if max(there) else None


def what_is_missing(data: DataSet, folder: pathlib.Path) -> tuple[pathlib.Path, list[str]]:
    """Gives the folder in which files of an incomplete data set are missing, and their names."""
    form = most_of(data, folder)
    if form is None:
        return places(data, folder)[0], [file.name for file in data.files]
    own = folder_of(form)
    return own, [str(path.relative_to(own)) for path, _ in form.values() if not is_there(path)]


def folder_of(form: dict[str, Source]) -> pathlib.Path:
    """Gives the folder that holds all parts."""
    return pathlib.Path(os.path.commonpath([source.path.parent for source in form.values()]))


def is_there(path: pathlib.Path) -> bool:
    """Says whether there is such a file.

    Raises:
        DataError: the system does not tell, as of a folder that is closed to the user.
    """
    with foreign(Source(path)).reading():
        return path.is_file()


def places(data: DataSet, folder: pathlib.Path) -> list[pathlib.Path]:
    """Lists the folders that are searched, in order."""
    return [*(folder / below for below in data.folders), folder]


def forms(data: DataSet, place: pathlib.Path) -> Iterator[dict[str, Source]]:
    """Gives, for each type of file that can hold a data set, the sources of its parts; they need not exist."""
    for below in ("", *_SUBFOLDERS) if data.archive else ("",):
        yield from _named_alike(data, place / below)
    if data.archive:
        yield {role: Source(place / data.archive, f"gzip/{name}.gz") for role, name in data.parts.items()}
    if data.arrays:
        file, arrays = data.arrays
        yield {role: Source(place / file, arrays[role]) for role in data.parts}


def unclear(data: DataSet, place: pathlib.Path) -> list[str]:
    """Gives two files of the same part, where a folder has all parts, but no names tell which belong together."""
    there = _there(data, place)
    return next((names[:2] for names in there.values() if len(names) > 1), []) if all(there.values()) else []


def _named_alike(data: DataSet, place: pathlib.Path) -> Iterator[dict[str, Source]]:
    """Gives a source of each part, with names of one kind; then with any names, where there is one file of each."""
    for names in zip(*map(_names, data.parts.values()), strict=True):
        yield {role: Source(place / name) for role, name in zip(data.parts, names, strict=True)}
    there = _there(data, place)
    if all(len(names) < 2 for names in there.values()):
        yield {role: Source(place / (there[role] or _names(name))[0]) for role, name in data.parts.items()}


def _there(data: DataSet, place: pathlib.Path) -> dict[str, list[str]]:
    """Gives the names of all files of each part that are in a folder."""
    return {role: [one for one in _names(name) if is_there(place / one)] for role, name in data.parts.items()}


def _names(part: str) -> list[str]:
    """Gives the names that the file of a part may have, the official one first.

    Those of an IDX file have a dash or a dot where its type begins, and may be compressed; Kaggle unpacks each file
    into a folder of the same name.
    """
    stem, _, kind = part.rpartition("-idx")
    if not stem:
        return [f"{part}.zip", f"{part}.npz"]
    idx = f"idx{kind[0]}"
    plain = [part, f"{stem}.{idx}-ubyte", f"{stem}-{idx}.ubyte", f"{stem}.{idx}", f"{stem}.idx", f"{stem}.ubyte"]
    files = [f"{name}{suffix}" for name in plain for suffix in (".gz", "")]
    return [*files, *(f"{folder}/{name}" for folder in plain[:2] for name in files)]


def data_set(name: str) -> DataSet:
    """Gives the data set of that name.

    Raises:
        DataError: there is none.
    """
    known = DATA_SETS.get(name.strip().lower().replace("-", "_"))
    if known is None:
        fix = nearest(name, DATA_SETS, f"choose one of {', '.join(DATA_SETS)}.")
        raise DataError(f"there is no data set '{name}'; {fix}")
    return known
