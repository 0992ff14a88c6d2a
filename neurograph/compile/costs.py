"""What the compiler expects each lowering to cost, by a handful of numbers that `neurograph tune` measures.

Measured numbers are kept in the user's cache folder, for each machine; without them defaults serve. They decide between
ways to compute the same sums, so that results differ by rounding at most. A run keeps those that it began with.
"""

import dataclasses
import json
import math
import pathlib
import warnings
from typing import NamedTuple

import jax

from .. import _files, _text, cache
from ..ops import Costs as Costs

FORMAT_VERSION = 1

DEFAULT = {
    "cpu": Costs(),
    "gpu": Costs(
        matmul_start=4_000.0,
        multiply_add=0.0001,
        fill=0.01,
        loop_start=10_000.0,
        tile=12_000.0,
        row=0.001,
        gather=0.0005,
        cell=0.0005,
        segment=0.005,
        call=4_000.0,
        copy=0.002,
        max_rows=65_536,
        max_slots=32,
    ),
}
"""By platform, where nothing was measured: a 2-core x86 processor's figures, and a data-centre GPU's estimated."""

LONGEST = 1e12
"""Nanoseconds that no operation takes: products of costs stay far below what a float holds."""
MOST = {"max_rows": 1 << 24, "max_slots": 1 << 10}
"""Rows and slots that no tile needs: a program grows with its slots."""


class Known(NamedTuple):
    """Costs, and in words where they come from."""

    costs: Costs
    source: str


class CostsWarning(UserWarning):
    """A file of measured costs cannot be used; the defaults serve."""


def known() -> Known:
    """The costs measured on this machine, else the platform's defaults."""
    path = path_of()
    if path is not None and path.exists():
        try:
            return Known(read(path), f"the costs measured on this machine ({path})")
        except _text.UserError as error:
            warnings.warn(f"{error} The default costs are used.", CostsWarning, stacklevel=2)
    name = platform().upper()
    borrowed = "" if platform() in DEFAULT else f", as there are none for a {name}"
    owner = "GPU" if borrowed else name
    return Known(default(), f"the default costs of a {owner}{borrowed} (`neurograph tune` measures this one's)")


def default() -> Costs:
    """The costs of this platform where nothing was measured; those of a GPU serve for every other accelerator."""
    return DEFAULT.get(platform(), DEFAULT["gpu"])


def path_of() -> pathlib.Path | None:
    """Where this machine's measured costs are kept; None where nothing is to be kept, or where others may write."""
    folder = cache.folder()
    if folder is None or not cache.is_safe(folder / "costs"):
        return None
    return folder / "costs" / f"{platform()}-{cache.machine()}.json"


def platform() -> str:
    """What JAX computes on, by its own name: "cpu", "gpu", "tpu" or another."""
    return jax.default_backend()


def as_text(costs: Costs) -> str:
    """Costs as JSON, as `read` reads them."""
    return json.dumps({"version": FORMAT_VERSION, **dataclasses.asdict(costs)}, indent=1) + "\n"


def write(path: pathlib.Path, costs: Costs) -> None:
    """Writes costs as JSON, and makes the folder if need be."""
    _files.make_folder(path.parent, cache.PERMISSIONS)
    _files.write_atomically(path, as_text(costs))


def read(path: pathlib.Path, fix: str = "run `neurograph tune` again, or delete it.") -> Costs:
    """Reads what `write` wrote; a cost that is absent, as an older version wrote the file, is the platform's default.

    Args:
        path: the file.
        fix: what an error advises.

    Raises:
        ValueError: the file is damaged, of another version, or has an entry that this version does not know, or that
            no cost or size of a tile can be.
    """
    try:
        values = json.loads(_files.read_bytes(path))
    except OSError as error:
        raise _text.UserError(
            f"the file of costs '{path}' cannot be read ({error.strerror or error}); {fix}"
        ) from error
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, too long a number, too deep
        raise _text.UserError(f"the file of costs '{path}' cannot be read ({error}); {fix}") from error
    if not isinstance(values, dict) or values.pop("version", None) != FORMAT_VERSION:
        raise _text.UserError(f"the file of costs '{path}' does not have version {FORMAT_VERSION}; {fix}")
    names = [field.name for field in dataclasses.fields(Costs)]
    for name, value in values.items():
        if name not in names:
            raise _text.UserError(
                f"the file of costs '{path}' has {_text.shown(name)}, which this version does not know; {fix}"
            )
        if (problem := _problem(name, value)) is not None:
            raise _text.UserError(f"the file of costs '{path}' has {name} = {_text.shown(value)}, {problem}; {fix}")
    sizes = {name: int(values[name]) for name in MOST if name in values}
    return dataclasses.replace(default(), **{**values, **sizes})


def _problem(name: str, value: object) -> str | None:
    """What is wrong with a cost, or the largest size of a tile; None where nothing is."""
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if name in MOST:
        fits = 1 <= number <= MOST[name] and number == int(number)
        return None if fits else f"which is not a tile size: it must be a whole number from 1 to {MOST[name]:,}"
    return (
        None
        if 0 <= number <= LONGEST
        else f"which is not a cost: it must be a number of nanoseconds from 0 to {LONGEST:.0e}"
    )
