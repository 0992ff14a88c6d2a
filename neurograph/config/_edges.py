"""Explicit synapses: lists in a topology file, tables of numbers, CSV files."""

import csv
import io
import math
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, NamedTuple

import numpy as np

from ._document import Document, read_text
from ._problems import ConfigError, Path, Problem, dotted, nearest, shown

_VALUE = re.compile(r"(backward_weight|weight)(?:_([1-9][0-9]*))?")
_ALIASES = {
    "source": "sender",
    "pre": "sender",
    "from": "sender",
    "target": "receiver",
    "post": "receiver",
    "to": "receiver",
}


class Synapses(NamedTuple):
    """Explicit synapses.

    Attributes:
        senders, receivers: `[synapses]`, numbers of neurons.
        weights, backward_weights: `[channels, synapses]` or None.
        place: what messages call synapse number e.
    """

    senders: np.ndarray
    receivers: np.ndarray
    weights: np.ndarray | None
    backward_weights: np.ndarray | None
    place: Callable[[int], str]


class Names:
    """Numbers of neurons by what a file calls them: by label where there are labels, else by number."""

    def __init__(self, labels: Sequence[Hashable] | None, n_neurons: int):
        self.n_neurons = n_neurons
        self._rows: dict[Hashable, int] | None = None
        if labels is not None:
            self._rows = {label: row for row, label in enumerate(labels)}
            # A CSV file has only text.
            self._texts = {str(label): row for row, label in enumerate(labels)}

    def row(self, name: Any, *, is_text: bool = False) -> int:
        """The number of a neuron.

        Raises:
            ValueError: there is no such neuron.
        """
        if self._rows is None:
            number = int(name) if is_text and re.fullmatch(r"\s*[0-9]{1,18}\s*", name) else name
            if type(number) is int and 0 <= number < self.n_neurons:
                return number
            raise ValueError(
                f"there is no neuron {shown(name)}; without labels neurons are numbered 0 to {self.n_neurons - 1}."
            )
        try:
            row = (self._texts if is_text else self._rows).get(label(name))
        except TypeError:
            row = None
        if row is None:
            known = [known for known in self._rows if isinstance(known, str)]
            raise ValueError(f"there is no neuron labelled {shown(name)}; {nearest(name, known[:1000])}")
        return row


def label(value: Any) -> Any:
    """A label as read; lists stand for tuples, which can be labels."""
    return tuple(map(label, value)) if isinstance(value, list) else value


def from_list(entries: list[list[Any]], names: Names, document: Document, path: Path) -> Synapses:
    """Synapses written as `[sender, receiver]` or `[sender, receiver, weight]`.

    Args:
        entries: the list.
        names: what neurons are called.
        document: the file.
        path: where in the file the list is.

    Returns:
        The synapses.

    Raises:
        ConfigError: an entry names no neuron, or some have weights and some have none.
    """
    problems: list[Problem] = []
    ends = np.zeros((2, len(entries)), dtype=np.int64)
    weights = np.zeros((1, len(entries)))
    for index, entry in enumerate(entries):
        for column in (0, 1):
            try:
                ends[column, index] = names.row(entry[column])
            except ValueError as error:
                where = (*path, index, column)
                problems.append(Problem(document.place(where), dotted(where), str(error)))
        if len(entry) != len(entries[0]):
            where = (*path, index)
            sentence = "some synapses have a weight and some have none; give all of them one, or none."
            problems.append(Problem(document.place(where), dotted(where), sentence))
        elif len(entry) == 3:
            try:
                weights[0, index] = _finite(entry[2], "weight")
            except ValueError as error:
                where = (*path, index, 2)
                problems.append(Problem(document.place(where), dotted(where), str(error)))
    if problems:
        raise ConfigError(problems)
    has_weights = bool(entries) and len(entries[0]) == 3
    return Synapses(
        ends[0], ends[1], weights if has_weights else None, None, lambda e: f"line {document.line((*path, e))}"
    )


def from_rows(columns: list[str], rows: str, n_neurons: int, document: Document, path: Path) -> Synapses:
    """Synapses written as a table of numbers.

    Args:
        columns: names of the columns.
        rows: one line for each synapse.
        n_neurons: how many neurons there are.
        document: the file.
        path: where in the file the table is.

    Returns:
        The synapses.

    Raises:
        ConfigError: the columns are wrong, or a line is.
    """
    first_line = document.line((*path, "rows")) + 1
    place = document.place((*path, "columns"))
    layout = _layout(columns, lambda sentence: Problem(place, dotted((*path, "columns")), sentence))
    try:
        table = np.loadtxt(io.StringIO(rows), ndmin=2).reshape(-1, len(columns)) if rows.strip() else None
    except ValueError:
        raise ConfigError([_bad_row(rows, len(columns), document.name, first_line, path)]) from None
    table = np.zeros((0, len(columns))) if table is None else table
    ends = table[:, [layout["sender"][0], layout["receiver"][0]]].T
    wrong = np.flatnonzero(~np.all((ends >= 0) & (ends < n_neurons) & (ends == np.floor(ends)), axis=0))

    def row_line(index: int) -> int:
        held = [i for i, line in enumerate(rows.split("\n")) if line.split("#")[0].strip()]
        return first_line + held[index]

    if wrong.size:
        found = " and ".join(f"{end:g}" for end in ends[:, wrong[0]])
        sentence = f"{found} are no numbers of two neurons; they are whole numbers from 0 to {n_neurons - 1}."
        place = f"{document.name}:{row_line(int(wrong[0]))}"
        raise ConfigError([Problem(place, dotted((*path, "rows")), sentence)])
    numbers = ends.astype(np.int64)
    return Synapses(
        numbers[0],
        numbers[1],
        table[:, layout["weight"]].T if "weight" in layout else None,
        table[:, layout["backward_weight"]].T if "backward_weight" in layout else None,
        lambda e: f"line {row_line(e)}",
    )


def from_csv(path: FilePath, names: Names) -> Synapses:
    """Synapses of a CSV file with a header: sender, receiver, maybe weight and backward_weight (of several channels
    weight_1, weight_2, ...). Lines before the header that begin with # are comments.

    Args:
        path: the file.
        names: what neurons are called.

    Returns:
        The synapses.

    Raises:
        ConfigError: the file or a line of it is wrong.
    """
    header, cells, lines = _read_csv(path)
    layout = _layout(header, lambda sentence: Problem(f"{path}:1", "", sentence))
    problems: list[Problem] = []
    ends = np.zeros((2, len(cells)), dtype=np.int64)
    values = {key: np.zeros((len(layout[key]), len(cells))) for key in ("weight", "backward_weight") if key in layout}
    for index, row in enumerate(cells):
        try:
            ends[0, index] = names.row(row[layout["sender"][0]], is_text=True)
            ends[1, index] = names.row(row[layout["receiver"][0]], is_text=True)
            for key, target in values.items():
                for channel, column in enumerate(layout[key]):
                    target[channel, index] = _finite(row[column], key)
        except ValueError as error:
            problems.append(Problem(f"{path}:{lines[index]}", "", str(error)))
            if len(problems) == 10:
                break
    if problems:
        raise ConfigError(problems)
    return Synapses(
        ends[0], ends[1], values.get("weight"), values.get("backward_weight"), lambda e: f"{path.name} line {lines[e]}"
    )


def _read_csv(path: FilePath) -> tuple[list[str], list[list[str]], list[int]]:
    text = read_text(path)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    header: list[str] | None = None
    cells, lines = [], []
    try:
        for row in reader:
            if not row or (header is None and row[0].startswith("#")):
                continue
            if header is None:
                header = [_ALIASES.get(cell.strip().lower(), cell.strip().lower()) for cell in row]
                continue
            if len(row) != len(header):
                sentence = f"this line has {len(row)} cells, the header {len(header)}; make them agree."
                raise ConfigError([Problem(f"{path}:{reader.line_num}", "", sentence)])
            cells.append(row)
            lines.append(reader.line_num)
    except csv.Error as error:
        raise ConfigError([Problem(f"{path}:{reader.line_num}", "", f"this is no CSV: {error}.")]) from None
    if header is None:
        raise ConfigError([Problem(str(path), "", "the file is empty; give a header and one line for each synapse.")])
    return header, cells, lines


def _finite(given: Any, what: str) -> float:
    try:
        value = float("-" if isinstance(given, bool) else given)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"the {what} {shown(given)} is no number.") from None
    if not math.isfinite(value):
        raise ValueError(f"the {what} is {value}; it must be a finite number.")
    return value


def _layout(columns: Sequence[str], problem: Callable[[str], Problem]) -> Mapping[str, list[int]]:
    """Positions of sender, receiver, and the channels of the weights."""
    layout: dict[str, list[int]] = {}
    channels: dict[str, dict[int, int]] = {}
    for position, column in enumerate(columns):
        found = _VALUE.fullmatch(column)
        key = found[1] if found else column
        if not found and column not in ("sender", "receiver"):
            valid = ["sender", "receiver", "weight", "backward_weight"]
            raise ConfigError([problem(f"unknown column {column!r}; {nearest(column, valid)}")])
        channel = int(found[2]) if found and found[2] else 1
        if channel in channels.setdefault(key, {}):
            raise ConfigError([problem(f"the column {column!r} is there twice; remove one of them.")])
        channels[key][channel] = position
    for needed in ("sender", "receiver"):
        if needed not in channels:
            raise ConfigError([problem(f"there is no column {needed!r} among {', '.join(columns)}; add it.")])
    for key, positions in channels.items():
        if sorted(positions) != list(range(1, len(positions) + 1)):
            raise ConfigError([problem(f"the channels of {key} are {sorted(positions)}; number them from 1.")])
        layout[key] = [positions[channel] for channel in sorted(positions)]
    return layout


def _bad_row(rows: str, n_columns: int, name: str, first_line: int, path: Path) -> Problem:
    sentence = f"the lines do not have {n_columns} numbers each."
    where = first_line
    for index, line in enumerate(rows.split("\n")):
        words = line.split("#")[0].split()
        if words and len(words) != n_columns:
            sentence = f"this line has {len(words)} numbers, but there are {n_columns} columns; make them agree."
        else:
            wrong = [word for word in words if not _is_number(word)]
            if not wrong:
                continue
            sentence = f"{shown(wrong[0])} is no number."
        where = first_line + index
        break
    return Problem(f"{name}:{where}", dotted((*path, "rows")), sentence)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
