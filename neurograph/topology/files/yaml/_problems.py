"""Describes what is wrong with a file: problems, each with its place, of which several are reported at once."""

from collections.abc import Iterable
from typing import NamedTuple

from ...._text import UserError, listed

Key = str | int
Path = tuple[Key, ...]


class Problem(NamedTuple):
    """One thing that is wrong.

    Attributes:
        place: where it is written, as `file:line:column` or `command line`.
        path: keys and list positions that lead there, as `projections[2].from`; "" for the whole file.
        sentence: what was found, the rule broken, the fix.
    """

    place: str
    path: str
    sentence: str

    def __str__(self) -> str:
        return ": ".join(part for part in self if part)


class ConfigError(UserError):
    """A file, or a value given for it, breaks the schema. The message has one line for each problem.

    Attributes:
        problems: the problems, in the order of the file.
    """

    def __init__(self, problems: Iterable[Problem]):
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type, tuple]:
        # as the error of a worker process, it is made again from its problems
        return ConfigError, (self.problems,)


def dotted(path: Path) -> str:
    """Gives a path as messages write it, long keys cut off.

    >>> dotted(("projections", 2, "from"))
    'projections[2].from'
    """
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{listed([key])}" if text else listed([key])
    return text
