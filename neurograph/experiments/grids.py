"""Grids of meta-training: the same search with other settings in each cell, and what its rule reaches on test data."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import BaseModel, Field

from ..runs.settings import MetaConfig
from ..topology.files.yaml import STRICT, WHOLE
from . import searches
from .cells import Result, Results, Work
from .problems import accuracy_of, chosen, curve_numbers, fitted, learnt, majority, perceptron

Count = Annotated[int, Field(ge=1), WHOLE]
Sizes = Annotated[list[Count], Field(min_length=1)]


class GridConfig(BaseModel):
    """What all cells of a grid have in common.

    A population whose rules are never synchronised is as many runs side by side as it has rules; the best in fresh
    unrolls is kept, as the paper keeps the best of eight runs.
    """

    model_config = STRICT

    stand_in: str = Field(default="digits", description="what is learnt where the data of no task are here")
    meta: MetaConfig = Field(description="settings of `neurograph meta-train`; the experiment sets the tasks")
    draws: Count = Field(default=10, description="draws of synapses, batches and trials on which a rule is tested")
    batch_size: Count = Field(default=128, description="examples of a support batch in these")


class OneTask(GridConfig):
    """A grid on one task."""

    task: str = Field(description="what is learnt")


def changed(config: MetaConfig, rule: Mapping[str, Any], **changes: Any) -> MetaConfig:
    """The settings with other options of the rule, and other values."""
    return config.model_copy(update={"rule": config.rule.model_copy(update=dict(rule)), **changes})


def search(
    work: Work, settings: GridConfig, hidden: Sequence[int], config: MetaConfig, spec: str, among: Sequence[str] = ()
) -> Result:
    """Meta-trains on a task, with a wiring that fits it.

    Args:
        work: the work of the cell.
        settings: those of the grid.
        hidden: sizes of the hidden layers.
        config: settings of the search.
        spec: the task.
        among: all tasks of the experiment; by default this one alone (see `problems.chosen`).

    Returns:
        What `searches.search` returns, and `task`, on which it was.
    """
    name, task = chosen(work, spec, among or (spec,), settings.stand_in)
    found = searches.search(work, [perceptron(task, hidden)], config.model_copy(update={"tasks": (name,)}))
    return Result({**found.numbers, "task": name})


def try_out(
    work: Work,
    settings: GridConfig,
    search: str,
    hidden: Sequence[int],
    steps: Sequence[int],
    spec: str,
    among: Sequence[str] = (),
) -> Result:
    """Tests the rule of a search on a task: its accuracy after some numbers of steps, over draws.

    Returns:
        What `problems.curve_numbers` returns, `task`, and `majority`: the accuracy of always saying the largest class.
    """
    file = searches.needed_rule(work, search)
    name, task = chosen(work, spec, among or (spec,), settings.stand_in)
    on = fitted(task, hidden, searches.single(file).n_states)
    how = {"steps": tuple(steps), "n_draws": settings.draws, "batch_size": settings.batch_size}
    found = learnt(work, file, on, (name, len(hidden)), **how)
    return Result({**curve_numbers(found), "task": name, "majority": majority(task)})


class Tested(NamedTuple):
    """What a cell that tests has found.

    Attributes:
        task: what was learnt.
        steps: after how many learning steps.
        accuracy: `[draws, steps]`; 0 where learning diverged.
        majority: the accuracy of always saying the largest class.
    """

    task: str
    steps: list[int]
    accuracy: np.ndarray
    majority: float

    def at(self, step: int) -> float:
        """The mean accuracy after so many steps."""
        return float(self.accuracy[:, self.steps.index(step)].mean())

    def deviation(self, step: int) -> float | None:
        """The standard deviation over draws; None of a single one."""
        at = self.accuracy[:, self.steps.index(step)]
        return float(at.std(ddof=1)) if at.size > 1 else None

    def row(self, step: int) -> dict[str, Any]:
        """What the table says of it after so many steps."""
        return {
            "task": self.task, "step": step, "accuracy": self.at(step), "deviation": self.deviation(step),
            "draws": len(self.accuracy), "majority": self.majority,
        }  # fmt: skip


def tested(results: Results, name: str) -> Tested | None:
    """The result of a cell that tests; None where it was skipped or is not done."""
    if name not in results:
        return None
    numbers = results[name].numbers
    accuracy = np.nan_to_num(accuracy_of(numbers), nan=0.0)
    return Tested(numbers["task"], list(numbers["steps"]), accuracy, float(numbers.get("majority") or 0.0))


def task_of(settings: OneTask, results: Results) -> str:
    """The task that was learnt, which may be the stand-in."""
    return next((result.numbers["task"] for result in results.values()), settings.task)
