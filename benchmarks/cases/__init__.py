"""The cases: what is measured, and what it must show."""

from collections.abc import Callable
from typing import NamedTuple

from .._contest import Settings
from .._rows import Row
from . import cores, deep, descent, growth, host, meta, mlp, small, sparse


class Case(NamedTuple):
    """A case by name.

    Attributes:
        run: measures it.
        seconds: how long it takes, roughly, on two cores; only for the estimate of what remains.
    """

    run: Callable[[Settings], list[Row]]
    seconds: float


FAST = ("mlp", "descent", "sparse", "sparse_step")
"""The cases that judge the main ratios, with few repeats: `--fast`."""
FAST_ON_A_GPU = ("sparse", "sparse_step", "mlp", "descent", "scale_free", "deep")
"""The same on a GPU, the most telling first: `device.sh`."""

CASES: dict[str, Case] = {
    "mlp": Case(mlp.step, 60),
    "mlp_meta": Case(mlp.gradient, 60),
    "descent": Case(descent.run, 60),
    "meta": Case(meta.run, 120),
    "sparse": Case(sparse.propagate, 60),
    "sparse_step": Case(sparse.step, 240),
    "cores": Case(cores.run, 60),
    "scale_free": Case(sparse.scale_free, 180),
    "deep": Case(deep.run, 180),
    "small": Case(small.small, 30),
    "growth": Case(growth.run, 180),
    "genomes": Case(small.genomes, 40),
    "host": Case(host.run, 120),
}
