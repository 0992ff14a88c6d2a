"""How a genome learns: loss and accuracy on unseen examples after 0, 1, 2, 5 ... steps, over draws of synapses."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from scipy import stats

from . import engine, rules
from .compile import CompiledGraph
from .engine import NetworkState
from .genome import Genomes
from .initializers import Initializer, glorot_uniform
from .rules import Rule
from .tasks import Task, accuracy
from .training import fresh_states

STEPS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""After how many learning steps a genome is evaluated."""


class Curve(NamedTuple):
    """Of a learner, one row for each draw.

    Attributes:
        steps: learning steps taken.
        loss: on the trial's query set; softmax cross-entropy, or half the squared error for single outputs.
        accuracy: on the trial's query set.
    """

    steps: tuple[int, ...]
    loss: Float[np.ndarray, "draws steps"]
    accuracy: Float[np.ndarray, "draws steps"]


class Interval(NamedTuple):
    """Mean over draws, and half the width of its 95 % interval (Student's t)."""

    mean: float
    half: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.half:.3f}"


def interval(values: np.ndarray) -> Interval:
    """Of independent draws: `mean ± t_{0.975, n - 1} s / sqrt(n)`; of one draw, or with values not finite, half is NaN.

    >>> interval(np.array([0.9, 0.9]))
    Interval(mean=0.9, half=0.0)
    """
    n = len(values)
    with np.errstate(invalid="ignore", over="ignore"):
        half = float("nan") if n < 2 else float(stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
        return Interval(float(np.mean(values)), half)


def bands(found: Curve) -> tuple[np.ndarray, np.ndarray]:
    """Mean accuracy at each number of steps, and half the width of its 95 % interval, for a plot."""
    parts = [interval(values) for values in found.accuracy.T]
    return np.array([part.mean for part in parts]), np.array([part.half for part in parts])


def loss_of(prediction: Array, target: Array) -> Array:
    """What is reported: softmax cross-entropy; of a single output half the squared error."""
    feedback = rules.mean_squared_error if prediction.shape[0] == 1 else rules.softmax_cross_entropy
    return feedback.loss(prediction, target)


class Learner(Protocol):
    """Something that learns: a pytree, static parts apart, whose methods are pure."""

    def start(self, key: Key[Array, ""]) -> Any:
        """A fresh network."""
        ...

    def learn(self, network: Any, x: Array, target: Array) -> Any:
        """The network after a support batch."""
        ...

    def predict(self, network: Any, x: Array) -> Array:
        """Of a query, `[outputs, batch]`."""
        ...


class GenomeLearner(eqx.Module):
    """Networks that learn by a genome.

    Attributes:
        graph, genome: wiring and rule's numbers.
        rule, initializer: how they learn, and how synapses are drawn.
        batch_size: of support batches.
        dtype: of synapses and states.
    """

    graph: CompiledGraph
    genome: Genomes
    rule: Rule = eqx.field(static=True)
    initializer: Initializer = eqx.field(static=True, default=glorot_uniform)
    batch_size: int = eqx.field(static=True, default=128)
    dtype: Any = eqx.field(static=True, default=jnp.float32)

    def start(self, key: Key[Array, ""]) -> NetworkState:
        return engine.init(
            key,
            self.graph,
            self.genome,
            rule=self.rule,
            initializer=self.initializer,
            batch_size=self.batch_size,
            dtype=self.dtype,
        )

    def learn(self, network: NetworkState, x: Array, target: Array) -> NetworkState:
        return engine.step(self.graph, self.genome, network, x, target, rule=self.rule)[0]

    def predict(self, network: NetworkState, x: Array) -> Array:
        if network.neurons is not None:
            network = fresh_states(network, x.shape[1])
        return engine.predict(self.graph, self.genome, network, x, rule=self.rule)


def curve(
    key: Key[Array, ""],
    learner: Learner,
    task: Task,
    *,
    batch_size: int = 128,
    steps: Sequence[int] = STEPS,
    n_draws: int = 10,
) -> Curve:
    """Loss and accuracy of a learner after some numbers of steps, over draws of synapses, batches and trials.

    Args:
        key: makes all draws: learners that get the same key learn from the same batches, and from the same synapses
            where they have as many.
        learner: what learns.
        task: each draw is a trial of it, judged on the trial's query set.
        batch_size: of support batches.
        steps: after how many; ascending.
        n_draws: how many draws.
    """
    loss, right = _curve(key, learner, task, jnp.arange(n_draws), False, batch_size, tuple(steps))
    return Curve(tuple(steps), np.asarray(loss, np.float64), np.asarray(right, np.float64))


def held_out_curves(
    key: Key[Array, ""],
    learner: Learner,
    varied: Callable[[Learner], Any],
    values: Sequence[float],
    task: Task,
    *,
    batch_size: int = 128,
    steps: Sequence[int] = STEPS,
    n_draws: int = 4,
    tick: Callable[[], None] = lambda: None,
) -> list[Curve]:
    """As `curve`, for choosing a number: each draw is an episode, made from support examples alone.

    Args:
        learner: what learns.
        varied: finds the number in it, as for `equinox.tree_at`.
        values: that are tried.
        key, task, batch_size, steps, n_draws: as for `curve`.

        tick: called after each value.

    Returns:
        A curve for each value.
    """
    found = []
    for value in values:  # of one compiled program, between whose calls a person can interrupt
        tried = eqx.tree_at(varied, learner, jnp.asarray(value, jnp.result_type(varied(learner))))
        loss, right = _curve(key, tried, task, jnp.arange(n_draws), True, batch_size, tuple(steps))
        found.append(Curve(tuple(steps), np.asarray(loss, np.float64), np.asarray(right, np.float64)))
        tick()
    return found


@functools.partial(jax.jit, static_argnums=(4, 5, 6))
def _curve(key, learner, task: Task, numbers, held_out: bool, batch_size: int, steps: tuple[int, ...]):
    """Loss and accuracy, each `[draws, steps]`."""

    def one(number):
        task_key, start_key, support_key = jax.random.split(jax.random.fold_in(key, number), 3)
        drawn = task.episode(task_key) if held_out else task.trial(task_key)
        x_query, target_query = drawn.query_set()

        def turn(i, network):
            return learner.learn(network, *drawn.support(jax.random.fold_in(support_key, i), batch_size))

        network, done, found = learner.start(start_key), 0, []
        for step in steps:
            network = jax.lax.fori_loop(done, step, turn, network)
            prediction, done = learner.predict(network, x_query), step
            found.append((loss_of(prediction, target_query), accuracy(prediction, target_query)))
        return tuple(jnp.stack(values) for values in zip(*found, strict=True))

    return jax.lax.map(one, numbers)
