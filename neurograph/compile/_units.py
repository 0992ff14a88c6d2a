"""Padded rows by units of at most so many synapses, and how the sums of a row's units are summed. NumPy."""

from typing import NamedTuple

import numpy as np

from . import _tiles as tiles


class Units(NamedTuple):
    """The arrays of `ops.Ell`, in NumPy."""

    sources: np.ndarray
    synapses: np.ndarray
    merges: tuple[np.ndarray, ...]
    places: np.ndarray | None
    begin: np.ndarray
    stays: np.ndarray | None
    where: np.ndarray | None


def build(given: tiles.Rows, neurons: np.ndarray, chunks: tiles.Chunks, n_slots: int, n_sparse: int) -> Units:
    """Lays out some rows.

    Args:
        given: the synapses.
        neurons: what each of them reads.
        chunks: consecutive rows that are computed together.
        n_slots: the synapses of a unit, and the units that one more sum takes; 2 or more where a row has 2 or more.
        n_sparse: what no synapse has as its number.
    """
    starts = np.searchsorted(given.rows, np.arange(given.size + 1))
    degree = np.where(chunks.own, np.diff(starts)[chunks.rows], 0)
    n_chunks, n_rows = degree.shape
    simple = degree.max(initial=0) <= n_slots
    count = np.ones_like(degree) if simple else -(-degree // n_slots)
    first = np.cumsum(count, axis=1) - count
    n_units = max(int(count.sum(axis=1).max()), 1)

    # for each synapse of each chunk: its unit, and its slot
    flat = degree.ravel()
    of = np.repeat(np.arange(flat.size), flat)
    nth = np.arange(len(of)) - np.repeat(np.cumsum(flat) - flat, flat)
    unit = first.ravel()[of] + nth // n_slots
    which = starts[:-1][chunks.rows].ravel()[of] + nth
    place = (of // n_rows, unit, nth % n_slots)
    sources = np.zeros((n_chunks, n_units, n_slots), np.int64)
    synapses = np.full((n_chunks, n_units, n_slots), n_sparse)
    sources[place], synapses[place] = neurons[which], given.synapses[which]
    sources = np.where(synapses == n_sparse, sources[:, :, :1], sources)

    merges: list[np.ndarray] = []
    places = None
    if not simple:
        merges, places = _merged(count, first, n_units, n_slots)
    again = chunks.live & ~chunks.own
    stays = again if again.any() else None
    where = None
    if n_chunks > 1:
        where = np.empty(given.size, np.int64)
        where[chunks.rows[chunks.own]] = np.flatnonzero(chunks.own)
    return Units(sources, synapses, tuple(merges), places, chunks.begin, stays, where)


def _merged(count: np.ndarray, first: np.ndarray, n_units: int, n_slots: int) -> tuple[list[np.ndarray], np.ndarray]:
    """What is summed again, and where the sum of each row is at last.

    Args:
        count, first: `[chunks, rows]`, how many units a row has, and the first of these.
        n_units: the number of units of a chunk.
        n_slots: how many a further sum takes.
    """
    merges, before, size = [], 0, n_units
    places = np.where(count == 1, first, -1)
    while (count > 1).any():
        left = np.where(count > 1, count, 0)
        fewer = -(-left // n_slots)
        begin = np.cumsum(fewer, axis=1) - fewer
        n_sums = int(fewer.sum(axis=1).max())
        merge = np.full((len(count), n_sums, n_slots), size)
        flat = left.ravel()
        of = np.repeat(np.arange(flat.size), flat)
        nth = np.arange(len(of)) - np.repeat(np.cumsum(flat) - flat, flat)
        merge[of // count.shape[1], begin.ravel()[of] + nth // n_slots, nth % n_slots] = first.ravel()[of] + nth
        merges.append(merge)
        before, size, count, first = before + size, n_sums, fewer, begin
        places = np.where(count == 1, before + first, places)
    return merges, np.where(places < 0, before + size, places)
