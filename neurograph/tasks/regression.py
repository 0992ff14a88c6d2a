"""Makes generated regressions: curves with or without noise."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from .errors import TaskError
from .generated import N_QUERY, generated
from .sources import Examples
from .task import Task

N_FEATURES = 10
FRIEDMAN_MEAN, FRIEDMAN_DEVIATION = 14.413297342419835, 4.8812358856524325
"""The mean and standard deviation of `friedman` over the unit cube, by quadrature."""


class _Constants(NamedTuple):
    """Gives the same parameters for every key; equal where the numbers are, so that nothing is compiled twice."""

    values: tuple[tuple[str, float], ...]

    def __call__(self, key: Array, dtype: Any) -> dict[str, Array]:
        return {name: jnp.asarray(value, dtype) for name, value in self.values}


def check_noise(name: str, noise: float) -> float:
    """Checks the standard deviation of the noise on targets.

    Raises:
        TaskError: it is negative or not finite.
    """
    if not (math.isfinite(noise) and noise >= 0):
        raise TaskError(f"task '{name}': noise is {noise}; it must be a finite standard deviation, 0 or more.")
    return float(noise)


def _with_noise(key: Array, y: Float[Array, "batch 1"], noise: Array) -> Float[Array, "batch 1"]:
    return y + noise * jax.random.normal(key, y.shape, y.dtype)


def sine(
    key: Key[Array, ""],
    *,
    noise: float = 0.0,
    dtype: Any = jnp.float32,
    query_size: int = N_QUERY,
) -> Task:
    """Makes the regression `y = sin(pi x1) + noise`, with one input, uniform in [-1, 1].

    Args:
        key: draws the fixed query set.
        noise: standard deviation of the normal noise on targets.
        dtype: the type of the examples and targets.
        query_size: size of the fixed query set.

    >>> x, y = sine(jax.random.key(0)).query_set()
    >>> bool(jnp.allclose(y, jnp.sin(jnp.pi * x)))
    True
    """
    return generated(
        key,
        _sample_sine,
        parameters=_Constants((("noise", check_noise("sine", noise)),)),
        name="sine",
        dtype=dtype,
        query_size=query_size,
    )


def _sample_sine(source: dict[str, Array], key: Array, batch_size: int, dtype: Any) -> Examples:
    x_key, noise_key = jax.random.split(key)
    x = jax.random.uniform(x_key, (batch_size, 1), dtype, -1, 1)
    return Examples(x, _with_noise(noise_key, jnp.sin(jnp.pi * x), source["noise"]))


def random_sine(key: Key[Array, ""], *, dtype: Any = jnp.float32, query_size: int = N_QUERY) -> Task:
    """Makes the regression `y = A sin(x1 - phi)`, with one input, uniform in [-5, 5].

    A, uniform in [0.1, 5], and phi, uniform in [0, pi], are drawn from the key, and again for each episode.

    Args:
        key: draws amplitude, phase and the fixed query set.
        dtype: the type of the examples and targets.
        query_size: size of the fixed query set.

    Source: C. Finn, P. Abbeel, S. Levine, "Model-Agnostic Meta-Learning", ICML 2017, section 5.1.
    """
    return generated(
        key,
        _sample_random_sine,
        parameters=_amplitude_and_phase,
        name="random_sine",
        dtype=dtype,
        query_size=query_size,
    )


def _amplitude_and_phase(key: Array, dtype: Any) -> dict[str, Array]:
    amplitude_key, phase_key = jax.random.split(key)
    return {
        "amplitude": jax.random.uniform(amplitude_key, (), dtype, 0.1, 5),
        "phase": jax.random.uniform(phase_key, (), dtype, 0, jnp.pi),
    }


def _sample_random_sine(source: dict[str, Array], key: Array, batch_size: int, dtype: Any) -> Examples:
    x = jax.random.uniform(key, (batch_size, 1), dtype, -5, 5)
    return Examples(x, source["amplitude"] * jnp.sin(x - source["phase"]))


def friedman1(
    key: Key[Array, ""],
    *,
    noise: float = 0.0,
    standardise: bool = True,
    dtype: Any = jnp.float32,
    query_size: int = N_QUERY,
) -> Task:
    """Makes the regression `y = 10 sin(pi x1 x2) + 20 (x3 - 1/2)^2 + 10 x4 + 5 x5 + noise`.

    There are ten inputs, uniform in [0, 1], five of which do not matter, as in scikit-learn's `make_friedman1`.

    Args:
        key: draws the fixed query set.
        noise: standard deviation of the normal noise on y.
        standardise: shift and scale inputs and y to mean 0 and deviation 1, by the exact mean and deviation of the
            uniform distribution and of y without noise; otherwise the numbers are those of the formula.
        dtype: the type of the examples and targets.
        query_size: size of the fixed query set.

    Source: J. H. Friedman, "Multivariate adaptive regression splines", Annals of Statistics 19, 1991.
    """
    mean, deviation = (FRIEDMAN_MEAN, FRIEDMAN_DEVIATION) if standardise else (0.0, 1.0)
    centre, width = (0.5, 12**-0.5) if standardise else (0.0, 1.0)
    noise = check_noise("friedman1", noise)
    constants = (("noise", noise), ("centre", centre), ("width", width), ("mean", mean), ("deviation", deviation))
    return generated(
        key,
        _sample_friedman1,
        parameters=_Constants(constants),
        name="friedman1",
        dtype=dtype,
        query_size=query_size,
    )


def friedman(x: Float[Array, "batch features"]) -> Float[Array, "batch 1"]:
    """Computes Friedman's function of the first five features, without noise."""
    y = 10 * jnp.sin(jnp.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    return y[:, None]


def _sample_friedman1(source: dict[str, Array], key: Array, batch_size: int, dtype: Any) -> Examples:
    x_key, noise_key = jax.random.split(key)
    x = jax.random.uniform(x_key, (batch_size, N_FEATURES), dtype)
    y = _with_noise(noise_key, friedman(x), source["noise"])
    return Examples((x - source["centre"]) / source["width"], (y - source["mean"]) / source["deviation"])
