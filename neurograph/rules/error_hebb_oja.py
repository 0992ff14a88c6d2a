"""Plasticity for fixed random feedback: descent along it, helped by a Hebbian term of the errors and by Oja's rule.

e_l = dL/dy_o at the outputs;  e_i = sigma'(u_i) sum_{j in J(i)} b_ji e_j           b: drawn once, never changed
w_ij <- w_ij - learning_rate mean_b(y_i e_j)                                      as in feedback alignment
             - error_hebb mean_b(e_i e_j)                                           Hebb's rule of the errors
             + oja mean_b(y_j (y_i - sum_{m in J(i)} w_im y_m))                     Oja's subspace rule
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from . import losses
from .base import Activation, Messages, Neurons, Rule, Seen, States, Synapses, identity, value_and_slope
from .parts import Scalar

SHARPNESS = 10.0


def softplus(u: Array) -> Array:
    """`log(1 + exp(10 u)) / 10`, whose slope is `1 - exp(-10 y)`."""
    return jax.nn.softplus(SHARPNESS * u) / SHARPNESS


class ErrorHebbOja(Rule):
    """State 1 is y, state 2 first sigma', then e, state 3 what the activities above reconstruct of y.

    Shervani-Tabar and Rosenbaum, Nature Communications 14:1805, 2023: terms 0, 2 and 9 of their pool, which are those
    that meta-learning kept; it finds the three numbers. Channel 2 of a synapse carries the reconstruction down and is a
    copy of channel 1. Inputs have the slope that an activity of their size would have, 0 below 0; in Oja's rule,
    outputs have the probabilities of the classes for y, as in the authors' code.

    Attributes:
        learning_rate, error_hebb, oja: theta_0, theta_2, theta_9.
        loss: the loss of one example (see `losses`).
        activation, output_activation: sigma of hidden and of output neurons.
    """

    learning_rate: Scalar = 1e-3
    error_hebb: Scalar = 0.0
    oja: Scalar = 0.0
    loss: losses.Loss = eqx.field(static=True, default=losses.softmax_cross_entropy)
    activation: Activation = eqx.field(static=True, default=softplus)
    output_activation: Activation = eqx.field(static=True, default=identity)
    n_states = 3
    n_channels = 2
    symmetric = False
    single_state = True
    reads_input_states = True

    @property
    def n_sum_channels(self) -> int:
        return 1

    def default_activation(self, role: str) -> Activation:
        return self.output_activation if role == "output" else self.activation

    def begin(self, drawn: Synapses) -> Synapses:
        return _copied(drawn.forward[:1], drawn)

    def present(self, x: States) -> States:
        return jnp.concatenate([x, 1 - jnp.exp(-SHARPNESS * jnp.maximum(x, 0)), jnp.zeros_like(x)])

    def send_up(self, a: States) -> Messages:
        return jnp.concatenate([a[:1], a[:1]])

    def receive_up(self, received: Messages, kept: States | None) -> Messages:
        return received[:1]

    def activate(self, u: Messages, activation: Activation) -> States:
        return jnp.concatenate([*value_and_slope(activation, u), jnp.zeros_like(u)])

    def feedback(self, a: Array, target: Array) -> Array:
        y = jax.nn.softmax(a[0], axis=0) if self.loss is losses.softmax_cross_entropy else a[0]
        return jnp.stack([y, a[1] * losses.slope(self.loss, a[0], target), a[2]])

    def send_down(self, a: States) -> Messages:
        return jnp.concatenate([a[1:2], a[:1]])

    def receive_down(self, received: Messages, a: States, fed: States | None, activation: Activation) -> States:
        e, y = a[1:2] * received[:1], a[:1]
        return jnp.concatenate([y, e, received[1:]] if fed is None else [fed[:1], e + fed[1:2], received[1:]])

    def pre(self, neurons: Neurons) -> tuple[Messages, ...]:
        y, e, reconstructed = neurons.backward[:1], neurons.backward[1:2], neurons.backward[2:]
        return self.learning_rate * y + self.error_hebb * e, self.oja * (y - reconstructed)

    def post(self, neurons: Neurons) -> tuple[Messages, ...]:
        return neurons.backward[1:2] / neurons.backward.shape[2], neurons.backward[:1] / neurons.backward.shape[2]

    def update(self, synapses: Synapses, seen: Seen) -> Synapses:
        return _copied(synapses.forward[:1] - seen.sums[0] + seen.sums[1], synapses)


def _copied(w: Array, synapses: Synapses) -> Synapses:
    """Synapses of these values in both channels, the second one on the way down, too."""
    both = jnp.concatenate([w, w])
    down = synapses.backward
    return synapses._replace(forward=both, backward=None if down is None else jnp.concatenate([down[:1], w]))
