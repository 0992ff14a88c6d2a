"""From 10^4 to 10^7 synapses, each size in a process of its own: time and memory must grow no faster than the size."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from .. import ours
from .._contest import Settings
from .._problem import problem
from .._processes import apart, peak_bytes
from .._rows import Row, amount
from .._timing import Budget, alone, units

CASE = "growth"
K, BATCH, IN_DEGREE, LEVELS = 2, 128, 20, 10


def run(settings: Settings) -> list[Row]:
    """Time of a step and peak memory over the number of synapses, and their exponents over the last two decades.

    That of memory is of what goes beyond a process with 1,000 synapses: Python, JAX, and what compiling takes.
    """
    powers = settings.size(range(3, 8), range(3, 5))
    found = []
    for power in powers:
        settings.say(f"10^{power} synapses")
        found.append(apart(__name__, n_synapses=10**power, seed=settings.seed, budget=list(settings.budget)))
    least, *found = found
    rows = []
    for result in found:
        size = result["n_synapses"]
        result["beyond"] = max(result["bytes"] - least["bytes"], 1)
        rows.append(amount(CASE, f"step, {size:,} synapses", "s", result["seconds"], size=size))
        rows.append(amount(CASE, f"compiling the step, {size:,} synapses", "s", result["compiling"], size=size))
        rows.append(amount(CASE, f"peak memory, {size:,} synapses", "B", result["bytes"], size=size))
    if len(found) > 1:
        rows.append(amount(CASE, "exponent of the step's time", "", _exponent(found[-3:], "seconds"), 1.1))
        rows.append(amount(CASE, "exponent of peak memory", "", _exponent(found[-3:], "beyond"), 1.1))
    return rows


def _exponent(found: list[dict[str, Any]], what: str) -> float:
    """Slope of the logarithm of `what` over the logarithm of the number of synapses, by least squares."""
    sizes, values = ([math.log(result[name]) for result in found] for name in ("n_synapses", what))
    return float(np.polyfit(sizes, values, 1)[0])


def measure(n_synapses: int, seed: int, budget: list[Any]) -> dict[str, Any]:
    """Seconds of a step and of compiling it, and peak resident bytes of this process."""
    carefully = Budget(*budget)
    n_hidden = n_synapses // IN_DEGREE
    topology = ours.random_dag(
        n_hidden // LEVELS, 10, n_hidden, n_levels=LEVELS, in_degree=IN_DEGREE, output_degree=IN_DEGREE, seed=seed
    )
    given = problem(ours.wiring(topology), K, BATCH, seed=seed, n_batches=1)
    work = ours.steps(ours.ready(topology, given)).work
    assert work.compiled is not None
    compiling = work.compiled().seconds
    work.run(1)
    seconds = float(np.median(alone(work, carefully, units(work, carefully))))
    return {
        "n_synapses": topology.n_synapses,
        "seconds": seconds,
        "compiling": compiling,
        "bytes": peak_bytes(),
    }


def plot(rows: list[Row], path: Path) -> None:
    """Time and memory over the number of synapses, both axes logarithmic, with a line of slope 1."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.5), layout="constrained")
    parts = (("step, ", "step, ms", 1e3), ("peak memory, ", "peak memory, MB", 1e-6))
    for axes, (what, label, scale) in zip(figure.subplots(1, 2), parts, strict=True):
        mine = [row for row in rows if row.size and row.ours and row.name.startswith(what)]
        sizes, values = np.array([row.size for row in mine], float), np.array([row.ours for row in mine]) * scale
        axes.loglog(sizes, values, "o-", label="neurograph")
        axes.loglog(sizes, values[-1] * sizes / sizes[-1], "k:", label="slope 1")
        axes.set(xlabel="synapses", ylabel=label)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)
