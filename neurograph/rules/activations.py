"""Activations by name. Any elementwise function serves as one; these are the names that files and commands know."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from . import _pickle as _pickle  # their functions can be pickled
from .base import identity


def relu_tanh(x: Array) -> Array:
    """`max(tanh x, 0)`, the default of the published code; its slope at 0 is 0."""
    return jax.nn.relu(jnp.tanh(x))


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "identity": identity,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "relu": jax.nn.relu,
    "softplus": jax.nn.softplus,
    "relu_tanh": relu_tanh,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
    "elu": jax.nn.elu,
    "leaky_relu": jax.nn.leaky_relu,
}
