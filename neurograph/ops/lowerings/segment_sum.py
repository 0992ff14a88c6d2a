"""Gather, multiply, `jax.ops.segment_sum`: the reference, and for few synapses that fit no tiles."""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .._arrays import Rows, accumulator, rows_of, sum_last
from ._costs import Costs
from ._table import Compute, Pooled


class Segments(Pooled):
    """One message for each synapse, summed by `segment_sum`, level by level where the pass goes in order.

    Attributes:
        sources: row of the pool that each synapse reads.
        synapses: which of the sparse synapses it is.
        rows: row of the stage that it contributes to, ascending within each level.
        levels: for each level of the stage, in the pass's order: (first row, last row + 1, first synapse, last + 1).
        picks: for each piece, which of its rows are in the pool; None for all.
        n_scratch: 0, as it needs no scratch rows.
    """

    lowering: ClassVar[str] = "segment_sum"

    sources: Int[Array, " synapses"]
    synapses: Int[Array, " synapses"]
    rows: Int[Array, " synapses"]
    levels: tuple[tuple[int, int, int, int], ...] = eqx.field(static=True)
    picks: tuple[Int[Array, " rows"] | None, ...]
    n_scratch: int = eqx.field(static=True, default=0)

    def n_messages(self, *, in_order: bool) -> int:
        if in_order:
            return max((end - first for _, _, first, end in self.levels), default=0)
        return self.rows.shape[0]

    def pull(self, size: int, w: Float[Array, "channels sparse"], pieces: Sequence[Rows]) -> Rows:
        pool = self.pool(pieces)
        messages = rows_of(pool, self.sources) * w[:, self.synapses, None]
        dtype = accumulator(jnp.result_type(w, pool))
        return jax.vmap(lambda m: jax.ops.segment_sum(m, self.rows, size))(messages.astype(dtype))

    def dots(self, size: int, n_channels: int, pieces: Sequence[Rows], y: Rows) -> Float[Array, "channels synapses"]:
        pool = self.pool(pieces)
        dtype = accumulator(jnp.result_type(pool, y))
        sums = sum_last(rows_of(pool, self.sources).astype(dtype) * rows_of(y, self.rows).astype(dtype))
        return jnp.sum(sums, axis=0, keepdims=True) if n_channels == 1 else sums

    def sweep(
        self, w: Float[Array, "channels sparse"], pieces: Sequence[Rows], own: int, out: Any, compute: Compute
    ) -> tuple[Rows, Any]:
        pool, begin = self.pool(pieces), self.begin_of(pieces, own)
        dtype = accumulator(jnp.result_type(w, pool))
        for start, stop, first, end in self.levels:
            messages = rows_of(pool, self.sources[first:end]) * w[:, self.synapses[first:end], None]
            rows = self.rows[first:end] - start
            total = jax.vmap(lambda m, rows=rows, n=stop - start: jax.ops.segment_sum(m, rows, n))(
                messages.astype(dtype)
            )
            sent, kept = compute(total, lambda array, a=start, b=stop: array[:, a:b])
            pool = pool.at[:, begin + start : begin + stop].set(sent.astype(pool.dtype))
            out = jax.tree.map(lambda whole, part, a=start, b=stop: whole.at[:, a:b].set(part), out, kept)
        return self.own_rows(pool, begin, pieces[own]), out

    def cost(self, costs: Costs, work: int, channels: int, *, cells: bool) -> float:
        return estimate(costs, self.rows.shape[0], len(self.levels), work)


def estimate(costs: Costs, n_synapses: int, n_levels: int, work: int) -> float:
    """The nanoseconds of a sum, before it is laid out; `work` is states times batch."""
    return n_levels * costs.loop_start + n_synapses * work * costs.segment
