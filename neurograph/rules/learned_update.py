"""An update that is itself learned: a small network computes the change of each synapse from what the synapse sees.

D_ij = mean_b(y_i delta_j),  m_ij <- memory m_ij + D_ij
(g, h) = V tanh(U f_ij + c) + d           f: w, m, D, mean_b(y_i y_j), and mean and mean square of y_i, delta_j
w_ij <- w_ij - learning_rate (exp(g) m_ij + h)
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..ops import precision
from .base import Messages, Neurons, Number, Seen, Synapses, Values
from .feedback_alignment import FeedbackAlignment
from .parts import Scalar

N_FEATURES = 8
SCALES = np.array([1, 10, 100, 1, 1, 1, 10, 100])
"""What the features are multiplied by, in their order, since errors and what is learned from them are small."""


def _drawn(hidden: int = 8) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(hidden, N_FEATURES)) / np.sqrt(N_FEATURES)


class LearnedUpdate(FeedbackAlignment):
    """Backpropagation whose update is a network of one hidden layer, which all synapses share; `meta-train` learns it.

    Untrained it is descent with momentum: V and d are 0. After Bengio, Bengio and Cloutier, IJCNN 1991.

    Attributes:
        learning_rate: dimensionless.
        memory: the share of m that is kept from step to step.
        hidden, hidden_bias: U and c; the number of rows is that of hidden units.
        output, output_bias: V and d.
        symmetric: whether the error travels back along the forward synapses, or along fixed random ones.
    """

    memory: Scalar = 0.9
    hidden: Float[Number, "hidden features"] = eqx.field(default_factory=_drawn)
    hidden_bias: Float[Number, " hidden"] = eqx.field(default_factory=lambda: np.zeros(8))
    output: Float[Number, "2 hidden"] = eqx.field(default_factory=lambda: np.zeros((2, 8)))
    output_bias: Float[Number, " 2"] = eqx.field(default_factory=lambda: np.zeros(2))
    symmetric: bool = eqx.field(static=True, default=True)

    def synapse_memory(self, w: Values) -> Any:
        return jnp.zeros_like(w)

    def pre(self, neurons: Neurons) -> tuple[Messages, ...]:
        return neurons.backward[:1], neurons.backward[:1]

    def post(self, neurons: Neurons) -> tuple[Messages, ...]:
        batch = neurons.backward.shape[2]
        return neurons.backward[1:] / batch, neurons.backward[:1] / batch

    def statistics(self, neurons: Neurons) -> tuple[Any, Any]:
        y, delta = neurons.backward[0], neurons.backward[1]
        lower, upper = (jnp.stack([jnp.mean(x, axis=1), jnp.mean(x**2, axis=1)]) for x in (y, delta))
        return lower, upper

    def update(self, synapses: Synapses, seen: Seen) -> Synapses:
        w, memory = synapses.forward, self.memory * synapses.memory + seen.sums[0]
        laid = [jnp.broadcast_to(values[n : n + 1], w.shape) for values in (seen.lower, seen.upper) for n in (0, 1)]
        features = jnp.stack([w, memory, *seen.sums, *laid]) * SCALES.reshape(-1, *(1,) * w.ndim)
        hidden = jnp.tanh(_applied(self.hidden, self.hidden_bias, features))
        gain, shift = _applied(self.output, self.output_bias, hidden)
        change = self.learning_rate * (jnp.exp(gain) * memory + shift)
        return synapses._replace(forward=w - change, memory=memory)


def _applied(matrix: Array, bias: Array, x: Array) -> Array:
    return jnp.tensordot(matrix, x, axes=1, precision=precision()) + bias.reshape(-1, *(1,) * (x.ndim - 1))
