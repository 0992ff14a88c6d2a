"""Difference target propagation: each neuron is told which activity the ones above would rather have seen.

y_j = sigma(sum_{i in I(j)} w_ij y_i)
t_o = y_o - target_rate dL/dy_o                                              at the outputs
t_i = y_i + sigma(sum_j b_ji t_j) - sigma(sum_j b_ji y_j)                    equation 15; sums over j in J(i)
w_ij <- w_ij + learning_rate mean_b(y_i (t_j - y_j) sigma'(u_j))             towards the target, equation 9

The way back learns to invert the way up, on activities with noise, n_i = y_i + noise xi_i:

z_j = sigma(sum_{i in I(j)} w_ij n_i)
r_i = n_i - sigma(sum_j b_ji z_j)
b_ji <- b_ji + inverse_rate mean_b(z_j r_i sigma'(sum_j b_ji z_j))           equation 13
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from . import losses
from .base import Activation, Messages, Neurons, Rule, Seen, States, Synapses, identity, value_and_slope
from .parts import Scalar


class DifferenceTargetPropagation(Rule):
    """States are y, n, z; then first sigma'(u), after the backward pass (t - y) sigma'(u); then first 0, then what
    the way back learns of; last t.

    Lee, Zhang, Fischer and Bengio, ECML 2015.

    Attributes:
        learning_rate, inverse_rate: of the synapses up, and down.
        target_rate: how far the outputs' targets are from what they are.
        noise: deviation of the noise that the way back learns on.
        loss: the loss of one example (see `losses`).
        activation, output_activation: sigma of hidden and of output neurons.
    """

    learning_rate: Scalar = 0.1
    inverse_rate: Scalar = 0.01
    target_rate: Scalar = 0.1
    noise: Scalar = 0.1
    loss: losses.Loss = eqx.field(static=True, default=losses.softmax_cross_entropy)
    activation: Activation = eqx.field(static=True, default=jnp.tanh)
    output_activation: Activation = eqx.field(static=True, default=identity)
    n_states = 6
    n_noise = 1
    symmetric = False

    def default_activation(self, role: str) -> Activation:
        return self.output_activation if role == "output" else self.activation

    def present(self, x: States) -> States:
        return jnp.concatenate([x, x, jnp.zeros((4, *x.shape[1:]), x.dtype)])

    def send_up(self, a: States) -> Messages:
        return a[:2]

    def activate(self, u: Messages, activation: Activation) -> States:
        y, slope = value_and_slope(activation, u[:1])
        return jnp.concatenate([y, y + self.noise * u[2:], activation(u[1:2]), slope, jnp.zeros_like(y), y])

    def feedback(self, a: Array, target: Array) -> Array:
        t = a[0] - self.target_rate * losses.slope(self.loss, a[0], target)
        return jnp.stack([*a[:3], (t - a[0]) * a[3], a[4], t])

    def send_down(self, a: States) -> Messages:
        return jnp.concatenate([a[:1], a[5:], a[2:3]])

    def receive_down(self, received: Messages, a: States, fed: States | None, activation: Activation) -> States:
        (back_y, _), (back_t, _), (back_z, slope) = (value_and_slope(activation, received[m : m + 1]) for m in range(3))
        t = (a[:1] if fed is None else fed[5:]) + back_t - back_y
        return jnp.concatenate([a[:3], (t - a[:1]) * a[3:4], (a[1:2] - back_z) * slope, t])

    def pre(self, neurons: Neurons) -> tuple[Messages, ...]:
        return neurons.backward[:1], neurons.backward[4:5]

    def post(self, neurons: Neurons) -> tuple[Messages, ...]:
        batch = neurons.backward.shape[2]
        return neurons.backward[3:4] / batch, neurons.backward[2:3] / batch

    def update(self, synapses: Synapses, seen: Seen) -> Synapses:
        forward = synapses.forward + self.learning_rate * seen.sums[0]
        if synapses.backward is None:  # those of the unit neuron
            return synapses._replace(forward=forward)
        return synapses._replace(forward=forward, backward=synapses.backward + self.inverse_rate * seen.sums[1])
