"""Records in a file, one JSON object a line, each with a checksum (CRC-32) as its last entry."""

import json
import math
import pathlib
import re
import warnings
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .._files import read_bytes
from .checksums import parsed
from .errors import RunError, RunWarning

_LAST = b', "crc32": "'
_END = re.compile(rb'"[0-9a-f]{8}"}$')
"""How a line with a checksum ends, and no other."""


class Line(NamedTuple):
    """A line of a file.

    Attributes:
        number: counted from 1.
        text: the line as it is, without its end.
        record: what it holds, without the checksum; None where it is damaged.
    """

    number: int
    text: bytes
    record: dict[str, Any] | None


def as_line(record: Mapping[str, Any]) -> str:
    """A record as a line, with its end; a number that is not finite becomes null.

    >>> as_line({"step": 1})
    '{"step": 1, "crc32": "3a87913d"}\\n'
    """
    text = json.dumps(finite(record), allow_nan=False)
    return f'{text[:-1]}{_LAST.decode()}{_crc32(text.encode())}"}}\n'


def read_lines(path: pathlib.Path) -> list[Line]:
    """All lines of a file, but for one at the end that a kill cut short; none where there is no file.

    Raises:
        RunError: it cannot be read.
    """
    try:
        texts = read_bytes(path).split(b"\n") if path.exists() else [b""]
    except OSError as error:
        raise RunError(f"'{path}' cannot be read: {error.strerror}.") from error
    lines = [Line(number, text, _record(text.removesuffix(b"\r"))) for number, text in enumerate(texts, 1)]
    return lines if lines[-1].record is not None else lines[:-1]


def tell_damaged(path: pathlib.Path, lines: Sequence[Line]) -> None:
    """Warns with a `RunWarning` of those lines of a file that are damaged."""
    damaged = [line.number for line in lines if line.record is None]
    if damaged:
        which = ", ".join(map(str, damaged[:5])) + ", ..." * (len(damaged) > 5)
        warnings.warn(RunWarning(f"'{path}' is damaged; these lines are ignored: {which}."), stacklevel=3)


def finite(value: Any) -> Any:
    """Plain data with None in place of numbers that are not finite, which JSON does not have."""
    if isinstance(value, Mapping):
        return {name: finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _record(text: bytes) -> dict[str, Any] | None:
    """What a line holds; earlier versions wrote no checksum."""
    content, mark, checksum = text.rpartition(_LAST)
    if not mark:
        return None if _END.search(text) else parsed(text)
    content += b"}"
    return parsed(content) if checksum == f'{_crc32(content)}"}}'.encode() else None


def _crc32(text: bytes) -> str:
    return f"{zlib.crc32(text):08x}"
