"""Edge lists: a header, then one line per synapse, in any dialect of CSV (see `neurograph._files.tables`).

Columns are `sender` and `receiver`, optionally `weight` and `backward_weight` (several channels: `weight_1`, ...), and
`enabled`: synapses that are not are left out. What an edge list cannot hold is in a file beside it,
`wiring.nodes.csv` for `wiring.csv`: one line per neuron with `label` and the columns of
`neurograph.topology.from_networkx`'s node attributes. Without it, names are text, neurons come in the order in which
the edge list names them, a neuron that receives nothing is an input, and one that sends nothing an output.
"""

import csv
import functools
import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..._files.tables import read_text
from ..._text import closest, listed, shown
from .._columns import (
    NODE_COLUMNS,
    edge_columns,
    from_columns,
    is_edge_column,
    is_node_column,
    is_value_column,
    node_columns,
)
from .._types import Topology, TopologyWarning, fail
from ._names import label_keys, label_of
from ._tables import Table, read_edges, read_table

_KEYS = ("neuron", "node", "name", "id", "nodeid", "neuronid", "bodyid", "rootid")
_NODE_ALIASES: dict[str, str] = dict.fromkeys(_KEYS, "label")
_FLOAT = re.compile(r"[+-]?[0-9]+\.0*")
_OWN_NODE_COLUMNS = ("label", "type", "population_index")
# So near to a known column's name, another name is a slip.
_SLIP = 0.8


class _Columns(NamedTuple):
    columns: dict[str, list[str | None]]
    lines: list[int]

    def place(self, file: str | None) -> Callable[[int], str]:
        return lambda i: f"line {self.lines[i]}" + (f" of {file}" if file else "")


def nodes_path(path: Path) -> Path:
    """Names the file beside an edge list, which holds what an edge list cannot."""
    return path.with_suffix(f".nodes{path.suffix}")


def read(path: Path) -> Topology:
    """Reads an edge list and the file beside it, if there is one."""
    if path.stem.endswith(".nodes"):
        edges = path.stem.removesuffix(".nodes") + path.suffix
        raise fail(path.name, f"this file holds neurons, not synapses; give the edge list beside it, {edges}.")
    edges = _columns(path, read_edges, ("sender", "receiver"), is_edge_column, ("weight", "backward_weight"))
    beside = nodes_path(path)
    if beside.exists():
        nodes = _columns(beside, _read_nodes, ("label",), _is_node_column, (*NODE_COLUMNS, "bias_weight"))
    else:
        nodes = _Columns({"label": _ends(edges, path.name)}, [])
    keys = [str(key) for key in nodes.columns["label"]]
    row = {key: i for i, key in enumerate(keys)}
    if len(row) < len(keys):
        second = next(i for i, key in enumerate(keys) if row[key] != i)
        lines = f"lines {nodes.lines[second]} and {nodes.lines[row[keys[second]]]}"
        raise fail(beside.name, f"{lines}: both neurons are called {keys[second]}; give each a name of its own.")
    place = nodes.place(beside.name) if nodes.lines else (lambda i: f"neuron {keys[i]}")
    kinds = nodes.columns.get("type", [None] * len(keys))
    return from_columns(
        [label_of(key, kind, place(i), path.name) for i, (key, kind) in enumerate(zip(keys, kinds, strict=True))],
        _rows(edges, "sender", row, path, beside),
        _rows(edges, "receiver", row, path, beside),
        nodes.columns,
        edges.columns,
        name=path.name,
        populations=_population_order(nodes, path.name, place),
        node_place=place,
        edge_place=edges.place(None),
    )


def texts(topology: Topology, path: Path) -> dict[Path, str]:
    """Gives the texts of the edge list and of the file beside it."""
    keys, kinds = label_keys(topology.names, topology.name)
    nodes: dict[str, Sequence[Any]] = {"label": keys}
    if "literal" in kinds:
        nodes["type"] = kinds
    nodes |= node_columns(topology)
    member_of = topology.population_of.tolist()
    first_seen = list(dict.fromkeys(member_of))
    if first_seen != sorted(first_seen):
        nodes["population_index"] = member_of
    shapes = [None if p.shape is None else f"{p.shape[0]}x{p.shape[1]}" for p in topology.populations]
    biases = ["true" if p.bias else "false" for p in topology.populations]
    for column, values in [
        ("shape", shapes),
        ("activation", [p.activation for p in topology.populations]),
        ("bias", biases if "false" in biases else []),
    ]:
        if any(values):
            nodes[column] = [values[i] for i in member_of]
    edges: dict[str, Sequence[Any]] = {
        "sender": [keys[i] for i in topology.senders.tolist()],
        "receiver": [keys[j] for j in topology.receivers.tolist()],
    }
    return {path: _text(edges | edge_columns(topology)), nodes_path(path): _text(nodes)}


def _text(columns: Mapping[str, Sequence[Any]]) -> str:
    file = io.StringIO()
    # in quotes, a name that begins with # is no comment
    commented = any(str(cell).startswith("#") for cell in next(iter(columns.values())))
    writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC if commented else csv.QUOTE_MINIMAL)
    writer.writerow(columns)
    # The writer gives floats as repr does, which is exact, and None as an empty cell.
    writer.writerows(zip(*columns.values(), strict=True))
    return file.getvalue()


def _is_node_column(key: object) -> bool:
    return key in _OWN_NODE_COLUMNS or is_node_column(key)


def _ends(edges: _Columns, name: str) -> list[str | None]:
    """Lists the neurons in the order in which an edge list names them; a number is written in one way."""
    ends = zip(edges.columns["sender"], edges.columns["receiver"], strict=True)
    first: dict[str | None, int] = {}
    for row, pair in enumerate(ends):
        for label in pair:
            first.setdefault(label, row)
    for label, row in first.items():
        whole = str(label).partition(".")[0]
        if label != whole and whole in first and _FLOAT.fullmatch(str(label)):
            lines = " and ".join(str(edges.lines[r]) for r in sorted((row, first[whole])))
            raise fail(
                name,
                f"lines {lines}: {whole} and {label} are the same number; if they are one neuron, write both as "
                f"{whole} (in a data frame: .astype('Int64')), or else give them different names.",
            )
    return list(first)


def _read_nodes(
    text: str,
    is_numeric: Callable[[str], bool],
    fail: Callable[[int, str], Exception],
    warn: Callable[[int, str], None],
) -> Table | None:
    """Reads the file beside an edge list; where it has both `id` and `label`, edges name neurons by `id`."""
    table = read_table(text, {}, is_numeric, fail, warn)
    if table is None or not {"id", "label"} <= set(table.header):
        return read_table(text, _NODE_ALIASES, is_numeric, fail, warn)
    return table._replace(header=[{"id": "label", "label": ""}.get(name, name) for name in table.header])


def _columns(
    path: Path,
    reader: Callable[..., Table | None],
    required: tuple[str, ...],
    is_column: Callable[[object], bool],
    optional: tuple[str, ...],
) -> _Columns:
    """Reads the known columns of a CSV file, empty cells as None."""
    text = read_text(path, functools.partial(fail, path.name))

    def warn(line: int, sentence: str) -> None:
        warnings.warn(f"topology {path.name!r}: line {line}: {sentence}", TopologyWarning, stacklevel=2)

    table = reader(text, is_value_column, lambda line, sentence: fail(path.name, f"line {line}: {sentence}"), warn)
    if table is None:
        raise fail(path.name, "the file has no header; begin it with a line that names the columns.")
    _check_header(table, required, is_column, optional, path.name)
    if not table.rows:
        raise fail(path.name, "the file has no lines below its header; add some.")
    columns = {
        key: [cell.strip() or None for cell in column]
        for key, column in zip(table.header, zip(*table.rows, strict=True), strict=True)
        if key in required or is_column(key)
    }
    for key in required:
        if None in columns[key]:
            raise fail(path.name, f"line {table.lines[columns[key].index(None)]}: the {key} is missing.")
    return _Columns(columns, table.lines)


def _check_header(
    table: Table, required: tuple[str, ...], is_column: Callable[[object], bool], optional: tuple[str, ...], name: str
) -> None:
    header, here = table.header, f"line {table.header_line}"
    for key in header:
        if key and header.count(key) > 1:
            raise fail(name, f"{here}: column {key} appears twice; remove one of them.")
    missing = [key for key in required if key not in header]
    if missing:
        raise fail(
            name,
            f"{here}: the header lacks {' and '.join(missing)}; it has {listed(header)}, but needs at least "
            f"{', '.join(required)}.",
        )
    for key in header:
        if key in required or is_column(key):
            continue
        slip = closest(key, [k for k in optional if k not in header], _SLIP)
        if slip:
            raise fail(name, f"{here}: column {shown(key)} is unknown; did you mean {slip!r}?")


def _rows(edges: _Columns, column: str, row: Mapping[str, int], path: Path, beside: Path) -> np.ndarray:
    try:
        return np.array([row[str(key)] for key in edges.columns[column]], dtype=np.int64)
    except KeyError as error:
        line = edges.lines[edges.columns[column].index(error.args[0])]
        raise fail(path.name, f"line {line}: the {column} {error.args[0]} is not in {beside.name}; add it.") from None


def _population_order(nodes: _Columns, name: str, place: Callable[[int], str]) -> dict[str, dict[str, Any]] | None:
    indices = nodes.columns.get("population_index")
    if indices is None:
        return None
    none: list[str | None] = [None] * len(indices)
    names = zip(nodes.columns.get("population", none), nodes.columns.get("role", none), strict=True)
    order: dict[str, int] = {}
    for i, (index, (population, role)) in enumerate(zip(indices, names, strict=True)):
        try:
            number = int(index or "")
        except ValueError:
            raise fail(name, f"{place(i)}: population_index is {shown(index)}; it must be a whole number.") from None
        order.setdefault(population or role or "hidden", number)
    return {population: {} for population in sorted(order, key=order.__getitem__)}
