"""Sums along the last axis, as each device runs them best."""

import jax
import jax.numpy as jnp
from jaxtyping import Array


def sum_last(values: Array) -> Array:
    """`sum_b v[..., b]`, for many rows of a moderate length; on CPU a matrix times a vector of ones, which XLA runs
    several times faster than a reduction, and computes what is summed on the way."""

    def times_ones(v):
        rows = v.reshape(-1, v.shape[-1])
        sums = jnp.matmul(rows, jnp.ones(v.shape[-1], v.dtype), precision=jax.lax.Precision.HIGHEST)
        return sums.reshape(v.shape[:-1])

    return jax.lax.platform_dependent(values, cpu=times_ones, default=lambda v: jnp.sum(v, axis=-1))
