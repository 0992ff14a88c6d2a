"""A padded gather: tables of senders, summed tile by tile in one loop. It never builds `[synapses, states, batch]`."""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .. import _arrays as arrays
from .._arrays import Rows, accumulator, put, rows_of, sum_last
from ._costs import Costs
from ._table import Compute, Pooled


class Tiles(Pooled):
    """Each tile sums `n_slots` summands into each of `n_rows` consecutive rows.

    A row with more summands than its tiles have slots finds the excess in scratch rows of the pool, which earlier tiles
    summed: hubs are split, and cost no more than others. Tiles come in an order in which what they read is there.

    Attributes:
        sources: where each summand comes from, a row of the pool; what pads a row reads what its first slot reads.
        synapses: along which of the sparse synapses; `n` stands for a synapse of value 0, `n + 1` for one of value 1.
        rows: the row that each of the tile's rows contributes to, counted within the stage; `size` for none.
        begin: first row of the stage that the tile writes.
        scratch: first scratch row that it writes, if it is not the last for its rows.
        first, last: whether it is the first, and the last tile for its rows.
        where: the flat slot of each synapse; only in tables in the direction `UP`.
        picks: for each piece, which of its rows are in the pool; None for all.
        n_scratch: number of scratch rows; the last `n_rows` of them are never read.
        splits: whether some rows are split.
        accumulates: whether some rows take several tiles.
    """

    lowering: ClassVar[str] = "padded_gather"

    sources: Int[Array, "tiles slots rows"]
    synapses: Int[Array, "tiles slots rows"]
    rows: Int[Array, "tiles rows"]
    begin: Int[Array, " tiles"]
    scratch: Int[Array, " tiles"]
    first: Bool[Array, " tiles"]
    last: Bool[Array, " tiles"]
    where: Int[Array, " synapses"] | None
    picks: tuple[Int[Array, " rows"] | None, ...]
    n_scratch: int = eqx.field(static=True)
    splits: bool = eqx.field(static=True)
    accumulates: bool = eqx.field(static=True)

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.sources.shape  # pyright: ignore[reportReturnType]

    @property
    def n_places(self) -> int:
        return self.sources.size

    def pull(self, size: int, w: Float[Array, "channels sparse"], pieces: Sequence[Rows]) -> Rows:
        pool = self.pool(pieces)

        def keep(total, tile, pool, out):
            if self.splits:
                begin = pool.shape[1] - self.n_scratch + tile.scratch
                pool = put(pool, total, begin)
            out = put(out, total, tile.begin)
            return pool, out

        channels, _, batch = pool.shape
        out = arrays.empty((channels, size, batch), accumulator(jnp.result_type(w, pool)))
        return _loop(self, w, pool, out, keep, constant=not self.splits)[1]

    def dots(self, size: int, n_channels: int, pieces: Sequence[Rows], y: Rows) -> Float[Array, "channels synapses"]:
        pool = self.pool(pieces)
        dtype = accumulator(jnp.result_type(pool, y))

        def body(_, tile):
            sources, rows = tile
            values = rows_of(y, jnp.minimum(rows, size - 1)).astype(dtype)
            sums = sum_last(rows_of(pool, sources).astype(dtype) * values[:, None])
            return None, jnp.sum(sums, axis=0, keepdims=True) if n_channels == 1 else sums

        assert self.where is not None
        _, s = jax.lax.scan(body, None, (self.sources, self.rows))
        return jnp.moveaxis(s, 1, 0).reshape(n_channels, -1)[:, self.where]

    def sweep(
        self, w: Float[Array, "channels sparse"], pieces: Sequence[Rows], own: int, out: Any, compute: Compute
    ) -> tuple[Rows, Any]:
        pool, begin = self.pool(pieces), self.begin_of(pieces, own)

        def keep(total, tile, pool, out):
            def slicer(array):
                return jax.lax.dynamic_slice_in_dim(array, tile.begin, n_rows, axis=1)

            sent, kept = compute(total, slicer)
            if self.n_scratch:
                sent = jnp.where(tile.last, sent, total.astype(sent.dtype))
                aside = pool.shape[1] - self.n_scratch + tile.scratch
                place = jnp.where(tile.last, begin + tile.begin, aside)
            else:
                place = begin + tile.begin
            pool = put(pool, sent, place)
            return pool, jax.tree.map(lambda whole, part: put(whole, part, tile.begin), out, kept)

        _, _, n_rows = self.shape
        pool, out = _loop(self, w, pool, out, keep, constant=False)
        return self.own_rows(pool, begin, pieces[own]), out

    def cost(self, costs: Costs, work: int, channels: int, *, cells: bool) -> float:
        return estimate(costs, *self.shape, work, channels, cells=cells)


def estimate(
    costs: Costs, n_tiles: int, n_slots: int, n_rows: int, work: int, channels: int, *, cells: bool = False
) -> float:
    """The nanoseconds of a sum, before it is laid out.

    Args:
        costs: the cost model.
        n_tiles, n_slots, n_rows: number of tiles, and the shape of each.
        work: states times batch.
        channels: the number of channels of the synapses.
        cells: whether the loop computes the neurons as well.
    """
    per_slot = work * costs.gather + channels * costs.fill
    per_row = n_slots * per_slot + work * (costs.row + (costs.cell if cells else 0.0))
    return costs.loop_start + n_tiles * (costs.tile + n_rows * per_row)


def estimate_more(costs: Costs, n_synapses: int, work: int) -> float:
    """The nanoseconds that so many more synapses in a table add, before its tiles are known."""
    places = costs.max_rows * costs.max_slots / 2
    return n_synapses * (1.2 * work * costs.gather + costs.tile / places)


def estimate_start(costs: Costs) -> float:
    """The nanoseconds that a table takes, however few its synapses."""
    return costs.loop_start + costs.tile


class _Tile(NamedTuple):
    """What one iteration reads of the tables."""

    sources: Array
    begin: Array
    scratch: Array
    first: Array
    last: Array


def _loop(table: Tiles, w, pool, out, keep, *, constant: bool) -> tuple[Any, Any]:
    """Sums tile after tile, and hands each sum to `keep`: one loop, whose program does not grow with the wiring.

    Returns the pool (None if it is constant) and `out`.

    The sum is always carried on, also where each row takes one tile: XLA would otherwise fuse the gathers into the
    update of the pool, which it then writes as a whole.
    """
    weights = _tile_weights(table, w)
    dtype = accumulator(jnp.result_type(w, pool))
    n_tiles, n_slots, n_rows = table.shape
    blank = jnp.zeros((pool.shape[0], n_rows, pool.shape[2]), dtype)

    def body(carry, xs):
        pool_now, total, out = carry
        tile, n = xs
        values = jax.lax.dynamic_index_in_dim(weights, n, axis=1, keepdims=False)
        source = pool if constant else pool_now
        total = jnp.where(tile.first, blank, total)
        for s in range(n_slots):
            total = total + rows_of(source, tile.sources[s]).astype(dtype) * values[:, s, :, None].astype(dtype)
        pool_now, out = keep(total, tile, pool_now, out)
        return (pool_now, total, out), None

    tiles = _Tile(table.sources, table.begin, table.scratch, table.first, table.last)
    start = (None if constant else pool, blank, out)
    numbers = jnp.arange(n_tiles, dtype=jnp.int32)
    (pool_after, _, out), _ = jax.lax.scan(body, start, (tiles, numbers))
    return pool_after, out


def _tile_weights(table: Tiles, w):
    """`[channels, tiles, slots, rows]`."""
    wide = jnp.concatenate([w, jnp.zeros((w.shape[0], 1), w.dtype), jnp.ones((w.shape[0], 1), w.dtype)], axis=1)
    return wide.at[:, table.synapses].get(mode="promise_in_bounds", wrap_negative_indices=False)
