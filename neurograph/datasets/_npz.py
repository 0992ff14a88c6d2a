"""Arrays of an .npz file."""

import zipfile
import zlib

import numpy as np

from ._errors import DataError
from ._find import Source, told


def read_array(source: Source) -> np.ndarray:
    """One array.

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
                raise DataError(f"'{source.path}' holds a single array and is no .npz file; get it anew.")
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
        raise DataError(f"{told(source)} is damaged ({error}); get it anew.") from None
    except OSError as error:
        raise DataError(f"{told(source)} cannot be read: {error.strerror or error}.") from None
