"""Reads arrays of an .npz file."""

import zipfile
import zlib

import numpy as np

from ._errors import DataError
from ._find import Source, shown


def read_array(source: Source) -> np.ndarray:
    """Reads one array.

    Args:
        source: an .npz file, and the array's name as member.

    Raises:
        DataError: the file is damaged, or lacks the array.
    """
    assert source.member is not None
    try:
        with source.path.open("rb") as stream:
            arrays = np.load(stream, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise DataError(f"'{source.path}' holds a single array and is not an .npz file; get a fresh copy.")
            with arrays:
                if source.member not in arrays.files:
                    found = ", ".join(arrays.files) or "none"
                    raise DataError(
                        f"'{source.path}' has the arrays {found}; '{source.member}' is needed: get the official file."
                    )
                return arrays[source.member]
    except DataError:
        raise
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{shown(source)} is damaged ({error}); get a fresh copy.") from None
    except OSError as error:
        raise DataError(f"{shown(source)} cannot be read: {error.strerror or error}.") from None
