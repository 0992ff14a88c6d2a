"""Feedback alignment: fixed random synapses carry the error back.

delta_j = dL/dy_j                                  at the outputs, times sigma'(u_j)
delta_i = sigma'(u_i) sum_{j in J(i)} b_ji delta_j      b: drawn once, never changed
w_ij   <- w_ij - learning_rate * mean_b(y_i delta_j)
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from . import losses
from .base import Activation, Messages, Neurons, Rule, Seen, States, Synapses, identity, value_and_slope
from .parts import Scalar


class FeedbackAlignment(Rule):
    """Descent whose backward pass does not know the forward synapses. State 1 is y, state 2 first sigma', then delta.

    Lillicrap, Cownden, Tweed and Akerman, Nature Communications 7:13276, 2016.

    Attributes:
        learning_rate: dimensionless.
        loss: the loss of one example (see `losses`).
        activation, output_activation: sigma of hidden and of output neurons.
    """

    learning_rate: Scalar = 0.1
    loss: losses.Loss = eqx.field(static=True, default=losses.softmax_cross_entropy)
    activation: Activation = eqx.field(static=True, default=jnp.tanh)
    output_activation: Activation = eqx.field(static=True, default=identity)
    symmetric = False

    def default_activation(self, role: str) -> Activation:
        return self.output_activation if role == "output" else self.activation

    def activate(self, u: Messages, activation: Activation) -> States:
        return jnp.concatenate(value_and_slope(activation, u))

    def feedback(self, a: Array, target: Array) -> Array:
        return jnp.stack([a[0], a[1] * losses.slope(self.loss, a[0], target)])

    def send_down(self, a: States) -> Messages:
        return a[1:]

    def receive_down(self, received: Messages, a: States, fed: States | None, activation: Activation) -> States:
        delta = a[1:] * received
        return jnp.concatenate([a[:1], delta if fed is None else delta + fed[1:]])

    def pre(self, neurons: Neurons) -> tuple[Messages, ...]:
        return (neurons.backward[:1],)

    def post(self, neurons: Neurons) -> tuple[Messages, ...]:
        return (neurons.backward[1:] / neurons.backward.shape[2],)

    def update(self, synapses: Synapses, seen: Seen) -> Synapses:
        return synapses._replace(forward=synapses.forward - self.learning_rate * seen.sums[0])
