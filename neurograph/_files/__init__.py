"""Writes files so that neither a killed process nor a power cut leaves half of one; finds the user's cache folder, and
how much memory there is.

An `OSError` passes through: each caller raises an error of its own type, in its own words.
"""

import contextlib
import errno
import os
import pathlib
from collections.abc import Iterator

import platformdirs

PARTIAL = ".*.partial"
"""Matches the files that a killed process leaves behind."""

_OFF = ("", "0", "off")
_NO_SYNC = (errno.EACCES, errno.EBADF, errno.EINVAL, errno.ENOTSUP)


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a temporary path in the same folder; what is written there takes the place of `path` at the end.

    The file is flushed to the disk, renamed, and the folder is flushed, too: a reader sees the old file or the new one,
    whole, also after a power cut. After an exception the old file is left as it was, and nothing else stays behind.

    Args:
        path: the file to be written.

    Raises:
        OSError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_atomically(path: pathlib.Path, content: str | bytes) -> None:
    """Writes a whole file, or none of it (see `replacing`).

    Args:
        path: the file.
        content: text, which is written as UTF-8 with its line ends unchanged, or bytes.

    Raises:
        OSError: the file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def append(path: pathlib.Path, text: str) -> None:
    """Adds text to the end of a file, which is made if need be, and flushes it to the disk.

    Raises:
        OSError: the file cannot be written.
    """
    is_new = not path.exists()
    with open(path, "ab") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        _sync_folder(path.parent)


def cache_folder() -> pathlib.Path | None:
    """Gives the folder of what can be made or fetched again; None where `NEUROGRAPH_CACHE` switches it off.

    The folder need not exist.
    """
    given = os.environ.get("NEUROGRAPH_CACHE")
    if given is None:
        return platformdirs.user_cache_path("neurograph", appauthor=False)
    return None if given.strip().lower() in _OFF else pathlib.Path(given).expanduser().absolute()


def memory_size() -> int | None:
    """Gives the bytes of memory of this computer, or None where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _sync_folder(folder: pathlib.Path) -> None:
    """Flushes the names of a folder to the disk, on systems and file systems that can."""
    if os.name == "nt":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
