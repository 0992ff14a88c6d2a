"""Judges a rule: an unroll from fresh synapses on fresh batches, then a query batch (paper 3.3).

`docs/unroll.md` explains it in words and with a drawing.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from .. import engine
from ..compile import CompiledGraph
from ..compile.costs import platform
from ..engine import NetworkState, StepInfo
from ..engine.devices import memory, spread
from ..engine.initializers import Initializer, glorot_uniform
from ..rules import Rule
from ..rules.losses import Loss, mean
from ..tasks import Task
from .population import member

IN_TURN = 2**17
"""The size of the states in one rule's unrolls (in numbers) from which on a CPU judges one rule after the other."""

Result = TypeVar("Result")


class Problem(eqx.Module):
    """A compiled graph, and a task that it is to learn.

    Attributes:
        net: the compiled graph.
        task: the task; an unroll learns one of its episodes.
    """

    net: CompiledGraph
    task: Task


@dataclasses.dataclass(frozen=True)
class Objective:
    """How a rule is judged. It is hashable: a static argument under `jit`.

    Attributes:
        initializer: draws the synapses.
        capacity: the largest number of steps in an unroll; shorter unrolls run the same program.
        batch_size, query_size: the number of examples in a support batch, and in the query batch.
        replicas: the number of unrolls for each problem and meta-step, each with its own synapses and batches.
        loss: the loss of one example; None takes the task's.
        online: the weight, in [0, 1), of the mean loss of the support batches before they are learnt from. Each batch
            is fresh, so that this judges all earlier steps, where the query judges the last one.
        warm_up: the largest number of steps that are taken before the unroll, without a gradient; so that an unroll
            may begin from synapses that have learnt already.
    """

    initializer: Initializer = glorot_uniform
    capacity: int = 10
    batch_size: int = 128
    query_size: int = 128
    replicas: int = 1
    loss: Loss | None = None
    online: float = 0.0
    warm_up: int = 0

    def mean_loss(self, task: Task, prediction: Array, target: Array) -> Float[Array, ""]:
        """Averages the loss over a batch of the task."""
        return task.mean_loss(prediction, target) if self.loss is None else mean(self.loss, prediction, target)


class Score(NamedTuple):
    """The result of an unroll, or the mean over several.

    Attributes:
        loss: the number that is minimised.
        accuracy: the task's score on the query batch.
    """

    loss: Float[Array, ""]
    accuracy: Float[Array, ""]


def score(
    key: Key[Array, ""],
    rule: Rule,
    problem: Problem,
    length: Int[Array, ""] | int,
    warm_up: Int[Array, ""] | int = 0,
    *,
    objective: Objective,
) -> Score:
    """Averages the scores of `objective.replicas` unrolls; differentiable in the rule.

    `L(G) = loss(query prediction after `length` steps)`, for `online` = 0 (paper 3.3).

    Args:
        key: addresses episode, synapses and batches. Rules that are compared get the same key.
        rule: the rule to judge.
        problem: the compiled graph and the task.
        length: the number of steps in the unroll, at most `objective.capacity`; it may be traced.
        warm_up: the number of steps before it, which carry no gradient; it may be traced.
        objective: how the rule is judged.
    """
    keys = jax.random.split(key, objective.replicas)
    scores = jax.vmap(lambda key: _one(key, rule, problem, length, warm_up, objective))(keys)
    return Score(*(jnp.mean(values) for values in scores))


def mean_score(
    key: Key[Array, ""],
    rule: Rule,
    problems: tuple[Problem, ...],
    length: Int[Array, ""] | int,
    warm_up: Int[Array, ""] | int = 0,
    *,
    objective: Objective,
) -> Score:
    """Averages `score` over several problems, each of which has a key of its own."""
    keys = jax.random.split(key, len(problems))
    scores = [
        score(key, rule, problem, length, warm_up, objective=objective)
        for key, problem in zip(keys, problems, strict=True)
    ]
    return Score(*(jnp.mean(jnp.stack(values)) for values in zip(*scores, strict=True)))


def of_each(
    judge: Callable[[Any], Result],
    rules: Any,
    problems: tuple[Problem, ...],
    objective: Objective,
    *,
    gradient: bool = False,
) -> Result:
    """Calls `judge` for every rule of a stack, in one program, and stacks the results.

    The rules are judged side by side, so that small arrays are worth a call, as many as memory has room for; but one
    after the other on a CPU where the states of one rule fill a core's cache by themselves, which is faster and needs
    the memory of one rule alone. Where there is no room for one rule on each device, one device judges all.

    Args:
        judge: judges one rule.
        rules: the stack.
        problems, objective: what the rules are judged by.
        gradient: whether `judge` takes a gradient through the unroll, of which each step's synapses are kept.
    """
    first = member(rules, 0)
    n_neurons = max((problem.net.n_neurons for problem in problems), default=0)
    each, room = bytes_of_one(first, problems, objective, gradient=gradient), memory()
    n_rules = jax.tree.leaves(rules)[0].shape[0]
    at_once = int(max(min(room / max(each, 1), n_rules), 1))  # there may be no end of room
    if platform() == "cpu" and n_neurons * first.n_states * objective.batch_size * objective.replicas >= IN_TURN:
        at_once = 1

    def some(part: Any) -> Result:
        if at_once >= jax.tree.leaves(part)[0].shape[0]:
            return jax.vmap(judge)(part)
        return jax.lax.map(judge, part, batch_size=None if at_once == 1 else at_once)

    return spread(some, rules, n_bytes=each)


def bytes_of_one(rule: Rule, problems: tuple[Problem, ...], objective: Objective, *, gradient: bool) -> int:
    """The memory that an unroll of one rule takes, roughly: `replicas * item * (copies * values + 8 * states)`.

    Values are those of the synapses, of which a gradient keeps those of each step; states are those of all neurons
    in the larger of the two batches, of which a step and its derivative hold about eight at once.
    """
    most = 0
    for net, task in ((problem.net, problem.task) for problem in problems):
        values = net.n_synapses * rule.n_channels * (1 if rule.symmetric else 2)
        states = net.n_neurons * rule.n_states * max(objective.batch_size, objective.query_size)
        copies = 4 + (objective.capacity if gradient else 0)
        most = max(most, objective.replicas * task.dtype.itemsize * (copies * values + 8 * states))
    return most


def fresh_network(key: Key[Array, ""], rule: Rule, problem: Problem, objective: Objective) -> NetworkState:
    """Draws the synapses of a network on the problem's graph."""
    return engine.init(
        key,
        problem.net,
        rule,
        dtype=problem.task.dtype,
        initializer=objective.initializer,
        batch_size=objective.batch_size,
    )


def _one(key, rule: Rule, problem: Problem, length, warm_up, objective: Objective) -> Score:
    net = problem.net
    episode_key, init_key, support_key, query_key, early_key = jax.random.split(key, 5)
    episode = problem.task.episode(episode_key)
    state = fresh_network(init_key, rule, problem, objective)
    if objective.warm_up:
        fixed = jax.lax.stop_gradient(rule)
        state, _ = engine.learn(early_key, net, fixed, state, episode, steps=warm_up, batch_size=objective.batch_size)
        state = jax.lax.stop_gradient(state)

    def loss_before(state: NetworkState, info: StepInfo, target: Array) -> Array:
        return objective.mean_loss(episode, info.prediction, target)

    state, losses = engine.learn(
        support_key,
        net,
        rule,
        state,
        episode,
        steps=length,
        batch_size=objective.batch_size,
        save=loss_before if objective.online else None,
        most=objective.capacity,
        differentiable=True,
    )
    x, target = episode.query(query_key, objective.query_size)
    prediction = engine.predict(net, rule, state, x)
    loss = objective.mean_loss(episode, prediction, target)
    if objective.online:
        loss = (1 - objective.online) * loss + objective.online * jnp.sum(losses) / length
    return Score(loss, episode.score(prediction, target))
