"""SGD, momentum and Adam (optax) on the same compiled wiring, by `jax.grad` of its forward pass: what to beat."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key

from . import engine, rules
from .compile import CompiledGraph
from .engine import NetworkState
from .evaluation import Curve, curve, held_out_curves, loss_of
from .genome import Genome
from .initializers import Initializer, glorot_uniform
from .rules import Activation, Rule
from .tasks import Task

OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "sgd": lambda: optax.identity(),
    "momentum": functools.partial(optax.trace, decay=0.9),
    "adam": optax.scale_by_adam,
}
"""By name; what they make of gradients, before the learning rate."""

RATES = {
    "sgd": (1e-3, 1e1),
    "momentum": (1e-3, 1e1),
    "adam": (1e-4, 1e0),
}
"""Smallest and largest learning rate that is tried: four orders of magnitude."""
PER_DECADE = 4

_CHOOSING = 2**31 - 1


class Trained(NamedTuple):
    """Synapses, and what the optimizer keeps of them."""

    network: NetworkState
    state: Any


class GradientLearner(eqx.Module):
    """Networks that learn by an optimizer: `w <- w - rate * direction(dL/dw)`, L the mean loss of the support batch.

    Attributes:
        graph: the wiring.
        rate: the learning rate.
        optimizer: name in `OPTIMIZERS`.
        activation: of hidden neurons; a population's own stands in for it. Outputs have none.
        initializer: how synapses are drawn.
        dtype: of synapses and states.
    """

    graph: CompiledGraph
    rate: Float[Array, ""]
    optimizer: str = eqx.field(static=True)
    activation: Activation = eqx.field(static=True, default=rules.tanh)
    initializer: Initializer = eqx.field(static=True, default=glorot_uniform)
    dtype: Any = eqx.field(static=True, default=jnp.float32)

    @property
    def rule(self) -> Rule:
        """Of which the forward pass is taken."""
        return rules.backprop(activation=self.activation)

    def _transformation(self) -> optax.GradientTransformation:
        return OPTIMIZERS[self.optimizer]()

    def start(self, key: Key[Array, ""]) -> Trained:
        network = engine.init(
            key, self.graph, _GENOME(), rule=self.rule, initializer=self.initializer, dtype=self.dtype
        )
        return Trained(network, self._transformation().init(cast(Any, _synapses(network))))

    def learn(self, network: Trained, x: Array, target: Array) -> Trained:
        plain, state = network

        def loss(synapses):
            return loss_of(self.predict(Trained(_with(plain, synapses), None), x), target)

        synapses = _synapses(plain)
        direction, state = self._transformation().update(jax.grad(loss)(synapses), state)
        moved = jax.tree.map(lambda w, d: w - self.rate.astype(w.dtype) * d, synapses, direction)
        return Trained(_with(plain, moved), state)

    def predict(self, network: Trained, x: Array) -> Array:
        return engine.predict(self.graph, _GENOME(), network.network, x, rule=self.rule)


_GENOME = Genome.backprop


def _synapses(network: NetworkState) -> Any:
    return network.forward, network.bias


def _with(network: NetworkState, synapses: Any) -> NetworkState:
    return eqx.tree_at(_synapses, network, synapses)


class Baseline(NamedTuple):
    """A tuned baseline.

    Attributes:
        name: of `OPTIMIZERS`.
        rates: the learning rate chosen for each number of steps.
        curve: at each number of steps with its own learning rate.
        tried: every learning rate, with its curve on held-out support examples.
    """

    name: str
    rates: tuple[float, ...]
    curve: Curve
    tried: tuple[tuple[float, Curve], ...]


def rates_of(name: str) -> tuple[float, ...]:
    """The learning rates that are tried."""
    low, high = np.log10(RATES[name])
    return tuple(float(f"{rate:.3g}") for rate in np.logspace(low, high, round(high - low) * PER_DECADE + 1))


def baseline(
    name: str,
    key: Key[Array, ""],
    graph: CompiledGraph,
    task: Task,
    *,
    activation: Activation = rules.tanh,
    initializer: Initializer = glorot_uniform,
    batch_size: int = 128,
    steps: Sequence[int],
    n_draws: int = 10,
    n_choosing: int = 4,
    tick: Callable[[], None] = lambda: None,
) -> Baseline:
    """Tunes the learning rate on held-out support examples, then evaluates as a genome is evaluated.

    For every number of steps the rate with the best mean accuracy on the query part of episodes, which are made from
    support examples alone, is taken; so each point of the curve is that of the best learning rate for it.

    Args:
        name: of `OPTIMIZERS`.
        key: of `evaluation.curve`; draws the synapses of a genome with one channel and the same initializer.
        graph, task, batch_size, steps, n_draws: see `evaluation.curve`.
        activation, initializer: see `GradientLearner`.
        n_choosing: draws by which rates are chosen.
        tick: called after each rate of `rates_of(name)`.
    """
    learner = GradientLearner(graph, jnp.zeros((), jnp.float32), name, activation, initializer, task.dtype)
    rates, common = rates_of(name), {"batch_size": batch_size, "steps": tuple(steps)}
    choosing = jax.random.fold_in(key, _CHOOSING)
    tried = held_out_curves(choosing, learner, _rate, rates, task, n_draws=n_choosing, tick=tick, **common)
    means = np.stack([found.accuracy.mean(axis=0) for found in tried])
    chosen = tuple(rates[index] for index in np.argmax(means, axis=0))
    curves = {
        rate: curve(key, eqx.tree_at(_rate, learner, jnp.asarray(rate, jnp.float32)), task, n_draws=n_draws, **common)
        for rate in sorted(set(chosen))
    }
    columns = [(curves[rate], n) for n, rate in enumerate(chosen)]
    loss = np.stack([found.loss[:, n] for found, n in columns], axis=1)
    accuracy = np.stack([found.accuracy[:, n] for found, n in columns], axis=1)
    return Baseline(name, chosen, Curve(tuple(steps), loss, accuracy), tuple(zip(rates, tried, strict=True)))


def _rate(learner: Any) -> Array:
    return learner.rate
