"""What is wrong with a file, each problem with its place; several are told at once."""

import difflib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

Key = str | int
Path = tuple[Key, ...]


class Problem(NamedTuple):
    """One thing that is wrong.

    Attributes:
        place: where it is written, as `file:line:column` or `command line`.
        path: keys and list positions that lead there, as `projections[2].from`; "" for the whole file.
        sentence: what was found, the rule broken, the mend.
    """

    place: str
    path: str
    sentence: str

    def __str__(self) -> str:
        return ": ".join(part for part in self if part)


class ConfigError(ValueError):
    """A file, or a value given for it, breaks the schema. The message has one line for each problem.

    Attributes:
        problems: the problems, in the order of the file.
    """

    def __init__(self, problems: Iterable[Problem]):
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def dotted(path: Path) -> str:
    """A path as messages write it.

    >>> dotted(("projections", 2, "from"))
    'projections[2].from'
    """
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text


def nearest(word: object, valid: Sequence[str]) -> str:
    """Half a sentence: the nearest valid word if any is near, and else all of them.

    >>> nearest("sise", ["size", "shape"])
    "did you mean 'size'?"
    >>> nearest("colour", ["size", "shape"])
    "valid are 'size', 'shape'."
    """
    folded = {name.lower(): name for name in valid}
    close = difflib.get_close_matches(str(word).lower(), folded, n=1)
    if close:
        return f"did you mean {folded[close[0]]!r}?"
    return f"valid are {', '.join(map(repr, valid))}." if valid else "there are none."


def shown(value: object, limit: int = 60) -> str:
    """A value as messages quote it, cut off where it is long."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 4] + " ..."
