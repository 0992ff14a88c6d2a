"""Oja's subspace rule: a layer comes to span the first principal components of what it receives (Oja 1989).

    y_j   = sum_{i in I(j)} w_ij x_i
    w_ij <- w_ij + learning_rate * mean_b( y_j (x_i - sum_{m in J(i)} w_im y_m) )

The columns of w become an orthonormal basis of the subspace of the components with the largest variance, if the data
have mean 0. Nothing is supervised; in several layers each learns from the one below.
"""

import equinox as eqx
import jax.numpy as jnp

from .base import Activation, Messages, Neurons, Rule, Seen, States, Synapses, identity
from .parts import Scalar


class OjaSubspace(Rule):
    """State 1 is the activity, state 2 what the activities above reconstruct of it.

    Attributes:
        learning_rate: per unit of variance of the data.
        activation: the activation of all neurons without one of their own.
    """

    learning_rate: Scalar = 0.01
    activation: Activation = eqx.field(static=True, default=identity)
    reads_input_states = True

    def default_activation(self, role: str) -> Activation:
        return self.activation

    def activate(self, u: Messages, activation: Activation) -> States:
        y = activation(u)
        return jnp.concatenate([y, jnp.zeros_like(y)])

    def send_down(self, a: States) -> Messages:
        return a[:1]

    def receive_down(self, received: Messages, a: States, fed: States | None, activation: Activation) -> States:
        return jnp.concatenate([a[:1], received])

    def pre(self, neurons: Neurons) -> tuple[Messages, ...]:
        return (neurons.backward[:1] - neurons.backward[1:],)

    def post(self, neurons: Neurons) -> tuple[Messages, ...]:
        return (neurons.backward[:1] / neurons.backward.shape[2],)

    def update(self, synapses: Synapses, seen: Seen) -> Synapses:
        return synapses._replace(forward=synapses.forward + self.learning_rate * seen.sums[0])
