"""Checksums (SHA-256), by which a resumed run knows what is not as it was written."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeGuard

KEY = "sha256"
"""The name of a checksum within what it is the checksum of."""


def of(content: bytes | str) -> str:
    """The checksum of bytes, or of a text in UTF-8."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def sealed(about: Mapping[str, Any], rest: str = "") -> str:
    """A JSON object in one line, with its checksum as last entry.

    Args:
        about: what the object holds.
        rest: the checksum of what belongs to it and stands elsewhere.
    """
    return json.dumps({**about, KEY: of(json.dumps(about) + rest)})


def is_sealed(text: str, about: Mapping[str, Any], rest: str = "") -> bool:
    """Whether a text is what `sealed` gave; `about` is what `parsed` finds in it."""
    return text == sealed({name: value for name, value in about.items() if name != KEY}, rest)


def parsed(text: str | bytes | None) -> dict[str, Any] | None:
    """The JSON object that a text of whatever origin is; None where it is none."""
    if text is None:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):  # a number may have more digits than Python reads
        return None
    return found if isinstance(found, dict) else None


def is_count(value: object) -> TypeGuard[int]:
    """Whether a value is a whole number from 0 to the largest that an int32 holds."""
    return type(value) is int and 0 <= value < 2**31
