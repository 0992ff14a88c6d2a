"""Parts of a rule's step that may be why it does not carry over, each with what takes its place: its repair."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

from ..rules import Blur
from .repairs import Levels, Repaired

_LARGE = 1e3
"""The factor of a rule's eta that makes the epsilon of its normalisation negligible: all else divides it out."""


class Replaced(NamedTuple):
    """What takes the place of a part.

    Attributes:
        make: a repaired rule, from the rule, the levels and a number that is tuned.
        amounts: between which powers of ten that number is tried; None: there is none.
        inputs: what the inputs become, where these are replaced (see `inputs.changed`).
    """

    make: Callable[[Blur, Levels, float], Repaired]
    amounts: tuple[float, float] | None = None
    inputs: str | None = None


def _of(**changes: float) -> Callable[[Blur, Levels, float], Repaired]:
    return lambda rule, where, amount: Repaired(rule, where, **{"amount": amount, **changes})


def _without_epsilon(rule: Blur, where: Levels, amount: float) -> Repaired:
    return Repaired(dataclasses.replace(rule, eta=_LARGE * rule.eta), where)


AS_THEY_ARE = Replaced(_of())
"""Nothing is replaced."""
_SIZES = -2.0, 0.0

REPAIRS: dict[str, Replaced] = {
    "inputs standardised": Replaced(_of(), inputs="each standardised"),
    "inputs whitened": Replaced(_of(), inputs="whitened"),
    "epsilon negligible": Replaced(_without_epsilon),
    "states centred": Replaced(_of(centred=1.0)),
    "feedback tied": Replaced(_of(tied=1.0)),
    "size": Replaced(_of(), (-1.5, 1.0)),
    "size by level": Replaced(_of(own=0.0, relative=1.0), _SIZES),
    "direction": Replaced(_of(along_gradient=1.0)),
    "direction and size": Replaced(_of(along_gradient=1.0, own=0.0, relative=1.0), _SIZES),
    "gradient descent": Replaced(_of(along_gradient=1.0, own=0.0, gradient=1.0), (-2.0, 1.0)),
}
"""By name. The last one leaves of the rule its forward pass alone: SGD descends through it at its best rate."""


def possible(rule: Blur) -> dict[str, Replaced]:
    """The repairs that change anything of a rule."""
    normalises = rule.activation_normalization is not None and rule.activation_normalization.forward_mean is not None
    idle = set() if rule.stores_backward else {"feedback tied"}
    if not normalises or rule.backward_update == "additive":  # where it adds, eta is part of the way back, too
        idle.add("epsilon negligible")
    return {name: repair for name, repair in REPAIRS.items() if name not in idle}
