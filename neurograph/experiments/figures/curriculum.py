"""A curriculum of ever longer unrolls (sections 4.2 and C.4, Figure 14): accuracy over meta-steps."""

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field, model_validator

from ... import _files, rules
from ...rules import files
from ...runs.atomic import write_atomically
from .. import grids
from ..cells import SEARCHES, Cell, Result, Results, Work, file_name
from ..grids import Sizes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SEARCH, TEST = "search with a curriculum", "test"


class Settings(grids.OneTask):
    """The wiring, and meta-training with a curriculum, whose rules begin as copies of one random rule.

    All rules of a population learn from the same draws, so that exact copies would stay equal; `meta.spread` makes them
    differ at the start.
    """

    hidden: Sizes = Field(description="sizes of the hidden layers")

    @model_validator(mode="after")
    def _there_are_stages(self) -> "Settings":
        if len(self.stages) < 2:
            raise ValueError(
                "the curriculum has one stage alone; make meta.curriculum.every smaller than meta.meta_steps"
            )
        if self.meta.synchronise_every is None:
            raise ValueError("rules become copies of the best at the end of each stage; give meta.synchronise_every")
        return self

    @property
    def stages(self) -> list["Stage"]:
        """The stages of the curriculum."""
        config = self.meta
        firsts = range(0, config.meta_steps, config.curriculum.every)
        lengths = [min(config.unroll + config.curriculum.add * n, config.longest) for n in range(len(firsts))]
        ends = [*list(firsts)[1:], config.meta_steps]
        return [Stage(*each) for each in zip(firsts, ends, lengths, strict=True)]


class Stage(NamedTuple):
    """Meta-steps after `first`, up to `last`, with unrolls of `length` steps."""

    first: int
    last: int
    length: int


def cells(settings: Settings) -> list[Cell]:
    return [
        Cell(SEARCH, functools.partial(_searched, settings), 50.0),
        Cell(TEST, functools.partial(_tested, settings)),
    ]


def _searched(settings: Settings, work: Work) -> Result:
    """The rule that all begin as is random, with the options of the settings; it is kept beside the run."""
    config = settings.meta
    start = rules.blur(work.key("start"), config.n_states or 4, eta=-(config.update or 0.01))
    path = (work.folder / SEARCHES / f"{file_name(work.name)}_start.txt").resolve()
    _files.make_folder(path.parent)
    write_atomically(path, files.dumps(start))
    return grids.search(work, settings, settings.hidden, config.model_copy(update={"genome": str(path)}), settings.task)


def _tested(settings: Settings, work: Work) -> Result:
    lengths = list(dict.fromkeys(stage.length for stage in settings.stages))
    return grids.try_out(work, settings, SEARCH, settings.hidden, [0, *lengths], settings.task)


# --- what came of it ------------------------------------------------------------------------------------------------


def _trajectory(results: Results) -> list[dict[str, Any]]:
    return list(results[SEARCH].numbers["trajectory"]) if SEARCH in results else []


def rows(settings: Settings, results: Results) -> list[dict[str, Any]]:
    task = results[SEARCH].numbers["task"] if SEARCH in results else ""
    found = [
        {
            "set": "meta-training", "task": task, "meta_step": record["step"], "step": record["length"],
            "accuracy": record["best_accuracy"], "median": record["median_accuracy"],
        }
        for record in _trajectory(results)
    ]  # fmt: skip
    one = grids.tested(results, TEST)
    return found + ([] if one is None else [{"set": "test", **one.row(step)} for step in one.steps])


def ends(settings: Settings, results: Results) -> list[float]:
    """The accuracy of the best rule at the end of each stage that was reached."""
    found = []
    for stage in settings.stages:
        within = [r for r in _trajectory(results) if stage.first < r["step"] <= stage.last]
        if within and within[-1]["best_accuracy"] is not None:
            found.append(float(within[-1]["best_accuracy"]))
    return found


def measures(settings: Settings, results: Results) -> dict[str, float | None]:
    each, one = ends(settings, results), grids.tested(results, TEST)
    reached = [later - each[0] for later in each[1:]]
    first, last = settings.stages[0].length, settings.stages[-1].length
    return {
        "curriculum_helps": each[-1] - each[0] if reached else None,
        "no_stage_falls_back": min(reached, default=None),
        "longer_is_better": one.at(last) - one.at(first) if one is not None and last > first else None,
    }


def draw(settings: Settings, results: Results) -> "Figure":
    from ...plotting.figures import new_figure

    figure, (left, right) = new_figure(10.5, 3.8, 2)
    _over_meta_steps(left, settings, _trajectory(results))
    _over_steps(right, settings, results)
    return figure


def _over_meta_steps(axes: "Axes", settings: Settings, records: list[dict[str, Any]]) -> None:
    from ...plotting.curves import style
    from ...plotting.figures import MUTED

    steps = [record["step"] for record in records]
    for key, label, colour in (("best", "best rule", "#0072B2"), ("median", "median of the rules", "#E69F00")):
        values = [record[f"{key}_accuracy"] for record in records]
        shown = [float("nan") if value is None else value for value in values]
        axes.plot(steps, shown, color=colour, linewidth=1.6, label=label)
    axes.set_ylim(-0.02, 1.1)
    axes.set_xlim(0, settings.meta.meta_steps)
    for stage in settings.stages:
        if stage.first:
            axes.axvline(stage.first, color=MUTED, linewidth=0.6, linestyle="--")
        axes.text(stage.first, 1.08, f" {stage.length}", fontsize=7, color=MUTED, ha="left", va="top")
    style(axes, "accuracy at the end of unrolls")
    axes.set_xlabel("meta-steps; dashed: unrolls become longer (number: their steps)", fontsize=9)


def _over_steps(axes: "Axes", settings: Settings, results: Results) -> None:
    from ...plotting.curves import style
    from ...plotting.figures import MUTED

    one = grids.tested(results, TEST)
    if one is not None:
        error = [one.deviation(step) or 0.0 for step in one.steps]
        axes.errorbar(one.steps, one.accuracy.mean(0), error, color="#0072B2", marker="o", markersize=4, capsize=2)
        axes.axhline(one.majority, color=MUTED, linewidth=0.6, linestyle=":")
    axes.set_ylim(-0.02, 1.02)
    style(axes, f"test accuracy on {grids.task_of(settings, results)}, rule found")
    axes.set_xlabel("learning steps", fontsize=9)
