"""One writer for each run's folder.

    .lock     locked by the process that writes the folder; the system unlocks it when that process ends, in any way
    .writer   who that is, for the message to others

A process may claim again what it has claimed: a run that was given up in a notebook is resumed in the same notebook.
"""

import contextlib
import datetime
import json
import os
import pathlib
import socket
import warnings
from collections.abc import Iterator

from filelock import FileLock, Timeout

from .._files import read_bytes, write_atomically
from .errors import Fix, RunError, RunWarning, unwritable

LOCK, WRITER = ".lock", ".writer"

_claimed: dict[pathlib.Path, FileLock] = {}


def claim(folder: pathlib.Path) -> None:
    """Makes this process the only one that writes the folder, until it releases it or ends.

    Warns with a `RunWarning` where the file system cannot lock files; the folder is written without.

    Raises:
        RunError: another process writes it, or it cannot be written.
    """
    place = folder.resolve()
    if place in _claimed:
        return
    lock = FileLock(place / LOCK, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise RunError(f"run folder '{folder}' is being written by {_writer(place)}", Fix.WAIT) from error
    except NotImplementedError:
        warnings.warn(
            RunWarning(
                f"'{folder}' is on a file system that cannot lock files; do not let two processes write to it at once."
            ),
            stacklevel=2,
        )
        return
    except OSError as error:
        raise unwritable(folder, error) from error
    _claimed[place] = lock
    about = {
        "process": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
    }
    with contextlib.suppress(OSError):
        write_atomically(place / WRITER, json.dumps(about))


def release(folder: pathlib.Path) -> None:
    """Lets others write the folder; nothing happens where it is not claimed."""
    place = folder.resolve()
    lock = _claimed.pop(place, None)
    if lock is not None:
        with contextlib.suppress(OSError):
            (place / WRITER).unlink(missing_ok=True)
        lock.release()


@contextlib.contextmanager
def claiming(folder: pathlib.Path) -> Iterator[None]:
    """Claims the folder; after an exception it is released."""
    claim(folder)
    try:
        yield
    except BaseException:
        release(folder)
        raise


def _writer(place: pathlib.Path) -> str:
    try:
        about = json.loads(read_bytes(place / WRITER))
        return f"process {about['process']} on {about['host']} since {about['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
