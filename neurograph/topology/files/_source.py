"""Reads files as text, and tables of text with the line of every row."""

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from ..._text import count

EDGE_ALIASES = {
    "source": "sender",
    "pre": "sender",
    "from": "sender",
    "target": "receiver",
    "post": "receiver",
    "to": "receiver",
}
"""Other headings under which edge lists have their columns."""


class Table(NamedTuple):
    """A CSV file.

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


def read_text(path: Path, error: Callable[[str], Exception]) -> str:
    """Reads a file's text, without a byte order mark.

    Args:
        path: the file.
        error: makes the exception of a sentence, for what is no readable file of UTF-8 text, or empty.
    """
    try:
        if path.is_dir():
            raise error("this is a directory; give a file.")
        text = path.read_bytes().decode("utf-8-sig")
        if text.strip():
            return text
        sentence = "the file is empty."
    except FileNotFoundError:
        sentence = "there is no such file; check the path."
    except UnicodeDecodeError as found:
        line = found.object.count(b"\n", 0, found.start) + 1
        sentence = f"line {line}: the file is not UTF-8 text; save it as UTF-8."
    except OSError as found:
        sentence = f"the file cannot be read ({(found.strerror or type(found).__name__).lower()})."
    raise error(sentence)


def read_table(text: str, aliases: Mapping[str, str], error: Callable[[int, str], Exception]) -> Table | None:
    """Reads the rows of a CSV file; None where there is no header.

    Empty lines are left out, and so are those before the header that begin with #.

    Args:
        text: the file.
        aliases: what some headings stand for.
        error: makes the exception of a line and a sentence, for malformed CSV or a row of another length.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    table: Table | None = None
    line = 1
    try:
        for row in reader:
            # A cell may hold line ends: the row begins a line after the last one ended.
            start, line = line, reader.line_num + 1
            if not row or (table is None and row[0].startswith("#")):
                continue
            if table is None:
                names = [cell.strip().lower() for cell in row]
                table = Table([aliases.get(name, name) for name in names], [], [], start)
                continue
            if len(row) != len(table.header):
                found = count(len(row), "cell")
                raise error(start, f"it has {found}, but the header has {len(table.header)}; make them agree.")
            table.rows.append(row)
            table.lines.append(start)
    except csv.Error as found:
        raise error(reader.line_num, f"malformed CSV, {found}.") from None
    return table
