"""How a rule learns: its loss and score on unseen examples after 0, 1, 2, 5 ... steps, over draws of synapses."""

import dataclasses
import itertools
import math
import numbers
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from .. import engine
from .._text import UserError, shown, whole
from ..compile import CompiledGraph
from ..engine.devices import spread
from ..engine.initializers import Initializer, glorot_uniform
from ..engine.kinds import check_initializer, check_key, check_net, check_whole
from ..tasks import Task
from ..tasks.sources import n_examples
from .descent import Descent, functions_for, learner

STEPS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""The numbers of learning steps after which a rule is evaluated by default."""

_MARKS = 16
"""Curves of up to so many points share a program."""


def marks(last: int) -> tuple[int, ...]:
    """The numbers of steps in `STEPS` below `last`, and `last` itself.

    >>> marks(7)
    (0, 1, 2, 5, 7)
    """
    return (*(step for step in STEPS if step < last), last)


class Curve(NamedTuple):
    """How a rule or an optimizer learns; one row for each draw.

    Attributes:
        steps: the numbers of learning steps after which it was evaluated.
        loss: the task's mean loss on the trial's query set.
        accuracy: the task's score on the trial's query set: the accuracy, or R^2 for a regression.
    """

    steps: tuple[int, ...]
    loss: Float[np.ndarray, "draws steps"]
    accuracy: Float[np.ndarray, "draws steps"]


class Interval(NamedTuple):
    """Mean over draws, and half the width of its 95 % interval (Student's t)."""

    mean: float
    half: float

    def __str__(self) -> str:
        return f"{self.mean:.3f}" + ("" if math.isnan(self.half) else f" ± {self.half:.3f}")


def interval(values: np.ndarray) -> Interval:
    """The 95 % interval of the mean of independent draws, `mean ± t_{0.975, n - 1} s / sqrt(n)`.

    `half` is NaN where there is one draw alone, or a value that is not finite.

    >>> interval(np.array([0.9, 0.9]))
    Interval(mean=0.9, half=0.0)
    """
    n = len(values)
    with np.errstate(invalid="ignore", over="ignore"):
        half = float("nan")
        if n > 1:
            from scipy import stats

            half = float(stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
        return Interval(float(np.mean(values)), half)


def bands(found: Curve) -> tuple[np.ndarray, np.ndarray]:
    """Mean accuracy at each number of steps, and half the width of its 95 % interval, for a plot."""
    parts = [interval(values) for values in found.accuracy.T]
    return np.array([part.mean for part in parts]), np.array([part.half for part in parts])


def evaluate(
    key: Key[Array, ""],
    net: CompiledGraph,
    rule: Any,
    task: Task,
    *,
    steps: Sequence[int] = STEPS,
    n_draws: int = 10,
    batch_size: int = 128,
    initializer: Initializer = glorot_uniform,
    held_out: bool = False,
    falls: bool = False,
) -> Curve:
    """Evaluates the loss and the score after some numbers of steps, over draws of synapses, batches and trials.

    Rules of one structure share a compiled program, whatever their numbers.

    Args:
        key: makes all draws: rules that get the same key learn from the same batches, and from the same synapses where
            they have equally many.
        net: the compiled graph.
        rule: a rule, a mapping of populations to rules, an optimizer of optax, or a `Descent`.
        task: what is learnt; each draw is a trial of it, judged on the trial's query set.
        steps: the numbers of learning steps; they ascend, from 0 or more.
        n_draws: the number of draws.
        batch_size: the number of examples in a support batch.
        initializer: draws the synapses.
        held_out: whether each draw is an episode, which is made from support examples alone, instead of a trial; so
            that a number may be chosen by the result.
        falls: whether each number of steps is a run of its own, at whose end the rate of a `Descent` has fallen to 0:
            its horizon, which must be given, is then that number.

    Raises:
        ValueError: an argument is of another kind; the steps are negative, do not ascend, or there are none; a rate is
            to fall of what has no horizon.
        RuleError: `rule` is no rule and no optimizer, or one of its numbers is not finite.
    """
    check_key(key)
    check_net(net)
    check_initializer(initializer)
    _check_task(task)
    check_whole("n_draws", n_draws)
    check_whole("batch_size", batch_size)
    steps = _whole(steps)
    if not steps or steps[0] < 0 or any(b <= a for a, b in itertools.pairwise(steps)):
        raise UserError(f"steps are {list(steps)}, but a curve goes forward; give ascending numbers, each 0 or more.")
    rule = learner(rule, task.dtype)
    if falls and (not isinstance(rule, Descent) or rule.horizon is None):
        raise UserError("the learning rate is to fall, but the rule is no Descent with a horizon; give it a horizon.")
    padded = (*steps, *[steps[-1]] * (-len(steps) % _MARKS))
    numbers, points, n_marks = jnp.arange(n_draws), jnp.asarray(padded, jnp.int32), jnp.int32(len(steps))
    found = _curve(key, net, rule, task, numbers, points, n_marks, jnp.bool_(falls), held_out, batch_size, initializer)
    loss, score = np.moveaxis(np.asarray(found, np.float64)[:, :, : len(steps)], 1, 0)
    return Curve(steps, loss, score)


def _whole(steps: Any) -> tuple[int, ...]:
    if not isinstance(steps, Sequence) and not isinstance(steps, np.ndarray):
        raise UserError(f"steps is {shown(steps)}; give the numbers of steps to look at, such as (10, 100).")
    for step in steps:
        if not isinstance(whole(step), numbers.Integral):
            raise UserError(f"steps has {shown(step)}, which is not a whole number; give the numbers of steps.")
    return tuple(int(step) for step in steps)


def _check_task(task: Any) -> None:
    if not isinstance(task, Task):
        raise UserError(f"task is {shown(task)}; give a task, such as ng.tasks.load('digits').")


@eqx.filter_jit
def _curve(key, net, rule, task: Task, numbers, steps, n_marks, falls, held_out: bool, batch_size: int, initializer):
    """Computes loss and score, `[draws, 2, steps]`.

    The number of marks is traced, too: XLA would inline a loop of one, and then sum the loss in another order.
    """
    init, step, predict = functions_for(rule, task)

    def one(number):
        task_key, start_key, support_key = jax.random.split(jax.random.fold_in(key, number), 3)
        drawn = task.episode(task_key) if held_out else task.trial(task_key)
        x_query, target_query = drawn.query_set()

        def up_to(n, carry):
            (state, found), learns = carry, rule
            if isinstance(rule, Descent) and rule.horizon is not None:
                state = jax.tree.map(lambda first, now: jnp.where(falls, first, now), start, state)
                horizon = jnp.where(falls, jnp.maximum(steps[n], 1).astype(jnp.result_type(rule.horizon)), rule.horizon)
                learns = dataclasses.replace(rule, horizon=horizon)
            more = steps[n] - state.step
            state, _ = engine.learn(
                support_key, net, learns, state, drawn, steps=more, batch_size=batch_size, step=step
            )
            prediction = predict(net, learns, state, x_query)
            loss, score = drawn.mean_loss(prediction, target_query), drawn.score(prediction, target_query)
            return state, found.at[:, n].set(jnp.stack([loss, score.astype(loss.dtype)]))

        start = init(start_key, net, rule, dtype=task.dtype, initializer=initializer, batch_size=batch_size)
        found = jnp.zeros((2, steps.size), jnp.promote_types(task.dtype, jnp.float32))
        return jax.lax.fori_loop(0, n_marks, up_to, (start, found))[1]

    return spread(lambda some: jax.lax.map(one, some), numbers, n_bytes=_bytes_of_one(net, task, batch_size))


def _bytes_of_one(net: CompiledGraph, task: Task, batch_size: int) -> int:
    """The memory that a draw takes, roughly: of most rules, which have one or two states."""
    arrays = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves((net, task)))
    states = net.n_neurons * max(batch_size, n_examples(task.test) or 0)
    return arrays + task.dtype.itemsize * (8 * net.n_synapses + 16 * states)
