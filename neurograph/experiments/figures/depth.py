"""Depth (section 4.5, Figure 10): rules meta-trained on networks of some depths train networks of others."""

import functools
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field, model_validator

from .. import grids
from ..cells import Cell, Result, Results, Work
from ..grids import Count, Sizes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Settings(grids.OneTask):
    """How deep the networks are on which rules are found, and those which they train."""

    width: Count = Field(description="neurons of each hidden layer")
    trained: Annotated[Sizes, Field(min_length=2)] = Field(description="hidden layers in meta-training, ascending")
    applied: Sizes = Field(description="hidden layers of the networks that are trained, ascending")

    @model_validator(mode="after")
    def _depths_are_compared(self) -> "Settings":
        for depths in (self.trained, self.applied):
            if sorted(set(depths)) != depths:
                raise ValueError("numbers of hidden layers ascend; put them in order, each once")
        if not set(self.trained) <= set(self.applied):
            raise ValueError("rules are tested at the depths of meta-training, too; add those of trained to applied")
        return self


def cells(settings: Settings) -> list[Cell]:
    found = [Cell(_search(n), functools.partial(_searched, settings, n), 20.0 + 10.0 * n) for n in settings.trained]
    for trained in settings.trained:
        for applied in settings.applied:
            found.append(Cell(_name(trained, applied), functools.partial(_tested, settings, trained, applied)))
    return found


def _search(trained: int) -> str:
    return f"search on hidden layers: {trained}"


def _name(trained: int, applied: int) -> str:
    return f"hidden layers: {trained} to {applied}"


def _searched(settings: Settings, trained: int, work: Work) -> Result:
    return grids.search(work, settings, [settings.width] * trained, settings.meta, settings.task)


def _tested(settings: Settings, trained: int, applied: int, work: Work) -> Result:
    hidden, steps = [settings.width] * applied, (0, settings.meta.longest)
    return grids.try_out(work, settings, _search(trained), hidden, steps, settings.task)


# --- what came of it ------------------------------------------------------------------------------------------------


def rows(settings: Settings, results: Results) -> list[dict[str, Any]]:
    found = []
    for trained in settings.trained:
        for applied in settings.applied:
            one = grids.tested(results, _name(trained, applied))
            if one is not None:
                depths = {"meta_trained_hidden_layers": trained, "hidden_layers": applied}
                found += [{**depths, **one.row(step)} for step in one.steps]
    return found


def gains(settings: Settings, results: Results) -> np.ndarray:
    """By how much the accuracy at the end lies above that of always saying the largest class, `[trained, applied]`."""
    found = np.full((len(settings.trained), len(settings.applied)), np.nan)
    for row, trained in enumerate(settings.trained):
        for column, applied in enumerate(settings.applied):
            one = grids.tested(results, _name(trained, applied))
            if one is not None:
                found[row, column] = one.at(settings.meta.longest) - one.majority
    return found


def measures(settings: Settings, results: Results) -> dict[str, float | None]:
    found, applied = gains(settings, results), np.array(settings.applied)
    shallow, deep = settings.trained[0], settings.trained[-1]
    of_deep, of_shallow = (dict(zip(settings.applied, row, strict=True)) for row in (found[-1], found[0]))
    return {
        "deep_on_shallow": _share(found[-1, applied < deep], of_deep[deep]),
        "shallow_on_shallower": _share(found[0, applied < shallow], of_shallow[shallow]),
        "shallow_on_deep": _share(np.array([of_shallow[deep]]), of_deep[deep]),
        "deep_on_deeper": _share(found[-1, applied > deep], of_deep[deep]),
    }


def _share(some: np.ndarray, reference: float) -> float | None:
    """The least of some gains as a share of another; None where there are none, or that is no gain."""
    some = some[np.isfinite(some)]
    return float(some.min() / reference) if some.size and reference > 0 else None


def draw(settings: Settings, results: Results) -> "Figure":
    from ...plotting.figures import new_figure

    figure, (curves, matrix) = new_figure(10.5, 3.8, 2)
    _curves(curves, settings, results)
    _matrix(matrix, settings, results)
    return figure


def _curves(axes: "Axes", settings: Settings, results: Results) -> None:
    from ...plotting.curves import style
    from ...plotting.figures import colours

    step = settings.meta.longest
    for trained, colour in zip(settings.trained, colours(len(settings.trained)), strict=True):
        points = [(n, grids.tested(results, _name(trained, n))) for n in settings.applied]
        known = [(n, one.at(step), one.deviation(step) or 0.0) for n, one in points if one is not None]
        if known:
            x, y, error = np.array(known).T
            label = f"meta-trained on {trained} hidden layers"
            axes.errorbar(x, y, error, color=colour, marker="o", markersize=4, capsize=2, label=label)
            axes.plot(trained, dict(zip(x, y, strict=True)).get(trained, np.nan), "o", color=colour, markersize=9)
    axes.set_ylim(-0.02, 1.02)
    style(axes, f"test accuracy on {grids.task_of(settings, results)}, {step} steps")
    axes.set_xlabel("hidden layers", fontsize=9)


def _matrix(axes: "Axes", settings: Settings, results: Results) -> None:
    from ...plotting.figures import INK

    step = settings.meta.longest
    for row, trained in enumerate(settings.trained):
        for column, applied in enumerate(settings.applied):
            one = grids.tested(results, _name(trained, applied))
            if one is not None:
                value = one.at(step)
                axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7.5,
                          color="white" if value < 0.6 else INK)  # fmt: skip
    axes.imshow(_accuracies(settings, results), vmin=0, vmax=1, cmap="viridis", aspect="auto")
    axes.set_xticks(range(len(settings.applied)), [str(n) for n in settings.applied], fontsize=8)
    axes.set_yticks(range(len(settings.trained)), [str(n) for n in settings.trained], fontsize=8)
    axes.set_xlabel("hidden layers", fontsize=9)
    axes.set_ylabel("hidden layers in meta-training", fontsize=9)


def _accuracies(settings: Settings, results: Results) -> np.ndarray:
    table = [[grids.tested(results, _name(t, n)) for n in settings.applied] for t in settings.trained]
    return np.array([[np.nan if one is None else one.at(settings.meta.longest) for one in row] for row in table])
