"""Reads a connectome from two tables: one of connections, one of neurons, in any dialect of CSV."""

import functools
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..._files.tables import read_text
from ..._text import listed, nearest, shown
from .._types import HIDDEN, INPUT, OUTPUT, TopologyWarning, fail
from ..orientation import Connectome
from ._tables import Table, read_edges, read_table

Selection = Mapping[str, str | Sequence[str]]
"""Columns, each with the values (one or several) that a row must have in it."""

_MOST_VALUES = 1000
_LABELS = ("id", "label", "neuron", "cell", "name", "node", "bodyid", "root_id", "rootid")
_COUNTS = ("weight", "syn_count", "count", "synapses")


def read_connectome(
    connections: str | os.PathLike[str],
    neurons: str | os.PathLike[str],
    *,
    inputs: Selection,
    outputs: Selection,
    keep: Selection | None = None,
    where: Selection | None = None,
    label: str | None = None,
    group: str | None = None,
    weight: str | None = None,
    least: float = 0.0,
    name: str | None = None,
) -> Connectome:
    """Reads a connectome.

    Args:
        connections: a table with a row for each connection: sender and receiver under any of their usual headings
            (`source` and `target`, `pre` and `post`, ...), and maybe a count. Rows of one pair add up.
        neurons: a table with a row for each neuron. Every end of a connection must be in it.
        inputs, outputs: which neurons they are, as {column: value or values} of the table of neurons. A neuron that is
            both is an input.
        keep: which neurons are kept, likewise; by default all. Connections of others are left out.
        where: which connections are kept, as columns and values of the table of connections; by default all.
        label: the column of the neurons' names; by default the first of `id`, `label`, `neuron`, `cell`, `name`, ...
        group: the column of the neurons' cell types, which become populations; by default there are none.
        weight: the column of counts; by default the first of `weight`, `syn_count`, `count`, `synapses`, and where
            there is none, 1 for each row.
        least: connections whose summed count is smaller are left out.
        name: what messages call it; by default the file of connections.

    Returns:
        The connectome; `neurograph.topology.orientation.wiring_of` makes a wiring of it.

    Raises:
        TopologyError: a file is malformed, a column is unknown, a value does not occur in it, a neuron is unknown or
            comes twice, or nothing is left.
    """
    connections, neurons = Path(connections), Path(neurons)
    name = name or connections.name
    table = _read(neurons, is_edges=False)
    keys = _column(table, neurons, label or _first(table, _LABELS, neurons, "names neurons"))
    twice = {key: i for i, key in enumerate(keys)}
    if len(twice) < len(keys):
        second = next(i for i, key in enumerate(keys) if twice[key] != i)
        raise fail(neurons.name, f"line {table.lines[second]}: neuron {shown(keys[second])} comes twice; remove one.")
    kept = _selected(table, neurons, keep or {})
    roles = np.full(len(keys), HIDDEN, dtype=np.int64)
    roles[_selected(table, neurons, outputs)] = OUTPUT
    roles[_selected(table, neurons, inputs)] = INPUT
    for role, what in ((INPUT, "inputs"), (OUTPUT, "outputs")):
        if not np.any(roles[kept] == role):
            raise fail(name, f"none of the neurons that are kept is among the {what}; change {what} or keep.")
    groups = None if group is None else _column(table, neurons, group)
    rows = np.flatnonzero(kept)
    new_row = np.full(len(keys), -1, dtype=np.int64)
    new_row[rows] = np.arange(rows.size)
    senders, receivers, counts = _connections(connections, neurons, twice, where or {}, weight)
    inside = (new_row[senders] >= 0) & (new_row[receivers] >= 0)
    pairs = new_row[senders[inside]] * rows.size + new_row[receivers[inside]]
    pairs, of = np.unique(pairs, return_inverse=True)
    summed = np.bincount(of, counts[inside], pairs.size)
    strong = summed >= least
    if not strong.any():
        raise fail(name, "no connection is left between the neurons that are kept; change keep, where or least.")
    senders, receivers = np.divmod(pairs[strong], rows.size)
    return Connectome(
        labels=[keys[i] for i in rows.tolist()],
        senders=senders,
        receivers=receivers,
        counts=summed[strong],
        roles=roles[rows],
        groups=None if groups is None else [groups[i] or None for i in rows.tolist()],
        name=name,
    )


def _connections(
    path: Path, neurons: Path, row: Mapping[str, int], where: Selection, weight: str | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reads sender, receiver and count of each connection that is selected."""
    table = _read(path, is_edges=True)
    ends = []
    for column in ("sender", "receiver"):
        cells = _column(table, path, column)
        unknown = next((i for i, cell in enumerate(cells) if cell not in row), None)
        if unknown is not None:
            raise fail(
                path.name,
                f"line {table.lines[unknown]}: the {column} {shown(cells[unknown])} is not in {neurons.name}; add it.",
            )
        ends.append(np.array([row[cell] for cell in cells], dtype=np.int64))
    column = weight or next((name for name in _COUNTS if name in table.header), None)
    counts = np.ones(len(table.rows))
    if column is not None:
        for i, cell in enumerate(_column(table, path, column)):
            try:
                counts[i] = float(cell)
            except ValueError:
                counts[i] = np.nan
            if not np.isfinite(counts[i]) or counts[i] < 0:
                sentence = f"{column} is {shown(cell)}; it must be a finite number of at least 0."
                raise fail(path.name, f"line {table.lines[i]}: {sentence}")
    chosen = _selected(table, path, where)
    return ends[0][chosen], ends[1][chosen], counts[chosen]


def _read(path: Path, *, is_edges: bool) -> Table:
    text = read_text(path, functools.partial(fail, path.name))

    def problem(line: int, sentence: str) -> Exception:
        return fail(path.name, f"line {line}: {sentence}")

    def warn(line: int, sentence: str) -> None:
        warnings.warn(f"{path.name}: line {line}: {sentence}", TopologyWarning, stacklevel=2)

    def is_numeric(column: str) -> bool:
        return column in _COUNTS

    table = read_edges(text, is_numeric, problem, warn) if is_edges else read_table(text, {}, is_numeric, problem, warn)
    if table is None:
        raise fail(path.name, "the file has no header; begin it with a line that names the columns.")
    if not table.rows:
        raise fail(path.name, "the file has no lines below its header; add some.")
    return table


def _first(table: Table, names: Sequence[str], path: Path, does: str) -> str:
    found = next((name for name in names if name in table.header), None)
    if found is None:
        raise fail(path.name, f"no column {does}: there are {listed(table.header)}; say which one by label.")
    return found


def _column(table: Table, path: Path, name: str) -> list[str]:
    lower = name.strip().lower()
    if lower not in table.header:
        raise fail(path.name, f"there is no column {shown(name)}; {_hint(lower, table.header)}")
    place = table.header.index(lower)
    return [row[place].strip() for row in table.rows]


def _hint(word: str, known: Sequence[str]) -> str:
    return nearest(word, known, f"choose one of {listed(known)}.")


def _selected(table: Table, path: Path, selection: Selection) -> np.ndarray:
    """Tells, bool `[rows]`, which rows have one of the given values in each of the given columns."""
    chosen = np.ones(len(table.rows), dtype=bool)
    for name, values in selection.items():
        wanted = [values] if isinstance(values, str) else list(values)
        cells = _column(table, path, name)
        found = set(cells)
        for value in wanted:
            if value not in found:
                hint = _hint(value, sorted(found)[:_MOST_VALUES])
                raise fail(path.name, f"no row has {shown(value)} in the column {shown(name)}; {hint}")
        chosen &= np.isin(np.array(cells, dtype=object), wanted)
    return chosen
