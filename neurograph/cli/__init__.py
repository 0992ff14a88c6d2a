"""The command line: parse, call, print. No numerics.

Exit codes: 0 done; 1 some input is wrong (a sentence on stderr says what); 2 a wrong option or argument;
3 training diverged; 4 a check failed; 70 a defect of neurograph; 130 interrupted, with everything saved. At a second
SIGINT or SIGTERM a command ends at once, with 130 or 143 and all that is on the disk.
"""

import os
import sys
import warnings
from typing import Any, NoReturn, TextIO

from .._text import UserError, on_terminal
from . import _environment
from ._console import is_muted

EXIT_BAD_INPUT = 1
EXIT_DIVERGED = 3
EXIT_CHECK_FAILED = 4
EXIT_DEFECT = 70
EXIT_INTERRUPTED = 130

_FIXES = {
    "FOLDER": "choose another folder with --out",
    "SPACE_OR_FOLDER": "free some space, or choose another folder with --out",
    "RESUME_OR_FOLDER": "continue it with --resume '{folder}', or choose another --out",
    "RESUME": "continue it with: neurograph {command} --resume '{folder}'",
    "SPACE": "free some space, then continue from step {step} with: neurograph {command} --resume '{folder}'",
    "ACCESS": "make it writable, then continue from step {step} with: neurograph {command} --resume '{folder}'",
    "STEPS": "give {option} {steps} or more",
    "DATA": "restore the data, say where they are now with --task or --data-dir, or start a new run",
    "WAIT": "wait until it ends, or start a run in another folder with --out",
}
"""What helps against a `runs.RunError`, by the name of its `Fix`, in words that name the options."""
_STEPS = {"train": "--steps", "meta": "--meta-steps"}


def main() -> None:
    """Entry point: runs the command; what is wrong with the input becomes a sentence on stderr."""
    warnings.showwarning = _show_warning
    try:
        for sentence in _environment.prepare():
            print(f"warning: {sentence}", file=sys.stderr)
        from ._app import app

        try:
            app()
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        _fail("interrupted.", EXIT_INTERRUPTED)
    except SystemExit as end:
        exit_ = end.__context__
        if exit_ is not None and isinstance(exit_.__cause__, KeyboardInterrupt):  # what typer makes of one
            _fail("interrupted.", EXIT_INTERRUPTED)
        raise
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_BAD_INPUT)
    except Exception as error:
        if os.environ.get("NEUROGRAPH_DEBUG"):
            raise
        _fail(*_sentence(error))


def _sentence(error: Exception) -> tuple[str, int]:
    """The sentence that an error becomes, and the exit code; an error that is not about the input is a defect."""
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        return "there is not enough memory for this; try a smaller wiring or batch.", EXIT_BAD_INPUT
    if isinstance(error, OSError):
        what = f"'{error.filename}': {error.strerror}" if error.filename else str(error)
        return f"{what}.", EXIT_BAD_INPUT
    if isinstance(error, UserError):
        return _with_options(error), EXIT_BAD_INPUT
    sentence = _environment.blamed(error)
    if sentence is not None:
        return sentence, EXIT_BAD_INPUT
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return (
        f"this is a defect of neurograph, not of your input ({what[:300]}). Please report it with the output that "
        "NEUROGRAPH_DEBUG=1 gives.",
        EXIT_DEFECT,
    )


def _with_options(error: Any) -> str:
    """The message of an error; where it is a `RunError`, which knows no options, with the words for them."""
    fix = getattr(error, "fix", None)
    if fix is None:
        return str(error)
    option = _STEPS.get(error.about.get("kind"))
    return f"{error.problem}; {_FIXES[fix.name].format(option=option, **error.about)}."


def _fail(sentence: str, code: int) -> NoReturn:
    print(f"neurograph: {on_terminal(sentence)}", file=sys.stderr)
    sys.exit(code)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    from ..cache import forget_unreadable

    if not forget_unreadable(str(message)) and not is_muted():
        print(f"warning: {on_terminal(str(message))}", file=sys.stderr)
