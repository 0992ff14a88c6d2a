"""Makes tasks from files of features and labels: CSV and NumPy's .npz."""

import csv
import os
import pathlib
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from .._text import nearest
from .errors import TaskError
from .stored import from_arrays
from .task import Task

LABEL_COLUMN = "label"
NPZ_KEYS = (("x", "y"), ("X", "Y"), ("X", "y"), ("features", "labels"))

Path = str | os.PathLike[str]


def read_csv(path: Path, *, label: str | Sequence[str] | None = None, kind: str = "auto", **options: Any) -> Task:
    """Makes a task from a CSV file: one example a line, numeric features, and a label: a class, or values to predict.

    A first line that holds no number, or the word `label`, is taken as column names. Fields are separated by commas,
    or, where the first line has none, by semicolons or tabs.

    Args:
        path: the file, UTF-8.
        label: name of the label's column; default: the column named `label`, else the last one. A list names several
            columns, which are the targets of a regression.
        kind: "classification" (a class is an integer or text), "regression", or "auto": a regression where there are
            several label columns, or the labels are numbers, not all of which are integers.
        **options: as for `from_arrays`.

    Raises:
        TaskError: the file is missing, empty, ragged or not text; a feature is not a finite number; a label is missing,
            or is not a finite number where it must be one; and for the reasons of `from_arrays`. Messages name the
            line.
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
            table = _Table(file, names, _label_columns(file, names, label), kind, [], [])
            if not has_header:
                table.append(first_line, first)
            for line, row in rows:
                table.append(line, row)
    except UnicodeDecodeError as error:
        raise TaskError(f"task file '{file}' is not UTF-8 text ({error.reason}); save it as UTF-8.") from None
    except csv.Error as error:
        raise TaskError(f"task file '{file}' is not a CSV file: {error}.") from None
    except OSError as error:
        raise TaskError(f"task file '{file}' cannot be read: {error.strerror}.") from None
    if not table.labels:
        raise TaskError(f"task file '{file}' has column names but no examples; add a line for each example.")
    kind = "regression" if table.is_numeric else kind
    return from_arrays(np.stack(table.features), _label_values(table.labels), kind=kind, name=file.name, **options)


def read_npz(path: Path, **options: Any) -> Task:
    """Makes a task from an .npz file with the arrays `x` and `y`, or `features` and `labels`.

    Args:
        path: the file. Features `[examples, ...]` are real numbers; labels are as for `from_arrays`: classes
            `[examples]`, integers or text, or the values of a regression, `[examples]` or `[examples, outputs]`.
        **options: as for `from_arrays`.

    Raises:
        TaskError: the file is missing or not an .npz file, lacks the arrays or holds pickled objects; and for the
            reasons of `from_arrays`.
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
            f"task file '{file}' is not an .npz file of plain arrays ({error}); "
            "save it with numpy.savez(path, x=..., y=...)."
        ) from None
    return from_arrays(features, labels, name=file.name, **options)


def _check_is_file(file: pathlib.Path) -> None:
    if file.is_dir():
        raise TaskError(f"task file '{file}' is a directory; name a .csv or .npz file.")
    if not file.exists():
        raise TaskError(f"task file '{file}' does not exist; check the path.")


def _rows(file: pathlib.Path, stream: Any) -> Iterator[tuple[int, list[str]]]:
    """Yields (line number, stripped cells) for each line that is not blank."""
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


def _label_columns(file: pathlib.Path, names: Sequence[str], label: str | Sequence[str] | None) -> list[int]:
    if label is None:
        lowered = [name.lower() for name in names]
        return [lowered.index(LABEL_COLUMN) if LABEL_COLUMN in lowered else len(names) - 1]
    labels = [label] if isinstance(label, str) else list(label)
    for name in labels:
        if name not in names:
            fix = nearest(name, names, f"it has {', '.join(names[:8])}{' ...' * (len(names) > 8)}.")
            raise TaskError(f"task file '{file}' has no column '{name}'; {fix}")
    if not 0 < len(set(labels)) == len(labels) < len(names):
        raise TaskError(
            f"task file '{file}': the label columns are {', '.join(labels) or 'none'} of {len(names)} columns; name "
            "one or more, each once, and leave at least one column for features."
        )
    return [names.index(name) for name in labels]


class _Table(NamedTuple):
    """Collects the examples that were read so far."""

    file: pathlib.Path
    names: Sequence[str]
    columns: Sequence[int]
    kind: str
    features: list[np.ndarray]
    labels: list[list[str]]

    @property
    def is_numeric(self) -> bool:
        """Says whether labels must be numbers."""
        return self.kind == "regression" or (self.kind == "auto" and len(self.columns) > 1)

    def append(self, line: int, row: list[str]) -> None:
        """Checks one row and appends its features and its labels."""
        where = f"task file '{self.file}', line {line}"
        if len(row) != len(self.names):
            raise TaskError(f"{where}: {len(row)} fields, but the first line has {len(self.names)}.")
        for column in self.columns:
            if not row[column]:
                raise TaskError(f"{where}: the label (column '{self.names[column]}') is missing.")
            if self.is_numeric and not np.isfinite(_number(row[column])):
                raise TaskError(
                    f"{where}: the label (column '{self.names[column]}') is '{row[column]}'; every target of a "
                    "regression must be a finite number."
                )
        others = [i for i in range(len(row)) if i not in self.columns]
        values = np.array([_number(row[i]) for i in others])
        if not np.isfinite(values).all():
            bad = others[int(np.argmin(np.isfinite(values)))]
            found = f"'{row[bad]}'" if row[bad] else "empty"
            raise TaskError(f"{where}: feature '{self.names[bad]}' is {found}; every feature must be a finite number.")
        self.features.append(values)
        self.labels.append([row[column] for column in self.columns])


def _label_values(labels: list[list[str]]) -> np.ndarray:
    """Gives labels as numbers if all of them are, so that class 10 comes after class 9; else as text."""
    numeric = all(_is_number(cell) for row in labels for cell in row)
    return np.array([[float(cell) for cell in row] for row in labels] if numeric else labels)


def _number(cell: str) -> float:
    """Gives the number that a cell holds, or NaN."""
    try:
        return float(cell)
    except ValueError:
        return float("nan")
