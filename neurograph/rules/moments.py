"""Memory of synapses: what turns the Hebbian sum D, in backpropagation the gradient, into the direction of a step.

Each equals the transformation of optax that it is named after, exactly, on any DAG; its numbers belong to the genome.
Weight decay that is decoupled needs no memory: f~ = 1 - learning rate * weight decay (Loshchilov and Hutter 2019).
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Int

from .base import Values
from .parts import Part, Scalar

Step = Int[Array, ""]


class Moments(Part):
    """What a synapse remembers of its Hebbian sums, and the direction that follows from it."""

    def start(self, w: Values) -> Any:
        """The memory to begin with: a pytree of arrays like w, or of their first value for all channels."""
        return ()

    def totals(self, w: Values, sums: Values) -> Any:
        """What is to be summed over all synapses into the receiver; None: nothing."""
        return None

    def direction(self, w: Values, sums: Values, memory: Any, into: Any, step: Step) -> tuple[Values, Any]:
        """What eta~ multiplies, and the new memory.

        Args:
            w: the synapses.
            sums: D.
            memory: as the last step left it.
            into: `totals`, summed at the receiver.
            step: index of the learning step, from 0.
        """
        raise NotImplementedError


class Momentum(Moments):
    """`m <- D + decay m`; the direction is m (`optax.trace`)."""

    decay: Scalar = 0.9

    def start(self, w: Values) -> Values:
        return jnp.zeros_like(w)

    def direction(self, w, sums, memory, into, step):
        m = sums + self.decay * memory
        return m, m


class RMSProp(Moments):
    """`v <- decay v + (1 - decay) D^2`; the direction is `D / sqrt(v + epsilon)` (`optax.scale_by_rms`)."""

    decay: Scalar = 0.9
    epsilon: Scalar = 1e-8

    def start(self, w: Values) -> Values:
        return jnp.zeros_like(w)

    def direction(self, w, sums, memory, into, step):
        v = self.decay * memory + (1 - self.decay) * sums**2
        return sums / jnp.sqrt(v + self.epsilon), v


class Adam(Moments):
    """`m <- b1 m + (1 - b1) D`, `v <- b2 v + (1 - b2) D^2`; the direction is
    `(m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon)` after t steps (Kingma and Ba 2015; `optax.scale_by_adam`)."""

    b1: Scalar = 0.9
    b2: Scalar = 0.999
    epsilon: Scalar = 1e-8

    def start(self, w: Values) -> tuple[Values, Values]:
        return jnp.zeros_like(w), jnp.zeros_like(w)

    def direction(self, w, sums, memory, into, step):
        m = self.b1 * memory[0] + (1 - self.b1) * sums
        v = self.b2 * memory[1] + (1 - self.b2) * sums**2
        t = (step + 1).astype(jnp.float32)
        first, second = 1 - self.b1**t, 1 - self.b2**t
        return (m / first) / (_root(v / second) + self.epsilon), (m, v)


class Lars(Moments):
    """`g = D + weight_decay w`; `m <- trust |w_j| / |g_j| g + decay m`; the direction is m (You et al. 2017).

    The norms are those of all synapses into one receiver, its bias included; where one of them is 0 the ratio is 1
    (`optax.scale_by_trust_ratio` on one vector for each receiver, then `optax.trace`).
    """

    trust: Scalar = 0.001
    decay: Scalar = 0.9
    weight_decay: Scalar = 0.0

    def start(self, w: Values) -> Values:
        return jnp.zeros_like(w)

    def totals(self, w, sums):
        return w**2, (sums + self.weight_decay * w) ** 2

    def direction(self, w, sums, memory, into, step):
        there = (into[0] > 0) & (into[1] > 0)
        lengths = [_root(jnp.where(there, square, 1)) for square in into]
        ratio = jnp.where(there, self.trust * lengths[0] / lengths[1], 1)
        m = ratio * (sums + self.weight_decay * w) + self.decay * memory
        return m, m


def _root(square: Values) -> Values:
    """`sqrt(x)`, whose slope at 0 is 0: a sum that is 0 in every step has no infinite gradient."""
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)
