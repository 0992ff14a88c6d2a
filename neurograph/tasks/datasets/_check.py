"""Says, file by file, what there is of a data set."""

import pathlib
from typing import NamedTuple

from ._digest import sha256_of
from ._errors import DataError
from ._find import Path, Source, find, folder_of, most_of, place_of, places
from ._load import check_counts, read_part
from ._omniglot import read_characters
from ._registry import TEST_IMAGES, TEST_LABELS, TRAINING_IMAGES, TRAINING_LABELS, DataSet

OFFICIAL, UNOFFICIAL, DAMAGED, MISSING = "official", "not official", "damaged", "missing"


class FileState(NamedTuple):
    """Describes a file of a data set.

    Attributes:
        path: where it is, or where it was looked for.
        size: bytes, or None where it is missing.
        sha256: the checksum of the file, or None.
        state: official (it has the official checksum), not official (but it can be read), damaged or missing.
        problem: what is wrong with it, or empty.
    """

    path: pathlib.Path
    size: int | None
    sha256: str | None
    state: str
    problem: str


def found_in(data: DataSet, data_dir: Path | None = None) -> pathlib.Path | None:
    """Finds the folder that holds all of a data set, or None; nothing is read.

    Raises:
        DataError: no data folder is named, and there is no cache.
    """
    sources = find(data, place_of(data_dir).folder)
    return None if sources is None else folder_of(sources)


def check(data: DataSet, data_dir: Path | None = None) -> list[FileState]:
    """Gives the state of each file of a data set. Files that are not official are read as a task would read them.

    Raises:
        DataError: for the reasons of `found_in`.
    """
    folder = place_of(data_dir).folder
    sources = find(data, folder) or most_of(data, folder)
    if sources is None:
        own = places(data, folder)[0]
        return [FileState(own / file.name, None, None, MISSING, "") for file in data.files]
    paths = dict.fromkeys(source.path for source in sources.values())
    sums: dict[pathlib.Path, str] = {}
    problems: dict[pathlib.Path, str] = {}
    for path in paths:
        if path.is_file():
            try:
                sums[path] = sha256_of(path)
            except DataError as error:
                problems[path] = str(error)
    intact = {one.path for role, one in sources.items() if sums.get(one.path) in data.official(role)}
    to_read = {role: source for role, source in sources.items() if source.path in sums}
    if len(intact) < len(sums):
        problems |= _problems(data, to_read)
    return [_state(path, sums.get(path), problems.get(path, ""), path in intact) for path in paths]


def _state(path: pathlib.Path, sha256: str | None, problem: str, intact: bool) -> FileState:
    if intact:  # whatever does not fit to it
        state, problem = OFFICIAL, ""
    elif problem:
        state = DAMAGED
    elif sha256 is None:
        return FileState(path, None, None, MISSING, "")
    else:
        state = UNOFFICIAL
    return FileState(path, path.stat().st_size, sha256, state, problem)


def _problems(data: DataSet, sources: dict[str, Source]) -> dict[pathlib.Path, str]:
    """Finds what is wrong with each file: first in each part alone, then between images and their labels."""
    values, problems = {}, {}
    for role, source in sources.items():
        try:
            if data.class_names:
                values[role] = read_part(data, role, source)
            else:
                read_characters(source, role, data, data.shape[0])
        except DataError as error:
            problems.setdefault(source.path, str(error))
    for images, labels in ((TRAINING_IMAGES, TRAINING_LABELS), (TEST_IMAGES, TEST_LABELS)):
        if images in values and labels in values:
            try:
                check_counts(sources[images], values[images], sources[labels], values[labels])
            except DataError as error:
                for role in (images, labels):
                    problems.setdefault(sources[role].path, str(error))
    return problems
