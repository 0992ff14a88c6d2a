"""Writes the files of a run, each whole or not at all."""

import contextlib
import pathlib
from collections.abc import Iterator

from .. import _files
from .errors import unwritable


def write_atomically(path: pathlib.Path, content: bytes | str) -> None:
    """Writes a whole file, or none of it.

    Raises:
        RunError: the file cannot be written.
    """
    with _told(path):
        _files.write_atomically(path, content)


def append(path: pathlib.Path, text: str) -> None:
    """Adds whole lines to a file and flushes them to the disk; after an error the file is as it was.

    Raises:
        RunError: the file cannot be written.
    """
    with _told(path):
        _files.append(path, text)


@contextlib.contextmanager
def _told(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unwritable(path, error) from error
