"""How a table of sparse synapses is read: sums into rows, inner products along synapses, passes level by level."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..reductions import sum_last
from ._wiring import Gather, Segments, Tiles

Rows = Float[Array, "channels rows batch"]
Cell = Callable[[Rows, Callable[[Array], Array]], tuple[Rows, Any]]
"""(what rows received, slicer of arrays of all rows) -> what they send within the stage, what to keep."""


class _Tile(NamedTuple):
    """What one iteration reads of a `Tiles`."""

    sources: Array
    begin: Array
    scratch: Array
    first: Array
    last: Array


def accumulator(dtype) -> jnp.dtype:
    """Sums are at least float32."""
    return jnp.promote_types(dtype, jnp.float32)


def rows_of(a: Rows, index) -> Rows:
    return a.at[:, index].get(mode="promise_in_bounds", wrap_negative_indices=False)


def pool_of(gather: Gather, pieces: list[Rows]) -> Rows:
    """The sources' rows that are read, and scratch rows."""
    parts = [piece if pick is None else rows_of(piece, pick) for piece, pick in zip(pieces, gather.picks, strict=True)]
    if isinstance(gather.table, Tiles) and gather.table.n_scratch:
        channels, _, batch = parts[0].shape
        parts.append(jnp.zeros((channels, gather.table.n_scratch, batch), jnp.result_type(*parts)))
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis=1)


def empty(shape, dtype) -> Array:
    """An array to be written before it is read."""
    return jax.lax.empty(shape, dtype)


def pull(gather: Gather, w: Float[Array, "channels sparse"], pool: Rows) -> Rows:
    """`y_r = sum over the row's synapses of w * pool`, for all rows at once; the pool is given. In float32 at least."""
    table, channels, batch = gather.table, pool.shape[0], pool.shape[2]
    dtype = accumulator(jnp.result_type(w, pool))
    if isinstance(table, Segments):
        messages = rows_of(pool, table.sources) * w[:, table.synapses, None]
        return jax.vmap(lambda m: jax.ops.segment_sum(m, table.rows, gather.size))(messages.astype(dtype))

    def keep(total, tile, pool, out):
        if table.splits:
            begin = pool.shape[1] - table.n_scratch + tile.scratch
            pool = _put(pool, total, begin)
        out = _put(out, total, tile.begin)
        return pool, out

    out = empty((channels, gather.size, batch), dtype)
    return _loop(table, w, pool, out, keep, constant=not table.splits)[1]


def sweep(gather: Gather, w, pool: Rows, own: int, out, cell: Cell):
    """Level by level: a row's sum goes through `cell`, and what that sends is read by later rows.

    Args:
        gather: a table that reads its own stage.
        w: the sparse synapses.
        pool: with the own rows, from `own` on, not yet there.
        own: where the own rows begin in the pool.
        out: tree of arrays `[_, rows, _]` for what the cell keeps; whatever they hold is overwritten.
        cell: see `Cell`.

    Returns:
        The pool with the own rows, and `out`.
    """
    table = gather.table
    if isinstance(table, Segments):
        return _sweep_segments(gather, table, w, pool, own, out, cell)

    def keep(total, tile, pool, out):
        def slicer(array):
            return jax.lax.dynamic_slice_in_dim(array, tile.begin, table.n_rows, axis=1)

        sent, kept = cell(total, slicer)
        if table.n_scratch:
            sent = jnp.where(tile.last, sent, total.astype(sent.dtype))
            aside = pool.shape[1] - table.n_scratch + tile.scratch
            begin = jnp.where(tile.last, own + tile.begin, aside)
        else:
            begin = own + tile.begin
        pool = _put(pool, sent, begin)
        return pool, jax.tree.map(lambda whole, part: _put(whole, part, tile.begin), out, kept)

    return _loop(table, w, pool, out, keep, constant=False)


def _loop(table: Tiles, w, pool, out, keep, *, constant: bool) -> tuple[Any, Any]:
    """Tile after tile: sum the slots, hand the sum to `keep`. One loop; its program does not grow with the wiring.

    Returns the pool (None if it is constant) and `out`.

    The sum is always carried on, also where each row takes one tile: XLA would otherwise fuse the gathers into the
    update of the pool, which it then writes as a whole.
    """
    weights = _tile_weights(table, w)
    kind = accumulator(jnp.result_type(w, pool))
    blank = jnp.zeros((pool.shape[0], table.n_rows, pool.shape[2]), kind)

    def body(carry, xs):
        pool_now, total, out = carry
        tile, n = xs
        values = jax.lax.dynamic_index_in_dim(weights, n, axis=1, keepdims=False)
        source = pool if constant else pool_now
        total = jnp.where(tile.first, blank, total)
        for s in range(table.n_slots):
            total = total + rows_of(source, tile.sources[s]).astype(kind) * values[:, s, :, None].astype(kind)
        pool_now, out = keep(total, tile, pool_now, out)
        return (pool_now, total, out), None

    tiles = _Tile(table.sources, table.begin, table.scratch, table.first, table.last)
    start = (None if constant else pool, blank, out)
    numbers = jnp.arange(table.n_tiles, dtype=jnp.int32)
    (pool_after, _, out), _ = jax.lax.scan(body, start, (tiles, numbers))
    return pool_after, out


def _put(whole, part, begin):
    return jax.lax.dynamic_update_slice_in_dim(whole, part.astype(whole.dtype), begin, axis=1)


def _tile_weights(table: Tiles, w):
    """`[channels, tiles, slots, rows]`."""
    wide = jnp.concatenate([w, jnp.zeros((w.shape[0], 1), w.dtype), jnp.ones((w.shape[0], 1), w.dtype)], axis=1)
    return wide.at[:, table.synapses].get(mode="promise_in_bounds", wrap_negative_indices=False)


def _sweep_segments(gather: Gather, table: Segments, w, pool, own: int, out, cell: Cell):
    dtype = jnp.result_type(w, pool)
    for start, stop, first, end in table.levels:
        messages = rows_of(pool, table.sources[first:end]) * w[:, table.synapses[first:end], None]
        rows = table.rows[first:end] - start
        total = jax.vmap(lambda m, rows=rows, n=stop - start: jax.ops.segment_sum(m, rows, n))(
            messages.astype(accumulator(dtype))
        )
        sent, kept = cell(total, lambda array, a=start, b=stop: array[:, a:b])
        pool = pool.at[:, own + start : own + stop].set(sent.astype(pool.dtype))
        out = jax.tree.map(lambda whole, part, a=start, b=stop: whole.at[:, a:b].set(part), out, kept)
    return pool, out


def dots(n_channels: int, gather: Gather, pool: Rows, y: Rows) -> Float[Array, "channels synapses"]:
    """For each synapse of an `UP` table, `sum_b pool * y`; summed over channels where `n_channels` is 1."""
    table, kind = gather.table, accumulator(jnp.result_type(pool, y))
    shared = n_channels == 1

    def summed(products):
        sums = sum_last(products)
        return jnp.sum(sums, axis=0, keepdims=True) if shared else sums

    if isinstance(table, Segments):
        products = rows_of(pool, table.sources).astype(kind) * rows_of(y, table.rows).astype(kind)
        return summed(products)

    def body(_, tile):
        sources, rows = tile
        values = rows_of(y, jnp.minimum(rows, gather.size - 1)).astype(kind)
        return None, summed(rows_of(pool, sources).astype(kind) * values[:, None])

    assert table.where is not None
    _, s = jax.lax.scan(body, None, (table.sources, table.rows))
    return jnp.moveaxis(s, 1, 0).reshape(n_channels, -1)[:, table.where]
