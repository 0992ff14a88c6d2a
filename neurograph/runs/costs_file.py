"""The costs that a run's wiring was compiled by, one file for each kind of device: others may round otherwise."""

import dataclasses
import pathlib

import numpy as np

from .._text import UserError
from ..compile import costs
from ..compile.costs import Costs
from ..engine import devices
from .atomic import write_atomically
from .errors import RunError

FIX = "restore it, or delete it: the run then continues with this machine's costs, and may differ by rounding."
"""What helps against a damaged one."""


def agreed() -> Costs:
    """The costs known of this machine; of several processes that work together, what the first one knows.

    Programs that were compiled by other costs would wait for each other's sums in vain.
    """
    known = costs.known().costs
    if devices.alone():
        return known
    values = devices.first_of_all(np.array(dataclasses.astuple(known), np.float64)).tolist()
    kinds = [type(value) for value in dataclasses.astuple(known)]
    return Costs(*(kind(value) for kind, value in zip(kinds, values, strict=True)))


def file_name() -> str:
    """The name of the file for this kind of device."""
    return f"costs_{costs.platform()}.json"


def write_costs(folder: pathlib.Path, kept: Costs) -> None:
    """Keeps the costs that a wiring was compiled by.

    Raises:
        RunError: they cannot be written.
    """
    write_atomically(folder / file_name(), costs.as_text(kept))


def read_costs(folder: pathlib.Path) -> Costs | None:
    """The costs that a run was compiled by on this kind of device.

    None where it has not run on one yet, or was begun by a version that did not keep them.

    Raises:
        RunError: their file is damaged.
    """
    path = folder / file_name()
    try:
        return costs.read(path, FIX) if path.exists() else None
    except UserError as error:
        raise RunError(str(error)) from error
