"""Reads arrays of .npz files: first what their headers announce, and then no more than that."""

import contextlib
import io
import math
import pathlib
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.lib import format as npy

from .._files import memory_size
from .._text import readable, shown
from .foreign import Foreign, opened_member, unzipped

_SUFFIX = ".npy"
_MOST_HEADER = 1 << 14
"""Bytes that hold every header that NumPy reads."""

_CHUNK = 1 << 20
_NAMES_SHOWN = 8
_LARGEST = 2**63
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


class Header(NamedTuple):
    """Describes an array of which nothing is unpacked yet.

    Attributes:
        shape, dtype: of the array.
        is_fortran: the first axis varies fastest.
        start: where the values begin in the member of the archive.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    is_fortran: bool
    start: int

    @property
    def n_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def kind(self) -> str:
        """What messages call the type of the values."""
        return "record" if self.dtype.names else shown(str(self.dtype))[1:-1]


class Arrays:
    """Reads the arrays of an open .npz file."""

    def __init__(self, archive: zipfile.ZipFile, about: Foreign) -> None:
        self._archive, self._about = archive, about
        self.names = [name.removesuffix(_SUFFIX) for name in archive.namelist() if name.endswith(_SUFFIX)]

    @property
    def listed(self) -> str:
        """The names of the arrays as messages list them."""
        some = ", ".join(shown(name)[1:-1] for name in self.names[:_NAMES_SHOWN])
        return f"{some}{' ...' * (len(self.names) > _NAMES_SHOWN)}" or "none"

    def header(self, name: str) -> Header:
        """Reads what the header of an array announces.

        Raises:
            UserError: it is damaged.
        """
        about = self._about.member(name)
        with opened_member(self._archive, name + _SUFFIX, about) as stream:
            start = io.BytesIO(stream.read(_MOST_HEADER))
        with about.reading(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about headers that Python 2 wrote
            version = npy.read_magic(start)
            if version not in _HEADERS:
                raise about.damaged(
                    f"its header has version {version[0]}.{version[1]}, but plain arrays have 1.0 or 2.0"
                )
            shape, is_fortran, dtype = _HEADERS[version](start)
            if not (dtype.itemsize and all(0 <= size < _LARGEST for size in shape)):
                raise about.damaged(f"its header announces the shape {shown(shape)} of {shown(dtype)} values")
        return Header(shape, dtype, is_fortran, start.tell())

    def read(self, headers: Mapping[str, Header]) -> list[np.ndarray]:
        """Reads arrays of numbers or text.

        Args:
            headers: what `header` gave, by the arrays' names.

        Raises:
            UserError: an array is damaged; or all of them take more memory than this computer has.
        """
        for name, header in headers.items():
            self._check_size(name, header)
        n_bytes, limit = sum(header.n_bytes for header in headers.values()), memory_size()
        if limit is not None and n_bytes > limit:
            raise self._about.error(
                f"{self._about.name} unpacks to {readable(n_bytes)}, but this computer has {readable(limit)} of "
                "memory; save fewer examples."
            )
        return [self._read(name, header) for name, header in headers.items()]

    def _check_size(self, name: str, header: Header) -> None:
        held = self._archive.getinfo(name + _SUFFIX).file_size - header.start
        if header.n_bytes != held:
            raise self._about.member(name).damaged(
                f"its header announces {shown(header.n_bytes)} bytes of values, but it holds {held}"
            )

    def _read(self, name: str, header: Header) -> np.ndarray:
        about, values = self._about.member(name), bytearray()
        with opened_member(self._archive, name + _SUFFIX, about) as stream:
            stream.read(header.start)
            # the archive may announce more than there is: memory is taken for what is there
            while len(values) < header.n_bytes and (chunk := stream.read(min(_CHUNK, header.n_bytes - len(values)))):
                values += chunk
        if len(values) < header.n_bytes:
            raise about.damaged(f"it holds {len(values)} of the {header.n_bytes} bytes that its header announces")
        with about.reading():
            return np.ndarray(header.shape, header.dtype, values, order="F" if header.is_fortran else "C")


@contextlib.contextmanager
def opened_arrays(path: pathlib.Path, about: Foreign) -> Iterator[Arrays]:
    """Opens an .npz file.

    Raises:
        UserError: of `about`: it is no .npz file.
    """
    with about.reading(), path.open("rb") as stream:
        is_single = stream.read(len(npy.MAGIC_PREFIX)) == npy.MAGIC_PREFIX
    if is_single:
        raise about.error(f"{about.name} holds a single array, so it is not an .npz file; {about.fix}.")
    with unzipped(path, about) as archive:
        yield Arrays(archive, about)
