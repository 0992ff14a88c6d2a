"""Joins neurons of one population to neurons of another, by rules of projection.

Pure functions of sizes, parameters and a random generator. Each returns `(senders, receivers)`, int64 `[synapses]`, the
neurons' places in the sending and the receiving population, sorted by receiver, then by sender; no pair comes twice.
With `within`, the two populations are one and the same, and only pairs with sender < receiver are joined, so that the
result has neither self-loops nor cycles. Nothing loops over synapses. Time and memory are those of the synapses, not of
the pairs; a projection of more synapses than this computer's memory holds raises a `TopologyError` before it is made.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._text import UserError
from . import _size
from ._types import Sheet as Sheet

Pairs = tuple[np.ndarray, np.ndarray]

# In-degrees above this fraction of the possible senders are drawn by random keys, below it by drawing again.
_DENSE = 0.25
_CHUNK = 1 << 22


def generator(seed: int, *stream: int) -> np.random.Generator:
    """Gives the random numbers of one projection: PCG64, seeded by the topology's seed and the projection's place.

    Args:
        seed: the seed of the topology, or of the projection alone.
        stream: numbers of the projection, so that projections are independent of one another.

    Returns:
        A generator.
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=stream)))


def all_to_all(n_senders: int, n_receivers: int, *, within: bool = False) -> Pairs:
    """Joins every neuron to every neuron.

    Args:
        n_senders, n_receivers: sizes of the populations.
        within: see the module.

    Returns:
        `(senders, receivers)`.

    >>> all_to_all(2, 2)
    (array([0, 1, 0, 1]), array([0, 0, 1, 1]))
    """
    n_pairs = _size.all_to_all(n_senders, n_receivers, within=within)
    _size.check_projection("all_to_all", n_pairs)
    return _pairs(np.arange(n_pairs), n_senders, within)


def one_to_one(n_senders: int, n_receivers: int) -> Pairs:
    """Joins neuron i to neuron i.

    Args:
        n_senders, n_receivers: sizes of the populations.

    Returns:
        `(senders, receivers)`.

    Raises:
        ValueError: the sizes differ.
    """
    if n_senders != n_receivers:
        raise UserError(
            f"one_to_one joins {n_senders} to {n_receivers} neurons; both populations must have the same size."
        )
    _size.check_projection("one_to_one", n_senders)
    return np.arange(n_senders), np.arange(n_receivers)


def pairwise_bernoulli(
    rng: np.random.Generator, n_senders: int, n_receivers: int, p: float, *, within: bool = False
) -> Pairs:
    """Joins each pair of neurons with probability p, independently.

    Draws the gaps between one synapse and the next, which are geometric.

    Args:
        rng: random generator.
        n_senders, n_receivers: sizes of the populations.
        p: probability, 0 to 1.
        within: see the module.

    Returns:
        `(senders, receivers)`.

    Raises:
        ValueError: p is no probability.
    """
    if not 0 <= p <= 1:
        raise UserError(f"pairwise_bernoulli has p = {p}; a probability lies between 0 and 1.")
    n_pairs = _size.all_to_all(n_senders, n_receivers, within=within)
    _size.check_projection("pairwise_bernoulli", n_pairs * p)
    if p == 1:
        return all_to_all(n_senders, n_receivers, within=within)
    if p < np.finfo(float).tiny or n_pairs == 0:
        return _empty()
    parts, last = [], -1.0
    scale = 1 / np.log1p(-p)
    while last < n_pairs:
        n_left = (n_pairs - last) * p
        n_drawn = int(min(n_left + 4 * np.sqrt(n_left) + 16, _CHUNK))
        # Whole numbers in float64 are exact to 2^53, and no gap overflows.
        index = last + np.cumsum(1 + np.floor(np.log1p(-rng.random(n_drawn)) * scale))
        parts.append(index[index < n_pairs].astype(np.int64))
        last = float(index[-1])
    return _pairs(np.concatenate(parts), n_senders, within)


def fixed_indegree(
    rng: np.random.Generator, n_senders: int, n_receivers: int, n: int, *, within: bool = False
) -> Pairs:
    """Joins n different senders to each receiver, every choice equally likely.

    Args:
        rng: random generator.
        n_senders, n_receivers: sizes of the populations.
        n: in-degree. Within one population, neuron j has min(n, j) senders.
        within: see the module.

    Returns:
        `(senders, receivers)`.

    Raises:
        ValueError: n is negative or there are not so many senders.
    """
    most = _n_senders_within(n_senders) if within else n_senders
    _check_degree("fixed_indegree", n, most, "senders")
    n_synapses = _size.fixed_indegree(n_senders, n_receivers, n, within=within)
    _size.check_projection("fixed_indegree", n_synapses, n_receivers)
    choices = np.arange(n_receivers) if within else np.full(n_receivers, n_senders)
    return choose(rng, choices, np.minimum(n, choices))


def fixed_outdegree(
    rng: np.random.Generator, n_senders: int, n_receivers: int, n: int, *, within: bool = False
) -> Pairs:
    """Joins each sender to n different receivers, every choice equally likely.

    Args:
        rng: random generator.
        n_senders, n_receivers: sizes of the populations.
        n: out-degree. Within one population of N, neuron i has min(n, N - 1 - i) receivers.
        within: see the module.

    Returns:
        `(senders, receivers)`.

    Raises:
        ValueError: n is negative or there are not so many receivers.
    """
    most = _n_senders_within(n_receivers) if within else n_receivers
    _check_degree("fixed_outdegree", n, most, "receivers")
    n_synapses = _size.fixed_outdegree(n_senders, n_receivers, n, within=within)
    _size.check_projection("fixed_outdegree", n_synapses, n_senders)
    if within:
        # The mirror image of fixed_indegree: neuron N - 1 - j there is neuron j here.
        chosen, choosers = choose(rng, np.arange(n_receivers), np.minimum(n, np.arange(n_receivers)))
        senders, receivers = n_receivers - 1 - choosers, n_receivers - 1 - chosen
    else:
        receivers, senders = choose(rng, np.full(n_senders, n_receivers), np.full(n_senders, n))
    order = np.lexsort((senders, receivers))
    return senders[order], receivers[order]


def local(
    source: Sheet,
    target: Sheet,
    kernel: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    *,
    padding: str = "same",
) -> Pairs:
    """Gives receptive fields: the neuron at (r, c) sees a window of the source sheet from (r, c) times the stride on.

    As in a convolution, but with synapses of their own for each neuron. With several maps, each target map sees the
    same windows of all source maps.

    Args:
        source, target: how the two populations lie in the plane.
        kernel: rows and columns of the window.
        stride: rows and columns from one window to the next.
        padding: "valid": only whole windows, so that the target has `(size - kernel) // stride + 1` rows and columns;
            "same": windows centred on the source and cut off at its edges, `ceil(size / stride)` rows and columns.

    Returns:
        `(senders, receivers)`.

    Raises:
        ValueError: the target's shape is not what source, kernel, stride and padding make.
    """
    if padding not in ("same", "valid"):
        raise UserError(f"local has padding {padding!r}; it must be 'same' or 'valid'.")
    if min(*kernel, *stride) < 1:
        raise UserError(f"local has kernel {kernel} and stride {stride}; all must be positive.")
    size, out = (source.rows, source.columns), (target.rows, target.columns)
    needed = tuple(
        -(-size[d] // stride[d]) if padding == "same" else max((size[d] - kernel[d]) // stride[d] + 1, 0)
        for d in (0, 1)
    )
    if out != needed:
        raise UserError(
            f"local windows of {kernel[0]} x {kernel[1]} with stride {stride[0]} x {stride[1]} and padding {padding!r} "
            f"over {size[0]} x {size[1]} neurons make {needed[0]} x {needed[1]} receivers, but the receiving sheet is "
            f"{out[0]} x {out[1]}; change its shape, the stride or the padding."
        )
    n_windows = out[0] * out[1]
    n_synapses = _size.local(source, target, kernel, stride, padding=padding)
    _size.check_projection("local", n_synapses, n_windows)
    rows, columns = (_windows(size[d], out[d], kernel[d], stride[d], padding) for d in (0, 1))
    # A line is what a window sees of one row of one source map.
    n_rows = np.repeat(rows.n_places, out[1])
    window = np.repeat(np.arange(n_windows), source.maps * n_rows)
    source_map, row = np.divmod(_within(source.maps * n_rows), n_rows[window])
    row += rows.first[window // out[1]]
    column = window % out[1]
    count = columns.n_places[column]
    senders = np.repeat((source_map * size[0] + row) * size[1] + columns.first[column], count) + _within(count)
    receivers = np.repeat(window, count)
    # All maps of the target see the same.
    of_map = np.arange(target.maps)[:, None] * n_windows
    return np.tile(senders, target.maps), (of_map + receivers).ravel()


def explicit(pairs: ArrayLike, n_senders: int, n_receivers: int) -> Pairs:
    """Joins the given pairs, in the given order.

    Args:
        pairs: `[synapses, 2]`, sender and receiver.
        n_senders, n_receivers: sizes of the populations.

    Returns:
        `(senders, receivers)`.

    Raises:
        ValueError: a pair is out of range, or no pair of whole numbers.
    """
    array = np.asarray(pairs)
    if array.size == 0:
        return _empty()
    if array.ndim != 2 or array.shape[1] != 2 or not np.issubdtype(array.dtype, np.integer):
        raise UserError(
            f"the pairs have type {array.dtype} and shape {array.shape}; give [sender, receiver] as integers."
        )
    array = array.astype(np.int64)
    for column, size, what in [(0, n_senders, "sender"), (1, n_receivers, "receiver")]:
        wrong = np.flatnonzero((array[:, column] < 0) | (array[:, column] >= size))
        if wrong.size:
            raise UserError(
                f"pair number {wrong[0]}, {array[wrong[0]].tolist()}, has {what} {array[wrong[0], column]}, "
                f"but the population's neurons are numbered 0 to {size - 1}."
            )
    return array[:, 0].copy(), array[:, 1].copy()


def fan(first: ArrayLike, second: ArrayLike) -> Pairs:
    """Joins every neuron of one list to every neuron of another.

    Args:
        first, second: senders and receivers.

    Returns:
        `(senders, receivers)`.
    """
    senders, receivers = np.asarray(first, dtype=np.int64), np.asarray(second, dtype=np.int64)
    return np.tile(senders, receivers.size), np.repeat(receivers, senders.size)


def join(parts: Sequence[Pairs]) -> Pairs:
    """Concatenates several lists of pairs.

    Args:
        parts: the lists.

    Returns:
        `(senders, receivers)`.
    """
    if not parts:
        return _empty()
    return np.concatenate([senders for senders, _ in parts]), np.concatenate([receivers for _, receivers in parts])


def _empty() -> Pairs:
    return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)


def _n_senders_within(n_neurons: int) -> int:
    return max(n_neurons - 1, 0)


def _check_degree(rule: str, n: int, most: int, what: str) -> None:
    if not 0 <= n <= most:
        raise UserError(f"{rule} has n = {n}; it must lie between 0 and {most}, the number of possible {what}.")


def _pairs(index: np.ndarray, n_senders: int, within: bool) -> Pairs:
    """Gives the pairs at the given places in the list of all pairs, sorted by receiver, then by sender."""
    if not within:
        receivers, senders = np.divmod(index, max(n_senders, 1))
        return senders, receivers
    # Receiver j has the places j (j - 1) / 2 and after; the root may be off by one where it rounds.
    receivers = ((1 + np.sqrt(1 + 8 * index.astype(np.float64))) / 2).astype(np.int64)
    receivers -= receivers * (receivers - 1) // 2 > index
    receivers += receivers * (receivers + 1) // 2 <= index
    return index - receivers * (receivers - 1) // 2, receivers


def choose(rng: np.random.Generator, choices: np.ndarray, n_chosen: np.ndarray) -> Pairs:
    """Chooses `n_chosen[j]` different numbers below `choices[j]` for each row j; gives (chosen, row), sorted by row."""
    dense = n_chosen > _DENSE * choices
    parts = [_choose_dense(rng, choices, n_chosen, np.flatnonzero(dense))]
    parts.append(_choose_sparse(rng, choices, n_chosen, np.flatnonzero(~dense)))
    chosen, rows = join(parts)
    order = np.lexsort((chosen, rows))
    return chosen[order], rows[order]


def _choose_dense(rng: np.random.Generator, choices: np.ndarray, n_chosen: np.ndarray, rows: np.ndarray) -> Pairs:
    """Chooses the numbers with the smallest random keys; some rows at a time, to bound the memory of the keys."""
    parts, start = [], 0
    while start < rows.size:
        width = int(choices[rows[start:]].max())
        part = rows[start : start + max(_CHUNK // max(width, 1), 1)]
        keys = rng.random((part.size, width))
        keys[np.arange(width) >= choices[part, None]] = 2
        rank = np.arange(width) < n_chosen[part, None]
        where, place = np.nonzero(rank)
        parts.append((np.argsort(keys, axis=1)[where, place], part[where]))
        start += part.size
    return join(parts)


def _choose_sparse(rng: np.random.Generator, choices: np.ndarray, n_chosen: np.ndarray, rows: np.ndarray) -> Pairs:
    """Draws numbers with replacement, and repeated ones again until there are none: all choices stay equally likely."""
    row = np.repeat(rows, n_chosen[rows])
    base = np.concatenate([[0], np.cumsum(choices)])
    key = np.sort(base[row] + (rng.random(row.size) * choices[row]).astype(np.int64))
    while (repeats := np.flatnonzero(key[1:] == key[:-1])).size:
        again = row[repeats]
        key[repeats] = base[again] + (rng.random(again.size) * choices[again]).astype(np.int64)
        key.sort()
    return key - base[row], row


class _Windows(NamedTuple):
    """The places that each window covers in one direction within the sheet: `[windows]`, the first, and how many."""

    first: np.ndarray
    n_places: np.ndarray


def _windows(size: int, n_windows: int, kernel: int, stride: int, padding: str) -> _Windows:
    begin = _size.first_place(size, n_windows, kernel, stride, padding) + np.arange(n_windows) * stride
    first = np.clip(begin, 0, size)
    return _Windows(first, np.clip(begin + kernel, 0, size) - first)


def _within(counts: np.ndarray) -> np.ndarray:
    """Gives 0 .. count - 1 for each count, one after the other."""
    return np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
