"""Computes checksums, SHA-256, of files and of what they hold."""

import hashlib
import pathlib

import numpy as np

from ._errors import DataError
from ._find import Source, shown
from ._idx import header_of


def sha256_of(path: pathlib.Path) -> str:
    """Computes the SHA-256 of a file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{shown(Source(path))} cannot be read: {error.strerror or error}.") from None


def contents_sha256(values: np.ndarray) -> str:
    """Computes the SHA-256 of the uncompressed IDX file of an array, whatever file it came from."""
    digest = hashlib.sha256(header_of(values))
    digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()
