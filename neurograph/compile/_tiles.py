"""Tables of sparse synapses: the shape of their tiles, and what stands where. NumPy; no loop goes over rows."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..ops import UP, Costs
from ..ops.lowerings import padded_gather

SAMPLE = 1024
"""Chunks that are looked at to choose a shape; more are taken to be like them."""


class Rows(NamedTuple):
    """What a table is built from; synapses sorted by row.

    Attributes:
        rows: the row that each synapse ends in.
        sources: the row of the pool that it reads.
        synapses: its number among the sparse synapses.
        ready: the level (index into `levels`) after which what it reads is there; -1 if it is from the start.
        size: how many rows.
        levels: `[levels, 2]`: first row and last row + 1 of each level, in the order of the pass; one level where the
            order does not matter.
        direction: whether the pass goes up or down.
    """

    rows: np.ndarray
    sources: np.ndarray
    synapses: np.ndarray
    ready: np.ndarray
    size: int
    levels: np.ndarray
    direction: str


class Shape(NamedTuple):
    """Rows and slots of a tile, and how many tiles and nanoseconds that is expected to take."""

    n_rows: int
    n_slots: int
    n_tiles: int
    cost: float


class Table(NamedTuple):
    """The arrays of `ops.Tiles`, in NumPy."""

    sources: np.ndarray
    synapses: np.ndarray
    rows: np.ndarray
    begin: np.ndarray
    scratch: np.ndarray
    first: np.ndarray
    last: np.ndarray
    where: np.ndarray
    n_scratch: int
    splits: bool
    accumulates: bool


class Chunks(NamedTuple):
    """`[chunks]` and `[chunks, n_rows]`: consecutive rows that one tile, or several in turn, sum.

    The last chunk may reach beyond its level, to rows that a later chunk will overwrite, or, at the end of the stage,
    to rows that are there already: these it computes once more.
    """

    level: np.ndarray
    begin: np.ndarray
    rows: np.ndarray
    live: np.ndarray
    own: np.ndarray

    def spans(self) -> np.ndarray:
        """`[chunks, 3]`: first row; first row whose senders are all there, and the last + 1 of these."""
        n_rows = self.rows.shape[1]
        first = self.begin + self.live.argmax(axis=1)
        return np.stack([self.begin, first, self.begin + n_rows - self.live[:, ::-1].argmax(axis=1)], axis=1)


def chunk_rows(levels: np.ndarray, cost: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> int:
    """The number of rows of a chunk with which a pass in order is expected to be fastest.

    Args:
        levels: `[levels, 2]`: first row and last row + 1 of each.
        cost: what a pass costs, from the number of chunks, and of the rows of each; both for many choices.
    """
    widths = levels[:, 1] - levels[:, 0]
    widest = int(widths.max())
    some = np.unique(np.minimum(np.r_[1 << np.arange(widest.bit_length()), np.quantile(widths, (0.5, 0.9))], widest))
    some = some.astype(np.int64)
    n_chunks = np.array([int((-(-widths // n)).sum()) for n in some])
    return int(some[np.argmin(cost(n_chunks, some))])


def chunked(given: Rows, n_rows: int) -> Chunks:
    start, stop = given.levels[:, 0], given.levels[:, 1]
    count = -(-(stop - start) // n_rows)
    level = np.repeat(np.arange(len(count)), count)
    index = np.arange(len(level)) - np.repeat(np.cumsum(count) - count, count)
    if given.direction == UP:
        wanted = start[level] + index * n_rows
        begin = np.minimum(wanted, given.size - n_rows)
        rows = begin[:, None] + np.arange(n_rows)
        live = rows < stop[level][:, None]
        own = live & (rows >= wanted[:, None])
    else:
        wanted = stop[level] - index * n_rows
        begin = np.maximum(wanted - n_rows, 0)
        rows = begin[:, None] + np.arange(n_rows)
        live = rows >= start[level][:, None]
        own = live & (rows < wanted[:, None])
    return Chunks(level, begin, rows, live, own)


def _depth(degree: np.ndarray, n_slots: int) -> np.ndarray:
    """For each chunk `[chunks, n_rows]`, how many tiles to take: for its longest rows, or fewer and split these."""
    tallest = degree.max(axis=1)
    best = np.maximum(-(-tallest // n_slots), 1)
    if n_slots == 1:
        return best
    lowest = best * degree.shape[1]
    ranked = np.sort(degree, axis=1)
    quantiles = [ranked[:, min(int(q * degree.shape[1]), degree.shape[1] - 1)] for q in (0.95, 0.85, 0.7, 0.5)]
    for depth in [*(np.maximum(-(-q // n_slots), 1) for q in quantiles), *(np.full_like(best, n) for n in (1, 2))]:
        excess = np.maximum(degree - depth[:, None] * n_slots, 0)
        pieces = np.where(excess > 0, np.maximum(-(-excess // (n_slots - 1)), 1), 0).sum(axis=1)
        places = depth * degree.shape[1] + 1.1 * pieces
        better = places < lowest
        best, lowest = np.where(better, depth, best), np.where(better, places, lowest)
    return best


def choose(given: Rows, costs: Costs, work: int, channels: int, *, cells: bool) -> Shape:
    """The cheapest shape of tiles, by the cost model.

    Args:
        given: the synapses.
        costs: the cost model.
        work: states times batch.
        channels: the number of channels of the synapses.
        cells: whether the pass computes neurons tile by tile.
    """
    degree = np.bincount(given.rows, minlength=given.size)
    widest = int((given.levels[:, 1] - given.levels[:, 0]).max())
    rows = {n for n in (4, 8, 16, 32, 64, 100, 128, 200, 256, 1024, 4096, 16384, 65536) if n < widest}
    rows = {n for n in rows | {widest} if n <= costs.max_rows} or {costs.max_rows}
    slots = {n for n in (*range(1, 17), 18, 20, 24, 28, 32) if n <= max(int(degree.max()), 1)}
    slots = {n for n in slots | {int(degree.max())} if 1 <= n <= costs.max_slots}
    best: Shape | None = None
    for n_rows in sorted(rows):
        chunks = chunked(given, n_rows)
        n_chunks = len(chunks.level)
        some = np.unique(np.linspace(0, n_chunks - 1, min(n_chunks, SAMPLE)).astype(int))
        share = n_chunks / len(some)
        found = np.where(chunks.live[some], degree[chunks.rows[some]], 0)
        for n_slots in sorted(slots):
            depth = _depth(found, n_slots)
            excess = np.maximum(found - depth[:, None] * n_slots, 0)
            pieces = -(-excess // max(n_slots - 1, 1)).sum()
            n_tiles = int(np.ceil(share * (depth.sum() + 1.1 * pieces / n_rows)))
            cost = padded_gather.estimate(costs, n_tiles, n_slots, n_rows, work, channels, cells=cells)
            if best is None or cost < best.cost:
                best = Shape(n_rows, n_slots, n_tiles, cost)
    assert best is not None
    return best


def build(given: Rows, shape: Shape, n_sparse: int, n_pool: int) -> Table:
    """Puts every synapse into its slot.

    Args:
        given: the synapses.
        shape: rows and slots of a tile.
        n_sparse: number of all sparse synapses: stands for one of value 0, the next for one of value 1.
        n_pool: rows of the pool before the scratch rows.
    """
    n_rows, n_slots, n_levels = shape.n_rows, shape.n_slots, len(given.levels)
    degree = np.bincount(given.rows, minlength=given.size)
    starts = np.cumsum(degree) - degree
    chunks = chunked(given, n_rows)
    found = np.where(chunks.live, degree[chunks.rows], 0)
    depth = _depth(found, n_slots)

    # lanes: rows of chunks. What exceeds a lane's room is summed in pieces of n_slots, and its last slots read these.
    lane_chunk, lane_row = np.nonzero(found > 0)
    level = chunks.level[lane_chunk]
    row, own = chunks.rows[lane_chunk, lane_row], chunks.own[lane_chunk, lane_row]
    total, room = found[lane_chunk, lane_row], (depth * n_slots)[lane_chunk]
    # the synapses of a row, those that are ready last first
    last_key = given.rows * (n_levels + 2) + n_levels - given.ready
    by = np.argsort(last_key, kind="stable")
    last_key = last_key[by]

    # pieces of what is ready before a window of levels are summed together before that window, whatever their level
    window = _windows(given, 16 * n_rows)
    opening = np.searchsorted(window, np.arange(int(window[-1]) + 1))
    since = row * (n_levels + 2) + n_levels - opening[window[level]]
    early = total - (np.searchsorted(last_key, since, side="right") - starts[row])
    wanted = -(-np.maximum(total - room, 0) // max(n_slots - 1, 1))
    hub = wanted >= np.minimum(room, early // n_slots + 1)
    ahead = np.where(hub & (wanted > 0), -(-early // n_slots), wanted)
    rest = np.maximum(total - ahead * n_slots, total - early)
    forerun = _chain(ahead, np.maximum(room - rest, 1), window[level], len(opening), n_rows, n_slots)
    space = room - forerun.n_pointers

    # pieces of the rest, before each level
    pointers = np.where(rest > space, -(-(rest - space) // max(n_slots - 1, 1)), 0)
    n_direct = np.where(rest <= space, rest, np.maximum(space - pointers, 0))
    chain = _chain(-(-(rest - n_direct) // n_slots), space - n_direct, level, n_levels, n_rows, n_slots)

    lane = np.repeat(np.arange(len(total)), total)
    nth = _within(total)
    synapse = by[starts[row[lane]] + nth]

    tiles_of_level = np.bincount(chunks.level, depth, minlength=n_levels).astype(np.int64)
    tiles_of_level[opening] += forerun.tiles
    tiles_of_level += chain.tiles
    base = np.cumsum(tiles_of_level) - tiles_of_level
    forerun = forerun.at(base[opening], 0, n_rows)
    base[opening] += forerun.tiles
    chain = chain.at(base, int(forerun.tiles.max(initial=0)) * n_rows, n_rows)
    base = base + chain.tiles
    n_tiles = int(tiles_of_level.sum())
    before = np.cumsum(depth) - depth
    tile_of_chunk = base[chunks.level] + before - before[np.searchsorted(chunks.level, chunks.level)]
    splits, accumulates = bool(forerun.phases or chain.phases), bool((depth > 1).any())
    dump = int(forerun.tiles.max(initial=0) + chain.tiles.max(initial=0)) * n_rows
    n_scratch = dump + n_rows if splits or accumulates else 0

    sources = np.full((n_tiles, n_slots, n_rows), -1, np.int32)
    synapses = np.full((n_tiles, n_slots, n_rows), n_sparse, np.int32)
    rows = np.full((n_tiles, n_rows), given.size, np.int32)
    begin, scratch = np.zeros(n_tiles, np.int32), np.full(n_tiles, dump, np.int32)
    first, last = np.ones(n_tiles, bool), np.zeros(n_tiles, bool)
    where = np.empty(len(given.rows), np.int64)

    chunk_of_tile = np.repeat(np.arange(len(depth)), depth)
    tile = np.repeat(tile_of_chunk, depth) + np.arange(len(chunk_of_tile)) - np.repeat(before, depth)
    begin[tile] = chunks.begin[chunk_of_tile]
    first[tile] = tile == tile_of_chunk[chunk_of_tile]
    last[tile] = tile == (tile_of_chunk + depth - 1)[chunk_of_tile]
    rows[tile] = np.where(chunks.own, chunks.rows, given.size)[chunk_of_tile]

    def put(tile, slot, column, source, number):
        sources[tile, slot, column], synapses[tile, slot, column] = source, number

    def settle(which, tile, slot, column):
        put(tile, slot, column, given.sources[synapse[which]], given.synapses[synapse[which]])
        mine = own[lane[which]]
        flat = (tile * n_slots + slot) * n_rows + column
        where[synapse[which][mine]] = flat[mine]

    direct = nth < n_direct[lane]
    at = lane[direct]
    settle(direct, tile_of_chunk[lane_chunk[at]] + nth[direct] // n_slots, nth[direct] % n_slots, lane_row[at])
    soon = nth >= rest[lane]
    late = ~direct & ~soon
    row_of_lane = np.where(own, row, given.size)
    for pieces, which, past, opens, slot in (
        (forerun, soon, rest, opening, room - forerun.n_pointers),
        (chain, late, n_direct, np.arange(n_levels), n_direct),
    ):
        for n, phase in enumerate(pieces.phases):
            begin[phase.all_tiles()] = chunks.begin[np.searchsorted(chunks.level, opens[phase.level_of_tiles()])]
            scratch[phase.all_tiles()] = phase.all_scratch(n_rows)
            if n == 0:
                item = nth[which] - past[lane[which]]
                tile, column, _ = phase.place(lane[which], item // n_slots, n_rows)
                settle(which, tile, item % n_slots, column)
                rows[tile, column] = row_of_lane[lane[which]]
            else:
                of, item, read = pieces.read_by(n, n_rows)
                tile, column, _ = phase.place(of, item // n_slots, n_rows)
                put(tile, item % n_slots, column, n_pool + read, n_sparse + 1)
        for n in range(len(pieces.phases)):
            of, item, read = pieces.read_last(n, n_rows)
            at = slot[of] + item
            tile = tile_of_chunk[lane_chunk[of]] + at // n_slots
            put(tile, at % n_slots, lane_row[of], n_pool + read, n_sparse + 1)
    # what pads a row reads what its first slot reads, and adds 0 of it
    sources = np.where(sources < 0, np.maximum(sources[:, :1], 0), sources)
    return Table(sources, synapses, rows, begin, scratch, first, last, where, n_scratch, splits, accumulates)


def _windows(given: Rows, n_rows: int) -> np.ndarray:
    """For each level its window: neighbouring levels that together have about so many rows."""
    count = np.cumsum(given.levels[:, 1] - given.levels[:, 0])
    return np.unique((count - 1) // n_rows, return_inverse=True)[1]


class _Phase(NamedTuple):
    """Pieces that are summed before a level's chunks (or before a window's; then "level" is to be read as "window").

    Attributes:
        n_pieces: how many pieces each lane has.
        start: each lane's first piece within its level.
        level: the level that each lane belongs to.
        tiles: how many tiles each level takes.
        base: first tile in each level.
        aside: first scratch row in each level.
    """

    n_pieces: np.ndarray
    start: np.ndarray
    level: np.ndarray
    tiles: np.ndarray
    base: np.ndarray
    aside: np.ndarray

    def place(self, lane, piece, n_rows: int):
        """Tile, row within it, and scratch row of a lane's piece."""
        level, at = self.level[lane], self.start[lane] + piece
        return self.base[level] + at // n_rows, at % n_rows, self.aside[level] + at

    def level_of_tiles(self):
        return np.repeat(np.arange(len(self.tiles)), self.tiles)

    def all_tiles(self):
        return self.base[self.level_of_tiles()] + _within(self.tiles)

    def all_scratch(self, n_rows: int):
        return self.aside[self.level_of_tiles()] + n_rows * _within(self.tiles)


def _phase(count: np.ndarray, level: np.ndarray, n_levels: int, n_rows: int) -> _Phase:
    # lanes come level by level
    before = np.cumsum(count) - count
    per_level = np.bincount(level, count, minlength=n_levels).astype(np.int64)
    index = before - (np.cumsum(per_level) - per_level)[level]
    none = np.zeros(n_levels, np.int64)
    return _Phase(count, index, level, -(-per_level // n_rows), none, none)


class _Chain(NamedTuple):
    """Phases of pieces: those of the first sum synapses, those of each later one what the one before summed.

    Attributes:
        phases: the phases in their order.
        tiles: how many tiles each level takes in all phases.
        n_pointers: how many sums each lane is left with.
    """

    phases: tuple[_Phase, ...]
    tiles: np.ndarray
    n_pointers: np.ndarray

    def at(self, base: np.ndarray, aside: int, n_rows: int) -> "_Chain":
        """With places: `base` is the first tile in each level, `aside` the first scratch row."""
        placed, rows = [], np.full(len(base), aside)
        for phase in self.phases:
            placed.append(phase._replace(base=base, aside=rows))
            base, rows = base + phase.tiles, rows + phase.tiles * n_rows
        return self._replace(phases=tuple(placed))

    def read_by(self, n: int, n_rows: int):
        """What phase n sums: lane, number, and scratch row of each piece of the phase before."""
        return self._pieces(n - 1, self.phases[n].n_pieces > 0, n_rows)

    def read_last(self, n: int, n_rows: int):
        """What lanes that phase n is the last of are left with."""
        count, later = self.phases[n].n_pieces, self.phases[n + 1].n_pieces if n + 1 < len(self.phases) else 0
        return self._pieces(n, (count > 0) & (later == 0), n_rows)

    def _pieces(self, n: int, lanes: np.ndarray, n_rows: int):
        count = np.where(lanes, self.phases[n].n_pieces, 0)
        lane, item = np.repeat(np.arange(len(count)), count), _within(count)
        return lane, item, self.phases[n].place(lane, item, n_rows)[2]


def _chain(pieces, room, level: np.ndarray, n_levels: int, n_rows: int, n_slots: int) -> _Chain:
    """Pieces of each lane, summed further until no more are left than it has room for."""
    phases, tiles, need = [], np.zeros(n_levels, np.int64), pieces > 0
    while need.any():
        phases.append(_phase(np.where(need, pieces, 0), level, n_levels, n_rows))
        tiles = tiles + phases[-1].tiles
        need = pieces > np.maximum(room, 1)
        pieces = np.where(need, -(-pieces // n_slots), pieces)
    return _Chain(tuple(phases), tiles, pieces)


def _within(counts: np.ndarray) -> np.ndarray:
    """0 .. count - 1 for each count, one after the other."""
    return np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
