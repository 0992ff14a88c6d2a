"""Evolution against gradients in meta-training (section 4.4, Figure 7): trajectories, and how the genomes learn."""

import functools
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BaseModel, Field, model_validator

from ...topology.files.yaml import STRICT, WHOLE
from .. import searches
from ..cells import Cell, Result, Results, Work
from ..panels import columns_of
from ..problems import accuracy_of, curve_numbers, learnt, ready

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Count = Annotated[int, Field(ge=1), WHOLE]
Steps = Annotated[int, Field(ge=0), WHOLE]
METHODS = ("cma", "gradient")
LEARNT = 0.5
"""Only genomes of at least this accuracy at the end of the unroll tell how it goes on, and what is comparable."""


class Settings(BaseModel):
    """The searches of both kinds, and how the genomes that they find are evaluated."""

    model_config = STRICT

    cma: searches.SearchConfig = Field(description="meta-training by CMA-ES on accuracies")
    gradient: searches.SearchConfig = Field(description="meta-training by gradients, on the same task and unroll")
    shipped: list[str] = Field(default=["mnist-2state-cma"], description="rules that come with the package, or files")
    others: list[str] = Field(default=[], description="tasks that the genomes learn beside that of meta-training")
    hidden: Annotated[list[Count], Field(min_length=1)] = Field(description="sizes of the hidden layers")
    steps: Annotated[list[Steps], Field(min_length=2)] = Field(description="after how many learning steps")
    draws: Count = Field(default=5, description="draws of synapses and batches")
    batch_size: Count = Field(default=128, description="examples of a support batch")

    @model_validator(mode="after")
    def _methods_are_comparable(self) -> "Settings":
        a, b = self.cma.meta, self.gradient.meta
        if (a.method, b.method) != METHODS:
            raise ValueError("the searches of cma have the method cma, and those of gradient the method gradient")
        if a.tasks != b.tasks or a.longest != b.longest or self.cma.wirings != self.gradient.wirings:
            raise ValueError("both searches have the same tasks, wirings and longest unroll; change either")
        if self.trained not in self.steps or sorted(set(self.steps)) != self.steps:
            raise ValueError(f"steps ascend, and have the {self.trained} of the unroll; change either")
        return self

    @property
    def trained(self) -> int:
        """The learning steps of an unroll in meta-training."""
        return self.cma.meta.longest

    @property
    def task(self) -> str:
        """What claims are judged on: the first task of meta-training."""
        return self.cma.meta.tasks[0]

    @property
    def tasks(self) -> list[str]:
        """What is learnt."""
        return list(dict.fromkeys((*self.cma.meta.tasks, *self.others)))

    def search(self, method: str) -> searches.SearchConfig:
        """The searches of a method."""
        return self.cma if method == "cma" else self.gradient

    def names(self, method: str) -> list[str]:
        """The names of its cells."""
        return self.search(method).names(method)


def cells(settings: Settings) -> list[Cell]:
    found = [cell for method in METHODS for cell in searches.cells(settings.search(method), 100.0, method)]
    genomes = [name for method in METHODS for name in settings.names(method)] + settings.shipped
    for task in settings.tasks:
        for genome in genomes:
            found.append(Cell(f"{genome} on {task}", functools.partial(_curve, settings, genome, task)))
    return found


def _curve(settings: Settings, genome: str, task: str, work: Work) -> Result:
    file = searches.needed_rule(work, genome)
    on = ready(work, task, settings.hidden, n_states=searches.single(file).n_states)
    how = {"steps": tuple(settings.steps), "n_draws": settings.draws, "batch_size": settings.batch_size}
    return Result(curve_numbers(learnt(work, file, on, task, **how)))


# --- what came of it ------------------------------------------------------------------------------------------------


def trajectory(settings: Settings, results: Results, name: str) -> list[dict[str, Any]]:
    """The lines of a search: its method, meta-steps or generations, unrolls until then, and accuracies.

    An unroll is one network that learns; those of gradients also pass back through all their steps. An accuracy is
    that of the unrolls at hand: of CMA-ES the best of a generation, of gradients a moving average of the best genome.
    """
    method = "cma" if name in settings.names("cma") else "gradient"
    config = settings.search(method)
    each = config.meta.size * len(config.meta.tasks) * len(config.wirings) * config.meta.replicas
    lines = results[name].numbers.get("trajectory", []) if name in results else []
    return [
        {
            "search": name, "method": method, "meta_step": line["step"], "unrolls": line["step"] * each,
            "accuracy": line["best_accuracy"], "median_accuracy": line["median_accuracy"],
        }
        for line in lines
    ]  # fmt: skip


def _accuracy(results: Results, genome: str | None, task: str) -> np.ndarray | None:
    """The mean accuracy `[steps]`, 0 where learning diverged; None where it was not computed."""
    result = results.get(f"{genome} on {task}")
    if genome is None or result is None:
        return None
    return np.nan_to_num(accuracy_of(result.numbers).mean(axis=0), nan=0.0)


def rows(settings: Settings, results: Results) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for method in METHODS:
        for name in settings.names(method):
            found += [{"part": "meta-training", **line} for line in trajectory(settings, results, name)]
    learners = [(method, name) for method in METHODS for name in settings.names(method)]
    learners += [("shipped", name) for name in settings.shipped]
    for task in settings.tasks:
        for method, name in learners:
            if (result := results.get(f"{name} on {task}")) is not None:
                accuracy = accuracy_of(result.numbers)
                for n, step in enumerate(settings.steps):
                    at = accuracy[:, n]
                    found.append(
                        {
                            "part": "learning", "search": name, "method": method, "task": task, "step": step,
                            "accuracy": float(at.mean()), "deviation": float(at.std(ddof=1)) if at.size > 1 else None,
                        }
                    )  # fmt: skip
    return found


def measures(settings: Settings, results: Results) -> dict[str, float | None]:
    at = settings.steps.index(settings.trained)
    best = {method: searches.best_of(results, settings.names(method)) for method in METHODS}
    cma, gradient = (_accuracy(results, best[method], settings.task) for method in METHODS)
    shipped = [_accuracy(results, name, settings.task) for name in settings.shipped]
    known = [float(curve[at]) for curve in shipped if curve is not None]
    later = None if cma is None or cma[at] < LEARNT else cma[at:]
    distance = None
    if cma is not None and gradient is not None and max(cma[at], gradient[at]) >= LEARNT:
        distance = float(abs(cma[at] - gradient[at]))
    return {
        "cma_learns": None if cma is None else float(cma[at]),
        "full_within_unroll": None if later is None else float(later.max() - later[0]),
        "plateau": None if later is None else float(later.max() - later[-1]),
        "comparable": distance,
        "shipped_learns": max(known, default=None),
    }


_COLOURS = {"cma": "#D55E00", "gradient": "#0072B2", "shipped": "#009E73"}
_LABELS = {"cma": "CMA-ES, accuracy", "gradient": "gradient"}


def draw(settings: Settings, results: Results) -> "Figure":
    from ...plotting.figures import INK, blank_figure

    n = len(settings.tasks)
    figure = blank_figure(7.0 + 3.6 * n, 4.0)
    left, right = columns_of(figure, (7.0, 3.6 * n))
    left.suptitle("meta-training", color=INK, fontsize=10.5)
    for axes, (across, label) in zip(
        left.subplots(1, 2), (("meta_step", "meta-steps, generations"), ("unrolls", "unrolls")), strict=True
    ):
        _trajectories(axes, settings, results, across, label)
    right.suptitle("learning with the genomes", color=INK, fontsize=10.5)
    for task, axes in zip(settings.tasks, right.subplots(1, n, squeeze=False)[0], strict=True):
        _learning(axes, settings, results, task)
    return figure


def _trajectories(axes: "Axes", settings: Settings, results: Results, across: str, label: str) -> None:
    """A line for each run; the one whose genome is the best in fresh unrolls is bold."""
    from matplotlib.ticker import NullFormatter

    from ...plotting.figures import INK

    for method in METHODS:
        best = searches.best_of(results, settings.names(method))
        for name in settings.names(method):
            lines = trajectory(settings, results, name)
            if lines:
                x, y = ([line[key] for line in lines] for key in (across, "accuracy"))
                y = [np.nan if value is None else value for value in y]
                bold: dict[str, Any] = {"linewidth": 0.6}
                if name == best:
                    bold = {"linewidth": 1.8, "label": _LABELS[method]}
                axes.plot(x, y, color=_COLOURS[method], marker="o" if len(x) == 1 else None, markersize=3, **bold)
    _dress(axes, label, "accuracy in meta-training")
    axes.set_title(f"by {label}", fontsize=9, color=INK)
    if axes.lines:
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())


def _learning(axes: "Axes", settings: Settings, results: Results, task: str) -> None:
    from ...plotting.figures import INK, MUTED

    at = np.arange(len(settings.steps))
    for method in METHODS:
        best = searches.best_of(results, settings.names(method))
        for name in settings.names(method):
            if (curve := _accuracy(results, name, task)) is not None:
                bold: dict[str, Any] = {"linewidth": 0.6}
                if name == best:
                    bold = {"linewidth": 1.8, "label": _LABELS[method]}
                axes.plot(at, curve, color=_COLOURS[method], **bold)
    for name in settings.shipped:
        if (curve := _accuracy(results, name, task)) is not None:
            axes.plot(at, curve, color=_COLOURS["shipped"], linewidth=1.4, linestyle="--", label=name)
    empty = not axes.lines
    axes.axvline(settings.steps.index(settings.trained), color=MUTED, linewidth=0.6, linestyle="--")
    _dress(axes, "learning steps", "test accuracy")
    axes.set_xticks(at, [f"{step:,}" for step in settings.steps], fontsize=7)
    axes.set_title(f"{task} (left out)" if empty else task, fontsize=9, color=INK)


def _dress(axes: "Axes", across: str, up: str) -> None:
    from ...plotting.curves import style

    axes.set_ylim(-0.02, 1.02)
    style(axes, up)
    axes.set_xlabel(across, fontsize=8)
