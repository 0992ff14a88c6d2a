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

from . import cache

FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Costs:
    """Times in nanoseconds of one forward sum; its transpose and its inner products cost much the same.

    Attributes:
        matmul_start: of a matmul, however small.
        multiply_add: of a multiply-add in a matmul.
        fill: of putting a synapse's value into its place in a matrix with gaps, or in a table.
        loop_start: of a loop through a table, however short.
        tile: of an iteration of that loop, however small.
        row: of carrying on and writing a sum, for each state and example.
        gather: of a multiply-add of a padded gather.
        cell: of what a neuron computes, for each state and example.
        segment: of a multiply-add with `segment_sum`.
        copy: of a number that is read and written once more.
        max_rows, max_slots: the largest tile that is considered.
    """

    matmul_start: float = 10_000.0
    multiply_add: float = 0.01
    fill: float = 0.5
    loop_start: float = 10_000.0
    tile: float = 1_500.0
    row: float = 0.1
    gather: float = 0.03
    cell: float = 0.1
    segment: float = 0.3
    copy: float = 0.2
    max_rows: int = 256
    max_slots: int = 20

    def matmul(self, n_sources: int, n_targets: int, work: int, channels: int, gaps: bool) -> float:
        """Of a block as a matmul; `work` is states times batch."""
        places = n_sources * n_targets
        return self.matmul_start + places * (work * self.multiply_add + (channels * self.fill if gaps else 0.0))

    def table(self, n_tiles: int, n_slots: int, n_rows: int, work: int, channels: int, *, cells: bool = False) -> float:
        """Of a loop through a table; `cells`: whether it computes the neurons, too."""
        per_slot = work * self.gather + channels * self.fill
        per_row = n_slots * per_slot + work * (self.row + (self.cell if cells else 0.0))
        return self.loop_start + n_tiles * (self.tile + n_rows * per_row)

    def gathered(self, n_synapses: int, work: int) -> float:
        """Of so many more synapses in a table, before the table is known."""
        rows = self.max_rows * self.max_slots / 2
        return n_synapses * (1.2 * work * self.gather + self.tile / rows)

    def segments(self, n_synapses: int, n_levels: int, work: int) -> float:
        """Of `segment_sum`, level by level."""
        return n_levels * self.loop_start + n_synapses * work * self.segment


DEFAULT = {
    "cpu": Costs(),
    "gpu": Costs(
        matmul_start=8_000.0,
        multiply_add=0.0001,
        fill=0.01,
        loop_start=10_000.0,
        tile=12_000.0,
        row=0.001,
        gather=0.0005,
        cell=0.0005,
        segment=0.005,
        copy=0.002,
        max_rows=65_536,
        max_slots=32,
    ),
}
"""By platform, where nothing was measured: a 2-core x86 processor's figures, and a data-centre GPU's estimated."""


class Known(NamedTuple):
    """Costs, and where they are from, in words."""

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
        except ValueError as error:
            warnings.warn(f"{error} The default costs serve.", CostsWarning, stacklevel=2)
    name = platform()
    return Known(DEFAULT[name], f"the default costs of a {name.upper()} (`neurograph tune` measures this one's)")


def path_of() -> pathlib.Path | None:
    """Where this machine's measured costs are kept; None where nothing is to be kept."""
    folder = cache.folder()
    return None if folder is None else folder / "costs" / f"{platform()}-{cache.machine()}.json"


def platform() -> str:
    """`cpu` or `gpu`: what JAX computes on, and what costs are of."""
    return "cpu" if jax.default_backend() == "cpu" else "gpu"


def as_text(costs: Costs) -> str:
    """Costs as JSON, as `read` reads them."""
    return json.dumps({"version": FORMAT_VERSION, **dataclasses.asdict(costs)}, indent=1) + "\n"


def write(path: pathlib.Path, costs: Costs) -> None:
    """Writes costs as JSON; the folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(as_text(costs))
    new.replace(path)


def read(path: pathlib.Path, mend: str = "run `neurograph tune` again, or delete it.") -> Costs:
    """Reads what `write` wrote.

    Args:
        path: of the file.
        mend: what an error tells to do.

    Raises:
        ValueError: the file is no such file.
    """
    try:
        values = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"the file of costs '{path}' cannot be read ({error}); {mend}") from error
    fields = {field.name for field in dataclasses.fields(Costs)}
    if not isinstance(values, dict) or values.get("version") != FORMAT_VERSION or set(values) != fields | {"version"}:
        raise ValueError(f"the file of costs '{path}' is not of version {FORMAT_VERSION}; {mend}")
    del values["version"]
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            raise ValueError(f"the file of costs '{path}' has {name} = {value!r}, which is no cost; {mend}")
    return Costs(**{**values, "max_rows": int(values["max_rows"]), "max_slots": int(values["max_slots"])})
