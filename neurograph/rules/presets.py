"""Rules of class `Blur` by name: random ones, the published one, and gradient descent by SGD, RMSprop, Adam, LARS."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from .base import Activation, RuleError, identity
from .blur import Blur, Hebbian
from .losses import Loss, softmax_cross_entropy
from .moments import Adam, Lars, Moments, Momentum, RMSProp
from .parts import Scalar


def blur(
    key: Key[Array, ""], n_states: int = 2, *, eta: float = -1e-3, forward_update: bool = False, **options: Any
) -> Blur:
    """A random rule: all matrices standard normal, gates 1, eta~ = `eta` (the published initial genome).

    Args:
        key: JAX random key.
        n_states: k.
        eta: eta~, of the Hebbian update; descent has a negative one.
        forward_update: whether it has a second, independent Hebbian update from the forward states.
        options: fields of `Blur`.
    """
    keys = jax.random.split(key, 6)
    nu, mu, pre, post, forward_pre, forward_post = (jax.random.normal(k, (n_states, n_states)) for k in keys)
    forward = Hebbian(forward_pre, forward_post, eta=eta) if forward_update else None
    return Blur(nu, mu, Hebbian(pre, post, eta=eta), forward_hebbian=forward, **options)


def published(key: Key[Array, ""], n_states: int = 2, **options: Any) -> Blur:
    """A random rule with the defaults of the published code: Hebbian sums are summed over the batch."""
    return blur(key, n_states, **{"batch_mean": False, **options})


def backprop(
    learning_rate: Scalar = 0.1,
    *,
    momentum: Scalar | None = None,
    weight_decay: Scalar = 0.0,
    loss: Loss = softmax_cross_entropy,
    activation: Activation = jnp.tanh,
    output_activation: Activation = identity,
    n_states: int = 2,
    n_channels: int | None = None,
    moments: Moments | None = None,
    **options: Any,
) -> Blur:
    """Backpropagation (equation 4): exact gradient descent on the batch mean of `loss`, on any DAG.

    Two states, sigma and sigma'; one channel up, which carries the first, and one down, which carries the second;
    tied synapses; the second state is multiplied on the way back without a non-linearity; feedback by the slope of the
    loss (paper, section 3.1).

    Args:
        learning_rate: -eta~.
        momentum: decay of `Momentum`; None is plain SGD.
        weight_decay: decoupled, `f~ = 1 - learning_rate * weight_decay`.
        loss: the loss of one example (see `losses`).
        activation, output_activation: sigma of hidden and of output neurons.
        n_states: k; states beyond the second stay idle.
        n_channels: 1, or k, which computes the same at a higher cost and leaves meta-learning room for matrices that
            mix the states; by default 1 for two states, else k.
        moments: what precedes eta~, as `Adam`; in place of `momentum`.
        options: further fields of `Blur`.

    Raises:
        RuleError: fewer than two states, or another number of channels.
    """
    if n_states < 2:
        raise RuleError(f"backpropagation has {n_states} states; it needs 2 or more.")
    if n_channels is None:
        n_channels = 1 if n_states == 2 else n_states
    if n_channels not in (n_states, 1) or (n_channels == 1 and n_states != 2):
        raise RuleError(f"backpropagation of {n_states} states has {n_channels} channels; give 1 for two states, or k.")
    nu, mu, pre, post = np.zeros((4, n_states, n_channels))
    if n_channels == 1:
        nu[0] = mu[1] = pre[0] = post[1] = 1
    else:
        nu[0, :2] = 1
        mu, pre = np.eye(n_states), np.eye(n_states)
        post[:2, :2] = [[0, 1], [1, 0]]
    if momentum is not None:
        moments = Momentum(momentum)
    nu, mu, pre, post = (jnp.asarray(matrix, jnp.result_type(float)) for matrix in (nu, mu, pre, post.T))
    return Blur(
        nu,
        mu,
        Hebbian(pre, post, f=1 - learning_rate * weight_decay, eta=-learning_rate, moments=moments),
        **{
            "forward_activation": activation,
            "backward_activation": identity,
            "output_activation": output_activation,
            "derivative_state": True,
            "backward_update": "multiplicative_second_state",
            "signal": loss,
            "symmetric": True,
            "single_state": True,
            **options,
        },
    )


def adam(
    learning_rate: Scalar = 1e-3, b1: Scalar = 0.9, b2: Scalar = 0.999, epsilon: Scalar = 1e-8, **options: Any
) -> Blur:
    """Backpropagation with `Adam`; `weight_decay` makes it AdamW. For `options` see `backprop`."""
    return backprop(learning_rate, moments=Adam(b1, b2, epsilon), **options)


def rmsprop(learning_rate: Scalar = 1e-3, decay: Scalar = 0.9, epsilon: Scalar = 1e-8, **options: Any) -> Blur:
    """Backpropagation with `RMSProp`. For `options` see `backprop`."""
    return backprop(learning_rate, moments=RMSProp(decay, epsilon), **options)


def lars(
    learning_rate: Scalar = 1.0, trust: Scalar = 0.001, decay: Scalar = 0.9, weight_decay: Scalar = 0.0, **options: Any
) -> Blur:
    """Backpropagation with `Lars`: steps relative to the length of a neuron's synapses; `options` are `backprop`'s."""
    return backprop(learning_rate, moments=Lars(trust, decay, weight_decay), **options)
