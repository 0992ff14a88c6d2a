"""Compiling large wirings on the host, from arrays; in a process of its own, with its peak memory."""

import math
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from .. import ours
from .._contest import Settings
from .._processes import apart, peak_bytes
from .._rows import Row, amount

CASE = "host"
IN_DEGREE, LEVELS = 20, 10


def run(settings: Settings) -> list[Row]:
    """Time and memory at 10,000,000 synapses, and how they grow from a tenth of it."""
    found = {}
    sizes = settings.size((1_000_000, 10_000_000), (2_000, 20_000))
    for n in sizes:
        settings.say(f"{n:,} synapses")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "wiring.npz"
            _write(path, n, settings.seed)
            found[n] = apart(__name__, path=str(path))
    small, large = (found[n] for n in sizes)
    rows = []
    for result in (small, large):
        limits = (20.0, 4e9) if result is large else (None, None)
        n = f"{result['n_synapses']:,} synapses"
        rows.append(amount(CASE, f"topology from arrays and compile_topology, {n}", "s", result["seconds"], limits[0]))
        rows.append(amount(CASE, f"of it compile_topology, {n}", "s", result["compiling"]))
        rows.append(amount(CASE, f"peak memory of the process, {n}", "B", result["bytes"], limits[1]))
    growth = math.log(large["n_synapses"] / small["n_synapses"])
    for what, name in (("seconds", "time"), ("beyond", "memory")):
        rows.append(amount(CASE, f"exponent of {name}", "", math.log(large[what] / small[what]) / growth, 1.1))
    return rows


def _write(path: Path, n_synapses: int, seed: int) -> None:
    n_hidden = n_synapses // IN_DEGREE
    topology = ours.random_dag(
        n_hidden // LEVELS, 10, n_hidden, n_levels=LEVELS, in_degree=IN_DEGREE, output_degree=IN_DEGREE, seed=seed
    )
    codes = np.repeat([0, 1, 2], [n_hidden // LEVELS, n_hidden, 10])
    np.savez(path, senders=topology.senders, receivers=topology.receivers, roles=codes)


def measure(path: str) -> dict[str, Any]:
    """Seconds, of all and of compiling, and peak resident bytes, of all and beyond those of the imports."""
    before = peak_bytes()
    with np.load(path) as file:
        senders, receivers, roles = file["senders"], file["receivers"], file["roles"]
    start = time.perf_counter()
    topology = ours.from_arrays(senders, receivers, roles=roles)
    built = time.perf_counter()
    ours.compiled(topology)
    end = time.perf_counter()
    return {
        "n_synapses": topology.n_synapses,
        "seconds": end - start,
        "compiling": end - built,
        "bytes": peak_bytes(),
        "beyond": peak_bytes() - before,
    }
