"""Many narrow levels: 2,000 of 8 neurons, 4 senders each. Compiling must not grow with depth; a level costs little."""

import math

import numpy as np

from .. import ours
from .._contest import Entrant, Settings, contest
from .._problem import Problem, problem
from .._rows import Row, amount
from .._timing import Work, alternate, units
from ..peers import scan

K, BATCH, WIDTH, DEGREE, UNROLL = 2, 128, 8, 4, 5
CASE, GRADIENT = "deep", f"gradient of {UNROLL} steps"
TIMES = 4
"""Full depth is so many times the depth that it is compared with."""


def run(settings: Settings) -> list[Row]:
    """Compiling and run time at full depth, and how both grow from a quarter of it, measured in turns."""
    depth = settings.size(2000, 16)
    given, full = _entrants(depth, settings)
    _, quarter = _entrants(depth // TIMES, settings)
    rows = contest(CASE, "forward pass", full["forward pass"], [scan.forwards(given)], [], settings)
    limits = {"forward pass": (None, 15e-6), "step": (10.0, 60e-6), GRADIENT: (25.0, None)}
    for name, (compiling, each_level) in limits.items():
        settings.say(name)
        work, shorter = full[name].work, quarter[name].work
        long, short = _compiling(work), _compiling(shorter)
        rows.append(amount(CASE, f"compiling the {name}", "s", long, compiling))
        rows.append(amount(CASE, f"exponent of compiling the {name} in depth", "", _exponent(long / short), 0.2))
        seconds, ratio = _times(work, shorter, settings)
        rows.append(amount(CASE, f"{name}, each level", "s", seconds / depth, each_level))
        rows.append(amount(CASE, f"exponent of the {name} in depth", "", _exponent(ratio), 1.1))
    settings.say(f"{GRADIENT} and step in turns")
    ratio = _times(full[GRADIENT].work, full["step"].work, settings)[1] / UNROLL
    return [*rows, amount(CASE, f"{GRADIENT}, for each step, / step", "", ratio, 5.0)]


def _entrants(levels: int, settings: Settings) -> tuple[Problem, dict[str, Entrant]]:
    topology = ours.layered_dag(levels, WIDTH, DEGREE, settings.seed)
    given = problem(ours.wiring(topology), K, BATCH, seed=settings.seed, n_batches=UNROLL + 1)
    ready = ours.ready(topology, given)
    return given, {"forward pass": ours.forwards(ready), "step": ours.steps(ready), GRADIENT: ours.gradients(ready)}


def _compiling(work: Work) -> float:
    """Seconds of compiling; leaves the program warm."""
    assert work.compiled is not None
    seconds = work.compiled().seconds
    work.run(1)
    return seconds


def _times(one: Work, other: Work, settings: Settings) -> tuple[float, float]:
    """Median seconds of one, and the median ratio of one to the other."""
    budget = settings.budget
    pair = alternate(one, other, budget, units(one, budget), units(other, budget))
    return float(np.median(pair.ours)), pair.quartiles()[1]


def _exponent(ratio: float) -> float:
    """Gives the exponent of growth by `ratio` where depth grows `TIMES` times."""
    return math.log(ratio) / math.log(TIMES)
