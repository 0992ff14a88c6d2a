"""Baselines: optimizers of optax on the same compiled graph, by `jax.grad` of the engine's forward pass."""

import dataclasses
import numbers
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Key

from .. import engine
from .._text import UserError, shown
from ..compile import CompiledGraph
from ..engine import NetworkState, StepInfo
from ..engine.initializers import Initializer, glorot_uniform
from ..rules import Blur, Rule, RuleError, as_arrays, backprop
from ..rules.base import Activation
from ..tasks import Task

if TYPE_CHECKING:
    import optax

Make = Callable[[Any], "optax.GradientTransformation"]
"""Makes an optimizer from a learning rate, as `optax.adam` does."""


class Descent(eqx.Module):
    """Descends the gradient of the task's mean loss L on the support batch: `w <- w + change(dL/dw, w)`.

    The optimizer receives the synapses, too, so that weight decay works. It is static under `jax.jit`: define it once.

    Attributes:
        optimizer: an optimizer of optax; or a function that makes one from `rate`, so that all rates share a program.
        rate: the learning rate (dimensionless); None where the optimizer is complete.
        activation: the activation of hidden neurons whose population has none of its own; outputs have none.

    >>> import optax
    >>> descent = Descent(optax.adamw(1e-3, weight_decay=1e-2))
    >>> tuned = Descent(optax.adam, 1e-3)
    """

    optimizer: "optax.GradientTransformation | Make" = eqx.field(static=True)
    rate: float | Float[Array, ""] | None = None
    activation: Activation = eqx.field(static=True, default=jnp.tanh)

    @property
    def rule(self) -> Blur:
        """The rule whose forward pass the network runs."""
        return backprop(0.0, activation=self.activation)

    @property
    def transformation(self) -> Any:
        """The optimizer, made from the learning rate where there is one."""
        return self.optimizer if self.rate is None else self.optimizer(self.rate)  # pyright: ignore[reportCallIssue]


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
    found = as_arrays(rule, dtype)
    for path, leaf in jax.tree_util.tree_leaves_with_path(found):
        if not isinstance(leaf, Tracer) and not jnp.isfinite(leaf).all():
            where = jax.tree_util.keystr(path).lstrip(".")
            raise RuleError(f"the rule's field {where!r} holds a number that is not finite; give finite ones.")
    return found


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
        network = engine.init(key, net, descent.rule, initializer=initializer, dtype=dtype)
        return Trained(network, descent.transformation.init(_synapses(network)))

    def step(net: CompiledGraph, descent: Descent, state: Trained, x: Array, target: Array) -> tuple[Trained, StepInfo]:
        def loss(synapses):
            prediction = engine.predict(net, descent.rule, _with(state.network, synapses), x)
            return task.mean_loss(prediction, target), prediction

        synapses = _synapses(state.network)
        gradient, prediction = jax.grad(loss, has_aux=True)(synapses)
        change, optimizer = descent.transformation.update(gradient, state.optimizer, synapses)
        moved = jax.tree.map(lambda w, d: w + d.astype(w.dtype), synapses, change)
        network = dataclasses.replace(_with(state.network, moved), step=state.step + 1)
        return Trained(network, optimizer), StepInfo(prediction, (), ())

    def predict(net: CompiledGraph, descent: Descent, state: Trained, x: Array) -> Array:
        return engine.predict(net, descent.rule, state.network, x)

    return init, step, predict


def _synapses(network: NetworkState) -> Any:
    return network.forward, network.bias


def _with(network: NetworkState, synapses: Any) -> NetworkState:
    return dataclasses.replace(network, forward=synapses[0], bias=synapses[1])


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

    def at(self, rate: float, activation: Activation) -> Any:
        """What learns at this rate; `activation` is that of hidden neurons where the rule does not say."""
        return self.make(rate)

    @property
    def rates(self) -> tuple[float, ...]:
        """The learning rates that are tried, in equal ratios, rounded to three digits."""
        low, high = np.log10((self.low, self.high))
        n = round(float(high - low) * self.per_decade) + 1
        return tuple(float(f"{rate:.3g}") for rate in np.logspace(low, high, n))


class Baseline(Rated):
    """An optimizer of optax, and its learning rates."""

    def at(self, rate: float, activation: Activation) -> Descent:
        return Descent(self.make, jnp.asarray(rate, jnp.float32), activation)


def _sgd(rate: Any) -> "optax.GradientTransformation":
    import optax

    return optax.sgd(rate)


def _momentum(rate: Any) -> "optax.GradientTransformation":
    import optax

    return optax.sgd(rate, momentum=0.9)


def _adam(rate: Any) -> "optax.GradientTransformation":
    import optax

    return optax.adam(rate)


BASELINES: dict[str, Baseline] = {
    "sgd": Baseline(_sgd, 1e-3, 1e1),
    "momentum": Baseline(_momentum, 1e-3, 1e1),
    "adam": Baseline(_adam, 1e-4, 1e0),
}
"""The baselines by name. Each tries four orders of magnitude of learning rates."""
