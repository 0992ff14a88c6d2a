"""Cells: units of work with a name, each of which returns numbers and arrays; and their results on the disk.

cells/NAME.json          the numbers, with a checksum; where it is, the cell is done
cells/NAME.safetensors   the arrays, if there are any
searches/NAME/           the run folder of a cell that is meta-training, with its checkpoints
"""

import pathlib
import re
import warnings
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from ..runs.arrays import read_arrays, write_arrays
from ..runs.atomic import write_atomically
from ..runs.errors import RunError, RunWarning
from ..runs.lines import as_line, read_lines

FOLDER = "cells"
SEARCHES = "searches"
_PARTS = {"arrays", "numbers", "seconds"}
"""What the record of a cell that is done has, beside its name."""


class Interrupted(Exception):
    """A cell was asked to stop, and has kept what it can go on from."""


class Skipped(Exception):
    """A cell cannot be computed here, since something is absent; the sentence says what, and the fix."""


class Result(NamedTuple):
    """What a cell found.

    Attributes:
        numbers: what goes into JSON: numbers, texts, lists and mappings of these.
        arrays: larger ones by name.
    """

    numbers: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray] = {}


Results = Mapping[str, Result]
"""Those of the cells that are done, by name."""


class Work(NamedTuple):
    """What a cell is given.

    Attributes:
        name: the cell's.
        folder: the experiment's, within which `searches` has a folder for the cell.
        seed: the experiment's.
        data_dir: the folder of data sets, if one is named.
        results: those of the cells before it.
        stop: tells whether the cell is to stop; it then raises `Interrupted`.
        tell: reports how much of the cell is done, from 0 to 1, and what it does.
    """

    name: str
    folder: pathlib.Path
    seed: int
    data_dir: str | None
    results: Results
    stop: Callable[[], bool]
    tell: Callable[[float, str], None]

    def key(self, *words: object) -> jax.Array:
        """A random key for these words; equal words get the same key in every cell of the experiment."""
        return jax.random.fold_in(jax.random.key(self.seed), zlib.crc32(repr(words).encode()))

    def check_stop(self) -> None:
        """Raises `Interrupted` where the cell is to stop."""
        if self.stop():
            raise Interrupted


class Cell(NamedTuple):
    """A unit of work.

    Attributes:
        name: unique within the experiment, such as "run 3 on xor".
        run: does the work.
        weight: how long it takes in comparison with others, for the time that is left.
    """

    name: str
    run: Callable[[Work], Result]
    weight: float = 1.0


def file_name(name: str) -> str:
    """The name of a cell's files.

    >>> file_name("run 3 on mnist:10x10")
    'run_3_on_mnist_10x10'
    """
    return re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII)


def write(folder: pathlib.Path, name: str, result: Result, seconds: float) -> None:
    """Keeps a result: the arrays first, since a cell whose numbers are there is done.

    Raises:
        RunError: it cannot be written.
    """
    path = folder / FOLDER / file_name(name)
    if result.arrays:
        arrays = {key: np.asarray(array) for key, array in result.arrays.items()}
        write_arrays(_of_arrays(path), arrays, {"cell": name})
    record = {"cell": name, "seconds": round(seconds, 3), "arrays": sorted(result.arrays), "numbers": result.numbers}
    write_atomically(_of_numbers(path), as_line(record))


def read(folder: pathlib.Path, name: str) -> tuple[Result, float] | None:
    """Reads a result and the seconds that it took; None where the cell is not done.

    Warns with a `RunWarning` where a file is damaged; the cell counts as not done then.
    """
    path = folder / FOLDER / file_name(name)
    if not _of_numbers(path).exists():
        return None
    try:
        lines = read_lines(_of_numbers(path))
        record = lines[0].record if len(lines) == 1 else None
        if record is None or record.get("cell") != name or not record.keys() >= _PARTS:
            raise RunError(f"'{_of_numbers(path)}' is damaged.")
        arrays, about = read_arrays(_of_arrays(path), "result") if record["arrays"] else ({}, {"cell": name})
        if about.get("cell") != name:
            raise RunError(f"'{_of_arrays(path)}' is damaged: it holds the arrays of another cell.")
        if sorted(arrays) != record["arrays"]:
            raise RunError(f"'{_of_arrays(path)}' lacks arrays.")
    except RunError as error:
        warnings.warn(RunWarning(f"{error} The cell '{name}' is computed anew."), stacklevel=2)
        return None
    return Result(record["numbers"], arrays), float(record["seconds"])


def _of_numbers(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(f"{path.name}.json")


def _of_arrays(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(f"{path.name}.safetensors")
