"""How synapses are drawn: pairs of functions of fan-in and fan-out. Bias synapses start at 0 where that is usual."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

Draw = Callable[[Array, tuple[int, int], Array, Array, jnp.dtype], Array]
"""(key, (channels, synapses), fan-in, fan-out, dtype) -> values `[channels, synapses]`.

Fan-in: synapses that the receiver has, bias excluded. Fan-out: synapses that the sender has; of the unit neuron, the
neurons of one population at one level that share it."""


class Initializer(NamedTuple):
    """How synapses between neurons, and those from the unit neuron, are drawn."""

    synapses: Draw
    biases: Draw


def _uniform(key, shape, fan_in, fan_out, dtype):
    return jax.random.uniform(key, shape, dtype, -1, 1)


def _scaled(key, shape, fan_in, fan_out, dtype):
    return _uniform(key, shape, fan_in, fan_out, dtype) / jnp.sqrt((fan_in + 1 + fan_out).astype(dtype))[None]


def _glorot(key, shape, fan_in, fan_out, dtype):
    return _uniform(key, shape, fan_in, fan_out, dtype) * jnp.sqrt(6 / (fan_in + fan_out).astype(dtype))[None]


def _lecun(key, shape, fan_in, fan_out, dtype):
    return jax.random.normal(key, shape, dtype) / jnp.sqrt(fan_in.astype(dtype))[None]


def _he(key, shape, fan_in, fan_out, dtype):
    return _lecun(key, shape, fan_in, fan_out, dtype) * jnp.asarray(2.0, dtype) ** 0.5


def _zeros(key, shape, fan_in, fan_out, dtype):
    return jnp.zeros(shape, dtype)


uniform = Initializer(_uniform, _uniform)
"""U(-1, 1), biases too (the published code's)."""
scaled_uniform = Initializer(_scaled, _scaled)
"""U(-1, 1) / sqrt(fan-in + 1 + fan-out), biases too (the published code's option)."""
glorot_uniform = Initializer(_glorot, _zeros)
"""U(-1, 1) sqrt(6 / (fan-in + fan-out)), biases 0 (Glorot and Bengio, AISTATS 2010)."""
lecun_normal = Initializer(_lecun, _zeros)
"""N(0, 1) / sqrt(fan-in), biases 0."""
he_normal = Initializer(_he, _zeros)
"""N(0, 2) / sqrt(fan-in), biases 0 (He et al., ICCV 2015)."""

INITIALIZERS = {
    "uniform": uniform,
    "scaled_uniform": scaled_uniform,
    "glorot_uniform": glorot_uniform,
    "lecun_normal": lecun_normal,
    "he_normal": he_normal,
}
