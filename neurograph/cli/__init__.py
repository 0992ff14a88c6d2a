"""The command line: parse, call, print. No numerics.

Exit codes: 0 done; 1 something given is wrong (a sentence on stderr says what); 2 a wrong option or argument; 3 training
diverged; 4 a check failed; 130 interrupted, with everything saved.
"""

import os
import sys
import warnings

EXIT_BAD_INPUT = 1
EXIT_DIVERGED = 3
EXIT_CHECK_FAILED = 4
EXIT_INTERRUPTED = 130


def main() -> None:
    """Entry point: runs the command; what is wrong with the input becomes a sentence on stderr."""
    warnings.showwarning = _show_warning
    try:
        from ._app import app

        app()
    except KeyboardInterrupt:
        _fail("interrupted.", EXIT_INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_BAD_INPUT)
    except MemoryError:
        _fail("there is not enough memory for this; try a smaller wiring or batch.", EXIT_BAD_INPUT)
    except OSError as error:
        _raise_if_debugging()
        what = f"'{error.filename}': {error.strerror}" if error.filename else str(error)
        _fail(f"{what}.", EXIT_BAD_INPUT)
    except ValueError as error:
        # every complaint about input is a ValueError: TopologyError, ConfigError, TaskError, GenomeError, RunError
        _raise_if_debugging()
        _fail(str(error), EXIT_BAD_INPUT)


def _raise_if_debugging() -> None:
    if os.environ.get("NEUROGRAPH_DEBUG"):
        raise  # noqa: PLE0704 - called from an except clause


def _fail(sentence: str, code: int) -> None:
    print(f"neurograph: {sentence}", file=sys.stderr)
    sys.exit(code)


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    print(f"warning: {message}", file=sys.stderr)
