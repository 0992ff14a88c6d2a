"""What a run folder that cannot be made, read, written or continued is told with."""

import enum
import errno
import pathlib

from pydantic import ValidationError

from .._text import UserError

KINDS = {"train": "train", "meta": "meta-train"}
"""The command that each kind of run comes from, by the section of its config."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LONGEST = 300


class Fix(enum.Enum):
    """What helps against a `RunError`, in words for Python; the command line has others, which name its options."""

    FOLDER = "choose another folder"
    SPACE_OR_FOLDER = "free some space, or choose another folder"
    RESUME_OR_FOLDER = "resume it, or choose another folder"
    RESUME = "resume it as a run of that kind"
    SPACE = "free some space, then resume the run from step {step}"
    ACCESS = "make it writable, then resume the run from step {step}"
    STEPS = "give {steps} or more"
    DATA = "restore the data, say where they are now, or start a new run"
    WAIT = "wait until it ends, or start a run in another folder"


class RunError(UserError):
    """A run folder cannot be made, read or continued; the message names it, what was found, and the fix.

    Args:
        problem: the message; without the fix and the full stop where `fix` is given.
        fix: what helps.
        about: what the words for the fix may name.
    """

    def __init__(self, problem: str, fix: Fix | None = None, **about: object):
        self.problem, self.fix, self.about = problem, fix, about
        super().__init__(problem if fix is None else f"{problem}; {fix.value.format(**about)}.")


class RunWarning(UserWarning):
    """Something in a run folder is damaged or has changed, but the run can go on without it."""


def unwritable(path: pathlib.Path, error: OSError) -> RunError:
    """The error about a file that cannot be written."""
    return RunError(f"'{path}' cannot be written: {error.strerror or error}", fix_of(error))


def fix_of(error: OSError) -> Fix:
    """What helps against an error of writing, before a run has begun."""
    return Fix.SPACE_OR_FOLDER if error.errno in _FULL else Fix.FOLDER


def in_short(error: Exception) -> str:
    """What an error says, in one line that is not long."""
    if isinstance(error, ValidationError):
        said = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False)) + "."
    else:
        said = " ".join(str(error).split())
    return said if len(said) <= _LONGEST else f"{said[: _LONGEST - 4]} ..."
