"""Counts for tables and terminals: degrees, levels, and bars made of text."""

from collections.abc import Sequence

import numpy as np

from ..topology import Topology, levels

BAR = "█"


def degree_histograms(topology: Topology) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Counts how many neurons have each number of synapses.

    Returns:
        "in" (neurons that are no inputs, by incoming synapses) and "out" (neurons that are no outputs, or that have
        out-neighbours, by outgoing synapses), each as (degrees, counts): int64, ascending degrees that occur.
    """
    n = topology.n_neurons
    incoming = np.bincount(topology.receivers, minlength=n)
    outgoing = np.bincount(topology.senders, minlength=n)
    receiving, sending = np.ones((2, n), dtype=bool)
    receiving[topology.inputs] = False
    sending[topology.outputs[outgoing[topology.outputs] == 0]] = False
    return {
        "in": np.unique(incoming[receiving], return_counts=True),
        "out": np.unique(outgoing[sending], return_counts=True),
    }


def level_histogram(topology: Topology) -> np.ndarray:
    """Counts the neurons of each level, int64 `[levels]`."""
    return np.bincount(levels(topology))


def text_histogram(values: np.ndarray, counts: np.ndarray, *, rows: int = 12, width: int = 40) -> str:
    """Draws bars of text, one line for each value, or for each range of values where there are more than `rows`.

    Args:
        values: integers, ascending.
        counts: how often each occurs.
        rows: lines, at most.
        width: the length of the longest bar, characters.

    >>> print(text_histogram(np.array([1, 2, 5]), np.array([2, 8, 4]), width=8))
    1  ██  2
    2  ████████  8
    5  ████  4
    """
    values, counts = np.asarray(values), np.asarray(counts)
    if values.size == 0:
        return ""
    labels: Sequence[str] = [f"{v:,}" for v in values]
    if values.size > rows:
        edges = _edges(int(values[0]), int(values[-1]), rows)
        bins = np.searchsorted(edges, values, side="right") - 1
        counts = np.bincount(bins, weights=counts, minlength=edges.size - 1).astype(np.int64)
        spans = zip(edges[:-1], edges[1:] - 1, strict=True)
        labels = [f"{low:,}" if low == high else f"{low:,} – {high:,}" for low, high in spans]
    widest = max(map(len, labels))
    lengths = np.where(counts > 0, np.maximum(1, np.round(width * counts / counts.max())), 0).astype(int)
    return "\n".join(
        f"{label:>{widest}}  {BAR * length}{'  ' * bool(length)}{count:,}"
        for label, length, count in zip(labels, lengths.tolist(), counts.tolist(), strict=True)
    )


def _edges(low: int, high: int, rows: int) -> np.ndarray:
    """Returns the limits of at most `rows` ranges that cover low ... high, equally long, or growing for a wide span."""
    if low >= 0 and high - low > 20 * rows:
        inner = np.geomspace(1, high - low + 1, rows + 1).round().astype(np.int64) + low
        return np.unique(np.concatenate([[low], inner[1:]]))
    step = -(-(high - low + 1) // rows)
    return np.arange(low, high + 1 + step, step)
