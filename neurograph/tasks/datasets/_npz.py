"""Reads arrays of an .npz file."""

from collections.abc import Callable

import numpy as np

from ..arrays import Header, opened_arrays
from ._errors import DataError
from ._find import Source, foreign


def read_array(source: Source, check: Callable[[Header], None]) -> np.ndarray:
    """Reads one array.

    Args:
        source: an .npz file, and the array's name as member.
        check: raises an error where the array is not one of the data set; nothing is unpacked before.

    Raises:
        DataError: the file is damaged, or lacks the array.
    """
    assert source.member is not None
    with opened_arrays(source.path, foreign(Source(source.path))) as arrays:
        if source.member not in arrays.names:
            raise DataError(
                f"'{source.path}' has the arrays {arrays.listed}; it lacks '{source.member}': get the official file."
            )
        header = arrays.header(source.member)
        check(header)
        return arrays.read({source.member: header})[0]
