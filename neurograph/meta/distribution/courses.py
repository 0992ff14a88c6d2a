"""Judges a rule by the course of an unroll: the losses of a query batch after its steps, not after the last alone."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from ... import engine
from ...engine.initializers import Initializer, glorot_uniform
from ...tasks import Task
from ..objective import Problem

FLOOR = 0.02
"""What is added to a loss before its logarithm is taken, so that losses which are almost 0 count alike."""
SCALES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""By which predictions are multiplied: a rule is judged by how well outputs rank, not by how sure they are."""


def scaled_loss(task: Task, prediction: Array, target: Array) -> Float[Array, ""]:
    """The least mean loss of a batch, of the predictions times each of `SCALES`."""
    return jnp.min(jnp.stack([task.mean_loss(scale * prediction, target) for scale in SCALES]))


class Course(NamedTuple):
    """How a network learnt.

    Attributes:
        loss: what is minimised.
        first, last: the accuracy after the first and after the last step.
    """

    loss: Float[Array, ""]
    first: Float[Array, ""]
    last: Float[Array, ""]


def course(
    key: Key[Array, ""],
    rule: Any,
    problem: Problem,
    warm_up: Int[Array, ""] | int = 0,
    *,
    steps: int,
    batch_size: int,
    query_size: int = 256,
    initializer: Initializer = glorot_uniform,
) -> Course:
    """The losses after every step of an unroll; differentiable in the rule.

    `L = sum_t a_t log(loss after t steps + FLOOR)`, `a_t` in proportion to 1 / t from fresh synapses, so that
    each octave of steps counts alike, and equal for all t after a warm-up. A logarithm makes losses of tasks of unlike
    difficulty comparable. The loss is that of
    the query batch at the best scale of predictions (`scaled_loss`).

    Args:
        key: addresses synapses and batches.
        rule: the rule to judge.
        problem: the compiled graph and the task.
        warm_up: the number of steps before the unroll, which carry no gradient; it may be traced.
        steps: the number of steps in the unroll.
        batch_size, query_size: the number of examples in a support batch, and in a query batch.
        initializer: draws the synapses.
    """
    net, task = problem.net, problem.task
    init_key, support_key, query_key, early_key = jax.random.split(key, 4)
    state = engine.init(init_key, net, rule, dtype=task.dtype, initializer=initializer, batch_size=batch_size)
    fixed = jax.lax.stop_gradient(rule)
    state, _ = engine.learn(early_key, net, fixed, state, task, steps=jnp.asarray(warm_up), batch_size=batch_size)
    state = jax.lax.stop_gradient(state)

    def judged(state: Any, info: Any, target: Array) -> tuple[Array, Array]:
        x, wanted = task.query(jax.random.fold_in(query_key, state.step), query_size)
        predicted = engine.predict(net, rule, state, x)
        return scaled_loss(task, predicted, wanted), task.score(predicted, wanted)

    _, (losses, scores) = engine.learn(
        support_key, net, rule, state, task, steps=steps, batch_size=batch_size, save=judged, differentiable=True
    )
    weights = jnp.where(jnp.asarray(warm_up) == 0, 1 / jnp.arange(1.0, steps + 1), 1.0)
    loss = jnp.sum(weights / jnp.sum(weights) * jnp.log(losses + FLOOR))
    return Course(loss, scores[0], scores[-1])


@functools.partial(jax.jit, static_argnames=("steps", "batch_size", "query_size", "initializer"))
def steepest(
    key: Key[Array, ""], rule: Any, problem: Problem, warm_up: Int[Array, ""], **options: Any
) -> tuple[Course, Any]:
    """A course, and the gradient of its loss in the numbers of the rule; for the arguments see `course`."""

    def loss(rule: Any) -> tuple[Array, Course]:
        found = course(key, rule, problem, warm_up, **options)
        return found.loss, found

    (_, found), gradient = jax.value_and_grad(loss, has_aux=True)(rule)
    return found, gradient


def marks(steps: int, per_octave: float = 1.5) -> tuple[int, ...]:
    """Numbers of steps from 1 to `steps`, in equal ratios.

    >>> marks(100)
    (1, 2, 3, 4, 6, 10, 16, 25, 40, 63, 100)
    """
    n = max(int(np.ceil(np.log2(steps) * per_octave)) + 1, 2)
    return tuple(dict.fromkeys(np.round(np.geomspace(1, steps, n)).astype(int).tolist()))


@functools.partial(jax.jit, static_argnames=("steps", "batch_size", "query_size", "initializer"))
def courses(
    key: Key[Array, ""],
    rules: Any,
    problem: Problem,
    *,
    steps: int,
    batch_size: int,
    query_size: int = 256,
    initializer: Initializer = glorot_uniform,
) -> Course:
    """The courses of several rules, judged after few steps of many (`marks`), by the same synapses and batches.

    `L = mean_t log(loss after t steps + FLOOR)`, t in `marks(steps)`. It has no gradient.

    Args:
        key, problem, steps, batch_size, query_size, initializer: see `course`.
        rules: a stack, judged one after the other.
    """
    net, task = problem.net, problem.task
    init_key, support_key, query_key = jax.random.split(key, 3)
    pauses = jnp.asarray(np.diff((0, *marks(steps))))

    def one(rule: Any) -> Course:
        state = engine.init(init_key, net, rule, dtype=task.dtype, initializer=initializer, batch_size=batch_size)

        def on(state: Any, n: Array) -> tuple[Any, tuple[Array, Array]]:
            state, _ = engine.learn(support_key, net, rule, state, task, steps=n, batch_size=batch_size)
            x, wanted = task.query(jax.random.fold_in(query_key, state.step), query_size)
            predicted = engine.predict(net, rule, state, x)
            return state, (scaled_loss(task, predicted, wanted), task.score(predicted, wanted))

        _, (losses, scores) = jax.lax.scan(on, state, pauses)
        return Course(jnp.mean(jnp.log(losses + FLOOR)), scores[0], scores[-1])

    return jax.lax.map(one, rules)
