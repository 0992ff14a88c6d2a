"""Reads bytes of others: whatever a library raises about damaged ones becomes an error that names the file."""

import contextlib
import pathlib
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, NamedTuple

from .._text import UserError, shown

_LIBRARIES_RAISE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    RuntimeError,
    SyntaxError,
    SystemError,
    TypeError,
    ValueError,
    Warning,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
)
"""What NumPy, zipfile, gzip and Pillow raise about damaged bytes, besides `OSError` and `MemoryError`."""

_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_LONGEST = 200


class Foreign(NamedTuple):
    """Says how errors about a foreign file are put.

    Attributes:
        name: what messages call the file.
        error: the class of the errors.
        fix: how the sentences end, such as `get a fresh copy`.
    """

    name: str
    error: type[UserError]
    fix: str

    def member(self, name: str) -> "Foreign":
        """Gives the same for a member of the file."""
        return self._replace(name=f"{self.name}, member {shown(name, _LONGEST)}")

    def damaged(self, why: str) -> UserError:
        """Gives the error that says that the file is damaged."""
        return self.error(f"{self.name} is damaged: {why}; {self.fix}.")

    @contextlib.contextmanager
    def reading(self, *also: type[Exception]) -> Iterator[None]:
        """Turns what a library raises about the bytes of the file into `error`; nothing but its calls belong within.

        Args:
            also: further exceptions of the library.
        """
        try:
            yield
        except UserError:
            raise
        except OSError as error:
            if error.errno is None:  # a library's own
                raise self.damaged(f"it cannot be unpacked ({_reason(error)})") from None
            raise self.error(f"{self.name} cannot be read: {error.strerror or error}.") from None
        except EOFError:
            raise self.damaged("it ends too early") from None
        except MemoryError:
            raise self.damaged("it needs more memory than there is") from None
        except (*_LIBRARIES_RAISE, *also) as error:
            raise self.damaged(f"it cannot be unpacked ({_reason(error)})") from None


class Stream(NamedTuple):
    """Reads bytes of a foreign file."""

    raw: IO[bytes]
    about: Foreign

    def read(self, n: int) -> bytes:
        """Reads up to `n` bytes; fewer at the end of the file."""
        with self.about.reading():
            return self.raw.read(n)


@contextlib.contextmanager
def unzipped(path: pathlib.Path, about: Foreign) -> Iterator[zipfile.ZipFile]:
    """Opens a zip file."""
    with contextlib.ExitStack() as stack:
        with about.reading():
            archive = stack.enter_context(zipfile.ZipFile(path))
        yield archive


@contextlib.contextmanager
def opened_member(archive: zipfile.ZipFile, name: str, about: Foreign) -> Iterator[Stream]:
    """Opens a member of a zip file; it is unpacked no further than it is read."""
    with contextlib.ExitStack() as stack:
        with about.reading():
            info = archive.getinfo(name)
            if info.compress_type not in _PACKED:  # zipfile unpacks those without bound
                raise about.error(
                    f"{about.name} is compressed by zip method {info.compress_type}, but only stored (0) and deflated "
                    f"(8) members can be read; {about.fix}."
                )
            stream = stack.enter_context(archive.open(info))
        yield Stream(stream, about)


def _reason(error: Exception) -> str:
    """Gives what a library says, on one line, and cut off where it is long."""
    text = repr(str(error) or type(error).__name__)[1:-1]
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."
