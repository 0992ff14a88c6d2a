"""Reads tables of synapses and of neurons: headings under all their usual names, rows with their lines."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..._files.tables import Fail, Rows, check_decimals, is_number
from ..._text import shown

_ALIASES = {
    "sender": "source pre from src fromnode fromnodeid fromid sourceid preid prerootid presynaptic bodyidpre",
    "receiver": "target post to dst tonode tonodeid toid targetid postid postrootid postsynaptic bodyidpost",
}
EDGE_ALIASES = {alias: column for column, aliases in _ALIASES.items() for alias in aliases.split()}
"""Other headings under which edge lists have their columns, in lower case, letters and digits alone."""

_UNDIRECTED = {"type": ("undirected", "mutual"), "directed": ("false", "no", "0")}


class Table(NamedTuple):
    """A table with a heading.

    Attributes:
        header: the columns' names in lower case, aliases replaced.
        rows: the cells below the header.
        lines: for each row the line in which it begins, counted from 1.
        header_line: the line of the header.
    """

    header: list[str]
    rows: list[list[str]]
    lines: list[int]
    header_line: int


def read_table(
    text: str,
    aliases: Mapping[str, str],
    is_numeric: Callable[[str], bool],
    fail: Fail,
    warn: Callable[[int, str], None],
) -> Table | None:
    """Reads a table, in any dialect (see `neurograph._files.tables`); None where it has no rows.

    Args:
        text: the table.
        aliases: what some headings stand for.
        is_numeric: says whether a column of that name has numbers: decimal commas in it become points.
        fail: makes the exception of a line and a sentence, for what is malformed.
        warn: warns of a line in a sentence.
    """
    rows = Rows(text, fail, warn)
    header = _header(rows.first, aliases)
    return _table(rows, header, is_numeric, fail) if header else None


def read_edges(
    text: str, is_numeric: Callable[[str], bool], fail: Fail, warn: Callable[[int, str], None]
) -> Table | None:
    """Reads an edge list as `read_table` does; it may have its heading in a comment, or none.

    Without a heading there are two columns, sender and receiver, both whole numbers, or a weight as third.
    A synapse that is marked as undirected (`Type` of Gephi) is refused.
    """
    rows = Rows(text, fail, warn)
    header, first = _header(rows.first, EDGE_ALIASES), None
    if not {"sender", "receiver"} & set(header):
        of_comment = _header(rows.comment, EDGE_ALIASES)
        if len(of_comment) == len(header) and {"sender", "receiver"} <= set(of_comment):
            header, first = of_comment, rows.first
        elif _is_row(rows):
            header, first = ["sender", "receiver", "weight"][: len(header)], rows.first
    if not header:
        return None
    table = _table(rows, header, is_numeric, fail, first)
    for column, marks in _UNDIRECTED.items():
        if column in header:
            place = header.index(column)
            for line, row in zip(table.lines, table.rows, strict=True):
                if row[place].lower() in marks:
                    raise fail(
                        line,
                        f"the {column} of the synapse is {row[place]}, so it has no sender and no receiver; save a "
                        "directed graph, with every edge in the direction in which the signal goes.",
                    )
    return table


def _table(
    rows: Rows, header: list[str], is_numeric: Callable[[str], bool], fail: Fail, first: list[str] | None = None
) -> Table:
    numbered = ([(rows.first_line, first)] if first else []) + list(rows)
    table = Table(header, [row for _, row in numbered], [line for line, _ in numbered], rows.first_line)
    columns = [i for i, name in enumerate(header) if is_numeric(name)]
    if rows.separator != ",":
        check_decimals(((line, row[i]) for line, row in numbered for i in columns), fail)
    for line, row in numbered:
        for i in columns:
            if is_number(row[i], rows.separator):
                row[i] = row[i].replace(",", ".")
            elif "_" in row[i]:  # which Python allows in numbers
                raise fail(line, f"{header[i]} is {shown(row[i])}; it must be a number.")
    return table


def _header(cells: list[str], aliases: Mapping[str, str]) -> list[str]:
    names = [cell.strip().lower() for cell in cells]
    plain = [aliases.get(re.sub("[^a-z0-9]", "", name), name) for name in names]
    # a column that is called so itself comes before one that only stands for it
    return [own if own != name and name in names else name for own, name in zip(names, plain, strict=True)]


def _is_row(rows: Rows) -> bool:
    """Says whether the first row of an edge list is a synapse between neurons with numbers for names."""
    cells = rows.first
    if len(cells) not in (2, 3) or not all(re.fullmatch(r"[0-9]+", cell) for cell in cells[:2]):
        return False
    return len(cells) == 2 or is_number(cells[2], rows.separator)
