"""When learning has diverged: a number is not finite, or a loss is finite but absurd."""

import functools
import math
from collections.abc import Callable

import jax.numpy as jnp

from .._text import count
from ..tasks import Task
from .evaluation import Curve

ABSURD = 1e6
"""How many times as large as before learning, and as that of predicting 0, a loss is beyond which learning diverged."""


class Divergence(ArithmeticError):
    """A loss or a synapse is not finite any more, or the loss at the end is absurd."""


def is_absurd(loss: float, before: float | None, of_zeros: Callable[[], float]) -> bool:
    """Says whether a finite loss is so large that learning has diverged.

    It is where it exceeds `ABSURD` times both the loss before learning and the loss of predicting 0. All three have one
    unit, so that the scale of targets does not matter; and neither a network that starts out badly nor one that starts
    out perfectly is taken for diverged, since each is measured by the larger of the two. No healthy run comes near: of
    a squared error the predictions are then a thousand times as large as the targets; of a softmax they are a million
    apart, of which a hundred make every probability 0 or 1. A rule that only ranks outputs, whose predictions grow
    while its accuracy is good, has room to grow.

    Args:
        loss: the loss after learning.
        before: the loss before learning; None where it is not known.
        of_zeros: computes the loss of predicting 0; called only where the loss is far above the one before.
    """
    known = abs(before) if before is not None and math.isfinite(before) else 0.0
    if not loss > ABSURD * known:  # which holds of no loss that is not a number
        return False
    largest = max(known, abs(of_zeros()))
    return largest > 0 and loss > ABSURD * largest


def loss_of_zeros(task: Task) -> float:
    """The mean loss on the query set of a network whose every prediction is 0."""
    x, target = task.query_set()
    return float(task.mean_loss(jnp.zeros((task.n_outputs, x.shape[1]), x.dtype), target))


def divergence_of(found: Curve, task: Task) -> str | None:
    """Says after how many steps learning has diverged in how many draws of a curve; None where it has in none.

    Args:
        found: the curve; where it begins before learning, its losses are measured by those, too.
        task: what was learnt.
    """
    of_zeros = functools.cache(lambda: loss_of_zeros(task))
    n_draws = len(found.loss)
    befores = found.loss[:, 0].tolist() if found.steps[0] == 0 else [None] * n_draws
    for step, losses in zip(found.steps, found.loss.T.tolist(), strict=True):
        n = sum(
            not math.isfinite(loss) or (before is not None and is_absurd(loss, before, of_zeros))
            for loss, before in zip(losses, befores, strict=True)
        )
        if n:
            return f"learning has diverged in {n} of {count(n_draws, 'draw')} after {count(step, 'step')}"
    return None
