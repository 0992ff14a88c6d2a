"""What neurograph and its peers are given alike: a wiring as arrays, synapses, the genome's numbers, data.

The rule is the general one (`docs/rules.md`, equations 5-7): relu_tanh on hidden neurons, tanh on outputs, separate
forward and backward synapses of k channels, target feedback, Hebbian means over the batch. Everything here is NumPy, in
the user's order of neurons and synapses; each program lays it out as it likes.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Wiring(NamedTuple):
    """A DAG.

    Attributes:
        senders, receivers: `[synapses]`, rows of neurons.
        level: `[neurons]`, length of the longest path to each.
        inputs, outputs: rows, in the order of the data and of the prediction.
    """

    senders: np.ndarray
    receivers: np.ndarray
    level: np.ndarray
    inputs: np.ndarray
    outputs: np.ndarray

    @property
    def n_neurons(self) -> int:
        return len(self.level)

    @property
    def n_synapses(self) -> int:
        return len(self.senders)

    @property
    def n_levels(self) -> int:
        return int(self.level.max()) + 1


class Numbers(NamedTuple):
    """The genome: `nu`, `mu`, f, eta of neurons; P, Q, f~, eta~ of synapses. A pytree that can be differentiated."""

    nu: Any
    mu: Any
    keep: Any
    update: Any
    pre: Any
    post: Any
    synapse_keep: Any
    synapse_update: Any


class Synapses(NamedTuple):
    """Values in the user's order: forward and backward `[channels, synapses]`, bias `[channels, neurons]`."""

    forward: np.ndarray
    backward: np.ndarray
    bias: np.ndarray


class Problem(NamedTuple):
    """All that a learning step needs.

    Attributes:
        wiring, synapses, numbers: see there.
        xs, targets: `[batches, inputs, batch]` and `[batches, outputs, batch]`; step i takes batch i of them, in turn.
    """

    wiring: Wiring
    synapses: Synapses
    numbers: Numbers
    xs: np.ndarray
    targets: np.ndarray

    @property
    def n_states(self) -> int:
        return self.synapses.forward.shape[0]

    @property
    def batch(self) -> int:
        return self.xs.shape[2]


def problem(
    wiring: Wiring, n_states: int, batch: int, *, seed: int, n_batches: int = 4, dtype: Any = np.float32
) -> Problem:
    """Synapses that keep the scale of the states, a genome near the identity, normal data, random targets +1 and -1."""
    rng = np.random.default_rng(seed)
    n, m = wiring.n_neurons, wiring.n_synapses
    n_in = np.bincount(wiring.receivers, minlength=n)
    n_out = np.bincount(wiring.senders, minlength=n)

    def normal(*shape):
        return rng.normal(size=shape)

    synapses = Synapses(
        forward=(normal(n_states, m) / np.sqrt(n_in[wiring.receivers])).astype(dtype),
        backward=(normal(n_states, m) / np.sqrt(n_out[wiring.senders])).astype(dtype),
        bias=(0.1 * normal(n_states, n) * (wiring.level > 0)).astype(dtype),
    )
    targets = np.where(normal(n_batches, len(wiring.outputs), batch) < 0, -1, 1).astype(dtype)
    xs = normal(n_batches, len(wiring.inputs), batch).astype(dtype)
    return Problem(wiring, synapses, numbers(n_states, seed, dtype), xs, targets)


def numbers(n_states: int, seed: int, dtype: Any = np.float32) -> Numbers:
    """A genome near the identity, drawn from the seed."""
    rng = np.random.default_rng(seed)

    def near(scale):
        matrix = scale * np.eye(n_states) + 0.1 * rng.normal(size=(n_states, n_states))
        return matrix.astype(dtype)

    keep, update, synapse_keep, synapse_update = np.array([0.9, 1.0, 0.99, 1e-3], dtype)
    return Numbers(near(1), near(1), keep, update, near(0.5), near(0.5), synapse_keep, synapse_update)


def changes(before: Synapses, after: Synapses) -> dict[str, np.ndarray]:
    """What a step did to the synapses: the numbers in which two programs must agree."""
    return {
        name: np.asarray(new, np.float64) - np.asarray(old, np.float64)
        for name, new, old in zip(Synapses._fields, after, before, strict=True)
    }


def flat(numbers: Numbers) -> dict[str, np.ndarray]:
    """A gradient as one vector, so that it is judged as a whole."""
    return {"gradient": np.concatenate([np.asarray(part, np.float64).ravel() for part in numbers])}


def loss(prediction: Any, target: Any) -> Any:
    """The objective of an unroll: half the mean square of the query's error."""
    return 0.5 * ((prediction - target) ** 2).mean()


def descend(objective: Callable[..., Any], numbers: Numbers) -> tuple[Any, Callable[..., Any]]:
    """Carry and body of gradient descent on the numbers; the carry holds them and the last gradient."""

    def body(carry, i, *data):
        numbers, _ = carry
        gradient = jax.grad(objective)(numbers, *data)
        return jax.tree.map(lambda value, slope: value - 1e-6 * slope, numbers, gradient), gradient

    return (numbers, jax.tree.map(jnp.zeros_like, numbers)), body


class Layers(NamedTuple):
    """Where each neuron and synapse of a layered wiring lies: its level, and its place within the level."""

    sizes: list[int]
    rows: list[np.ndarray]
    synapses: list[np.ndarray]
    places: list[tuple[np.ndarray, np.ndarray]]


def layers(wiring: Wiring) -> Layers:
    """The layers of a wiring in which every synapse goes to the next level."""
    assert np.all(wiring.level[wiring.receivers] == wiring.level[wiring.senders] + 1), "not layered"
    rows = [np.flatnonzero(wiring.level == number) for number in range(wiring.n_levels)]
    place = np.empty(wiring.n_neurons, np.int64)
    for members in rows:
        place[members] = np.arange(len(members))
    synapses = [np.flatnonzero(wiring.level[wiring.senders] == number) for number in range(wiring.n_levels - 1)]
    places = [(place[wiring.senders[edges]], place[wiring.receivers[edges]]) for edges in synapses]
    return Layers([len(members) for members in rows], rows, synapses, places)
