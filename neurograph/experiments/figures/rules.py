"""Rules of many kinds side by side (new): accuracy over learning steps, on several wirings and tasks."""

import functools
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field, field_validator

from ...topology.files.yaml import WHOLE
from .. import contenders, equal_size
from ..cells import Cell, Result, Results, Work
from ..problems import load_task

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Names = Annotated[list[str], Field(min_length=1)]
LOCAL = ("feedback_alignment", "sign_symmetric", "kolen_pollack")
"""Rules whose error does not travel along the transposed forward synapses."""
MARGIN = 0.02


class Settings(contenders.Comparison):
    """Which rules, wirings and tasks."""

    rules: Names = Field(description="what learns; backprop is what the others are compared with")
    wirings: Annotated[list[equal_size.KindName], Field(min_length=1)] = Field(description="kinds of wirings")
    synapses: Annotated[int, Field(ge=1), WHOLE] = Field(description="of every wiring, within one per cent")
    tasks: Names = Field(description="what is learnt")

    _check = field_validator("rules")(contenders.check)


def cells(settings: Settings) -> list[Cell]:
    return [
        Cell(_name(rule, wiring, task), functools.partial(_of, settings, rule, wiring, task))
        for task in settings.tasks
        for wiring in settings.wirings
        for rule in settings.rules
    ]


def _name(rule: str, wiring: str, task: str) -> str:
    return f"{rule} on {wiring}, {task}"


def _of(settings: Settings, rule: str, wiring: str, task: str, work: Work) -> Result:
    loaded = load_task(work, task)
    ends = equal_size.Ends(loaded.n_inputs, loaded.n_outputs, work.seed)
    topology = equal_size.fitted(wiring, ends, settings.synapses)
    found = contenders.learn(work, rule, topology, loaded, task, settings)
    return Result({**found, "synapses": topology.n_synapses})


# --- what came of it ------------------------------------------------------------------------------------------------


def rows(settings: Settings, results: Results) -> list[dict[str, Any]]:
    found = []
    for task in settings.tasks:
        for wiring in settings.wirings:
            for rule in settings.rules:
                about = {"task": task, "wiring": wiring, "rule": rule}
                found += contenders.table(results, _name(rule, wiring, task), about)
    return found


def _behind(settings: Settings, results: Results, rule: str, step: int) -> np.ndarray:
    """By how much a rule is behind backprop after so many steps, on each wiring and task that both have learnt."""
    n, found = settings.steps.index(step), []
    for task in settings.tasks:
        for wiring in settings.wirings:
            pair = [contenders.accuracies(results, _name(one, wiring, task)) for one in (contenders.BACKPROP, rule)]
            if pair[0] is not None and pair[1] is not None:
                found.append(float((pair[0][:, n] - pair[1][:, n]).mean()))
    return np.array(found)


def measures(settings: Settings, results: Results) -> dict[str, float | None]:
    last = settings.steps[-1]

    def share(rule: str, step: int, least: float) -> float | None:
        behind = _behind(settings, results, rule, step)
        return float(np.mean(behind <= least)) if behind.size else None

    random, mirrored = (_behind(settings, results, rule, last) for rule in (LOCAL[0], LOCAL[2]))
    both = random.size == mirrored.size > 0
    return {
        "feedback_alignment_learns": share("feedback_alignment", last, 0.1),
        "sign_symmetric_as_backprop": share("sign_symmetric", last, MARGIN),
        "kolen_pollack_as_backprop": share("kolen_pollack", last, MARGIN),
        "mirroring_beats_random_feedback": float(np.mean(mirrored <= random)) if both else None,
        "universal_ahead_early": share("universal", settings.early, 0.0),
    }


def draw(settings: Settings, results: Results) -> "Figure":
    """A row of panels for each task, a column for each wiring."""
    from ...plotting.figures import INK, blank_figure, colours

    shape = len(settings.tasks), len(settings.wirings)
    figure = blank_figure(max(2.2 * shape[1] + 2.4, 7.0), 1.9 * shape[0] + 0.9)
    panels = figure.subplots(*shape, squeeze=False, sharex=True, sharey=True)
    inks = dict(zip(settings.rules, colours(len(settings.rules)), strict=True))
    for row, task in enumerate(settings.tasks):
        for column, wiring in enumerate(settings.wirings):
            axes = panels[row, column]
            _panel(axes, settings, results, task, wiring, inks)
            axes.set_ylabel(f"{task}\ntest accuracy" if column == 0 else "", fontsize=8)
            axes.set_xlabel("learning steps" if row + 1 == shape[0] else "", fontsize=8)
            if row == 0:
                axes.set_title(wiring.replace("_", " "), fontsize=8.5, color=INK)
    for axes in panels.ravel():  # all of them have one axis of steps
        axes.set_xticks(np.arange(len(settings.steps)), [f"{step:,}" for step in settings.steps], fontsize=6.5)
    lines = [panels[0, 0].plot([], [], color=ink, label=rule)[0] for rule, ink in inks.items()]
    figure.legend(handles=lines, loc="outside right upper", frameon=False, fontsize=7.5)
    return figure


def _panel(axes: "Axes", settings: Settings, results: Results, task: str, wiring: str, inks: dict[str, str]) -> None:
    """Means over draws; backpropagation is dashed, and in front."""
    from ...plotting.curves import style

    at, drawn = np.arange(len(settings.steps)), 0
    for rule, ink in inks.items():
        accuracy = contenders.accuracies(results, _name(rule, wiring, task))
        if accuracy is not None:
            is_reference = rule == contenders.BACKPROP
            how: dict[str, Any] = {"linestyle": "--", "zorder": 4} if is_reference else {"zorder": 3}
            axes.plot(at, accuracy.mean(axis=0), color=ink, linewidth=1.3, **how)
            drawn += 1
    if not drawn:
        axes.text(0.5, 0.5, "left out", transform=axes.transAxes, ha="center", fontsize=8)
    axes.set_ylim(-0.02, 1.02)
    style(axes, "")
