"""Matmuls and tables, from arrays of synapses to the types of `neurograph.ops`. NumPy but for the last step."""

import itertools
from collections.abc import Callable, Iterable
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from .._text import UserError
from ..ops import DOWN, UP, Costs, Csr, Ell, Gather, Matmul, Segments, Table, Tiles
from ..ops.lowerings import csr, ell, segment_sum
from . import _tiles as tiles
from . import _units as units
from . import kernels
from ._stages import runs

MOST = 0.7
"""A source of which a larger share is read goes into the pool as it is; of others, only the rows that are read."""


class Synapses(NamedTuple):
    """Synapses between renumbered neurons, and stages as slices of these.

    Attributes:
        senders, receivers: of all synapses.
        starts, sizes: of the stages.
        of: stage of each neuron.
        rule: number of each stage's rule.
        levels: for each stage, `[levels, 2]`: first and last + 1 of its neurons, level by level.
    """

    senders: np.ndarray
    receivers: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray
    of: np.ndarray
    rule: np.ndarray
    levels: list[np.ndarray]


class Choice(NamedTuple):
    """What tables are chosen by.

    Attributes:
        tables: the names of the lowerings of `TABLES` of which the cheapest is taken.
        tile: (rows, slots) of every tile, or None for the cheapest.
        costs: the cost model.
        work: states times batch.
        channels: the number of channels of the synapses.
    """

    tables: tuple[str, ...]
    tile: tuple[int, int] | None
    costs: Costs
    work: int
    channels: int


def matmuls_of(
    synapses: Synapses, number: np.ndarray, slices: np.ndarray, pairs: list[tuple[int, int]]
) -> tuple[list[Matmul], np.ndarray]:
    """One matmul for each pair of groups, and their synapses in order.

    Args:
        synapses: all of them.
        number: which pair each synapse is of, -1 for none.
        slices: `[groups, 2]`: first neuron and last + 1.
        pairs: (source group, target group); the target is a stage by itself.
    """
    mine = np.flatnonzero(number >= 0)
    by = np.lexsort((synapses.receivers[mine], synapses.senders[mine], number[mine]))
    order = mine[by]
    ends = np.cumsum(np.bincount(number[mine], minlength=len(pairs)))
    blocks = []
    for n, (s, t) in enumerate(pairs):
        part = order[ends[n - 1] if n else 0 : ends[n]]
        (first, stop), (low, high) = slices[s].tolist(), slices[t].tolist()
        n_s, n_t = stop - first, high - low
        source, target = int(synapses.of[first]), int(synapses.of[low])
        places = where = None
        if len(part) < n_s * n_t:
            flat = (synapses.senders[part] - first) * n_t + synapses.receivers[part] - low
            grid = np.full(n_s * n_t, len(part), np.int32)
            grid[flat] = np.arange(len(part))
            places, where = int32(grid.reshape(n_s, n_t)), int32(flat)
        begin, rule = first - int(synapses.starts[source]), int(synapses.rule[source])
        blocks.append(Matmul(source, begin, target, rule, (n_s, n_t), len(part), places, where))
    return blocks, order


def sparse_order(synapses: Synapses, sparse: np.ndarray) -> np.ndarray:
    """The sparse synapses by (stage of the receiver, rule of the sender, receiver, sender)."""
    senders, receivers = synapses.senders[sparse], synapses.receivers[sparse]
    rule = synapses.rule[synapses.of[senders]]
    stage = synapses.of[receivers]
    return sparse[np.lexsort((senders, receivers, rule, stage))]


def tables_of(synapses: Synapses, order: np.ndarray, direction: str, choice: Choice) -> list[Gather]:
    """One table for each stage (and, in the direction `UP`, each rule of the senders).

    Args:
        synapses: all of them.
        order: the sparse ones, see `sparse_order`.
        direction: `UP` or `DOWN`.
        choice: how they are read.
    """
    near, far = synapses.receivers[order], synapses.senders[order]
    if direction == DOWN:
        near, far = far, near
        by = np.lexsort((far, near))
        keys = (synapses.of[near[by]],)
    else:
        by = np.arange(len(order))
        keys = (synapses.of[near], synapses.rule[synapses.of[far]])
    bounds = [*runs(*keys).tolist(), len(by)]
    gathers = []
    for begin, end in itertools.pairwise(bounds):
        which = by[begin:end]
        stage = int(synapses.of[near[which[0]]])
        size = int(synapses.sizes[stage])
        pool = _pool(synapses, far[which], stage)
        rule = int(synapses.rule[synapses.of[far[which[0]]] if direction == UP else stage])
        levels, ready = np.array([[0, size]]), np.full(len(which), -1)
        if stage in pool.sources:
            levels = synapses.levels[stage] - synapses.starts[stage]
            inside = synapses.of[far[which]] == stage
            ready[inside] = np.searchsorted(levels[:, 1], far[which[inside]] - synapses.starts[stage], side="right")
            if direction == DOWN:
                levels = levels[::-1]
                ready[inside] = len(levels) - 1 - ready[inside]
        given = tiles.Rows(
            near[which] - synapses.starts[stage],
            pool.places,
            which,
            ready,
            size,
            levels,
            direction,
        )
        table = _table(given, choice, len(order), pool, cells=stage in pool.sources)
        gathers.append(Gather(stage, pool.sources, rule, size, len(which), table))
    return gathers


class Pool(NamedTuple):
    """What a table reads.

    Attributes:
        sources: the stages, the pieces of the pool.
        picks: for each, which of its rows are in the pool; None for all.
        size: the number of rows of the pool.
        places: for each synapse, the row of the pool that it reads.
        pieces, rows, neurons: for each synapse, the piece that it reads, the row of it, and the neuron.
        first: the first neuron of the stage whose rows are summed.
    """

    sources: tuple[int, ...]
    picks: tuple[Array | None, ...]
    size: int
    places: np.ndarray
    pieces: np.ndarray
    rows: np.ndarray
    neurons: np.ndarray
    first: int


def _pool(synapses: Synapses, far: np.ndarray, stage: int) -> Pool:
    read, at = _distinct(far, len(synapses.of))
    of = synapses.of[read]
    bounds = runs(of)
    place, sources, picks, n_pool = np.empty(len(read), np.int64), of[bounds].tolist(), [], 0
    for s, begin, end in zip(sources, bounds, [*bounds[1:], len(read)], strict=True):
        size = int(synapses.sizes[s])
        rows = read[begin:end] - synapses.starts[s]
        if s == stage or len(rows) > MOST * size:
            place[begin:end] = n_pool + rows
            picks.append(None)
            n_pool += size
        else:
            place[begin:end] = n_pool + np.arange(len(rows))
            picks.append(int32(rows))
            n_pool += len(rows)
    pieces = np.searchsorted(sources, synapses.of[far])
    rows, first = far - synapses.starts[synapses.of[far]], int(synapses.starts[stage])
    return Pool(tuple(sources), tuple(picks), n_pool, place[at], pieces, rows, far, first)


def _distinct(values: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The distinct ones of some numbers below n, sorted, and which of them each is: no pass over n for a few."""
    if 4 * len(values) < n:
        return np.unique(values, return_inverse=True)
    used = np.zeros(n, bool)
    used[values] = True
    distinct = np.flatnonzero(used)
    place = np.zeros(n, np.int64)
    place[distinct] = np.arange(len(distinct))
    return distinct, place[values]


class Candidate(NamedTuple):
    """A table that could be built.

    Attributes:
        cost: the nanoseconds that it is expected to take.
        build: builds it, from the number of all sparse synapses and the pool.
    """

    cost: float
    build: Callable[[int, Pool], Table]


def _tiled(given: tiles.Rows, choice: Choice, *, cells: bool) -> Candidate:
    """A padded gather, with the cheapest tiles, or those that the caller chose."""
    if choice.tile is None:
        shape = tiles.choose(given, choice.costs, choice.work, choice.channels, cells=cells)
    else:
        shape = tiles.Shape(min(choice.tile[0], given.size), choice.tile[1], 0, 0.0)

    def build(n_sparse: int, pool: Pool) -> Tiles:
        built = tiles.build(given, shape, n_sparse, pool.size)
        return Tiles(
            sources=int32(built.sources),
            synapses=int32(built.synapses),
            rows=int32(built.rows),
            begin=int32(built.begin),
            scratch=int32(built.scratch),
            first=jax.device_put(built.first),
            last=jax.device_put(built.last),
            where=int32(built.where) if given.direction == UP else None,
            picks=pool.picks,
            n_scratch=built.n_scratch,
            splits=built.splits,
            accumulates=built.accumulates,
        )

    return Candidate(shape.cost, build)


def _segmented(given: tiles.Rows, choice: Choice, *, cells: bool) -> Candidate:
    """`segment_sum`. Its derivatives scatter, so that it has to be twice as fast to be chosen."""
    cost = segment_sum.estimate(choice.costs, len(given.rows), len(given.levels), choice.work)

    def build(n_sparse: int, pool: Pool) -> Segments:
        levels = np.concatenate([given.levels, np.searchsorted(given.rows, given.levels)], axis=1).tolist()
        return Segments(
            sources=int32(given.sources),
            synapses=int32(given.synapses),
            rows=int32(given.rows),
            levels=tuple(tuple(level) for level in levels),
            picks=pool.picks,
        )

    return Candidate(2 * cost, build)


def _compressed(given: tiles.Rows, choice: Choice, *, cells: bool) -> Candidate:
    """Compressed rows, summed by a kernel."""
    costs, work = choice.costs, choice.work
    n_rows = given.size
    if cells:
        n_rows = tiles.chunk_rows(given.levels, lambda n, rows: csr.estimate(costs, 0, n, rows, work, cells=True))
    chunks = tiles.chunked(given, n_rows)
    cost = csr.estimate(costs, len(given.rows), len(chunks.begin), n_rows, work, cells=cells)

    def build(n_sparse: int, pool: Pool) -> Csr:
        shift = csr.shift_for(len(pool.sources), int(pool.rows.max()))
        if shift is None:
            raise UserError(f"lowering 'csr' takes fewer rows than {len(pool.sources)} stages here have; take 'auto'.")
        return Csr(
            sources=int32((pool.pieces << shift) + pool.rows),
            synapses=int32(given.synapses),
            starts=int32(np.searchsorted(given.rows, np.arange(given.size + 1))),
            spans=int32(chunks.spans()) if cells else None,
            n_rows=n_rows,
            shift=shift,
        )

    return Candidate(cost, build)


def _padded_rows(given: tiles.Rows, choice: Choice, *, cells: bool) -> Candidate:
    """Padded rows, hubs split."""
    costs, work, channels = choice.costs, choice.work, choice.channels
    degree = np.bincount(given.rows, minlength=given.size)
    n_slots, n_rows = ell.slots(costs, degree, work, channels), given.size
    if cells:
        mean = len(given.rows) / given.size / n_slots

        def in_order(n: np.ndarray, rows: np.ndarray) -> np.ndarray:
            return n * ell.estimate(costs, rows * mean, n_slots, rows, 0, work, channels, cells=True)

        n_rows = tiles.chunk_rows(given.levels, in_order)
    chunks = tiles.chunked(given, n_rows)

    def build(n_sparse: int, pool: Pool) -> Ell:
        built = units.build(given, pool.neurons, chunks, n_slots, n_sparse)
        return Ell(
            sources=int32(built.sources),
            synapses=int32(built.synapses),
            merges=tuple(int32(merge) for merge in built.merges),
            places=None if built.places is None else int32(built.places),
            begin=int32(built.begin),
            stays=None if built.stays is None else jax.device_put(built.stays),
            where=None if built.where is None else int32(built.where),
            ends=int32(np.stack([pool.neurons, given.rows])) if given.direction == UP else None,
            first=pool.first,
        )

    n_units = float(np.maximum(-(-degree // n_slots), 1).sum()) / len(chunks.begin)
    cost = len(chunks.begin) * ell.estimate(costs, n_units, n_slots, n_rows, 0, work, channels, cells=cells)
    return Candidate(cost, build)


TABLES: dict[str, Callable[..., Candidate]] = {
    "padded_gather": _tiled,
    "csr": _compressed,
    "ell": _padded_rows,
    "segment_sum": _segmented,
}
"""By lowering, what table it would make of some rows."""

WITHOUT_KERNELS = ("padded_gather", "segment_sum")
"""What "auto" chooses among on a CPU without kernels in C++; of equal ones the first."""
WITH_KERNELS = ("csr", "segment_sum")
"""And with them: a kernel makes the same accesses to memory as a loop over tiles, and none of its copies."""
OFF_A_CPU = ("ell",)
"""And on a GPU, where a loop over tiles is latency, and `segment_sum` adds in any order."""


def _table(given: tiles.Rows, choice: Choice, n_sparse: int, pool: Pool, *, cells: bool) -> Table:
    def cheapest(names: Iterable[str]) -> tuple[str, Candidate]:
        candidates = [(name, TABLES[name](given, choice, cells=cells)) for name in names]
        return min(candidates, key=lambda candidate: candidate[1].cost)

    name, candidate = cheapest(choice.tables)
    if name == "csr" and len(choice.tables) > 1:
        fits = csr.shift_for(len(pool.sources), int(pool.rows.max())) is not None
        if not (fits and kernels.problem() is None):  # a compiler may be there, and fail
            _, candidate = cheapest(WITHOUT_KERNELS)
    return candidate.build(n_sparse, pool)


def int32(array: np.ndarray) -> Array:
    return jax.device_put(np.ascontiguousarray(array, np.int32))
