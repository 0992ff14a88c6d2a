"""Reads images and labels in the IDX format of MNIST: plain, compressed, or within a zip file.

A file is two zero bytes, the type of its values (8: unsigned bytes), the number of axes, the size of each axis as
big-endian 32-bit integers, and the values.
"""

import contextlib
import gzip
import math
from collections.abc import Iterator
from typing import IO, cast

import numpy as np

from ..foreign import Stream, opened_member, unzipped
from ._errors import DataError
from ._find import Source, foreign, shown

UNSIGNED_BYTE = 8
TYPES = {8: "uint8", 9: "int8", 11: "int16", 12: "int32", 13: "float32", 14: "float64"}
KINDS = {1: "labels", 3: "images"}
_GZIP, _CHUNK = b"\x1f\x8b", 1 << 20


def read_idx(source: Source, n_axes: int, shape: tuple[int, ...], most: int) -> np.ndarray:
    """Reads the values of an IDX file, uint8 with `n_axes` axes.

    Args:
        source: the file.
        n_axes: 1 for labels, 3 for images.
        shape: that each example must have.
        most: examples that the file may announce.

    Raises:
        DataError: the file is damaged, holds something else, or its images have another size or are too many.
    """
    with _opened(source) as stream:
        return _read(source, stream, n_axes, shape, most)


@contextlib.contextmanager
def _opened(source: Source) -> Iterator[Stream]:
    """Opens the stream of uncompressed bytes."""
    about = foreign(source)
    with contextlib.ExitStack() as stack:
        if source.member is None:
            with about.reading():
                stream = Stream(stack.enter_context(source.path.open("rb")), about)
        else:
            archive = stack.enter_context(unzipped(source.path, foreign(Source(source.path))))
            if source.member not in archive.namelist():
                raise DataError(f"'{source.path}' has no member '{source.member}'; get the official file.")
            stream = stack.enter_context(opened_member(archive, source.member, about))
        head = stream.read(2)
        with about.reading():
            stream.raw.seek(0)
        if head == _GZIP:
            stream = Stream(cast(IO[bytes], gzip.GzipFile(fileobj=stream.raw)), about)
        elif (source.member or source.path.name).endswith(".gz"):
            raise DataError(
                f"{shown(source)} begins with {_hex(head)}, but a gzip file begins with {_hex(_GZIP)}; get a "
                "fresh copy, or, if it is already unpacked, remove '.gz' from its name."
            )
        yield stream


def _read(source: Source, stream: Stream, n_axes: int, shape: tuple[int, ...], most: int) -> np.ndarray:
    head = stream.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in TYPES:
        raise DataError(
            f"{shown(source)} is not an IDX file: it begins with {_hex(head) or 'nothing'}, but an IDX file of "
            f"{KINDS[n_axes]} begins with {_hex(bytes((0, 0, UNSIGNED_BYTE, n_axes)))}; get a fresh copy."
        )
    if head[2] != UNSIGNED_BYTE:
        raise DataError(
            f"{shown(source)} holds {TYPES[head[2]]} values; {KINDS[n_axes]} must be uint8: get a fresh copy."
        )
    if head[3] != n_axes:
        found = KINDS.get(head[3], f"values of {head[3]} axes")
        raise DataError(
            f"{shown(source)} holds {found} where {KINDS[n_axes]} are expected; are the files of images and labels "
            "swapped?"
        )
    header = stream.read(4 * n_axes)
    if len(header) < 4 * n_axes:
        raise DataError(f"{shown(source)} is truncated: it ends within its header; get a fresh copy.")
    n, *found_shape = np.frombuffer(header, ">u4").tolist()
    check_shape(source, (n, *found_shape), shape, most)
    expected = n * math.prod(shape)
    # the header may announce more than there is: memory is taken for what is there
    values = bytearray()
    while len(values) < expected and (chunk := stream.read(min(_CHUNK, expected - len(values)))):
        values += chunk
    if len(values) < expected:
        raise DataError(
            f"{shown(source)} is truncated: it holds {len(values):,} of the {expected:,} values that its header "
            "announces; get a fresh copy."
        )
    if stream.read(1):
        raise DataError(
            f"{shown(source)} continues after the {expected:,} values that its header announces; get a fresh copy."
        )
    return np.frombuffer(values, np.uint8).reshape(n, *shape)


def check_shape(source: Source, found: tuple[int, ...], shape: tuple[int, ...], most: int) -> None:
    """Checks that a file announces examples, no more than `most`, and that they have the right shape.

    Raises:
        DataError: it announces none or too many, or they have another shape.
    """
    if tuple(found[1:]) != shape:
        raise DataError(
            f"{shown(source)} holds images of {_times(found[1:])} pixels; they must have {_times(shape)}: get the "
            "official file."
        )
    if not found[0]:
        raise DataError(f"{shown(source)} holds no examples; get the official file.")
    if found[0] > most:
        raise DataError(
            f"{shown(source)} announces {found[0]:,} examples; at most {most:,} are read, twice as many as the "
            "official data set has: get the official file."
        )


def header_of(values: np.ndarray) -> bytes:
    """Gives what comes before the values in an IDX file of a uint8 array."""
    return bytes((0, 0, UNSIGNED_BYTE, values.ndim)) + np.array(values.shape, ">u4").tobytes()


def _hex(some: bytes) -> str:
    return some.hex(" ")


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
