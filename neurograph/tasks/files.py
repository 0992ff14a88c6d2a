"""Tasks from files of features and labels: CSV and NumPy's .npz."""

import csv
import difflib
import os
import pathlib
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .stored import from_arrays
from .task import Task, TaskError

LABEL_COLUMN = "label"
NPZ_KEYS = (("x", "y"), ("X", "Y"), ("X", "y"), ("features", "labels"))

Path = str | os.PathLike[str]


def read_csv(path: Path, *, label: str | None = None, **options: Any) -> Task:
    """A task from a CSV file: one example a line, numeric features, and a class per line (an integer or text).

    A first line that holds no number, or the word `label`, is taken as column names. Fields are separated by commas,
    or, where the first line has none, by semicolons or tabs.

    Args:
        path: the file, UTF-8.
        label: name of the label's column; default: the column named `label`, else the last one.
        **options: as of `from_arrays`.

    Raises:
        TaskError: the file is missing, empty, ragged or no text; a feature is no number or not finite; a label is
            missing; and what `from_arrays` raises. Messages name the line.
    """
    file = pathlib.Path(path)
    _check_is_file(file)
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = _rows(file, stream)
            first_line, first = next(rows, (0, []))
            if not first:
                raise TaskError(f"task file '{file}' is empty; it needs a line for each example.")
            if len(first) < 2:
                raise TaskError(f"task file '{file}' has one column, '{first[0]}'; it needs features and a label.")
            has_header = any(cell.lower() == LABEL_COLUMN for cell in first) or not any(_is_number(c) for c in first)
            names = first if has_header else [f"{i + 1}" for i in range(len(first))]
            column = _label_column(file, names, label)
            features, labels = [], []
            if not has_header:
                _append(file, first_line, first, names, column, features, labels)
            for line, row in rows:
                _append(file, line, row, names, column, features, labels)
    except UnicodeDecodeError as error:
        raise TaskError(f"task file '{file}' is no UTF-8 text ({error.reason}); save it as UTF-8.") from None
    except csv.Error as error:
        raise TaskError(f"task file '{file}' is no CSV file: {error}.") from None
    except OSError as error:
        raise TaskError(f"task file '{file}' cannot be read: {error.strerror}.") from None
    if not labels:
        raise TaskError(f"task file '{file}' has column names but no examples; add a line for each example.")
    return from_arrays(np.stack(features), _label_values(labels), name=file.name, **options)


def read_npz(path: Path, **options: Any) -> Task:
    """A task from a .npz file with the arrays `x` and `y`, or `features` and `labels`.

    Args:
        path: the file. Features `[examples, ...]` are real numbers, labels `[examples]` integers or text.
        **options: as of `from_arrays`.

    Raises:
        TaskError: the file is missing or no .npz, lacks the arrays or holds pickled objects; and what `from_arrays`
            raises.
    """
    file = pathlib.Path(path)
    _check_is_file(file)
    try:
        arrays = np.load(file, allow_pickle=False)
        if not isinstance(arrays, np.lib.npyio.NpzFile):
            raise TaskError(f"task file '{file}' holds a single array; save features and labels with numpy.savez.")
        with arrays:
            keys = next((pair for pair in NPZ_KEYS if set(pair) <= set(arrays.files)), None)
            if keys is None:
                found = ", ".join(arrays.files) or "none"
                raise TaskError(f"task file '{file}' has the arrays {found}; it needs x and y, or features and labels.")
            features, labels = arrays[keys[0]], arrays[keys[1]]
    except OSError as error:
        raise TaskError(f"task file '{file}' cannot be read: {error.strerror or error}.") from None
    except TaskError:
        raise
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise TaskError(
            f"task file '{file}' is no .npz file of plain arrays ({error}); "
            "save it with numpy.savez(path, x=..., y=...)."
        ) from None
    return from_arrays(features, labels, name=file.name, **options)


def _check_is_file(file: pathlib.Path) -> None:
    if file.is_dir():
        raise TaskError(f"task file '{file}' is a directory; name a .csv or .npz file.")
    if not file.exists():
        raise TaskError(f"task file '{file}' does not exist; check the path.")


def _rows(file: pathlib.Path, stream: Any) -> Iterator[tuple[int, list[str]]]:
    """(line number, stripped cells) of each line that is not blank."""
    head = stream.readline()
    stream.seek(0)
    delimiter = next((d for d in ",;\t" if d in head), ",")
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    for row in reader:
        if any(cell and not cell.isspace() for cell in row):
            yield reader.line_num, [cell.strip() for cell in row]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _label_column(file: pathlib.Path, names: Sequence[str], label: str | None) -> int:
    if label is None:
        lowered = [name.lower() for name in names]
        return lowered.index(LABEL_COLUMN) if LABEL_COLUMN in lowered else len(names) - 1
    if label not in names:
        near = difflib.get_close_matches(label, names, 1)
        mend = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(names[:8])}{' ...' * (len(names) > 8)}."
        raise TaskError(f"task file '{file}' has no column '{label}'; {mend}")
    return names.index(label)


def _append(
    file: pathlib.Path,
    line: int,
    row: list[str],
    names: Sequence[str],
    column: int,
    features: list[np.ndarray],
    labels: list[str],
) -> None:
    """Checks one row and appends its features and its label."""
    if len(row) != len(names):
        raise TaskError(f"task file '{file}', line {line}: {len(row)} fields, but the first line has {len(names)}.")
    if not row[column]:
        raise TaskError(f"task file '{file}', line {line}: the label (column '{names[column]}') is missing.")
    cells = row[:column] + row[column + 1 :]
    try:
        values = np.array([float(cell) for cell in cells])
    except ValueError:
        values = np.array([float(cell) if _is_number(cell) else np.nan for cell in cells])
    if not np.isfinite(values).all():
        bad = int(np.argmin(np.isfinite(values)))
        found, name = f"'{cells[bad]}'" if cells[bad] else "empty", names[bad + (bad >= column)]
        raise TaskError(
            f"task file '{file}', line {line}: feature '{name}' is {found}; every feature must be a finite number."
        )
    features.append(values)
    labels.append(row[column])


def _label_values(labels: list[str]) -> np.ndarray:
    """Labels as numbers if all of them are, so that class 10 comes after class 9; else as text."""
    return np.array([float(cell) for cell in labels]) if all(map(_is_number, labels)) else np.array(labels)
