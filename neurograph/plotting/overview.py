"""The overview of a wiring too large to show its neurons: populations by level as boxes, their synapses as arrows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..topology import ROLES, Topology, levels
from .figures import INK, LEGEND_LINE, MOST_LEGEND_ENTRIES, MUTED, colours, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_COLUMNS = 14
MOST_ROWS = 8
MOST_NUMBERS = 30
BOX_WIDTH = 0.5
ROW = 1.15
"""The height of a row, inches."""
LUMINANCE = (0.299, 0.587, 0.114)
BEND = 0.3
"""How far the control point of an arrow that skips levels is off the chord, in lengths of the chord."""


class Overview(NamedTuple):
    """Groups of neurons and the synapses between them.

    Attributes:
        names: (name, role) of what the neurons are grouped by: the populations; or the roles, where a column would hold
            too many populations.
        column: int64 `[groups]`, the group's range of levels.
        name: int64 `[groups]`, index into `names`.
        size: int64 `[groups]`, its number of neurons.
        senders, receivers: int64 `[bundles]`, groups, never the same.
        n_synapses: int64 `[bundles]`.
        within: int64 `[groups]`, synapses inside the group.
        first_level, last_level: int64 `[columns]`.
    """

    names: tuple[tuple[str, str], ...]
    column: np.ndarray
    name: np.ndarray
    size: np.ndarray
    senders: np.ndarray
    receivers: np.ndarray
    n_synapses: np.ndarray
    within: np.ndarray
    first_level: np.ndarray
    last_level: np.ndarray


def summarise(topology: Topology, most_columns: int = MOST_COLUMNS, most_rows: int = MOST_ROWS) -> Overview:
    """Groups neurons by level, or by equal ranges of levels, and by population, or by role.

    Args:
        topology: the wiring.
        most_columns: ranges of levels, at most.
        most_rows: populations in a column, at most; beyond, neurons are grouped by role.
    """
    level = levels(topology)
    n_levels = int(level.max(initial=0)) + 1
    n_columns = min(n_levels, most_columns)
    column_of_level = np.arange(n_levels) * n_columns // n_levels
    names = tuple((p.name, p.role) for p in topology.populations)
    name_of = topology.population_of
    cells = np.unique(column_of_level[level] * len(names) + name_of)
    if np.bincount(cells // len(names)).max() > most_rows:
        names, name_of = tuple((role, role) for role in ROLES), topology.roles
    cells, group_of, size = np.unique(
        column_of_level[level] * len(names) + name_of, return_inverse=True, return_counts=True
    )
    column, name = np.divmod(cells, len(names))

    ends = group_of[topology.senders] * cells.size + group_of[topology.receivers]
    bundles, n_synapses = np.unique(ends, return_counts=True)
    senders, receivers = np.divmod(bundles, cells.size)
    inside = senders == receivers
    within = np.zeros(cells.size, dtype=np.int64)
    within[senders[inside]] = n_synapses[inside]
    return Overview(
        names,
        column,
        name,
        size,
        senders[~inside],
        receivers[~inside],
        n_synapses[~inside],
        within,
        np.searchsorted(column_of_level, np.arange(n_columns)),
        np.searchsorted(column_of_level, np.arange(n_columns), side="right") - 1,
    )


def draw_overview(topology: Topology, axes: Axes | None = None) -> Figure:
    """Draws `summarise(topology)`: boxes and arrows, their heights and widths logarithmic in the counts."""
    from matplotlib.patches import Patch

    overview = summarise(topology)
    x, y, height = _places(overview)
    arrows = [_arrow(overview, i, x, y, height) for i in range(overview.n_synapses.size)]
    present = np.unique(overview.name).tolist()
    reach = [_middle(*arrow)[1] for arrow in arrows]
    top = max([*(y + height / 2), *reach]) + 0.15
    bottom = min([*(y - height / 2), *reach]) - 0.15
    if axes is None:
        n_columns = overview.first_level.size
        legend = LEGEND_LINE * (1 + min(len(present), MOST_LEGEND_ENTRIES))
        high = max(ROW * (top - bottom), legend / 72)
        figure, (axes,) = new_figure(float(np.clip(1.5 * n_columns + 2.3, 6, 18)), 0.8 + high)
    else:
        figure = axes.get_figure(root=True)
        assert figure is not None
    colour = colours(len(overview.names))
    _draw_arrows(axes, overview, arrows)
    for group, name in enumerate(overview.name):
        _draw_box(axes, overview, group, x[group], y[group], height[group], colour[name])
    _draw_frame(axes, topology, overview)
    axes.set_ylim(bottom, top)
    handles = [
        Patch(color=colour[i], label=name if name == role else f"{name} ({role})")
        for i, (name, role) in ((i, overview.names[i]) for i in present[:MOST_LEGEND_ENTRIES])
    ]
    if len(present) > MOST_LEGEND_ENTRIES:
        handles.append(Patch(color="white", label=f"and {len(present) - MOST_LEGEND_ENTRIES} more populations"))
    axes.legend(
        handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, labelcolor=INK, fontsize=9
    )
    return figure


def _places(overview: Overview) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns middles (x, y) and heights of the boxes; a column is 1 wide and a row 1 high."""
    in_column = np.bincount(overview.column)
    rank = np.arange(overview.column.size) - np.searchsorted(overview.column, overview.column)
    y = (in_column[overview.column] - 1) / 2 - rank
    share = np.log1p(overview.size) / np.log1p(overview.size.max())
    return overview.column.astype(float), y, 0.35 + 0.35 * share


Point = tuple[float, float]


def _arrow(
    overview: Overview, bundle: int, x: np.ndarray, y: np.ndarray, height: np.ndarray
) -> tuple[Point, Point, float]:
    """Returns (start, end, bend) of the arrow of a bundle of synapses."""
    sender, receiver = int(overview.senders[bundle]), int(overview.receivers[bundle])
    (x0, x1), (y0, y1) = ((float(axis[sender]), float(axis[receiver])) for axis in (x, y))
    span = int(overview.column[receiver] - overview.column[sender])
    if span == 1:
        return (x0 + BOX_WIDTH / 2, y0), (x1 - BOX_WIDTH / 2, y1), 0.0
    if span == 0:
        side = 1.0 if y1 > y0 else -1.0
        start, end = (x0, y0 + side * height[sender] / 2), (x1, y1 - side * height[receiver] / 2)
        # next to one another: straight; else around what lies between
        return start, end, 0.0 if abs(y1 - y0) < 1.5 else 0.6 * side
    # along the middle row, above and below in turn
    side = np.sign(y0 + y1) or (1.0 if overview.column[sender] % 2 == 0 else -1.0)
    offset = 0.1 + 0.05 * min(span, 3)
    start, end = (x0 + offset, y0 + side * height[sender] / 2), (x1 - offset, y1 + side * height[receiver] / 2)
    return start, end, -side * BEND


def _middle(start: Point, end: Point, bend: float) -> Point:
    """Returns the middle of an `arc3` connection: a Bezier curve with its control point bend x length off the chord."""
    (x0, y0), (x1, y1) = start, end
    control = (x0 + x1) / 2 + bend * (y1 - y0), (y0 + y1) / 2 - bend * (x1 - x0)
    return (x0 + 2 * control[0] + x1) / 4, (y0 + 2 * control[1] + y1) / 4


def _draw_arrows(axes: Axes, overview: Overview, arrows: list[tuple[Point, Point, float]]) -> None:
    from matplotlib.patches import FancyArrowPatch

    if not arrows:
        return
    share = np.log1p(overview.n_synapses) / np.log1p(overview.n_synapses.max())
    numbered = set(np.argsort(-overview.n_synapses, kind="stable")[:MOST_NUMBERS].tolist())
    crowd = float(np.clip((30 / len(arrows)) ** 0.5, 0.3, 1.0))
    for i, (start, end, bend) in enumerate(arrows):
        arrow = FancyArrowPatch(
            start,
            end,
            connectionstyle=f"arc3,rad={bend}",
            arrowstyle="-|>",
            mutation_scale=7 + 6 * share[i],
            linewidth=(0.4 + 3.0 * share[i] ** 3) * crowd,
            color="#46535f",
            alpha=0.15 + 0.55 * share[i] * crowd,
            shrinkA=0,
            shrinkB=0,
            zorder=1 if bend else 2,
        )
        axes.add_patch(arrow)
        if i in numbered:
            axes.text(
                *_middle(start, end, bend),
                f"{overview.n_synapses[i]:,}",
                ha="center",
                va="center",
                fontsize=7,
                color=INK,
                zorder=5,
                bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.9},
            )


def _draw_box(axes: Axes, overview: Overview, group: int, x: float, y: float, height: float, colour: str) -> None:
    from matplotlib.colors import to_rgb
    from matplotlib.patches import FancyBboxPatch

    axes.add_patch(
        FancyBboxPatch(
            (x - BOX_WIDTH / 2, y - height / 2),
            BOX_WIDTH,
            height,
            boxstyle="round,pad=0,rounding_size=0.06",
            facecolor=colour,
            edgecolor="white",
            linewidth=1.2,
            zorder=3,
        )
    )
    name = overview.names[overview.name[group]][0]
    ink = INK if np.dot(to_rgb(colour), LUMINANCE) > 0.55 else "white"
    lines = [name if len(name) <= 13 else name[:12] + "…", f"{overview.size[group]:,}"]
    if overview.within[group]:
        lines.append(f"({overview.within[group]:,})")
    axes.text(x, y, "\n".join(lines), ha="center", va="center", color=ink, fontsize=8, zorder=4, linespacing=1.2)


def _draw_frame(axes: Axes, topology: Topology, overview: Overview) -> None:
    ranges = zip(overview.first_level, overview.last_level, strict=True)
    names = [f"{first}" if first == last else f"{first} – {last}" for first, last in ranges]
    axes.set_xticks(np.arange(len(names)), names, fontsize=8, color=MUTED)
    note = ", in brackets: synapses within a box" if overview.within.any() else ""
    axes.set_xlabel(f"level (boxes: neurons{note}; arrows: synapses)", fontsize=9, color=MUTED)
    axes.set_yticks([])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlim(-0.5, len(names) - 0.5)
    n_levels = int(overview.last_level[-1]) + 1
    counts = f"{topology.n_neurons:,} neurons, {topology.n_synapses:,} synapses, {n_levels:,} levels"
    axes.set_title(f"{topology.name}: {counts}", fontsize=10.5, color=INK, loc="left")
