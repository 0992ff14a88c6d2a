"""Padded rows (ELLPACK), each sum one fused gather, multiply and reduce: for GPUs, where a loop over tiles is latency.

A row of more synapses than there are slots, a hub, is split into *units*; the sums of its units are summed again, in
the same way, until one is left. No sum is an atomic addition, so that the same bits come out each time.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from .._arrays import Rows, accumulator, put, rows_of, sum_last
from ._costs import Costs
from ._table import Compute, Table


class Ell(Table):
    """Rows of the stage in *chunks* of consecutive rows: one chunk of all, or in a pass in order one after the other.

    A slot without a synapse reads what its unit reads first, times 0.

    Attributes:
        sources: the neuron that each slot reads.
        synapses: which of the sparse synapses it is; out of bounds where there is none.
        merges: for units of one row, and again for their sums: those that are summed, as places in the array before;
            out of bounds where there is none.
        places: for each row, where its sum is among the units, then the sums of each of `merges`; None where each row
            has one unit, at its own place.
        begin: first row of each chunk.
        stays: for each chunk, which of its rows are there already, so that they stay as they are; None for none.
        where: for each row of the stage, its place among the rows of all chunks; None where one chunk has all.
        ends: for each synapse, the neuron that it reads and the row it ends in; in the direction `UP` only.
        first: the neuron that is the stage's first row.
    """

    lowering: ClassVar[str] = "ell"
    reads_all: ClassVar[bool] = True

    sources: Int[Array, "chunks units slots"]
    synapses: Int[Array, "chunks units slots"]
    merges: tuple[Int[Array, "chunks _ slots"], ...]
    places: Int[Array, "chunks rows"] | None
    begin: Int[Array, " chunks"]
    stays: Bool[Array, "chunks rows"] | None
    where: Int[Array, " size"] | None
    ends: Int[Array, "two synapses"] | None
    first: int = eqx.field(static=True)

    @property
    def shape(self) -> tuple[int, int, int]:
        n_chunks, n_units, n_slots = self.sources.shape
        return n_chunks, n_slots, n_units

    @property
    def n_places(self) -> int:
        return self.sources.size

    def pull(self, size: int, w: Float[Array, "channels sparse"], pieces: Sequence[Rows]) -> Rows:
        (states,) = pieces
        if self.where is None:
            return _sums(w, states, *(jax.tree.map(lambda table: table[0], self._tables())))
        chunks = jax.vmap(lambda tables: _sums(w, states, *tables), out_axes=1)(self._tables())
        return rows_of(chunks.reshape(states.shape[0], -1, states.shape[2]), self.where)

    def dots(self, size: int, n_channels: int, pieces: Sequence[Rows], y: Rows) -> Float[Array, "channels synapses"]:
        assert self.ends is not None
        (states,) = pieces
        dtype = accumulator(jnp.result_type(states, y))
        sums = sum_last(rows_of(states, self.ends[0]).astype(dtype) * rows_of(y, self.ends[1]).astype(dtype))
        return jnp.sum(sums, axis=0, keepdims=True) if n_channels == 1 else sums

    def sweep(
        self, w: Float[Array, "channels sparse"], pieces: Sequence[Rows], own: int, out: Any, compute: Compute
    ) -> tuple[Rows, Any]:
        (states,) = pieces
        n_rows = self.sources.shape[1] if self.places is None else self.places.shape[1]

        def body(carry, chunk):
            states, out = carry
            tables, begin, stays = chunk

            def slicer(array):
                return jax.lax.dynamic_slice_in_dim(array, begin, n_rows, axis=1)

            # without the barrier the gathers would be fused into the update of the states, which are then copied
            total = jax.lax.optimization_barrier(_sums(w, states, *tables))
            sent, kept = compute(total, slicer)
            if stays is not None:
                there = jax.lax.dynamic_slice_in_dim(states, self.first + begin, n_rows, axis=1)
                before = (there, jax.tree.map(slicer, out))
                sent, kept = jax.tree.map(
                    lambda old, new: jnp.where(stays[None, :, None], old, new.astype(old.dtype)), before, (sent, kept)
                )
            states = put(states, sent, self.first + begin)
            return (states, jax.tree.map(lambda whole, part: put(whole, part, begin), out, kept)), None

        (states, out), _ = jax.lax.scan(body, (states, out), (self._tables(), self.begin, self.stays))
        size = self.begin.shape[0] * n_rows if self.where is None else self.where.shape[0]
        return jax.lax.slice_in_dim(states, self.first, self.first + size, axis=1), out

    def _tables(self):
        return self.sources, self.synapses, self.merges, self.places

    def cost(self, costs: Costs, work: int, channels: int, *, cells: bool) -> float:
        n_chunks, n_slots, n_units = self.shape
        n_rows = n_units if self.places is None else self.places.shape[1]
        one = estimate(costs, n_units, n_slots, n_rows, len(self.merges), work, channels, cells=cells)
        return n_chunks * one


def _sums(w, states: Rows, sources, synapses, merges, places) -> Rows:
    """The rows of one chunk."""
    dtype = accumulator(jnp.result_type(w, states))
    messages = rows_of(states, sources).astype(dtype) * _taken(w, synapses).astype(dtype)[..., None]
    sums = [jnp.sum(messages, axis=2)]
    for merge in merges:
        sums.append(jnp.sum(_taken(sums[-1], merge), axis=2))
    return sums[0] if places is None else _taken(jnp.concatenate(sums, axis=1), places)


def _taken(a: Array, index) -> Array:
    """As `rows_of`, and 0 where the index is out of bounds."""
    return a.at[:, index].get(mode="fill", fill_value=0, wrap_negative_indices=False)


def estimate(
    costs: Costs, n_units: Any, n_slots: Any, n_rows: Any, n_merges: Any, work: int, channels: int, *, cells: bool
) -> Any:
    """The nanoseconds of the sums of one chunk, before it is laid out.

    Args:
        costs: the cost model.
        n_units, n_slots, n_rows, n_merges: its shape; numbers, or arrays for many shapes.
        work: states times batch.
        channels: the number of channels of the synapses.
        cells: whether a pass computes the neurons as well, chunk by chunk.
    """
    launches = costs.call * (1 + n_merges + (n_merges > 0))
    per_slot = work * costs.gather + channels * costs.fill
    in_order = costs.tile + n_rows * work * costs.cell if cells else 0.0
    return launches + n_units * n_slots * per_slot + n_rows * work * costs.row + in_order


def estimate_more(costs: Costs, n_synapses: int, work: int) -> float:
    """The nanoseconds that so many more synapses in a table add."""
    return n_synapses * 1.2 * work * costs.gather


def estimate_start(costs: Costs) -> float:
    """The nanoseconds that a table takes, however few its synapses."""
    return costs.call


def slots(costs: Costs, degree: np.ndarray, work: int, channels: int) -> int:
    """The number of slots with which the sums of some rows are expected to be fastest.

    Args:
        costs: the cost model.
        degree: synapses of each row.
        work: states times batch.
        channels: the number of channels of the synapses.
    """
    most = max(int(degree.max(initial=0)), 1)
    some = sorted({n for n in (2, 3, 4, 6, 8, 12, 16, 20, 24, 32, 48, 64, most) if n <= min(most, costs.max_slots)})
    if not some:
        return 1
    n_units = np.array([int(np.maximum(-(-degree // n), 1).sum()) for n in some])
    n_merges = np.array([0 if most <= n else math.ceil(math.log(most / n, n) - 1e-9) for n in some])
    cost = estimate(costs, n_units, np.array(some), len(degree), n_merges, work, channels, cells=False)
    return some[int(np.argmin(cost))]
