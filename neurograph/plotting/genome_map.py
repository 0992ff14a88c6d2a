"""`genome_map`: the matrices of a genome as heat maps with their numbers."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..genome import Genome, Genomes
from .figures import INK, MUTED, Path, save

MATRICES = (
    ("neuron", "nu", "ν, forward", "from state", "to state"),
    ("neuron", "mu", "μ, backward", "from state", "to state"),
    ("synapse", "pre", "P, pre", "state", "channel"),
    ("synapse", "post", "Q, post", "channel", "state"),
    ("forward_synapse", "pre", "P, pre, forward states", "state", "channel"),
    ("forward_synapse", "post", "Q, post, forward states", "channel", "state"),
)
"""Part and field of the genome; title; what rows and columns are."""
GATES = (("neuron", "keep", "f"), ("neuron", "update", "η"), ("synapse", "keep", "f̃"), ("synapse", "update", "η̃"))
MOST_NUMBERED = 10
"""States up to which the numbers fit into their cells."""
DARK = 0.6
"""Share of the largest number from which a cell is dark enough for white ink."""
PANEL, STATES, MARGIN = 2.6, 5, 0.5
"""Inches of a panel that has so many states at most, and between rows."""


def genome_map(genome: Genomes, path: Path | None = None, *, title: str = "") -> Figure:
    """Draws the matrices of each genome in a row, blue above 0 and red below, with its gates beneath.

    Args:
        genome: one, or one for each population.
        path: a file to save to (.png, .svg or .pdf).
        title: above.

    Returns:
        The figure.

    Raises:
        PlotError: a path that cannot be written.
    """
    members = {"": genome} if isinstance(genome, Genome) else dict(genome)
    drawn = [row for row in MATRICES if any(getattr(member, row[0]) is not None for member in members.values())]
    size = PANEL * max(1.0, min(next(iter(members.values())).n_states, MOST_NUMBERED) / STATES)
    figure = Figure(
        figsize=(size * len(drawn), (size + MARGIN) * len(members) + MARGIN), layout="constrained", facecolor="white"
    )
    grid = figure.subplots(len(members), len(drawn), squeeze=False)
    for panels, (name, member) in zip(grid, members.items(), strict=True):
        for axes, (part, field, label, rows, columns) in zip(panels, drawn, strict=True):
            values = getattr(member, part)
            if values is None:
                axes.set_axis_off()
                continue
            _panel(axes, np.asarray(getattr(values, field), float), label, rows, columns)
        _caption(panels[0], name, member)
    if title:
        figure.suptitle(title, fontsize=10.5, color=INK, x=0.01, ha="left")
    if path is not None:
        save(figure, path)
    return figure


def _panel(axes: Axes, values: np.ndarray, label: str, rows: str, columns: str) -> None:
    largest = float(np.abs(values).max()) or 1.0
    n = len(values)
    axes.imshow(values, vmin=-largest, vmax=largest, cmap="RdBu")
    if n <= MOST_NUMBERED:
        size = 8.5 if n <= STATES else 7.0
        for row, column in np.ndindex(n, n):
            value = values[row, column]
            ink = "white" if abs(value) > DARK * largest else INK
            axes.text(column, row, number(float(value), 2), ha="center", va="center", fontsize=size, color=ink)
    axes.set_title(label, fontsize=9.5, color=INK)
    axes.set_xlabel(columns, fontsize=8, color=MUTED)
    axes.set_ylabel(rows, fontsize=8, color=MUTED)
    ticks = range(0, n, max(1, n // 8))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(ticks, [str(tick + 1) for tick in ticks])
    axes.tick_params(labelsize=8, colors=MUTED, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _caption(axes: Axes, name: str, member: Genome) -> None:
    """The population's name and the gates, beneath the first panel of the row."""
    gates = ", ".join(f"{sign} {number(float(getattr(getattr(member, part), field)))}" for part, field, sign in GATES)
    axes.annotate(
        f"{name}: {gates}" if name else gates,
        (0, 0),
        (0, -34),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=8.5,
        color=INK,
        va="top",
        annotation_clip=False,
    )


def number(value: float, digits: int = 3) -> str:
    """Some significant digits at most, as short as it goes.

    >>> number(0.0), number(-0.12345), number(1234.5)
    ('0', '-0.123', '1.23e3')
    """
    text = f"{value:.{digits}g}"
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if e else mantissa
