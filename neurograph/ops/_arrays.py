"""What all sums share: directions, the precision of sums, how rows are read, sums over the batch."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Rows = Float[Array, "channels rows batch"]

UP, DOWN = "up", "down"
"""Directions: with the forward signals, from senders to receivers; and against them."""

BATCH_AXIS = "batch"
"""The axis of a mesh (`jax.set_mesh`) over which the examples of a batch are shared."""


def precision() -> jax.lax.Precision | None:
    """That of matmuls: exact, unless `jax.default_matmul_precision` asks for another, such as "tensorfloat32"."""
    config: Any = jax.config
    return jax.lax.Precision.HIGHEST if config.jax_default_matmul_precision is None else None


def einsum(pattern: str, *operands: Array, **options: Any) -> Array:
    """`jnp.einsum` in that precision."""
    return jnp.einsum(pattern, *operands, precision=precision(), **options)


def accumulator(dtype) -> jnp.dtype:
    """The type in which values of a type are summed: float32 at least."""
    return jnp.promote_types(dtype, jnp.float32)


def rows_of(a: Rows, index) -> Rows:
    """Some rows of an array."""
    return a.at[:, index].get(mode="promise_in_bounds", wrap_negative_indices=False)


def empty(shape, dtype) -> Array:
    """An array that is written before it is read."""
    return jax.lax.empty(shape, dtype)


def put(whole: Array, part: Array, begin: int | Array) -> Array:
    """An array whose rows from `begin` on are those of another."""
    return jax.lax.dynamic_update_slice_in_dim(whole, part.astype(whole.dtype), begin, axis=1)


def by_examples(function: Callable[..., Array], alike: Sequence[Array], states: Sequence[Rows], *, adds: bool) -> Array:
    """`function(*alike, *states)`, by each device for its share of the examples where the mesh in use shares them.

    XLA divides all else by itself, but not a call of a kernel in C++.

    Args:
        function: gives rows, or with `adds` numbers that are sums over examples.
        alike: arrays that every device has.
        states: arrays with the examples along the last axis.
        adds: see `function`.
    """
    mesh = jax.sharding.get_abstract_mesh()
    n_devices = mesh.shape.get(BATCH_AXIS, 1)
    if n_devices == 1 or any(a.shape[-1] % n_devices for a in states):
        return function(*alike, *states)

    def share(*arrays: Array) -> Array:
        found = function(*arrays)
        return jax.lax.psum(found, BATCH_AXIS) if adds else found

    whole, parts = jax.P(), jax.P(None, None, BATCH_AXIS)
    into = (*(whole for _ in alike), *(parts for _ in states))
    return jax.shard_map(share, in_specs=into, out_specs=whole if adds else parts, check_vma=False)(*alike, *states)


class ByStage(NamedTuple):
    """States by stage, which are read as one array for each stage, or as one of all.

    Attributes:
        sizes: rows of each stage.
        parts: the states, `[channels, rows, batch]`; None where all are 0, but not everywhere.
        joined: the same in one array, where there is one.
    """

    sizes: Sequence[int]
    parts: Sequence[Array | None]
    joined: Array | None = None

    def pieces(self, stages: Sequence[int]) -> list[Rows]:
        """The arrays of some stages."""
        if all(self.parts[s] is not None for s in stages):
            return [part for s in stages if (part := self.parts[s]) is not None]
        some = next(part for part in self.parts if part is not None)
        channels, _, batch = some.shape
        zeros = [jnp.zeros((channels, size, batch), some.dtype) for size in self.sizes]
        return [zeros[s] if (part := self.parts[s]) is None else part for s in stages]

    def whole(self) -> Rows:
        """The rows of all stages."""
        return jnp.concatenate(self.pieces(range(len(self.sizes))), axis=1) if self.joined is None else self.joined


def n_bytes(tree: object) -> int:
    """The memory of a tree's arrays."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))


def sum_last(values: Array) -> Array:
    """Sums many rows of moderate length along their last axis, `sum_b v[..., b]`.

    On a CPU it multiplies a matrix by a vector of ones: XLA runs this several times faster than a reduction, and
    computes what is summed on the way.
    """

    def times_ones(v):
        rows = v.reshape(-1, v.shape[-1])
        sums = jnp.matmul(rows, jnp.ones(v.shape[-1], v.dtype), precision=jax.lax.Precision.HIGHEST)
        return sums.reshape(v.shape[:-1])

    return jax.lax.platform_dependent(values, cpu=times_ones, default=lambda v: jnp.sum(v, axis=-1))
