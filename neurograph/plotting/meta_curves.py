"""`meta_curves`: loss and accuracy of a population over meta-steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .curves import style
from .figures import INK, Path, colours, new_figure, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS = (("loss", "best_loss", "median_loss"), ("accuracy", "best_accuracy", "median_accuracy"))


def meta_curves(records: Iterable[Mapping[str, Any]], path: Path | None = None, *, title: str = "") -> Figure:
    """Draws the best and the median genome's loss and query accuracy over meta-steps; stages as vertical lines.

    Args:
        records: lines of `metrics.jsonl`, each with a `step` and the fields of `neurograph.meta.learners.Standing`.
        path: a file to save to (.png, .svg or .pdf).
        title: the heading of the picture.

    Returns:
        The figure.
    """
    rows = list(records)
    figure, panels = new_figure(10.4, 3.6, 2)
    best_colour, median_colour = colours(5)[4], colours(5)[0]
    steps = _column(rows, "step")
    lengths = _column(rows, "length")
    for axes, (name, best, median) in zip(panels, PANELS, strict=True):
        for key, colour, width, label in ((median, median_colour, 1.0, "median"), (best, best_colour, 1.8, "best")):
            values = _column(rows, key)
            drawn = np.isfinite(values)
            if drawn.any():
                label = f"{label}, {values[drawn][-1]:.3g} at meta-step {steps[drawn][-1]:,.0f}"
                axes.plot(steps[drawn], values[drawn], color=colour, linewidth=width, label=label)
        for step in steps[1:][np.diff(lengths) > 0]:
            axes.axvline(step, color=INK, linewidth=0.5, alpha=0.3)
        if name == "accuracy":
            axes.set_ylim(-0.02, 1.02)
        style(axes, name)
        axes.set_xlabel("meta-step")
    if title:
        figure.suptitle(title, fontsize=10.5, color=INK, x=0.01, ha="left")
    if path is not None:
        save(figure, path)
    return figure


def _column(rows: list[Mapping[str, Any]], key: str) -> np.ndarray:
    return np.array([np.nan if row.get(key) is None else float(row[key]) for row in rows])
