"""Node perturbation, a three-factor rule: activity before, noise behind, and one signal that tells all what noise did.

u_j  = sum_{i in I(j)} w_ij y_i,  y_j = sigma(u_j)                  undisturbed
v_j  = sum_{i in I(j)} w_ij z_i + sigma_noise xi_j,  z_j = sigma(v_j)    xi_j: standard normal, of each example
M    = (L(z) - L(y)) / sigma_noise                                  told to every neuron; no error travels back
w_ij <- w_ij - learning_rate * mean_b(M xi_j y_i)

As the noise becomes small, the mean of the change over the noise is that of gradient descent.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from . import losses
from .base import Activation, Messages, Neurons, Rule, Seen, States, Synapses, identity
from .parts import Scalar


class NodePerturbation(Rule):
    """State 1 is y, state 2 is z, state 3 first xi, then M xi.

    Williams, Machine Learning 8:229, 1992; Fiete and Seung, Physical Review Letters 97:048104, 2006.

    Attributes:
        learning_rate: dimensionless.
        noise: deviation of the noise of pre-activations.
        loss: the loss of one example (see `losses`).
        activation, output_activation: sigma of hidden and of output neurons.
    """

    learning_rate: Scalar = 0.02
    noise: Scalar = 0.01
    loss: losses.Loss = eqx.field(static=True, default=losses.softmax_cross_entropy)
    activation: Activation = eqx.field(static=True, default=jnp.tanh)
    output_activation: Activation = eqx.field(static=True, default=identity)
    n_states = 3
    n_noise = 1

    def default_activation(self, role: str) -> Activation:
        return self.output_activation if role == "output" else self.activation

    def present(self, x: States) -> States:
        return jnp.concatenate([x, x, jnp.zeros_like(x)])

    def send_up(self, a: States) -> Messages:
        return a[:2]

    def activate(self, u: Messages, activation: Activation) -> States:
        quiet, disturbed, xi = u[:1], u[1:2], u[2:]
        return jnp.concatenate([activation(quiet), activation(disturbed + self.noise * xi), xi])

    def broadcast(self, a: States, target: Array) -> Messages:
        without, with_noise = (losses.each(self.loss, y, target) for y in (a[0], a[1]))
        return ((with_noise - without) / self.noise)[None, None]

    def feedback(self, a: States, target: Array) -> States:
        return jnp.concatenate([a[:2], a[2:] * self.broadcast(a, target)])

    def send_down(self, a: States) -> Messages:
        return a[:0]

    def receive_down(self, received: Messages, a: States, fed: States | None, activation: Activation) -> States:
        return jnp.concatenate([a[:2], a[2:] * received])

    def pre(self, neurons: Neurons) -> tuple[Messages, ...]:
        return (neurons.backward[:1],)

    def post(self, neurons: Neurons) -> tuple[Messages, ...]:
        return (neurons.backward[2:] / neurons.backward.shape[2],)

    def update(self, synapses: Synapses, seen: Seen) -> Synapses:
        return synapses._replace(forward=synapses.forward - self.learning_rate * seen.sums[0])
