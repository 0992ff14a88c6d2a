"""Reads explicit synapses from lists in a topology file, tables of numbers, and CSV files."""

import io
import math
import re
import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, NamedTuple

import numpy as np

from ...._files.tables import read_text
from ...._text import UserError, listed, nearest, shown
from ..._columns import is_value_column
from ..._types import TopologyWarning
from .._tables import read_edges
from ._document import Document
from ._problems import ConfigError, Path, Problem, dotted

_VALUE = re.compile(r"(backward_weight|weight)(?:_([1-9][0-9]*))?")
_MOST_PROBLEMS = 10


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
        """Gives the number of a neuron.

        Raises:
            ValueError: there is no such neuron.
        """
        if self._rows is None:
            number = int(name) if is_text and re.fullmatch(r"\s*[0-9]{1,18}\s*", name) else name
            if type(number) is int and 0 <= number < self.n_neurons:
                return number
            raise UserError(
                f"there is no neuron {shown(name)}; without labels, neurons are numbered 0 to {self.n_neurons - 1}."
            )
        try:
            row = (self._texts if is_text else self._rows).get(label(name))
        except TypeError:
            row = None
        if row is None:
            known = [known for known in self._rows if isinstance(known, str)]
            raise UserError(f"there is no neuron labelled {shown(name)}; {nearest(name, known[:1000])}")
        return row


def label(value: Any) -> Any:
    """Makes a label of what was read; lists stand for tuples, which can be labels."""
    return tuple(map(label, value)) if isinstance(value, list) else value


def from_list(entries: list[list[Any]], names: Names, document: Document, path: Path) -> Synapses:
    """Reads synapses written as `[sender, receiver]` or `[sender, receiver, weight]`, in a list at `path`.

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
            except UserError as error:
                problems.append(document.problem((*path, index, column), str(error)))
        if len(entry) != len(entries[0]):
            sentence = "some synapses have a weight and some have none; give all of them one, or none."
            problems.append(document.problem((*path, index), sentence))
        elif len(entry) == 3:
            try:
                weights[0, index] = _finite(entry[2], "weight")
            except UserError as error:
                problems.append(document.problem((*path, index, 2), str(error)))
    if problems:
        raise ConfigError(problems)
    own = weights if entries and len(entries[0]) == 3 else None
    return Synapses(ends[0], ends[1], own, None, lambda e: f"line {document.line((*path, e))}")


def from_rows(columns: list[str], rows: str, n_neurons: int, document: Document, path: Path) -> Synapses:
    """Reads synapses written as a table of numbers, one line for each, in a mapping at `path`.

    Raises:
        ConfigError: the columns are wrong, or a line is.
    """
    first_line = document.line((*path, "rows")) + 1
    layout = _layout(columns, lambda sentence: document.problem((*path, "columns"), sentence))

    def problem(line: int, sentence: str) -> Problem:
        return Problem(f"{document.name}:{first_line + line}", dotted((*path, "rows")), sentence)

    try:
        table = np.loadtxt(io.StringIO(rows), ndmin=2).reshape(-1, len(columns)) if rows.strip() else None
    except ValueError:
        raise ConfigError([problem(*_bad_row(rows, len(columns)))]) from None
    table = np.zeros((0, len(columns))) if table is None else table
    held = [i for i, line in enumerate(rows.split("\n")) if line.split("#")[0].strip()]
    ends = table[:, [layout["sender"][0], layout["receiver"][0]]].T
    wrong = np.flatnonzero(~np.all((ends >= 0) & (ends < n_neurons) & (ends == np.floor(ends)), axis=0))
    if wrong.size:
        found = " and ".join(f"{end:g}" for end in ends[:, wrong[0]])
        sentence = f"{found} are not the numbers of two neurons; these are whole numbers from 0 to {n_neurons - 1}."
        raise ConfigError([problem(held[wrong[0]], sentence)])
    senders, receivers = ends.astype(np.int64)
    weights, backward_weights = (
        table[:, layout[key]].T if key in layout else None for key in ("weight", "backward_weight")
    )
    return Synapses(senders, receivers, weights, backward_weights, lambda e: f"line {first_line + held[e]}")


def from_csv(path: FilePath, names: Names) -> Synapses:
    """Reads synapses of an edge list with a header: sender, receiver, maybe weight and backward_weight (of several
    channels weight_1, weight_2, ...).

    Raises:
        ConfigError: the file or a line of it is wrong.
    """

    def problem(line: int | None, sentence: str) -> Problem:
        return Problem(str(path) if line is None else f"{path}:{line}", "", sentence)

    text = read_text(path, lambda sentence: ConfigError([problem(None, sentence)]))
    table = read_edges(
        text,
        is_value_column,
        lambda line, sentence: ConfigError([problem(line, sentence)]),
        lambda line, sentence: warnings.warn(f"{path}:{line}: {sentence}", TopologyWarning, stacklevel=2),
    )
    if table is None:
        sentence = "the file has no header; give one, and below it one line for each synapse."
        raise ConfigError([problem(None, sentence)])
    layout = _layout(table.header, lambda sentence: problem(table.header_line, sentence))
    problems: list[Problem] = []
    ends = np.zeros((2, len(table.rows)), dtype=np.int64)
    values = {key: np.zeros((len(own), len(table.rows))) for key, own in layout.items() if "weight" in key}
    for index, (line, row) in enumerate(zip(table.lines, table.rows, strict=True)):
        try:
            for end, key in enumerate(("sender", "receiver")):
                ends[end, index] = names.row(row[layout[key][0]], is_text=True)
            for key, target in values.items():
                target[:, index] = [_finite(row[column], key) for column in layout[key]]
        except UserError as error:
            problems.append(problem(line, str(error)))
            if len(problems) == _MOST_PROBLEMS:
                break
    if problems:
        raise ConfigError(problems)
    weights, backward_weights = values.get("weight"), values.get("backward_weight")
    return Synapses(ends[0], ends[1], weights, backward_weights, lambda e: f"{path.name} line {table.lines[e]}")


def _finite(given: Any, what: str) -> float:
    try:
        value = float("-" if isinstance(given, bool) else given)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"the {what} {shown(given)} is not a number.") from None
    if not math.isfinite(value):
        raise UserError(f"the {what} is {value}; it must be a finite number.")
    return value


def _layout(columns: Sequence[str], problem: Callable[[str], Problem]) -> Mapping[str, list[int]]:
    """Gives the positions of sender, receiver, and the channels of the weights."""
    channels: dict[str, dict[int, int]] = {}
    for position, column in enumerate(columns):
        found = _VALUE.fullmatch(column)
        key = found[1] if found else column
        if not found and column not in ("sender", "receiver"):
            valid = ["sender", "receiver", "weight", "backward_weight"]
            raise ConfigError([problem(f"unknown column {column!r}; {nearest(column, valid)}")])
        channel = int(found[2]) if found and found[2] else 1
        if channel in channels.setdefault(key, {}):
            raise ConfigError([problem(f"the column {column!r} appears twice; remove one of them.")])
        channels[key][channel] = position
    for needed in ("sender", "receiver"):
        if needed not in channels:
            raise ConfigError([problem(f"there is no column {needed!r} among {listed(columns)}; add it.")])
    for key, positions in channels.items():
        if sorted(positions) != list(range(1, len(positions) + 1)):
            raise ConfigError([problem(f"the channels of {key} are {sorted(positions)}; number them 1, 2 and so on.")])
    return {key: [positions[channel] for channel in sorted(positions)] for key, positions in channels.items()}


def _bad_row(rows: str, n_columns: int) -> tuple[int, str]:
    """Finds the first line, counted from 0, that is no row of numbers of the right length, and says why."""
    for index, line in enumerate(rows.split("\n")):
        words = line.split("#")[0].split()
        if words and len(words) != n_columns:
            return index, f"this line has {len(words)} numbers, but there are {n_columns} columns; make them agree."
        for word in words:
            try:
                float(word)
            except ValueError:
                return index, f"{shown(word)} is not a number."
    return 0, f"the lines do not have {n_columns} numbers each."
