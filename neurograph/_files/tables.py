"""Reads files as text, and tables of text in the dialect in which they are written.

A table's cells are separated by commas, semicolons, tabs or spaces: by what divides most rows alike. Lines that begin
with # are comments, Excel's first line `sep=;` names the separator, empty lines and empty cells at the end of a row are
left out, lines end as on any system, and a byte order mark is no text. Where commas do not separate cells, they may be
decimal commas.
"""

import collections
import csv
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from .._text import count, shown
from . import read_bytes

Fail = Callable[[int, str], Exception]
"""Makes the exception of a line, counted from 1, and a sentence."""

_SEPARATORS = "\t;,"
_SAMPLE = 50
_EXCEL = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
_POINT = re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?")


def read_text(path: Path, error: Callable[[str], Exception]) -> str:
    """Reads a file's text, without a byte order mark.

    Args:
        path: the file.
        error: makes the exception of a sentence, for what is no readable file of UTF-8 text, or empty.
    """
    if path.is_dir():
        raise error("this is a directory; give a file.")
    try:
        text = read_bytes(path).decode("utf-8-sig")
        if text.strip():
            return text
        sentence = "the file is empty."
    except FileNotFoundError:
        sentence = "there is no such file; check the path."
    except UnicodeDecodeError as found:
        if found.object[:2] in (b"\xff\xfe", b"\xfe\xff"):
            sentence = "the file is UTF-16 text; save it as UTF-8."
        else:
            line = found.object.count(b"\n", 0, found.start) + 1
            sentence = f"line {line}: the file is not UTF-8 text; save it as UTF-8."
    except ValueError:  # a null byte, or half of a character
        sentence = "no file can have such a name; check the path."
    except OSError as found:
        reason = found.strerror or type(found).__name__
        sentence = f"the file cannot be read: {reason[0].lower()}{reason[1:]}."
    raise error(sentence)


def number(cell: str, separator: str = ",") -> float:
    """Gives the number that a cell holds, which may have a decimal comma where commas do not separate cells.

    Raises:
        ValueError: it holds no number.

    >>> number("0,5", separator=";")
    0.5
    """
    if "_" in cell:  # which Python allows in numbers
        raise ValueError
    if separator != "," and _COMMA.fullmatch(cell):
        cell = cell.replace(",", ".")
    return float(cell)


def is_number(cell: str, separator: str = ",") -> bool:
    """Says whether a cell holds a number (see `number`)."""
    try:
        number(cell, separator)
    except ValueError:
        return False
    return True


def check_decimals(cells: Iterable[tuple[int, str]], fail: Fail) -> None:
    """Checks that not some numbers have decimal commas and others points: commas may then group thousands.

    Args:
        cells: each with its line.
        fail: makes the exception for cells that have both.
    """
    found: dict[re.Pattern[str], tuple[int, str]] = {}
    for line, cell in cells:
        for form in (_COMMA, _POINT):
            if form not in found and form.fullmatch(cell):
                found[form] = line, cell
        if len(found) == 2:
            (first_line, first), (last_line, last) = found.values()
            raise fail(
                last_line,
                f"the number is {shown(last)}, but {shown(first)} in line {first_line}; write all numbers with decimal "
                "points, and thousands without commas.",
            )


class Rows:
    """The rows of a table, read one after the other, as often as one likes; all have as many cells as the first.

    Attributes:
        first: the cells of the first row, which may be a heading; empty where there is no row.
        first_line: its line, counted from 1.
        separator: what stands between cells.
        comment: the cells of the last comment before the first row; empty where there is none.
    """

    def __init__(self, text: str, fail: Fail, warn: Callable[[int, str], None]) -> None:
        """Finds the dialect, and reads the first row.

        Args:
            text: the table.
            fail: makes the exception for malformed cells, and for rows of another length.
            warn: warns of a line, counted from 1, in a sentence: of a comment that has as many cells as the rows.
        """
        self._fail, self._warn = fail, warn
        self._lines = re.split(r"\r\n|\r|\n", text)
        named = _EXCEL.fullmatch(self._lines[0].strip())
        self._n_skipped = int(named is not None)
        self.separator = named[1] if named else _separator(self._lines)
        self.comment, self.first_line = list[str](), 0
        rows = self._rows(self._note)
        self.first_line, cells = next(rows, (0, []))
        self.first = _trimmed(cells, 0)
        _, second = next(rows, (0, []))
        if len(cells) == len(self.first) == len(_trimmed(second, 0)) - 1:
            # as R writes a table whose rows have names: the heading has one cell less
            self.first = ["", *self.first]

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """Gives (line, cells) for each row but the first."""
        width = len(self.first)
        for line, cells in itertools.islice(self._rows(self._suspect), 1, None):
            row = _trimmed(cells, width)
            if len(row) != width:
                raise self._fail(
                    line, f"it has {count(len(row), 'cell')}, but line {self.first_line} has {width}; make them agree."
                )
            yield line, row

    def _rows(self, comment: Callable[[int, str], None]) -> Iterator[tuple[int, list[str]]]:
        """Gives (line, cells) for each row that is not empty; `comment` is told of the comments between them."""
        begins, in_row = 0, False

        def lines() -> Iterator[str]:
            nonlocal begins, in_row
            for number, line in enumerate(self._lines[self._n_skipped :], start=self._n_skipped + 1):
                if line.startswith("#") and not in_row:
                    comment(number, line)
                else:
                    # until the reader has a whole row: a cell may hold line ends
                    begins, in_row = begins if in_row else number, True
                    yield self._prepared(line) + "\n"

        try:
            for row in self._reader(lines()):
                in_row = False
                if any(cell and not cell.isspace() for cell in row):
                    yield begins, [cell.strip() for cell in row]
        except csv.Error as found:
            raise self._fail(begins, f"the CSV is malformed: {found}.") from None

    def _note(self, _: int, text: str) -> None:
        if not self.first_line:
            self.comment = self._cells(text.lstrip("# "))

    def _suspect(self, line: int, text: str) -> None:
        if line > self.first_line and len(self._cells(text)) == len(self.first):
            self._warn(
                line, "it begins with #, so it is taken for a comment; if it is a row, put its first cell in quotes."
            )

    def _cells(self, line: str) -> list[str]:
        try:
            return _trimmed([cell.strip() for cell in next(self._reader([self._prepared(line)]), [])], 0)
        except csv.Error:
            return []

    def _reader(self, lines: Iterable[str]) -> "Iterator[list[str]]":
        return csv.reader(lines, delimiter=self.separator, strict=True, skipinitialspace=True)

    def _prepared(self, line: str) -> str:
        return line.replace("\t", " ").strip() if self.separator == " " else line


def _separator(lines: Sequence[str]) -> str:
    """Finds what divides most lines into equally many cells, two or more; else spaces, or a comma if there are none."""
    rows = (line for line in lines if line and not line.isspace() and not line.startswith("#"))
    sample = list(itertools.islice(rows, _SAMPLE))
    best, most = " " if any(" " in line.strip() for line in sample[:1]) else ",", 0
    for separator in _SEPARATORS:
        try:
            widths = [len(row) for row in csv.reader(sample, delimiter=separator, skipinitialspace=True)]
        except csv.Error:
            continue
        agree = max(collections.Counter(width for width in widths if width > 1).values(), default=0)
        if agree > most:
            best, most = separator, agree
    return best


def _trimmed(cells: list[str], width: int) -> list[str]:
    """Leaves out the empty cells at the end, beyond a width."""
    end = len(cells)
    while end > width and not cells[end - 1]:
        end -= 1
    return cells[:end]
