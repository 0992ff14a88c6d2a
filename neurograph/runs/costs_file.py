"""The costs that a run's wiring was compiled by, one file for each kind of device: others may round otherwise."""

import pathlib

from .._text import UserError
from ..compile import costs
from ..compile.costs import Costs
from .atomic import write_atomically
from .errors import RunError

FIX = "restore it, or delete it: the run then continues with this machine's costs, and may differ by rounding."
"""What helps against a damaged one."""


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
