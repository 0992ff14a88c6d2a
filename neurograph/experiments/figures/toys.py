"""Meta-learning on toys (section 4.1, Figure 4): accuracy over learning steps, of several meta-training runs."""

import functools
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BaseModel, Field

from ...topology.files.yaml import STRICT, WHOLE
from .. import searches
from ..cells import Cell, Result, Results, Work
from ..panels import rows_of
from ..problems import accuracy_of, curve_numbers, learnt, majority, ready

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Count = Annotated[int, Field(ge=1), WHOLE]
Names = Annotated[list[str], Field(min_length=1)]


class Settings(BaseModel):
    """Which toys, how many meta-training runs, and how their rules are evaluated."""

    model_config = STRICT

    search: searches.SearchConfig = Field(description="the meta-training runs; their tasks are the training toys")
    validation: Names = Field(description="tasks that meta-training never sees")
    hidden: Annotated[list[Count], Field(min_length=1)] = Field(description="sizes of the hidden layers")
    longest: Count = Field(description="the most learning steps; beyond those of meta-training, too")
    draws: Count = Field(default=10, description="draws of synapses and batches")
    batch_size: Count = Field(default=128, description="examples of a support batch")

    @property
    def trained(self) -> int:
        """The learning steps of the longest unroll in meta-training."""
        return self.search.meta.longest

    @property
    def training(self) -> list[str]:
        """The tasks of meta-training."""
        return list(self.search.meta.tasks)


def cells(settings: Settings) -> list[Cell]:
    found = searches.cells(settings.search, 20.0)
    for search in settings.search.names():
        for task in (*settings.training, *settings.validation):
            found.append(Cell(f"{search} on {task}", functools.partial(_curve, settings, search, task)))
    return found


def _curve(settings: Settings, search: str, task: str, work: Work) -> Result:
    file = searches.needed_rule(work, search)
    on = ready(work, task, settings.hidden)
    steps = tuple(range(settings.longest + 1))
    found = learnt(work, file, on, task, steps=steps, n_draws=settings.draws, batch_size=settings.batch_size)
    return Result({**curve_numbers(found), "majority": majority(on.task), "classes": on.task.n_classes})


# --- what came of it ------------------------------------------------------------------------------------------------


class Curves:
    """The accuracies of all runs.

    Attributes:
        runs: the searches that have found a rule.
        of: by (search, task), accuracies `[draws, steps]`.
        majority: by task, the accuracy of always saying the largest class.
    """

    def __init__(self, settings: Settings, results: Results):
        tasks = (*settings.training, *settings.validation)
        found = {
            (search, task): results[f"{search} on {task}"].numbers
            for search in settings.search.names()
            for task in tasks
            if f"{search} on {task}" in results
        }
        self.settings = settings
        self.of = {key: accuracy_of(numbers) for key, numbers in found.items()}
        self.majority = {task: numbers["majority"] for (_, task), numbers in found.items()}
        self.runs = [name for name in settings.search.names() if any(search == name for search, _ in found)]

    def mean(self, search: str, tasks: list[str], step: int) -> float:
        """The mean accuracy of a run over tasks, after so many steps; NaN where there is none."""
        values = [self.of[search, task][:, step].mean() for task in tasks if (search, task) in self.of]
        return float(np.mean(values)) if values else float("nan")

    def ranked(self) -> list[str]:
        """The runs by their mean accuracy in meta-training at its last step, the best first."""
        settings = self.settings
        return sorted(self.runs, key=lambda run: -self.mean(run, settings.training, settings.trained))

    def margins(self, search: str, step: int) -> list[float]:
        """By how much a run beats always saying the largest class, on each validation task with as many examples."""
        tasks = [task for task in self.settings.validation if (search, task) in self.of]
        return [float(self.of[search, task][:, step].mean()) - self.majority[task] for task in tasks]


def rows(settings: Settings, results: Results) -> list[dict[str, Any]]:
    curves = Curves(settings, results)
    found = []
    for (search, task), accuracy in curves.of.items():
        kind = "training" if task in settings.training else "validation"
        for step in range(accuracy.shape[1]):
            at = accuracy[:, step]
            found.append(
                {
                    "run": search, "task": task, "set": kind, "step": step, "accuracy": float(at.mean()),
                    "deviation": float(at.std(ddof=1)) if at.size > 1 else None, "draws": int(at.size),
                    "majority": curves.majority[task],
                }
            )  # fmt: skip
    return found


def measures(settings: Settings, results: Results) -> dict[str, float | None]:
    curves = Curves(settings, results)
    ranked = curves.ranked()
    if not ranked:
        return dict.fromkeys(("learns_training_toys", "learns_other_toys", "correlation", "degrades"))
    best, at = ranked[0], settings.trained
    margins = curves.margins(best, at)
    pairs = [(curves.mean(run, settings.training, at), curves.mean(run, settings.validation, at)) for run in ranked]
    later = [
        curves.of[run, task][:, settings.longest].mean() < curves.of[run, task][:, at].mean() - 0.01
        for run in ranked
        for task in settings.training
        if (run, task) in curves.of
    ]
    return {
        "learns_training_toys": curves.mean(best, settings.training, at),
        "learns_other_toys": float(np.mean(np.array(margins) > 0.02)) if margins else None,
        "correlation": _correlation(np.array(pairs)),
        "degrades": float(np.mean(later)) if later and settings.longest > at else None,
    }


def _correlation(pairs: np.ndarray) -> float | None:
    """Pearson's, of 3 or more pairs that are not all alike."""
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    if len(pairs) < 3 or (pairs.std(axis=0) == 0).any():
        return None
    return float(np.corrcoef(pairs.T)[0, 1])


def draw(settings: Settings, results: Results) -> "Figure":
    from ...plotting.figures import INK, blank_figure

    curves = Curves(settings, results)
    ranked = curves.ranked()
    columns = max(len(settings.training), 3)
    shown = settings.validation
    figure = blank_figure(max(2.5 * columns, 12.0), 8.8)
    above, middle, below = rows_of(figure, (1, 1, 1))
    above.suptitle("meta-training tasks, all runs", color=INK, fontsize=10.5)
    for number, axes in enumerate(above.subplots(1, columns, squeeze=False)[0]):
        if number < len(settings.training):
            _panel(axes, curves, ranked, settings.training[number])
        else:
            axes.set_axis_off()
    middle.suptitle("meta-validation tasks, all runs", color=INK, fontsize=10.5)
    for task, axes in zip(shown, middle.subplots(1, len(shown), squeeze=False)[0], strict=True):
        _panel(axes, curves, ranked, task)
    left, *right = below.subplots(1, 4)
    _scatter(left, curves, ranked)
    for task, axes in zip((settings.training[0], settings.training[-1], shown[0]), right, strict=True):
        _draws(axes, curves, ranked, task)
    return figure


def _panel(axes: "Axes", curves: Curves, ranked: list[str], task: str) -> None:
    """A line for each run, mean over draws: blue the best in meta-training, red the worst, the others grey."""
    from ...plotting.figures import MUTED

    for number, run in enumerate(ranked):
        if (run, task) in curves.of:
            colour, width = _ink(number, len(ranked))
            axes.plot(curves.of[run, task].mean(axis=0), color=colour, linewidth=width, zorder=3 if width > 1 else 2)
    if task in curves.majority:
        axes.axhline(curves.majority[task], color=MUTED, linewidth=0.6, linestyle=":")
    _dress(axes, task, curves.settings.trained)


def _ink(number: int, total: int) -> tuple[str, float]:
    if number == 0:
        return "#0072B2", 1.8
    return ("#D55E00", 1.8) if number == total - 1 else ("#9aa5b1", 0.8)


def _scatter(axes: "Axes", curves: Curves, ranked: list[str]) -> None:
    from ...plotting.curves import style
    from ...plotting.figures import INK

    settings = curves.settings
    for number, run in enumerate(ranked):
        x, y = (curves.mean(run, tasks, settings.trained) for tasks in (settings.training, settings.validation))
        axes.plot(x, y, "o", color=_ink(number, len(ranked))[0])
    style(axes, "mean meta-validation accuracy")
    axes.locator_params(axis="x", integer=False, nbins=5)
    axes.set_xlabel(f"mean meta-training accuracy, step {settings.trained}", fontsize=9)
    axes.set_title("runs", fontsize=9, color=INK)


def _draws(axes: "Axes", curves: Curves, ranked: list[str], task: str) -> None:
    """Each draw of synapses, of the best run and of the worst."""
    chosen = [ranked[0], ranked[-1]] if len(ranked) > 1 else ranked
    for number, run in enumerate(chosen):
        for accuracy in curves.of.get((run, task), ()):
            axes.plot(accuracy, color=_ink(number, 2)[0], linewidth=0.6, alpha=0.6)
    _dress(axes, f"{task}, draws of synapses", curves.settings.trained)


def _dress(axes: "Axes", title: str, trained: int) -> None:
    from ...plotting.curves import style
    from ...plotting.figures import INK, MUTED

    axes.axvline(trained, color=MUTED, linewidth=0.6, linestyle="--")
    axes.set_ylim(-0.02, 1.02)
    style(axes, "")
    axes.set_title(title, fontsize=9, color=INK)
    axes.set_xlabel("learning steps", fontsize=8)
