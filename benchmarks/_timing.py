"""Time and temporary memory of programs, measured warm and in turns.

JAX programs run many times inside one compiled call (`looped`), others in a Python loop (`called`). How often is chosen
so that a call lasts long enough for the clock; two programs are then called in turns, so that drift of the machine hits
both, and a ratio is taken of neighbours in time.
"""

import functools
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

PAUSE = 0.02
"""Seconds between calls, in which the threads of the last one come to rest."""
SLOW = 5.0
"""A program that takes so many seconds for one unit is called `FEW` times only."""
FEW = 3
LONG = 2.0
"""A unit of so many seconds may be a call by itself."""


class Compiled(NamedTuple):
    """What compiling took and gave.

    Attributes:
        seconds: tracing, lowering and compiling.
        temporary_bytes: what XLA allocates beside arguments and results.
    """

    seconds: float
    temporary_bytes: int


class Work(NamedTuple):
    """Something to time.

    Attributes:
        run: does it so many times over, and returns the last result, all of it computed.
        compiled: gives the compiled program of one run; None where it is no program of JAX.
    """

    run: Callable[[int], Any]
    compiled: Callable[[], Compiled] | None = None


def _program(many: Callable[..., Any], carry: Any, data: Any) -> Work:
    """`many(n, carry, data)`, compiled for each n."""
    jitted = jax.jit(many, static_argnums=0)

    @functools.cache
    def program(n: int):
        start = time.perf_counter()
        compiled = jitted.lower(n, carry, data).compile()
        seconds = time.perf_counter() - start
        memory = compiled.memory_analysis()
        return compiled, Compiled(seconds, 0 if memory is None else memory.temp_size_in_bytes)

    return Work(lambda n: jax.block_until_ready(program(n)[0](carry, data)), lambda: program(1)[1])


def looped(body: Callable[..., Any], carry: Any, *data: Any) -> Work:
    """Work whose unit is `carry = body(carry, i, *data)`, so many of them in one loop in one compiled call.

    Args:
        body: the unit; `i` counts them.
        carry, data: pytrees of arrays. The loop's result depends on each unit through the carry, so none is left out.
    """

    def many(n, carry, data):
        return jax.lax.fori_loop(0, n, lambda i, c: body(c, i, *data), carry)

    return _program(many, carry, data)


def summed(sums: Callable[..., Any], states: Any, *data: Any) -> Work:
    """Work whose unit is `sums(states, *data)`, a linear sum, so many of them in turn in one compiled call.

    One number of each array of states comes from the sums before, so that each turn needs the one before it, all of it.
    The loop carries the states alone: XLA would copy sums that it carries, which no other library does.
    """

    def many(n, states, data):
        def turn(_, states):
            found = jax.lax.optimization_barrier(sums(states, *data))
            number = jnp.stack([leaf.ravel()[-1] for leaf in jax.tree.leaves(found)]).sum()
            return jax.tree.map(lambda leaf: leaf.at[(0,) * leaf.ndim].set(number.astype(leaf.dtype)), states)

        return sums(jax.lax.fori_loop(0, n - 1, turn, states), *data)

    return _program(many, states, data)


def called(function: Callable[[], Any], finish: Callable[[], None] | None = None) -> Work:
    """Work whose unit is a call of a function.

    Args:
        function: the unit; it returns when all is computed, or when it is under way.
        finish: where it may be under way, waits for all units; called once after many.
    """

    def run(n: int) -> Any:
        result = None
        for _ in range(n):
            result = function()
        if finish is not None:
            finish()
        return result

    return Work(run)


class Budget(NamedTuple):
    """How carefully to measure.

    Attributes:
        seconds: how long a call lasts at least.
        repeats: calls of each program.
        units: how many a call takes at least, so that memory which each call asks of the system counts little.
    """

    seconds: float = 0.05
    repeats: int = 7
    units: int = 3


QUICK = Budget(0, 3, 1)
FAST = Budget(0.03, 3, 2)


def units(work: Work, budget: Budget) -> int:
    """How many units a call of a warm program needs to last long enough. Leaves it warm for so many."""
    n = 1
    while True:
        seconds = _seconds(work, n)
        if seconds >= budget.seconds and (n >= budget.units or seconds >= n * LONG):
            return n
        n = max(2 * n, budget.units, math.ceil(1.2 * n * budget.seconds / seconds))
        work.run(n)


class Pair(NamedTuple):
    """Seconds of one unit of two programs, call by call in turns."""

    ours: np.ndarray
    theirs: np.ndarray

    def quartiles(self) -> tuple[float, float, float]:
        """Lower quartile, median and upper quartile of ours / theirs, each of neighbouring calls."""
        low, middle, high = np.percentile(self.ours / self.theirs, [25, 50, 75])
        return float(low), float(middle), float(high)


def alternate(ours: Work, theirs: Work, budget: Budget, n_ours: int, n_theirs: int) -> Pair:
    """Calls two programs in turns: A B A B ...

    Args:
        ours, theirs: the programs, warm.
        budget: how often.
        n_ours, n_theirs: units of a call, of each program (see `units`).
    """
    samples: list[tuple[float, float]] = []
    repeats = budget.repeats
    while len(samples) < repeats:
        pair = []
        for work, n in ((ours, n_ours), (theirs, n_theirs)):
            time.sleep(PAUSE)
            pair.append(_seconds(work, n) / n)
        samples.append((pair[0], pair[1]))
        if max(pair) > SLOW:
            repeats = min(repeats, FEW)
    return Pair(*np.array(samples).T)


def alone(work: Work, budget: Budget, n: int) -> np.ndarray:
    """Seconds of one unit, call by call."""
    samples: list[float] = []
    while len(samples) < budget.repeats and (len(samples) < FEW or samples[-1] <= SLOW):
        time.sleep(PAUSE)
        samples.append(_seconds(work, n) / n)
    return np.array(samples)


def _seconds(work: Work, n: int) -> float:
    start = time.perf_counter()
    work.run(n)
    return time.perf_counter() - start
