"""Compressed rows (CSR), summed by a kernel in C++ on all cores: no padding, and no loop but that over levels."""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .. import kernels
from .._arrays import Rows, accumulator, by_examples, put
from ._costs import Costs
from ._table import Compute, Table


class Csr(Table):
    """The synapses of row r are `starts[r] .. starts[r + 1] - 1`. CPU only.

    In a pass in order, *chunks* of `n_rows` consecutive rows are computed one after the other. A chunk may reach beyond
    its level: to rows that are there already, which it computes once more, or to rows that a later one overwrites.

    Attributes:
        sources: what each synapse reads, `(piece << shift) + row`.
        synapses: which of the sparse synapses it is.
        starts: where the synapses of each row begin.
        spans: for each chunk, in the pass's order: its first row; the first, and the last + 1, of the rows whose
            senders are all there. None where the order does not matter.
        n_rows: rows of a chunk.
        shift: bits of a row's number in `sources`.
    """

    lowering: ClassVar[str] = "csr"

    sources: Int[Array, " synapses"]
    synapses: Int[Array, " synapses"]
    starts: Int[Array, " rows_and_1"]
    spans: Int[Array, "chunks 3"] | None
    n_rows: int = eqx.field(static=True)
    shift: int = eqx.field(static=True)

    def pull(self, size: int, w: Float[Array, "channels sparse"], pieces: Sequence[Rows]) -> Rows:
        dtype = accumulator(jnp.result_type(w, *pieces))
        pieces = [piece.astype(dtype) for piece in pieces]
        tables = (self.sources, self.synapses, self.starts)
        return self._sums(w.astype(dtype), tables, pieces, jnp.array([0, 0, size], jnp.int32), size)

    def dots(self, size: int, n_channels: int, pieces: Sequence[Rows], y: Rows) -> Float[Array, "channels synapses"]:
        dtype = accumulator(jnp.result_type(y, *pieces))
        pieces = [piece.astype(dtype) for piece in pieces]
        call = _call("dots", (n_channels, self.sources.shape[0]), dtype)

        def dots(sources, starts, y, *pieces):
            return call(y, sources, starts, *pieces, shift=np.int64(self.shift))

        return by_examples(dots, (self.sources, self.starts), (y.astype(dtype), *pieces), adds=True)

    def sweep(
        self, w: Float[Array, "channels sparse"], pieces: Sequence[Rows], own: int, out: Any, compute: Compute
    ) -> tuple[Rows, Any]:
        assert self.spans is not None
        dtype, stored = accumulator(jnp.result_type(w, *pieces)), pieces[own].dtype
        w, pieces = w.astype(dtype), [piece.astype(dtype) for piece in pieces]
        # where the wiring is a constant of the program, XLA would make numbers in order anew in each turn of the loop
        tables = jax.lax.optimization_barrier((self.sources, self.synapses, self.starts))

        def body(carry, span):
            mine, out = carry
            total = self._sums(w, tables, [*pieces[:own], mine, *pieces[own + 1 :]], span, self.n_rows)
            sent, kept = compute(total, lambda a: jax.lax.dynamic_slice_in_dim(a, span[0], self.n_rows, axis=1))
            mine = put(mine, sent.astype(stored), span[0])
            return (mine, jax.tree.map(lambda whole, part: put(whole, part, span[0]), out, kept)), None

        (mine, out), _ = jax.lax.scan(body, (pieces[own], out), self.spans)
        return mine.astype(stored), out

    def _sums(self, w, tables, pieces, span, n_rows: int) -> Rows:
        def pull(*arrays):
            channels, _, batch = arrays[-1].shape
            return _call("pull", (channels, n_rows, batch), w.dtype)(*arrays, shift=np.int64(self.shift))

        return by_examples(pull, (w, *tables, span), pieces, adds=False)

    def cost(self, costs: Costs, work: int, channels: int, *, cells: bool) -> float:
        n_chunks = 1 if self.spans is None or not cells else self.spans.shape[0]
        return estimate(costs, self.sources.shape[0], n_chunks, self.n_rows, work, cells=cells)


def _call(kernel: str, shape: tuple[int, ...], dtype):
    return jax.ffi.ffi_call(
        kernels.name_of(kernel, dtype), jax.ShapeDtypeStruct(shape, dtype), vmap_method="expand_dims"
    )


def shift_for(n_pieces: int, last_row: int) -> int | None:
    """Bits for the number of a row, so that it and the number of its piece fit 31 bits; None where they do not."""
    shift = last_row.bit_length()
    return shift if (n_pieces - 1) << shift < 1 << 31 else None


def estimate(costs: Costs, n_synapses: int, n_chunks: Any, n_rows: Any, work: int, *, cells: bool) -> Any:
    """The nanoseconds of a sum, before it is laid out.

    Args:
        costs: the cost model.
        n_synapses: number of synapses.
        n_chunks, n_rows: number of chunks, and rows of each; numbers, or arrays for many shapes.
        work: states times batch.
        cells: whether a pass computes the neurons as well, chunk by chunk.
    """
    per_chunk = costs.call + (costs.tile + n_rows * work * (costs.row + costs.cell) if cells else n_rows * 0.0)
    return n_synapses * work * costs.kernel + n_chunks * per_chunk


def estimate_more(costs: Costs, n_synapses: int, work: int) -> float:
    """The nanoseconds that so many more synapses in a table add."""
    return n_synapses * work * costs.kernel


def estimate_start(costs: Costs) -> float:
    """The nanoseconds that a table takes, however few its synapses."""
    return costs.call
