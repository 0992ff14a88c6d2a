"""Learning curves of several learners, as in the paper's Fig. 6, and the matrix of a transfer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .curves import style
from .figures import INK, MUTED, Path, colours, new_figure, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TICKS = (0, 0.5, 0.8, 0.9, 0.95, 0.98, 1)
"""Marks of the axis of accuracy."""
LEAST_ERROR = 0.01
"""Added to the share of errors, so that its logarithm is finite."""

Band = tuple[np.ndarray, np.ndarray]
"""Mean, and half the width of its 95 % interval, at each number of steps."""


def learning_curves(
    steps: Sequence[int],
    accuracy: Mapping[str, Band],
    *,
    dashed: Sequence[str] = (),
    faint: Sequence[np.ndarray] = (),
    path: Path | None = None,
    title: str = "",
) -> Figure:
    """Draws test accuracy over learning steps, each learner with its 95 % band; both axes are logarithmic, that of
    accuracy in the share of errors, so that 0.95 and 0.98 lie as far apart as one is harder to reach than the other.

    Args:
        steps: learning steps.
        accuracy: by the learner's name.
        dashed: names that are drawn dashed (baselines).
        faint: more curves in the background, without a name (baselines at other learning rates).
        path: a file to save to (.png, .svg or .pdf).
        title: the heading of the picture.

    Returns:
        The figure.
    """
    figure, (axes,) = new_figure(8.6, 4.4)
    at = np.arange(len(steps))
    for colour, (name, (mean, half)) in zip(colours(max(len(accuracy), 2)), accuracy.items(), strict=False):
        line = "--" if name in dashed else "-"
        axes.plot(at, mean, line, color=colour, linewidth=1.6, marker="o", markersize=3, label=name, zorder=3)
        axes.fill_between(at, mean - half, mean + half, color=colour, alpha=0.15, linewidth=0, zorder=2)
    for number, values in enumerate(faint):
        label = "each learning rate tried,\non held-out examples" if number == 0 else None
        axes.plot(at, values, color=MUTED, linewidth=0.5, alpha=0.35, label=label, zorder=1)
    style(axes, "test accuracy")
    axes.set_xlabel("learning steps")
    axes.set_xticks(at, [f"{step:,}" for step in steps])
    axes.set_yscale("function", functions=(_by_errors, _by_accuracy))
    axes.set_ylim(-0.02, 1)
    axes.set_yticks(TICKS, [f"{tick:g}" for tick in TICKS])
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8.5, labelcolor=INK)
    if title:
        figure.suptitle(title, fontsize=10.5, color=INK, x=0.01, ha="left")
    if path is not None:
        save(figure, path)
    return figure


def _by_errors(accuracy: np.ndarray) -> np.ndarray:
    return -np.log10(np.maximum(1 + LEAST_ERROR - np.asarray(accuracy, float), 1e-6))


def _by_accuracy(height: np.ndarray) -> np.ndarray:
    return 1 + LEAST_ERROR - 10.0 ** -np.asarray(height, float)


def matrix_of(
    rows: Sequence[tuple[str, str]], columns: Sequence[str], values: Mapping[tuple[str, str, str], float]
) -> np.ndarray:
    """Returns values by (wiring, task, genome) as a matrix, with NaN where there is none."""
    return np.array([[values.get((*row, column), np.nan) for column in columns] for row in rows])


def transfer_matrix(
    rows: Sequence[str], columns: Sequence[str], accuracy: np.ndarray, *, path: Path | None = None, title: str = ""
) -> Figure:
    """Draws accuracies as a matrix with numbers; NaN (wiring and task do not fit) stays empty.

    Args:
        rows, columns: names.
        accuracy: `[rows, columns]`.
        path: a file to save to.
        title: the heading of the picture.

    Returns:
        The figure.
    """
    figure, (axes,) = new_figure(3.2 + 1.1 * len(columns), 1.2 + 0.34 * len(rows))
    axes.imshow(accuracy, vmin=0, vmax=1, cmap="Blues", aspect="auto")
    for row, column in np.argwhere(np.isfinite(accuracy)):
        value = accuracy[row, column]
        ink = "white" if value > 0.6 else INK
        axes.text(column, row, f"{value:.3f}", ha="center", va="center", fontsize=8, color=ink)
    axes.set_xticks(range(len(columns)), columns, fontsize=8)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if title:
        figure.suptitle(title, fontsize=10.5, color=INK, x=0.01, ha="left")
    if path is not None:
        save(figure, path)
    return figure
