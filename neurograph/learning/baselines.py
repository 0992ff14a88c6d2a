"""Baselines: optimizers with their learning rates, schedules and forward passes, among which `tune` chooses."""

import dataclasses
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from .._text import UserError, shown
from ..compile import CompiledGraph
from ..rules import Rules
from . import orthogonal
from .descent import Descent

if TYPE_CHECKING:
    import optax

CONSTANT, COSINE = SCHEDULES = ("constant", "cosine")
"""The learning rate stays as it is; or it falls to 0 along half a cosine, until the number of steps judged at."""
WEIGHT_DECAY = 1e-2
"""That of AdamW, which is multiplied with the learning rate: the default of PyTorch, within the range of Loshchilov and
Hutter (2019). Another one is a baseline of its own."""


class Choice(NamedTuple):
    """One of the ways to learn among which `tune` chooses.

    Attributes:
        rate: the learning rate.
        schedule: how it changes over the steps, one of `SCHEDULES`.
        forward: the name of the forward pass; None where what learns has its own.
    """

    rate: float
    schedule: str = CONSTANT
    forward: str | None = None


@dataclasses.dataclass(frozen=True)
class Rated:
    """What learns by a learning rate, and the rates among which `tune` chooses.

    Attributes:
        make: makes it from a learning rate: a rule, or an optimizer as `optax.adam` does.
        low, high: the smallest and the largest learning rate that is tried.
        per_decade: how many learning rates are tried in each decade.
    """

    make: Callable[[Any], Any]
    low: float
    high: float
    per_decade: int = 4

    def __post_init__(self):
        if not callable(self.make):
            raise UserError(f"make is {shown(self.make)}; give a function of a learning rate, such as optax.adam.")
        given = (self.low, self.high, self.per_decade)
        are_numbers = all(isinstance(value, numbers.Real) for value in given)
        if not (are_numbers and 0 < self.low <= self.high < float("inf") and self.per_decade >= 1):
            raise UserError(
                f"low is {shown(self.low)}, high {shown(self.high)} and per_decade {shown(self.per_decade)}; learning "
                "rates go up from low to high, both greater than 0, and at least one is tried in each decade."
            )

    @property
    def rates(self) -> tuple[float, ...]:
        """The learning rates that are tried, in equal ratios, rounded to three digits."""
        low, high = np.log10((self.low, self.high))
        n = round(float(high - low) * self.per_decade) + 1
        return tuple(float(f"{rate:.3g}") for rate in np.logspace(low, high, n))

    def choices(self, forwards: Mapping[str, Rules], schedules: Sequence[str]) -> list[Choice]:
        """All ways to learn that are tried; a rule has its own forward pass, and keeps its rate."""
        return [Choice(rate) for rate in self.rates]

    def learners(
        self, net: CompiledGraph, forwards: Mapping[str, Rules], schedules: Sequence[str]
    ) -> dict[Choice, Any]:
        """What learns by each choice, on a compiled graph."""
        return {choice: self.make(choice.rate) for choice in self.choices(forwards, schedules)}


@dataclasses.dataclass(frozen=True)
class Baseline(Rated):
    """An optimizer of optax, and its learning rates.

    Attributes:
        make: from a learning rate, or from a schedule of it.
        of_wiring: further arguments of the optimizer, from the compiled graph (see `Descent.extra`).
    """

    of_wiring: Callable[[CompiledGraph], Mapping[str, Any]] = lambda net: {}

    def choices(self, forwards: Mapping[str, Rules], schedules: Sequence[str]) -> list[Choice]:
        return [Choice(rate, schedule, name) for name in forwards for schedule in schedules for rate in self.rates]

    def learners(
        self, net: CompiledGraph, forwards: Mapping[str, Rules], schedules: Sequence[str]
    ) -> dict[Choice, Any]:
        extra = self.of_wiring(net)
        # both schedules share a program: a rate that stays falls infinitely slowly (see `evaluate`)
        horizon = None if tuple(schedules) == (CONSTANT,) else math.inf

        def at(choice: Choice) -> Descent:
            assert choice.forward is not None
            rate = jnp.asarray(choice.rate, jnp.float32)
            return Descent(self.make, rate, forwards[choice.forward], horizon, extra)

        return {choice: at(choice) for choice in self.choices(forwards, schedules)}


def _sgd(rate: Any) -> "optax.GradientTransformation":
    import optax

    return optax.sgd(rate)


def _momentum(rate: Any) -> "optax.GradientTransformation":
    import optax

    return optax.sgd(rate, momentum=0.9)


def _adam(rate: Any) -> "optax.GradientTransformation":
    import optax

    return optax.adam(rate)


def _adamw(rate: Any) -> "optax.GradientTransformation":
    import optax

    return optax.adamw(rate, weight_decay=WEIGHT_DECAY)


BASELINES: dict[str, Baseline] = {
    "sgd": Baseline(_sgd, 1e-3, 1e1),
    "momentum": Baseline(_momentum, 1e-3, 1e1),
    "adam": Baseline(_adam, 1e-4, 1e0),
    "adamw": Baseline(_adamw, 1e-4, 1e0),
    "muon": Baseline(orthogonal.muon, 1e-4, 1e0, of_wiring=orthogonal.extra),
}
"""The baselines by name. Each tries four orders of magnitude of learning rates."""
