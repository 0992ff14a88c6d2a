"""`draw`: the picture of a wiring, neuron by neuron, or by population where there are too many."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from ..topology import INPUT, OUTPUT, Topology, levels
from .figures import INK, LEGEND_LINE, MOST_LEGEND_ENTRIES, MUTED, Path, PlotError, colours, new_figure, save
from .layout import Layout, layout
from .overview import draw_overview

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NEURONS = 2000
MOST_LEVELS = 150
MOST_SYNAPSES = 30_000
MOST_NAMES = 40
RASTERISED_FROM = 3000
FEW_POINTS, MANY_POINTS = 14, 40
MARGIN = 22.0
"""The space above and below the picture, points."""
MARKERS = {"input": "s", "hidden": "o", "output": "D"}
SAMPLE_SEED = 0


def draw(
    topology: Topology,
    path_or_axes: Path | Axes | None = None,
    *,
    weights: np.ndarray | None = None,
    overview: bool | None = None,
) -> Figure:
    """Draws a wiring from left to right by level, populations in colours, inputs as squares, outputs as diamonds.

    A wiring of more than 2,000 neurons or 150 levels is drawn as an overview: a box for each population of a level, an
    arrow for the synapses between two boxes. Of more than 30,000 synapses a random sample is drawn; a note says so.

    A level is a column, staggered where it is dense. Inputs and outputs keep the user's order, top down.

    Args:
        topology: the wiring.
        path_or_axes: a file to save to (.png, .svg or .pdf), or axes to draw into; None draws a new figure.
        weights: `[synapses]`, dimensionless; they colour the synapses, red where positive and blue where negative, the
            more opaque the larger.
        overview: True or False chooses the kind of picture; None leaves it to the sizes.

    Returns:
        The figure, which a notebook shows after `%matplotlib inline`.

    Raises:
        PlotError: weights of the wrong shape or in an overview, a suffix that is unknown, a place that cannot be
            written.
    """
    if overview is None:
        overview = topology.n_neurons > MOST_NEURONS or int(levels(topology).max(initial=0)) >= MOST_LEVELS
    if weights is not None:
        weights = _checked_weights(topology, weights, overview)
    path, axes = (path_or_axes, None) if isinstance(path_or_axes, str | os.PathLike) else (None, path_or_axes)
    figure = draw_overview(topology, axes) if overview else _draw_neurons(topology, axes, weights)
    if path is not None:
        save(figure, path)
    return figure


def _checked_weights(topology: Topology, weights: np.ndarray, overview: bool) -> np.ndarray:
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (topology.n_synapses,):
        raise PlotError(
            f"topology '{topology.name}': the weights to draw have shape {weights.shape}; give one channel, with "
            f"shape ({topology.n_synapses},)."
        )
    if overview:
        raise PlotError(
            f"topology '{topology.name}': an overview shows no weights; leave them out or set overview=False."
        )
    return weights


def _draw_neurons(topology: Topology, axes: Axes | None, weights: np.ndarray | None) -> Figure:
    placed = layout(topology)
    shown = _sample(topology, placed)
    if weights is not None:
        # the largest are drawn last, on top
        shown = shown[np.argsort(np.abs(weights[shown]), kind="stable")]
    lines = _lines(placed, topology.senders[shown], topology.receivers[shown])
    ends = np.concatenate([placed.y, *(line[:, 1] for line in lines)])
    bottom, top = ends.min() - MARGIN, ends.max() + MARGIN
    if axes is None:
        legend = LEGEND_LINE * (1 + min(len(topology.populations), MOST_LEGEND_ENTRIES))
        middle, half = (top + bottom) / 2, max(top - bottom, legend) / 2
        bottom, top = middle - half, middle + half
        figure, (axes,) = new_figure(placed.width / 72 + 2.3, (top - bottom) / 72 + 0.8)
    else:
        figure = axes.get_figure(root=True)
        assert figure is not None
    _draw_synapses(axes, topology, placed, shown, lines, weights)
    _draw_populations(axes, topology, placed)
    if topology.n_neurons <= MOST_NAMES:
        _draw_names(axes, topology, placed)
    _draw_frame(axes, topology, placed, shown.size)
    axes.set_ylim(bottom, top)
    return figure


def _sample(topology: Topology, placed: Layout) -> np.ndarray:
    """Chooses the synapses to draw: all, or as many as can be distinguished, shared out among pairs of levels."""
    n = topology.n_synapses
    if n <= MOST_SYNAPSES:
        return np.arange(n)
    n_levels = placed.level_x.size
    pair = placed.level[topology.senders] * n_levels + placed.level[topology.receivers]
    shuffled = np.random.default_rng(SAMPLE_SEED).permutation(n)
    by_pair = shuffled[np.argsort(pair[shuffled], kind="stable")]
    _, first, count = np.unique(pair[by_pair], return_index=True, return_counts=True)
    rank = np.arange(n) - np.repeat(first, count)
    return np.sort(by_pair[np.argsort(rank, kind="stable")[:MOST_SYNAPSES]])


def _draw_synapses(
    axes: Axes,
    topology: Topology,
    placed: Layout,
    shown: np.ndarray,
    lines: list[np.ndarray],
    weights: np.ndarray | None,
) -> None:
    """Draws the lines, the fainter and thinner the more of them cross a cut between two levels."""
    from matplotlib import colormaps
    from matplotlib.collections import LineCollection

    if shown.size == 0:
        return
    low, high = placed.level[topology.senders[shown]], placed.level[topology.receivers[shown]]
    n_levels = placed.level_x.size
    crossing = np.cumsum(np.bincount(low, minlength=n_levels) - np.bincount(high, minlength=n_levels))
    before = np.concatenate([[0], np.cumsum(crossing)])
    crowd = np.maximum((before[high] - before[low]) / (high - low), 1.0)
    alpha = np.clip(2.2 / crowd**0.42, 0.05, 0.75)
    if weights is None:
        colour = np.tile([0.27, 0.33, 0.4, 1.0], (shown.size, 1))
    else:
        relative = weights[shown] / (np.abs(weights).max() or 1.0)
        colour = colormaps["RdBu_r"](0.5 + 0.5 * np.sign(relative) * (0.35 + 0.65 * np.abs(relative)))
        alpha = np.clip(alpha * (0.25 + 2.5 * np.abs(relative)), 0, 1)
    colour[:, 3] = alpha
    width = np.clip(6.0 / crowd**0.35, 0.35, 1.1)
    collection = LineCollection(lines, colors=colour, linewidths=width, zorder=1, capstyle="round")
    collection.set_rasterized(shown.size > RASTERISED_FROM)
    axes.add_collection(collection)


def _lines(placed: Layout, senders: np.ndarray, receivers: np.ndarray) -> list[np.ndarray]:
    """Returns a straight line from level to level; one that skips levels bows outwards, around what lies between."""
    t = np.linspace(0, 1, FEW_POINTS if senders.size > RASTERISED_FROM else MANY_POINTS)
    span = placed.level[receivers] - placed.level[senders]
    (x0, x1), (y0, y1) = ((axis[senders], axis[receivers]) for axis in (placed.x, placed.y))
    outwards = np.where(y0 + y1 >= 0, 1.0, -1.0)
    bow = outwards * np.minimum(0.11 * placed.height * np.log2(span), 0.3 * placed.height)
    x = x0[:, None] + (x1 - x0)[:, None] * t
    y = y0[:, None] + (y1 - y0)[:, None] * t + bow[:, None] * (4 * t * (1 - t))
    lines = np.stack([x, y], axis=-1)
    return [line[[0, -1]] if s == 1 else line for line, s in zip(lines, span, strict=True)]


def _draw_populations(axes: Axes, topology: Topology, placed: Layout) -> None:
    from matplotlib.lines import Line2D

    diameter = np.clip(0.72 * placed.pitch, 1.2, 15.0)
    handles = []
    of, n = topology.population_of, len(topology.populations)
    members = np.split(np.argsort(of, kind="stable"), np.cumsum(np.bincount(of, minlength=n))[:-1])
    for population, rows, colour in zip(topology.populations, members, colours(n), strict=True):
        marker = MARKERS[population.role]
        if rows.size:
            shrink = {"s": 0.88, "D": 0.78}.get(marker, 1.0)
            axes.scatter(
                placed.x[rows],
                placed.y[rows],
                s=(shrink * diameter[rows]) ** 2,
                marker=marker,
                c=colour,
                edgecolors="white",
                linewidths=np.minimum(0.06 * diameter[rows], 0.7).tolist(),
                zorder=2,
            )
        label = (
            f"{population.name} ({rows.size:,})"
            if population.name == population.role
            else (f"{population.name} ({rows.size:,} {population.role})")
        )
        handles.append(Line2D([], [], linestyle="", marker=marker, markersize=7, color=colour, label=label))
    if len(handles) > MOST_LEGEND_ENTRIES:
        left_out = len(handles) - MOST_LEGEND_ENTRIES + 1
        handles = [
            *handles[: MOST_LEGEND_ENTRIES - 1],
            Line2D([], [], linestyle="", label=f"and {left_out} more populations"),
        ]
    axes.legend(
        handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, labelcolor=INK, fontsize=9
    )


def _draw_names(axes: Axes, topology: Topology, placed: Layout) -> None:
    """Writes names to the left of inputs, to the right of outputs, and above hidden neurons."""
    for row, (name, role) in enumerate(zip(topology.names, topology.roles, strict=True)):
        offset, horizontal, vertical = (0, 9), "center", "bottom"
        if role in (INPUT, OUTPUT):
            offset, horizontal, vertical = (
                ((-10, 0), "right", "center") if role == INPUT else ((10, 0), "left", "center")
            )
        text = str(name)
        axes.annotate(
            text if len(text) <= 14 else text[:13] + "…",
            (placed.x[row], placed.y[row]),
            offset,
            textcoords="offset points",
            ha=horizontal,
            va=vertical,
            fontsize=7.5,
            color=MUTED,
            zorder=3,
        )


def _draw_frame(axes: Axes, topology: Topology, placed: Layout, n_drawn: int) -> None:
    n_levels = placed.level_x.size
    every = max(1, int(np.ceil(n_levels / 20)))
    axes.set_xticks(placed.level_x[::every], [str(i) for i in range(0, n_levels, every)], fontsize=8, color=MUTED)
    axes.set_xlabel("level", fontsize=9, color=MUTED)
    axes.set_yticks([])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlim(0, placed.width)
    note = "" if n_drawn == topology.n_synapses else f", {n_drawn:,} of them drawn"
    counts = f"{topology.n_neurons:,} neurons, {topology.n_synapses:,} synapses{note}, {n_levels:,} levels"
    axes.set_title(f"{topology.name}: {counts}", fontsize=10.5, color=INK, loc="left")
