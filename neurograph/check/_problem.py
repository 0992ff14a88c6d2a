"""The problem that every implementation solves, and the gradient that each returns: NumPy, in the user's order."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ..topology import INPUT, Topology

LOSSES = ("mean_squared_error", "softmax_cross_entropy")

Progress = Callable[[str, float], None]
"""(what is being done, share of the whole that is done, from 0 to 1) -> None."""


class Problem(NamedTuple):
    """Synapses and a batch for one wiring, in the user's order.

    Attributes:
        weights: forward synapses.
        biases: synapses from the unit neuron; 0 where a neuron has none.
        x: data.
        target: +1 for the true class, -1 for the others.
    """

    weights: Float[np.ndarray, " synapses"]
    biases: Float[np.ndarray, " neurons"]
    x: Float[np.ndarray, "inputs batch"]
    target: Float[np.ndarray, "outputs batch"]


class Gradient(NamedTuple):
    """A loss and its derivatives, in the user's order.

    Attributes:
        loss: mean over the batch.
        weights, biases: its derivatives; 0 for the bias of a neuron that has none.
        errors: for each example on its own, the derivative of its loss by each neuron's pre-activation; 0 for inputs.
    """

    loss: float
    weights: Float[np.ndarray, " synapses"]
    biases: Float[np.ndarray, " neurons"]
    errors: Float[np.ndarray, "neurons batch"]


def draw(topology: Topology, *, seed: int = 0, batch_size: int = 4, dtype: type = np.float64) -> Problem:
    """Draws a random problem. It is the wiring that is checked, so initial weights that came with it play no part.

    Synapses are N(0, 1 / max(fan-in, fan-out)), so that no rounding error grows from level to level in either sweep;
    biases are N(0, 1/4), data N(0, 1), targets one class for each example (or a sign, for one output).

    Args:
        topology: the wiring.
        seed: the seed of everything that is drawn.
        batch_size: number of examples.
        dtype: in which all numbers can be represented.

    >>> from neurograph.topology import from_arrays
    >>> draw(from_arrays([0, 1], [2, 2]), batch_size=3).x.shape
    (2, 3)
    """
    rng = np.random.default_rng(seed)
    n_outputs = topology.outputs.size
    if n_outputs == 1:
        target = rng.choice([-1.0, 1.0], (1, batch_size))
    else:
        target = np.where(np.arange(n_outputs)[:, None] == rng.integers(n_outputs, size=batch_size), 1.0, -1.0)
    values = (
        rng.standard_normal(topology.n_synapses) * weight_scale(topology),
        rng.standard_normal(topology.n_neurons) / 2 * has_bias(topology),
        rng.standard_normal((topology.inputs.size, batch_size)),
        target,
    )
    return Problem(*(value.astype(dtype) for value in values))


def weight_scale(topology: Topology) -> Float[np.ndarray, " synapses"]:
    """Returns 1 / sqrt(max(fan-in of the receiver, fan-out of the sender)) for each synapse."""
    fan_in = np.bincount(topology.receivers, minlength=topology.n_neurons)[topology.receivers]
    fan_out = np.bincount(topology.senders, minlength=topology.n_neurons)[topology.senders]
    return 1 / np.sqrt(np.maximum(fan_in, fan_out))


def has_bias(topology: Topology) -> np.ndarray:
    """Returns for each neuron whether it has a synapse from the unit neuron, bool `[neurons]`."""
    of_population = np.array([p.bias for p in topology.populations], bool)
    return of_population[topology.population_of] & (topology.roles != INPUT)
