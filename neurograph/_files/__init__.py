"""Writes files so that neither a killed process nor a power cut leaves half of one, and reads those that have an end;
finds the user's cache folder, and how much memory there is.

An `OSError` passes through: each caller raises an error of its own type, in its own words.
"""

import contextlib
import errno
import os
import pathlib
import stat
from collections.abc import Iterator

import platformdirs

from .._text import readable

PARTIAL = ".*.partial"
"""Matches the files that a killed process leaves behind."""

_OFF = ("", "0", "off")
_MOST_OF_MEMORY = 4
"""A file that is read as a whole may have a fourth of the memory: what is made of it takes some times as much."""
_NO_SYNC = (errno.EACCES, errno.EBADF, errno.EINVAL, errno.ENOTSUP)
_NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


def check_place(path: pathlib.Path) -> None:
    """Checks that a file can be written there, by a new one beside it that is removed at once.

    Raises:
        OSError: it cannot.
    """
    temporary = _beside(path)
    os.close(os.open(temporary, _NEW, 0o666))
    temporary.unlink()


def _beside(path: pathlib.Path) -> pathlib.Path:
    """A new name in the same folder, which cannot be foreseen."""
    return path.with_name(f".{path.name[:40]}.{os.urandom(8).hex()}.partial")


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a temporary file in the same folder; what is written there takes the place of `path` at the end.

    The file is empty, new and of an unpredictable name, so that nobody can have put a link in its place. It is flushed
    to the disk, renamed, and the folder is flushed, too: a reader sees the old file or the new one, whole, also after a
    power cut. It has the permissions of any new file. After an exception the old file is left as it was, and nothing
    else stays behind.

    Args:
        path: the file to be written.

    Raises:
        OSError: the file cannot be written.
    """
    temporary = _beside(path)
    descriptor = os.open(temporary, _NEW, 0o666)
    permissions = stat.S_IMODE(os.fstat(descriptor).st_mode)
    os.close(descriptor)
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        if stat.S_IMODE(temporary.stat().st_mode) != permissions:  # another library has put its own file there
            temporary.chmod(permissions)
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
    """Adds whole lines to the end of a file, which is made if need be, and flushes it to the disk.

    They begin a new line, also where a kill has cut short the last one. After an error the file is as it was.

    Args:
        path: the file.
        text: lines, each with its end.

    Raises:
        OSError: the file cannot be written.
    """
    is_new = not path.exists()
    with open(path, "ab+", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(-1, os.SEEK_END)
            text = text if file.read(1) == b"\n" else f"\n{text}"
        try:
            rest = memoryview(text.encode())
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except BaseException:
            with contextlib.suppress(OSError):
                file.truncate(size)
            raise
    if is_new:
        _sync_folder(path.parent)


def make_folder(folder: pathlib.Path, permissions: int = 0o777) -> None:
    """Makes a folder and those above it that are missing, and flushes their names to the disk.

    Args:
        folder: the folder, which may be there already.
        permissions: those of each folder that is made, from which the user's mask takes its part.

    Raises:
        OSError: it cannot be made, or a file is in its place.
    """
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing or [folder]):  # which may have been made and not flushed, or be a file
        place.mkdir(mode=permissions, exist_ok=True)
        _sync_folder(place.parent)


def check_has_end(path: pathlib.Path) -> None:
    """Checks that a path does not stand for a pipe or a device: those may have no end, and are read but once.

    Raises:
        OSError: it does, or there is nothing.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "it is a pipe or a device; save what comes from it in a file", str(path))


def read_bytes(path: pathlib.Path) -> bytes:
    """Reads a whole file.

    Args:
        path: the file.

    Raises:
        OSError: it cannot be read, is a pipe or a device, or is too large for the memory.
        ValueError: no file can have such a name.
    """
    check_has_end(path)
    size, memory = path.stat().st_size, memory_size()
    if memory is not None and size > memory // _MOST_OF_MEMORY:
        what = f"its size is {readable(size)}, too large for the {readable(memory)} of memory that this computer has"
        raise OSError(errno.EFBIG, what, str(path))
    return path.read_bytes()


def expanded(path: str | os.PathLike[str]) -> pathlib.Path:
    """Gives a path with the user's own folder in place of a leading `~`; that of an unknown user stays as it is."""
    return pathlib.Path(os.path.expanduser(path))


def absolute(path: pathlib.Path) -> pathlib.Path:
    """Gives the absolute path of a file that is there; links to folders are followed, one to the file keeps its name.

    The suffix of that name says how it is read; what it links to may have another or none.
    """
    return path.parent.resolve() / path.name if path.name not in ("", "..") else path.resolve()


def cache_folder() -> pathlib.Path | None:
    """Gives the folder of what can be made or fetched again; it need not exist.

    None where `NEUROGRAPH_CACHE` switches it off, and by default where the user has no home, as in some containers.
    """
    given = os.environ.get("NEUROGRAPH_CACHE")
    if given is None:
        try:
            return platformdirs.user_cache_path("neurograph", appauthor=False)
        except RuntimeError:
            return None
    return None if given.strip().lower() in _OFF else expanded(given).absolute()


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
