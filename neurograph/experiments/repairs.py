"""What of a rule's step fails where it does not carry over: its change beside the exact gradient, level by level, and
steps of which one part is replaced.

The *change* of a step is that of the synapses as forward passes find them: normalised, where the rule does so.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .. import engine
from ..compile import CompiledGraph
from ..engine import NetworkState, StepInfo, views
from ..engine.initializers import Initializer
from ..learning import Descent
from ..learning.descent import functions_for, learner
from ..learning.evaluation import Curve
from ..rules import as_arrays
from ..tasks import Task
from ..topology import Topology, levels

_TINY = 1e-30


class Levels(eqx.Module):
    """The levels of a wiring's receivers; that of the inputs receives nothing and is left out.

    Attributes:
        synapses: the level of each synapse's receiver less 1, in the user's order.
        neurons: the level of each neuron less 1, in the user's order; those of inputs are -1.
        n: how many levels receive.
    """

    synapses: Int[Array, " synapses"]
    neurons: Int[Array, " neurons"]
    n: int = eqx.field(static=True)

    @classmethod
    def of(cls, topology: Topology) -> "Levels":
        """Those of a wiring."""
        level = np.asarray(levels(topology)) - 1
        return cls(jnp.asarray(level[topology.receivers]), jnp.asarray(level), int(level.max()) + 1)


Vector = tuple[Float[Array, "channels synapses"], Float[Array, "channels neurons"]]
"""Numbers of all synapses, and of those from the unit neuron, in the user's order."""


def vector(net: CompiledGraph, forward: Any, bias: Array) -> Vector:
    """Forward synapses by part and those from the unit neuron, in the user's order."""
    return views.synapses(net, forward), views.neurons(net, bias)


def by_level(where: Levels, one: Vector, other: Vector) -> Float[Array, " levels"]:
    """The inner product of two vectors, over the synapses that each level receives."""
    at_synapses, at_neurons = ((a * b).sum(axis=0) for a, b in zip(one, other, strict=True))
    total = jnp.zeros(where.n, at_synapses.dtype).at[where.synapses].add(at_synapses)
    # a negative place would count from the end
    return total.at[jnp.where(where.neurons < 0, where.n, where.neurons)].add(at_neurons, mode="drop")


class Repaired(eqx.Module):
    """A rule, and what replaces part of its step.

    With the change d of a level, its synapses w and the gradient g, the level's new change has the direction of d or of
    -g, and the length `amount * (own |d| + relative |w| + gradient |g|)`.

    Attributes:
        rule: the rule.
        where: the levels.
        along_gradient: 0 for the direction of d, 1 for that of -g.
        own, relative, gradient: which length is taken; one of them is 1, the others are 0.
        amount: factor of it.
        centred: 1 if the states from which synapses learn lose their mean over the batch, else 0.
        tied: 1 if the backward pass goes along the forward synapses, else 0.
    """

    rule: Any
    where: Levels
    along_gradient: Any = 0.0
    own: Any = 1.0
    relative: Any = 0.0
    gradient: Any = 0.0
    amount: Any = 1.0
    centred: Any = 0.0
    tied: Any = 0.0


def exact(
    net: CompiledGraph, rule: Any, task: Task, state: NetworkState, x: Array, target: Array
) -> tuple[Vector, Array]:
    """The gradient of the task's mean loss through the rule's own forward pass, by `jax.grad` of `engine.predict`; and
    the prediction."""

    def loss(forward, bias):
        prediction = engine.predict(net, rule, _with(state, forward, bias), x)
        return task.mean_loss(prediction, target), prediction

    gradient, prediction = jax.grad(loss, argnums=(0, 1), has_aux=True)(state.forward, state.bias)
    return vector(net, *gradient), prediction


def _with(state: NetworkState, forward: Any, bias: Array) -> NetworkState:
    return dataclasses.replace(state, forward=forward, bias=bias)


def _tied(state: NetworkState, share: Any) -> NetworkState:
    """With backward synapses as the forward ones are, where the share is 1."""
    if state.backward is None:
        return state
    pairs = zip(state.backward, state.forward, strict=True)
    return dataclasses.replace(state, backward=tuple((1 - share) * down + share * up for down, up in pairs))


def _less(one: Vector, other: Vector) -> Vector:
    return one[0] - other[0], one[1] - other[1]


def _lengths(where: Levels, one: Vector) -> Float[Array, " levels"]:
    return jnp.sqrt(by_level(where, one, one))


def step(
    task: Task, net: CompiledGraph, repaired: Repaired, state: NetworkState, x: Array, target: Array
) -> tuple[NetworkState, StepInfo]:
    """One learning step of a repaired rule; with its first argument bound it is a step for `engine.learn`."""
    rule, where = repaired.rule, repaired.where
    start = engine.normalized(net, rule, state)
    network, a = engine.forward(net, rule, start, x)
    b = engine.backward(net, rule, _tied(network, repaired.tied), a, target)
    # sum_b p (q - mean q) = sum_b (p - mean p) (q - mean q): all states may lose their mean, so that q does
    b = tuple(each - repaired.centred * each.mean(axis=2, keepdims=True) for each in b)
    new = engine.update(net, rule, network, a, b)
    ended = engine.normalized(net, rule, new)

    w = vector(net, start.forward, start.bias)
    change = _less(vector(net, ended.forward, ended.bias), w)
    gradient, prediction = exact(net, rule, task, start, x, target)
    lengths = [_lengths(where, each) for each in (change, w, gradient)]
    kinds = repaired.own, repaired.relative, repaired.gradient
    length = repaired.amount * sum(kind * each for kind, each in zip(kinds, lengths, strict=True))
    along = repaired.along_gradient
    factors = (1 - along) * length / jnp.maximum(lengths[0], _TINY), -along * length / jnp.maximum(lengths[2], _TINY)
    places = where.synapses, jnp.maximum(where.neurons, 0)
    forward, bias = (
        old + factors[0][n][None] * d + factors[1][n][None] * g
        for old, n, d, g in zip(w, places, change, gradient, strict=True)
    )
    backward = None
    if start.backward is not None:
        assert ended.backward is not None
        old, n = views.synapses(net, start.backward), where.synapses
        own = views.synapses(net, ended.backward) - old
        backward = old + factors[0][n][None] * own + factors[1][n][None] * gradient[0]
    new = views.with_synapses(net, new, forward=forward, backward=backward, bias=bias)
    return new, StepInfo(prediction, (), ())


def curve(
    key: Array,
    net: CompiledGraph,
    repaired: Repaired,
    task: Task,
    *,
    steps: Sequence[int],
    n_draws: int,
    batch_size: int,
    initializer: Initializer,
    held_out: bool = False,
) -> Curve:
    """How a repaired rule learns; arguments and draws are those of `learning.evaluate`.

    All repairs of a rule on a wiring share a program.
    """
    found = _curve(
        key, net, _as_arrays(repaired, task.dtype), task, jnp.arange(n_draws), jnp.asarray(steps, jnp.int32),
        jnp.int32(len(steps)), held_out, batch_size, initializer,
    )  # fmt: skip
    loss, score = np.moveaxis(np.asarray(found, np.float64), 1, 0)
    return Curve(tuple(steps), loss, score)


def _as_arrays(repaired: Repaired, dtype: Any) -> Repaired:
    """With every number as an array, as a Python float would be compiled into the program."""
    numbers = {field.name: getattr(repaired, field.name) for field in dataclasses.fields(repaired)}
    where = numbers.pop("where")
    return Repaired(where=where, **as_arrays(numbers, dtype))


@eqx.filter_jit
def _curve(key, net, repaired, task: Task, numbers, steps, n_steps, held_out: bool, batch_size: int, initializer):
    """Loss and score, `[draws, 2, steps]`; the keys are those of `learning.evaluate`."""

    def one(number):
        task_key, start_key, support_key = jax.random.split(jax.random.fold_in(key, number), 3)
        drawn = task.episode(task_key) if held_out else task.trial(task_key)
        x_query, target_query = drawn.query_set()

        def up_to(n, carry):
            state, found = carry
            state, _ = engine.learn(
                support_key, net, repaired, state, drawn, steps=steps[n] - state.step, batch_size=batch_size,
                step=functools.partial(step, drawn),
            )  # fmt: skip
            prediction = engine.predict(net, repaired.rule, state, x_query)
            loss, score = drawn.mean_loss(prediction, target_query), drawn.score(prediction, target_query)
            return state, found.at[:, n].set(jnp.stack([loss, score.astype(loss.dtype)]))

        start = engine.init(start_key, net, repaired.rule, dtype=task.dtype, initializer=initializer)
        found = jnp.zeros((2, steps.size), jnp.promote_types(task.dtype, jnp.float32))
        return jax.lax.fori_loop(0, n_steps, up_to, (start, found))[1]

    return jax.lax.map(one, numbers)


# --- diagnosis --------------------------------------------------------------------------------------------------------

QUANTITIES = ("cosine", "relative change", "feedback", "exact feedback", "relative gradient")
"""What `diagnosis` gives of each level: the cosine between change and minus the gradient; |change| / |w|; the root mean
square of the backward states from the second one on; that of the exact derivative of the loss by the first
pre-activation, before it is normalised; both over their value in the last level; and |gradient| / |w|."""


def diagnosis(
    key: Array,
    net: CompiledGraph,
    rule: Any,
    where: Levels,
    task: Task,
    *,
    steps: Sequence[int],
    n_draws: int,
    batch_size: int,
    initializer: Initializer,
) -> Float[np.ndarray, "draws steps quantities levels"]:
    """`QUANTITIES` of a step of a rule after some numbers of its own steps; a `Descent` has the first two and the last.

    Arguments and draws are those of `learning.evaluate`. Quantities that do not exist are NaN.
    """
    found = _diagnosis(
        key, net, learner(rule, task.dtype), where, task, jnp.arange(n_draws), tuple(steps), batch_size, initializer
    )
    return np.asarray(found, np.float64)


@eqx.filter_jit
def _diagnosis(key, net, rule, where: Levels, task: Task, numbers, steps, batch_size: int, initializer):
    init, advance, _ = functions_for(rule, task)
    forward_of = rule.forward if isinstance(rule, Descent) else rule

    def one(number):
        task_key, start_key, support_key = jax.random.split(jax.random.fold_in(key, number), 3)
        drawn, found = task.trial(task_key), []
        state = init(start_key, net, rule, dtype=task.dtype, initializer=initializer, batch_size=batch_size)
        for mark in steps:
            state, _ = engine.learn(
                support_key, net, rule, state, drawn, steps=jnp.int32(mark) - state.step, batch_size=batch_size,
                step=advance,
            )  # fmt: skip
            x, target = drawn.support(jax.random.fold_in(support_key, state.step), batch_size)
            after, info = advance(net, rule, state, x, target)
            now, then = (
                engine.normalized(net, forward_of, each.network if isinstance(rule, Descent) else each)
                for each in (state, after)
            )
            found.append(_of_step(net, forward_of, where, drawn, now, then, info.backward, x, target))
        return jnp.stack(found)

    return jax.lax.map(one, numbers)


def _of_step(net, rule, where: Levels, task: Task, now: NetworkState, then: NetworkState, b: Any, x, target) -> Array:
    w = vector(net, now.forward, now.bias)
    change = _less(vector(net, then.forward, then.bias), w)
    gradient, _ = exact(net, rule, task, now, x, target)
    d, size, g = (_lengths(where, each) for each in (change, w, gradient))
    cosine = -by_level(where, change, gradient) / jnp.maximum(d * g, _TINY)
    feedback = truth = jnp.full(where.n, jnp.nan, cosine.dtype)
    if b and rule.n_states > 1:
        # inputs of a rule with short inputs have no second state, and receive nothing
        k = rule.n_states
        full = [jnp.pad(each, ((0, k - each.shape[0]), (0, 0), (0, 0))) for each in b]
        feedback = _of_outputs(where, jnp.sqrt((views.neurons(net, tuple(full))[1:] ** 2).mean(axis=(0, 2))))
        truth = _of_outputs(where, jnp.sqrt((_deltas(net, rule, task, now, x, target) ** 2).mean(axis=1)))
    return jnp.stack([cosine, d / size, feedback, truth, g / size])


def _deltas(net, rule, task: Task, state: NetworkState, x: Array, target: Array) -> Float[Array, "neurons batch"]:
    """What the derivative of the loss by each pre-activation is proportional to.

    States that are kept from the step before are added to pre-activations, times the rule's f.
    """

    def loss(kept):
        return task.mean_loss(engine.predict(net, rule, dataclasses.replace(state, neurons=kept), x), target)

    zeros = jnp.zeros((rule.nu.shape[-1], net.n_neurons, x.shape[1]), state.dtype)
    return views.neurons(net, jax.grad(loss)(zeros))[0]


def _of_outputs(where: Levels, size: Float[Array, " neurons"]) -> Float[Array, " levels"]:
    """The root mean square over the neurons of each level, over that of the last level."""
    places = jnp.where(where.neurons < 0, where.n, where.neurons)
    zeros = jnp.zeros(where.n, size.dtype)
    total, n = zeros.at[places].add(size**2, mode="drop"), zeros.at[places].add(1, mode="drop")
    mean = jnp.sqrt(total / n)
    return mean / jnp.maximum(mean[-1], _TINY)
