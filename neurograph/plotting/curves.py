"""`curves`: loss and accuracy over the steps of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .figures import INK, MUTED, RULE, Path, PlotError, colours, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = (("loss", ("loss", "query_loss")), ("accuracy", ("support_accuracy", "query_accuracy")))
NAMES = {"loss": "support", "support_accuracy": "support", "query_loss": "query", "query_accuracy": "query"}
MOST_MARKERS = 60
LOG_FROM = 30.0
"""Ratio of largest to smallest loss from which the loss has a logarithmic axis."""

Metrics = Mapping[str, Any] | Iterable[Mapping[str, Any]]


def curves(metrics: Metrics, path: Path | None = None, *, title: str = "") -> Figure:
    """Draws loss and accuracy of support batches and query set over the steps.

    Args:
        metrics: records with a `step` and any of `loss`, `query_loss`, `support_accuracy`, `query_accuracy`
            (dimensionless); or one mapping from these names to arrays. Missing and not finite values are left out.
        path: a file to save to (.png, .svg or .pdf).
        title: the heading of the picture.

    Returns:
        The figure, which a notebook shows after `%matplotlib inline`.

    Raises:
        PlotError: there is nothing to draw, columns of different lengths, or a path that cannot be written.

    >>> figure = curves([{"step": 0, "query_loss": 2.3, "query_accuracy": 0.1}, {"step": 9, "loss": 1.0}])
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['loss', 'accuracy']
    """
    columns = _columns(metrics)
    present = [(name, [key for key in keys if key in columns]) for name, keys in PANELS]
    present = [(name, keys) for name, keys in present if keys]
    if not present:
        raise PlotError(f"there are no curves to draw; metrics need a step and one of {', '.join(NAMES)}.")
    figure, panels = new_figure(5.2 * len(present), 3.6, len(present))
    for axes, (name, keys) in zip(panels, present, strict=True):
        _panel(axes, name, {key: columns[key] for key in keys})
    if title:
        figure.suptitle(title, fontsize=10.5, color=INK, x=0.01, ha="left")
    if path is not None:
        save(figure, path)
    return figure


def _columns(metrics: Metrics) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns (steps, values) of each metric that has a finite value."""
    if isinstance(metrics, Mapping):
        given = cast(Mapping[str, Any], metrics)
        table = {key: np.asarray(given[key], dtype=np.float64) for key in ("step", *NAMES) if key in given}
        for key, values in table.items():
            if "step" not in table or values.shape != table["step"].shape or values.ndim != 1:
                expected = table["step"].shape if "step" in table else "that of a step column, which is missing"
                raise PlotError(f"metric '{key}' has shape {values.shape}; its shape must be {expected}.")
    else:
        records = list(metrics)
        table = {
            key: np.array([np.nan if r.get(key) is None else float(r[key]) for r in records])
            for key in ("step", *NAMES)
        }
    columns = {}
    for key in NAMES:
        if key in table:
            drawn = np.isfinite(table[key]) & np.isfinite(table["step"])
            if drawn.any():
                columns[key] = table["step"][drawn], table[key][drawn]
    return columns


def _panel(axes: Axes, name: str, drawn: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    support_colour, query_colour = colours(5)[0], colours(5)[4]
    for key, (steps, values) in drawn.items():
        query = NAMES[key] == "query"
        last = f"{values[-1]:.3g}" if name == "loss" else f"{values[-1]:.3f}"
        axes.plot(
            steps,
            values,
            color=query_colour if query else support_colour,
            linewidth=1.8 if query else 1.0,
            alpha=1.0 if query else 0.75,
            marker="o" if steps.size == 1 or (query and steps.size <= MOST_MARKERS) else None,
            markersize=3.5,
            zorder=3 if query else 2,
            label=f"{NAMES[key]}, {last} at step {steps[-1]:,.0f}",
        )
    values = np.concatenate([values for _, values in drawn.values()])
    if name == "loss" and values.min() > 0 and values.max() > LOG_FROM * values.min():
        axes.set_yscale("log")
    elif name == "loss":
        axes.set_ylim(bottom=min(0.0, float(values.min())))
    else:
        axes.set_ylim(-0.02, 1.02)
    style(axes, name)


def style(axes: Axes, name: str) -> None:
    axes.set_xlabel("step", fontsize=9, color=MUTED)
    axes.locator_params(axis="x", integer=True)
    axes.set_ylabel(name, fontsize=9, color=MUTED)
    axes.tick_params(labelsize=8, colors=MUTED, length=0)
    axes.grid(color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(RULE)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best", frameon=False, fontsize=8.5, labelcolor=INK)
