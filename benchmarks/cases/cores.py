"""What more cores give: the sparse sums and the sparse step on one core and on all, each in a process of its own."""

import os
from typing import Any

import numpy as np

from .. import ours
from .._contest import Settings
from .._processes import apart
from .._rows import Row
from .._timing import alone, units
from ..peers import csr, torch_step

CASE = "cores"


def run(settings: Settings) -> list[Row]:
    """One row for each program: its time on one core / its time on all of them."""
    if not hasattr(os, "sched_setaffinity"):
        return [Row(CASE, "speed-up", "speed", "s", None, note="cores cannot be chosen on this system")]
    n, found = len(os.sched_getaffinity(0)), {}
    for cores in (1, n):
        settings.say(f"{cores} of {n} cores")
        found[cores] = apart(__name__, cores=cores, quick=settings.quick, seed=settings.seed)
    rows = []
    for name, one in found[1].items():
        every = found[n][name]
        rows.append(Row(CASE, f"{name}, {n} cores", "speed", "s", every, "one core", one, one / every))
    return rows


def measure(cores: int, quick: bool, seed: int) -> dict[str, float]:
    """Median seconds of each program, by so many cores; to be called before JAX has made its threads."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    from . import sparse

    settings = Settings(quick, seed, lambda what: None)
    ready, given = sparse.problem_of(settings)
    states = np.random.default_rng(seed).normal(size=(sparse.K, given.wiring.n_neurons, sparse.BATCH))
    states = states.astype(np.float32)
    entrants: list[Any] = [
        ("propagate", ours.sums(ready, states)),
        ("propagate, transposed", ours.transposed_sums(ready, states)),
        ("step", ours.steps(ready)),
        *((f"{peer.name}: {what}", peer) for what, peer in (
            ("propagate", csr.peers(given, states)[0]), ("step", torch_step.steps(given))
        ) if hasattr(peer, "work")),
    ]  # fmt: skip
    budget, seconds = settings.budget, {}
    for name, entrant in entrants:
        entrant.work.run(1)
        seconds[name] = float(np.median(alone(entrant.work, budget, units(entrant.work, budget))))
    return seconds
