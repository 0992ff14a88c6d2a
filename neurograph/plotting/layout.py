"""`layout`: where each neuron of a drawing lies: left to right by level, within a level by population."""

from typing import NamedTuple

import numpy as np

from ..topology import HIDDEN, Topology, levels

N_SWEEPS = 4
SMALLEST_PITCH = 6.5
LARGEST_PITCH = 34.0
SMALLEST_LEVEL = 90.0
LARGEST_WIDTH = 15 * 72.0
POPULATION_GAP = 1.0
"""The gap between two populations of a level, in neurons."""
LEVEL_FILL = 0.4
"""The part of a level's width that its neurons may take; the rest shows the synapses."""


class Layout(NamedTuple):
    """Positions in points (1/72 inch) from the middle of the left edge.

    Attributes:
        x, y: float64 `[neurons]`.
        pitch: float64 `[neurons]`, the distance to a neuron's neighbours in its level.
        level: int64 `[neurons]`.
        level_x: float64 `[levels]`, the middle of each level.
        width, height: of the drawing.
    """

    x: np.ndarray
    y: np.ndarray
    pitch: np.ndarray
    level: np.ndarray
    level_x: np.ndarray
    width: float
    height: float


def layout(topology: Topology) -> Layout:
    """Places the neurons of a drawing.

    A level is a column. Where a column would be too dense its neurons are staggered over several, so that their order
    from top to bottom stays visible. Inputs and outputs keep the user's order, top down; hidden neurons are ordered by
    the mean position of their neighbours (barycentre sweeps up and down the levels).
    """
    level = levels(topology)
    n_levels = int(level.max(initial=0)) + 1
    count = np.bincount(level, minlength=n_levels)
    height = 72.0 * float(np.clip(1.1 + 0.72 * np.sqrt(count.max()), 1.8, 7.5))
    level_width = min(max(SMALLEST_LEVEL, 0.4 * height), LARGEST_WIDTH / n_levels)
    width = level_width * n_levels
    level_x = (np.arange(n_levels) + 0.5) * level_width

    order = _ordered(topology, level, n_levels)
    ends = np.cumsum(count)
    x, y, pitch = np.zeros((3, topology.n_neurons))
    for i in range(n_levels):
        rows = order[ends[i] - count[i] : ends[i]]
        dx, dy, step = _column(topology.population_of[rows], height, level_width, count[i] / count.max())
        x[rows], y[rows], pitch[rows] = level_x[i] + dx, dy, step
    return Layout(x, y, pitch, level, level_x, width, height)


def _column(
    population: np.ndarray, height: float, level_width: float, share: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Returns offsets (x, y) of the neurons of one level, top down, and their pitch; `share` is its size over the
    largest's."""
    gaps = np.concatenate([[0], np.cumsum(np.diff(population) != 0)]) * POPULATION_GAP
    slot = np.arange(population.size) + gaps
    n_slots = slot[-1] + 1
    tall = height * max(share, 1 / population.size) ** 0.5
    pitch = min(tall / n_slots, LARGEST_PITCH, level_width * 0.9)
    n_columns = 1
    if tall / n_slots < SMALLEST_PITCH:
        pitch = min(SMALLEST_PITCH, float(np.sqrt(tall * LEVEL_FILL * level_width / n_slots)))
        n_columns = int(np.clip(np.ceil(n_slots * pitch / tall), 1, max(1.0, LEVEL_FILL * level_width / pitch)))
    line_pitch = min(tall / n_slots, LARGEST_PITCH)
    dx = (np.arange(population.size) % n_columns - (n_columns - 1) / 2) * pitch
    return dx, ((n_slots - 1) / 2 - slot) * line_pitch, min(pitch, line_pitch * n_columns)


def _ordered(topology: Topology, level: np.ndarray, n_levels: int) -> np.ndarray:
    """Returns rows sorted by level, and top down within a level, int64 `[neurons]`."""
    n = topology.n_neurons
    fixed = np.arange(n)
    fixed[topology.inputs] = np.arange(topology.inputs.size)
    fixed[topology.outputs] = np.arange(topology.outputs.size)
    hidden = topology.roles == HIDDEN
    order = np.lexsort((fixed, topology.population_of, level))
    starts = np.searchsorted(level[order], np.arange(n_levels + 1))

    height, place = np.empty(n), np.empty(n, dtype=np.int64)
    for i in range(n_levels):
        rows = order[starts[i] : starts[i + 1]]
        height[rows] = _heights(rows.size)
    up = _by_level(topology.receivers, topology.senders, level, n_levels)
    down = _by_level(topology.senders, topology.receivers, level, n_levels)
    for sweep in range(N_SWEEPS):
        own, other, first = up if sweep % 2 == 0 else down
        sequence = range(1, n_levels) if sweep % 2 == 0 else range(n_levels - 2, -1, -1)
        for i in sequence:
            rows = order[starts[i] : starts[i + 1]]
            movable = hidden[rows]
            edges = slice(first[i], first[i + 1])
            if not movable.any() or edges.start == edges.stop:
                continue
            place[rows] = np.arange(rows.size)
            to = place[own[edges]]
            degree = np.bincount(to, minlength=rows.size)
            total = np.bincount(to, weights=height[other[edges]], minlength=rows.size)
            mean = np.where(degree > 0, total / np.maximum(degree, 1), height[rows])
            # rounded, so that equal means that were summed in another order do not swap neurons
            key = np.where(movable, -np.round(mean, 9), fixed[rows])
            rows = rows[np.lexsort((key, topology.population_of[rows]))]
            order[starts[i] : starts[i + 1]] = rows
            height[rows] = _heights(rows.size)
    return order


def _heights(n: int) -> np.ndarray:
    """Returns relative heights of `n` neurons, top down, from 1 to -1."""
    return 1 - (2 * np.arange(n) + 1) / n


def _by_level(
    own: np.ndarray, other: np.ndarray, level: np.ndarray, n_levels: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns synapses sorted by the level of their own end, and where each level begins."""
    order = np.argsort(level[own], kind="stable")
    own, other = own[order], other[order]
    return own, other, np.searchsorted(level[own], np.arange(n_levels + 1))
