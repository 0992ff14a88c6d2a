"""Optimizers of optax on a compiled graph, by `jax.grad` of the engine's forward pass."""

import dataclasses
import numbers
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float, Key

from .. import engine
from .._text import shown
from ..compile import CompiledGraph
from ..engine import NetworkState, StepInfo
from ..engine.initializers import Initializer, glorot_uniform
from ..rules import Rule, RuleError, Rules, as_arrays, backprop
from ..tasks import Task

if TYPE_CHECKING:
    import optax

Make = Callable[[Any], "optax.GradientTransformation"]
"""Makes an optimizer from a learning rate, or from a schedule of optax, as `optax.adam` does."""


class Descent(eqx.Module):
    """Descends the gradient of the task's mean loss L on the support batch: `w <- w + change(dL/dw, w)`.

    The gradient goes through the whole forward pass, what it normalises included. Where synapses are normalised
    persistently, they are brought to their length at the start of each step, as the engine does.

    Attributes:
        optimizer: an optimizer of optax; or a function that makes one from `rate`, so that all rates share a program.
            It receives the synapses, too, so that weight decay works. It is static under `jax.jit`: define it once.
        rate: the learning rate (dimensionless); None where the optimizer is complete.
        forward: a rule, or a mapping of populations to rules, whose forward pass the network runs; nothing else of it
            is read. By default that of `rules.backprop`: one state, tanh, no normalisation.
        horizon: the number T of steps over which the learning rate falls to 0 along half a cosine,
            `rate (1 + cos(pi t / T)) / 2` in step t = 0, 1, ...; it may be infinite. `optimizer` is then given this
            schedule in place of the rate. None: the rate stays as it is.
        extra: further arguments for an optimizer that takes them (`optax.GradientTransformationExtraArgs`), by name.

    >>> import optax
    >>> descent = Descent(optax.adamw(1e-3, weight_decay=1e-2))
    >>> tuned = Descent(optax.adam, 1e-3)
    >>> decayed = Descent(optax.adam, 1e-3, horizon=200)

    Raises:
        RuleError: the horizon is no number greater than 0, or there is no rate that falls.
    """

    optimizer: "optax.GradientTransformation | Make" = eqx.field(static=True)
    rate: float | Float[Array, ""] | None = None
    forward: Rules = eqx.field(default_factory=lambda: backprop(0.0))
    horizon: float | Float[Array, ""] | None = None
    extra: Mapping[str, Any] = eqx.field(default_factory=dict)

    def __check_init__(self):
        if self.horizon is None or isinstance(self.horizon, Tracer):
            return
        if self.rate is None:
            raise RuleError("a horizon is given, but no rate that could fall; give optimizer a function of a rate.")
        if not (isinstance(self.horizon, numbers.Real) or eqx.is_array(self.horizon)) or not self.horizon > 0:
            raise RuleError(f"horizon is {shown(self.horizon)}; give a number of steps greater than 0.")

    @property
    def transformation(self) -> "optax.GradientTransformationExtraArgs":
        """The optimizer, made from the learning rate where there is one."""
        import optax

        made: Any = self.optimizer
        if self.rate is not None:
            made = made(self.rate if self.horizon is None else self._falling)
        return optax.with_extra_args_support(made)

    def _falling(self, step: Any) -> Array:
        """The learning rate in a step."""
        assert self.rate is not None
        assert self.horizon is not None
        return self.rate * (1 + jnp.cos(jnp.pi * jnp.minimum(step / self.horizon, 1))) / 2


class Trained(eqx.Module):
    """What a `Descent` carries from step to step.

    Attributes:
        network: the synapses, and the index of the next step.
        optimizer: the state of the optimizer.
    """

    network: NetworkState
    optimizer: Any

    @property
    def step(self) -> Array:
        return self.network.step

    @property
    def dtype(self) -> Any:
        return self.network.dtype


def learner(rule: Any, dtype: Any) -> Any:
    """Prepares what is to learn: an optimizer of optax becomes a `Descent`, and every number an array of `dtype`.

    A number that stayed a Python float would be compiled into the program, which other numbers could not share.

    Raises:
        RuleError: it is none of these, or one of its numbers is not finite.
    """
    if not isinstance(rule, Rule | Mapping | Descent):
        optimizes = callable(getattr(rule, "init", None)) and callable(getattr(rule, "update", None))
        if not optimizes or isinstance(rule, type):
            raise RuleError(f"rule is {shown(rule)}; {_instead(rule)}.")
        rule = Descent(rule)
    given: dict[str, Any] = {}
    if isinstance(rule, Descent):  # whose arguments need not be numbers, and whose horizon may be infinite
        given = {"extra": rule.extra, "horizon": None if rule.horizon is None else jnp.asarray(rule.horizon, dtype)}
        rule = dataclasses.replace(rule, extra={}, horizon=None)
    found = as_arrays(rule, dtype)
    for path, leaf in jax.tree_util.tree_leaves_with_path(found):
        if not isinstance(leaf, Tracer) and not jnp.isfinite(leaf).all():
            where = jax.tree_util.keystr(path).lstrip(".")
            raise RuleError(f"the rule's field {where!r} holds a number that is not finite; give finite ones.")
    return dataclasses.replace(found, **given) if given else found


def _instead(what: Any) -> str:
    """The end of a message about what is no rule."""
    if isinstance(what, type) and issubclass(what, Rule):
        return f"that is a class: make a rule of it, such as {what.__name__}()"
    if isinstance(what, type) or callable(what):
        return "give what it makes, such as optax.adam(1e-3) in place of optax.adam"
    return "give a rule, such as ng.rules.backprop(0.1), or an optimizer, such as optax.adam(1e-3)"


def functions_for(rule: Any, task: Task) -> tuple[Any, Any, Any]:
    """Gives the functions by which a rule learns the task: `init`, `step` and `predict`.

    They are the engine's; for a `Descent`, which descends the loss of the task, they have the same signatures.
    """
    if not isinstance(rule, Descent):
        return engine.init, engine.step, engine.predict

    def init(
        key: Key[Array, ""],
        net: CompiledGraph,
        descent: Descent,
        *,
        dtype: Any = jnp.float32,
        initializer: Initializer = glorot_uniform,
        batch_size: int | None = None,
    ) -> Trained:
        network = engine.init(key, net, descent.forward, initializer=initializer, dtype=dtype, batch_size=batch_size)
        return Trained(network, descent.transformation.init(_synapses(network)))

    def step(net: CompiledGraph, descent: Descent, state: Trained, x: Array, target: Array) -> tuple[Trained, StepInfo]:
        start = _with(state.network, _synapses(engine.normalized(net, descent.forward, state.network)))

        def loss(synapses):
            prediction = engine.predict(net, descent.forward, _with(start, synapses), x)
            return task.mean_loss(prediction, target), prediction

        synapses = _synapses(start)
        gradient, prediction = jax.grad(loss, has_aux=True)(synapses)
        change, optimizer = descent.transformation.update(gradient, state.optimizer, synapses, **descent.extra)
        moved = jax.tree.map(lambda w, d: w + d.astype(w.dtype), synapses, change)
        network = dataclasses.replace(_with(start, moved), step=state.step + 1)
        return Trained(network, optimizer), StepInfo(prediction, (), ())

    def predict(net: CompiledGraph, descent: Descent, state: Trained, x: Array) -> Array:
        return engine.predict(net, descent.forward, state.network, x)

    return init, step, predict


def _synapses(network: NetworkState) -> Any:
    return network.forward, network.bias


def _with(network: NetworkState, synapses: Any) -> NetworkState:
    return dataclasses.replace(network, forward=synapses[0], bias=synapses[1])
