"""Activation normalisation (section 4.5, Figure 8): meta-training with it and without it, and how genomes generalise.

Both kinds of runs differ by the option alone. Their genomes train networks on the task of meta-training, on tasks of
other resolutions, and deeper networks.
"""

import functools
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
from pydantic import BaseModel, Field, model_validator

from ...topology.files.yaml import STRICT, WHOLE
from .. import searches
from ..cells import Cell, Result, Results, Work
from ..panels import rows_of
from ..problems import accuracy_of, curve_numbers, learnt, ready

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Count = Annotated[int, Field(ge=1), WHOLE]
Layers = Annotated[list[Count], Field(min_length=1)]


class Trial(NamedTuple):
    """What a genome is tried on.

    Attributes:
        kind: "same", "resolution" or "depth".
        task: what is learnt.
        hidden: sizes of the hidden layers.
    """

    kind: str
    task: str
    hidden: tuple[int, ...]

    @property
    def label(self) -> str:
        return f"{self.task}, {'-'.join(map(str, self.hidden))}"


class Settings(BaseModel):
    """The meta-training runs, and what their genomes are tried on."""

    model_config = STRICT

    search: searches.SearchConfig = Field(description="the runs; activation normalisation is switched on and off")
    hidden: Layers = Field(description="sizes of the hidden layers in meta-training, and at other resolutions")
    resolutions: list[str] = Field(description="tasks of other resolutions than that of meta-training")
    deeper: list[Layers] = Field(description="sizes of the hidden layers of deeper networks")
    longest: Count = Field(description="the most learning steps; at least those of meta-training")
    draws: Count = Field(default=5, description="draws of synapses and batches")
    batch_size: Count = Field(default=128, description="examples of a support batch")

    @model_validator(mode="after")
    def _trials_differ(self) -> "Settings":
        if self.longest < self.search.trained:
            raise ValueError(f"longest is at least {self.search.trained}, the steps of meta-training; change either")
        if any(len(layers) <= len(self.hidden) for layers in self.deeper):
            raise ValueError("deeper networks have more hidden layers than those of meta-training; add some")
        labels = [trial.label for trial in self.trials]
        if len(set(labels)) < len(labels):
            raise ValueError("a task with the same hidden layers comes twice; leave one of them out")
        return self

    @property
    def variants(self) -> list[searches.Variant]:
        """The runs with the normalisation, and those without."""
        return searches.variants(self.search, ["activation_normalization"])

    @property
    def trials(self) -> list[Trial]:
        """What the genomes are tried on, that of meta-training first."""
        hidden = tuple(self.hidden)
        here = [Trial("same", task, hidden) for task in self.search.meta.tasks]
        deeper = [Trial("depth", trial.task, tuple(layers)) for trial in here for layers in self.deeper]
        return here + [Trial("resolution", task, hidden) for task in self.resolutions] + deeper


def cells(settings: Settings) -> list[Cell]:
    found = [cell for one in settings.variants for cell in searches.cells(one.search, 60.0, one.label)]
    for variant in settings.variants:
        for name in variant.names:
            for trial in settings.trials:
                found.append(Cell(f"{name} on {trial.label}", functools.partial(_curve, settings, name, trial)))
    return found


def _curve(settings: Settings, name: str, trial: Trial, work: Work) -> Result:
    file = searches.needed_rule(work, name)
    on = ready(work, trial.task, trial.hidden, n_states=searches.single(file).n_states)
    steps = tuple(range(settings.longest + 1))
    found = learnt(work, file, on, trial.label, steps=steps, n_draws=settings.draws, batch_size=settings.batch_size)
    return Result(curve_numbers(found))


# --- what came of it ------------------------------------------------------------------------------------------------


def _accuracy(results: Results, name: str | None, trial: Trial) -> np.ndarray | None:
    """The mean accuracy `[steps]`, 0 where it is not finite; None where it was not computed."""
    result = results.get(f"{name} on {trial.label}")
    return None if result is None else np.nan_to_num(accuracy_of(result.numbers).mean(axis=0), nan=0.0)


def reached(results: Results, name: str) -> float | None:
    """The accuracy in fresh unrolls of a run that is done; 0 where it diverged."""
    if name not in results:
        return None
    numbers = results[name].numbers
    return 0.0 if numbers["diverged"] or numbers["accuracy"] is None else float(numbers["accuracy"])


def setback(values: list[float | None]) -> float:
    """By how much a trajectory falls below what it had reached, at the most; a value that is not finite counts as 0.

    >>> round(setback([0.1, 0.6, 0.4, 0.7]), 6)
    0.2
    """
    known = np.array([0.0 if value is None else value for value in values])
    return float(np.max(np.maximum.accumulate(known) - known)) if known.size else 0.0


def _trajectory(results: Results, name: str) -> tuple[list[int], list[float | None]]:
    lines = results[name].numbers.get("trajectory", []) if name in results else []
    return [line["step"] for line in lines], [line["best_accuracy"] for line in lines]


def rows(settings: Settings, results: Results) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for variant in settings.variants:
        for name in variant.names:
            common = {"variant": variant.label, "run": name}
            for step, value in zip(*_trajectory(results, name), strict=True):
                found.append({"part": "meta-training", **common, "step": step, "accuracy": value})
            for trial in settings.trials:
                if (accuracy := _accuracy(results, name, trial)) is not None:
                    on = {"kind": trial.kind, "task": trial.task, "hidden": "-".join(map(str, trial.hidden))}
                    for step, value in enumerate(accuracy):
                        found.append({"part": "learning", **common, "step": step, "accuracy": float(value), **on})
    return found


def measures(settings: Settings, results: Results) -> dict[str, float | None]:
    on, off = settings.variants
    final = [[value for name in one.names if (value := reached(results, name)) is not None] for one in (on, off)]
    falls = [
        [setback(_trajectory(results, name)[1]) for name in one.names if _trajectory(results, name)[0]]
        for one in (on, off)
    ]
    gain = float(np.mean(final[0]) - np.mean(final[1])) if all(final) else None
    steadier = float(np.mean(falls[1]) - np.mean(falls[0])) if all(falls) else None
    return {
        "better_meta_training": gain,
        "steadier_meta_training": steadier,
        "other_resolutions": _lead(settings, results, "resolution"),
        "deeper_networks": _lead(settings, results, "depth"),
    }


def _lead(settings: Settings, results: Results, kind: str) -> float | None:
    """By how much the best genome with normalisation is ahead after the steps of meta-training; the mean over trials.

    Where all runs of a variant have diverged, its accuracy is 0.
    """
    leads = []
    best = [searches.best_of(results, one.names) for one in settings.variants]
    done = [any(name in results for name in one.names) for one in settings.variants]
    for trial in settings.trials:
        found = [_accuracy(results, name, trial) for name in best]
        if trial.kind == kind and all(done) and any(curve is not None for curve in found):
            with_, without = (0.0 if curve is None else float(curve[settings.search.trained]) for curve in found)
            leads.append(with_ - without)
    return float(np.mean(leads)) if leads else None


_COLOURS = ("#0072B2", "#D55E00")


def draw(settings: Settings, results: Results) -> "Figure":
    from ...plotting.figures import INK, blank_figure

    trials = settings.trials
    columns = max(len(trials), 3)
    figure = blank_figure(2.7 * columns, 6.4)
    above, below = rows_of(figure, (1, 1))
    above.suptitle("meta-training, all runs", color=INK, fontsize=10.5)
    _meta_training(above.subplots(1, 1), settings, results)
    below.suptitle("learning with the genomes; bold: the best in meta-training", color=INK, fontsize=10.5)
    panels = below.subplots(1, columns, squeeze=False)[0]
    for axes in panels[len(trials) :]:
        axes.set_axis_off()
    for trial, axes in zip(trials, panels, strict=False):
        _learning(axes, settings, results, trial)
    return figure


def _meta_training(axes: "Axes", settings: Settings, results: Results) -> None:
    from ...plotting.curves import style

    for variant, colour in zip(settings.variants, _COLOURS, strict=True):
        label: str | None = variant.label
        for name in variant.names:
            x, y = _trajectory(results, name)
            if x:
                values = [np.nan if value is None else value for value in y]
                marker = "o" if len(x) == 1 else None
                axes.plot(x, values, color=colour, linewidth=1.2, marker=marker, markersize=3, label=label)
                label = None
    axes.set_ylim(-0.02, 1.02)
    style(axes, "accuracy in meta-training")
    axes.set_xlabel("meta-steps", fontsize=8)


def _learning(axes: "Axes", settings: Settings, results: Results, trial: Trial) -> None:
    from ...plotting.curves import style
    from ...plotting.figures import INK, MUTED

    for variant, colour in zip(settings.variants, _COLOURS, strict=True):
        best = searches.best_of(results, variant.names)
        for name in variant.names:
            if (accuracy := _accuracy(results, name, trial)) is not None:
                axes.plot(accuracy, color=colour, linewidth=1.8 if name == best else 0.6)
    empty = not axes.lines
    axes.axvline(settings.search.trained, color=MUTED, linewidth=0.6, linestyle="--")
    axes.set_ylim(-0.02, 1.02)
    style(axes, "test accuracy" if trial.kind == "same" else "")
    axes.set_xlabel("learning steps", fontsize=8)
    axes.set_title(f"{trial.label} (left out)" if empty else trial.label, fontsize=8.5, color=INK)
