"""Makes tasks from CSV files of features and labels."""

import itertools
import os
import pathlib
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .._files.tables import Fail, Rows, check_decimals, is_number, number, read_text
from .._text import listed, nearest, shown
from .errors import TaskError, TaskWarning
from .stored import from_arrays
from .task import Task

LABEL_COLUMN = "label"
_INDEX_NAMES = ("index", "id", "row", "nr", "no", "number", "#")
_CODE = re.compile(r"[+-]?0[0-9]+")
_SAMPLE = 50

Path = str | os.PathLike[str]


def read_csv(
    path: Path,
    *,
    label: str | Sequence[str] | None = None,
    kind: str = "auto",
    header: bool | None = None,
    leave_out: str | Sequence[str] = (),
    **options: Any,
) -> Task:
    """Makes a task from a CSV file: one example a line, numeric features, and a label: a class, or values to predict.

    The file may have any dialect (see `neurograph._files.tables`). A first column without a name, as data frames have
    for their index, is left out, with a warning.

    Args:
        path: the file, UTF-8.
        label: name of the label's column; default: the column named `label`, else the last one. A list names several
            columns, which are the targets of a regression.
        kind: "classification" (a class is an integer or text), "regression", or "auto": a regression where there are
            several label columns, or the labels are numbers, not all of which are integers.
        header: whether the first line has the columns' names. By default it has if it holds no number, or the word
            `label`, or text above a column of numbers, or if it numbers the columns.
        leave_out: names of columns that are no features, such as ids.
        **options: as for `from_arrays`.

    Raises:
        TaskError: the file is missing, empty, ragged or not text; a feature is not a finite number; a label is missing,
            or is not a finite number where it must be one; and for the reasons of `from_arrays`. Messages name the
            line.

    Warns:
        TaskWarning: a column is left out, the first line is taken for names although it holds numbers, or a column
            seems to number the examples.
    """
    file = pathlib.Path(path)

    def fail(line: int, sentence: str) -> TaskError:
        return TaskError(f"task file '{file}', line {line}: {sentence}")

    def warn(line: int, sentence: str) -> None:
        warnings.warn(f"task file '{file}', line {line}: {sentence}", TaskWarning, stacklevel=2)

    rows = Rows(read_text(file, lambda sentence: TaskError(f"task file '{file}': {sentence}")), fail, warn)
    if len(rows.first) < 2:
        found = f"one column, {shown(rows.first[0])}" if rows.first else "no rows"
        raise TaskError(f"task file '{file}' has {found}; it needs features and a label.")
    named = _has_names(rows, label, warn) if header is None else header
    names = rows.first if named else [f"{i + 1}" for i in range(len(rows.first))]
    labels = _label_columns(file, names, label)
    dropped = _dropped(file, names, leave_out, labels)
    if named and _is_unnamed(names[0]) and 0 not in labels:
        warn(
            rows.first_line,
            "the first column has no name, so it is left out as an index. Name it to make it a feature.",
        )
        dropped.add(0)
    table = _Table(rows, names, labels, [i for i in range(len(names)) if i not in dropped.union(labels)], kind, fail)
    if not table.others:
        raise TaskError(f"task file '{file}' has no features: all columns are labels or left out.")
    features, cells = table.read(with_first=not named)
    if not cells:
        raise TaskError(f"task file '{file}' has column names but no examples; add a line for each example.")
    _suspect_index(features, [names[i] for i in table.others], lambda s: warn(rows.first_line, s))
    kind = "regression" if table.is_numeric else kind
    return from_arrays(features, _label_values(cells, rows.separator, kind), kind=kind, name=file.name, **options)


def _has_names(rows: Rows, label: str | Sequence[str] | None, warn: Callable[[int, str], None]) -> bool:
    """Says whether the first row has the columns' names; warns where it is all the same made of numbers."""
    cells = rows.first
    wanted = {LABEL_COLUMN, *([label] if isinstance(label, str) else label or ())}
    if any(cell in wanted or cell.lower() == LABEL_COLUMN for cell in cells):
        return True
    numbers = [i for i, cell in enumerate(cells) if is_number(cell, rows.separator)]
    words = [i for i, cell in enumerate(cells) if cell and i not in numbers]
    below = [row for _, row in itertools.islice(rows, _SAMPLE)]
    if not numbers or (below and any(all(is_number(row[i], rows.separator) for row in below) for i in words)):
        return True
    if len(cells) < 3 or any(row[i] == cells[i] for row in below for i in words):
        return False
    for start in (0, 1):
        if all(cells[i] == str(i + start) for i in numbers):
            warn(
                rows.first_line,
                f"it numbers the columns from {start}, so it is taken for their names; "
                "header=False makes it an example.",
            )
            return True
    return False


def _is_unnamed(name: str) -> bool:
    return not name or re.fullmatch(r"Unnamed: \d+", name) is not None


def _label_columns(file: pathlib.Path, names: Sequence[str], label: str | Sequence[str] | None) -> list[int]:
    if label is None:
        lowered = [name.lower() for name in names]
        return [lowered.index(LABEL_COLUMN) if LABEL_COLUMN in lowered else len(names) - 1]
    labels = [label] if isinstance(label, str) else list(label)
    columns = [_column(file, names, name) for name in labels]
    if not 0 < len(set(labels)) == len(labels) < len(names):
        raise TaskError(
            f"task file '{file}': the label columns are {listed(labels) or 'none'} of {len(names)} columns; name "
            "one or more, each once, and leave at least one column for features."
        )
    return columns


def _dropped(
    file: pathlib.Path, names: Sequence[str], leave_out: str | Sequence[str], labels: Sequence[int]
) -> set[int]:
    columns = {_column(file, names, name) for name in ([leave_out] if isinstance(leave_out, str) else leave_out)}
    for column in columns.intersection(labels):
        raise TaskError(f"task file '{file}': the column '{names[column]}' is both left out and a label; choose one.")
    return columns


def _column(file: pathlib.Path, names: Sequence[str], name: str) -> int:
    """Gives the position of a column.

    Raises:
        TaskError: there is none of that name, or there are several.
    """
    if names.count(name) == 1:
        return names.index(name)
    if name in names:
        raise TaskError(f"task file '{file}' has {names.count(name)} columns '{name}'; give each a name of its own.")
    fix = nearest(name, names, f"it has {listed(names)}.")
    raise TaskError(f"task file '{file}' has no column {shown(name)}; {fix}")


class _Table(NamedTuple):
    """The examples of a file.

    Attributes:
        rows: the file's rows.
        names: the columns' names.
        labels, others: the positions of label columns, and of features.
        kind: as for `read_csv`.
        fail: makes the exception of a line and a sentence.
    """

    rows: Rows
    names: Sequence[str]
    labels: Sequence[int]
    others: Sequence[int]
    kind: str
    fail: Fail

    @property
    def is_numeric(self) -> bool:
        """Says whether labels must be numbers."""
        return self.kind == "regression" or (self.kind == "auto" and len(self.labels) > 1)

    def read(self, with_first: bool) -> tuple[np.ndarray, list[list[str]]]:
        """Gives features, float64 `[examples, features]`, and the cells of labels; checks each row."""
        first = [(self.rows.first_line, self.rows.first)] if with_first else []
        features, labels = [], []
        for line, row in itertools.chain(first, self.rows):
            features.append(self._features(line, row))
            labels.append(self._labels(line, row))
        if self.rows.separator != ",":
            used = [*self.others, *self.labels]
            check_decimals(((line, row[i]) for line, row in itertools.chain(first, self.rows) for i in used), self.fail)
        return np.array(features), labels

    def _features(self, line: int, row: list[str]) -> np.ndarray:
        values = np.array([self._number(row[i]) for i in self.others])
        if not np.isfinite(values).all():
            bad = self.others[int(np.argmin(np.isfinite(values)))]
            found = shown(row[bad]) if row[bad] else "empty"
            raise self.fail(
                line, f"feature {shown(self.names[bad])} is {found}; every feature must be a finite number."
            )
        return values

    def _labels(self, line: int, row: list[str]) -> list[str]:
        for column in self.labels:
            if not row[column]:
                raise self.fail(line, f"the label (column {shown(self.names[column])}) is missing.")
            if self.is_numeric and not np.isfinite(self._number(row[column])):
                raise self.fail(
                    line,
                    f"the label (column {shown(self.names[column])}) is {shown(row[column])}; every target of a "
                    "regression must be a finite number.",
                )
        return [row[column] for column in self.labels]

    def _number(self, cell: str) -> float:
        """Gives the number that a cell holds, or NaN."""
        try:
            return number(cell, self.rows.separator)
        except ValueError:
            return float("nan")


def _suspect_index(features: np.ndarray, names: Sequence[str], warn: Callable[[str], None]) -> None:
    """Warns of columns that are called as an index is, and number the examples: sorted by class, they give it away."""
    steps = np.arange(len(features))
    for i, name in enumerate(names):
        if name.lower() in _INDEX_NAMES and np.array_equal(features[:, i] - features[0, i], steps):
            warn(f"the column '{name}' numbers the examples; if it is not a feature, give leave_out='{name}'.")


def _label_values(labels: list[list[str]], separator: str, kind: str) -> np.ndarray:
    """Gives labels as numbers if all of them are, so that class 10 comes after class 9; else as text.

    Classes of which one is written with a leading zero, such as codes, are text: 07 is not 7.
    """
    coded = kind != "regression" and any(_CODE.fullmatch(cell) for row in labels for cell in row)
    if coded or not all(is_number(cell, separator) for row in labels for cell in row):
        return np.array(labels)
    return np.array([[number(cell, separator) for cell in row] for row in labels])
