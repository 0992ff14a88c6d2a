"""What learns where rules are compared: baselines and rules at their best rates, and genomes as they are."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field, model_validator

from .._text import UserError, nearest
from ..compile import compile_topology
from ..engine.initializers import Initializer, glorot_uniform
from ..learning import BASELINES, SCHEDULES, Rated, evaluate, forward_passes, tune
from ..rules import Rule, Rules, files, presets
from ..rules.catalogue import catalogue
from ..tasks import Task
from ..topology import Topology
from ..topology.files.yaml import STRICT, WHOLE
from .cells import Results, Work
from .problems import accuracy_of, curve_numbers, initializer_of

Count = Annotated[int, Field(ge=1), WHOLE]
Steps = Annotated[int, Field(ge=0), WHOLE]
Positive = Annotated[float, Field(gt=0)]
BACKPROP = "backprop"
_DECADES = 1e-4, 1e1
"""The smallest and the largest learning rate of rules that are tried, as of all baselines together."""


class Comparison(BaseModel):
    """How long, how often and at which learning rates rules are compared."""

    model_config = STRICT

    steps: Annotated[list[Steps], Field(min_length=2)] = Field(description="after how many learning steps")
    early: Count = Field(description="learning steps by which speed is judged; one of steps")
    draws: Count = Field(default=5, description="draws of synapses and batches, alike for all")
    choosing: Count = Field(default=2, description="draws by which a learning rate is chosen")
    per_decade: Count = Field(default=2, description="learning rates that are tried in each decade")
    batch_size: Count = Field(default=128, description="examples of a support batch")

    @model_validator(mode="after")
    def _early_is_evaluated(self) -> "Comparison":
        if self.early not in self.steps or sorted(set(self.steps)) != self.steps:
            raise ValueError("steps ascend, and early is one of them; change either")
        return self


def known() -> tuple[str, ...]:
    """The names of all that learns: baselines, `backprop`, classes of rules whose numbers have defaults, and the rules
    that come with the package."""
    return (*BASELINES, BACKPROP, *_classes(), *files.names())


def _classes() -> dict[str, Rule]:
    """Rules by the name of their class, with the numbers that it begins with."""
    classes = files.classes()
    return {one.name: one.rule for one in catalogue() if one.name in classes and one.rule is not None}


def check(names: list[str]) -> list[str]:
    """Checks names of what learns; paths of rules' files are valid, too.

    Raises:
        UserError: there is none of a name, or a name comes twice.
    """
    for number, name in enumerate(names):
        if name not in known() and files.find(name) is None:
            raise UserError(f"nothing that learns is called '{name}'; {nearest(name, known())}")
        if name in names[:number]:
            raise UserError(f"'{name}' comes twice; leave one of them out.")
    return names


def learn(
    work: Work, name: str, topology: Topology, task: Task, tag: object, how: Comparison, *, tuned: bool = True
) -> dict[str, Any]:
    """Lets something learn a task on a wiring.

    Args:
        work: the work of the cell.
        name: one of `known()`, or the path of a rule's file.
        topology: the wiring.
        task: what is learnt.
        tag: what is compared with each other has the same one: batches, test examples and, on equally many synapses,
            the random numbers of the first synapses are then the same.
        how: steps, draws and learning rates.
        tuned: whether the learning rate of a rule's file is tuned, where it has one; else it is as in the file. Those
            of baselines and of classes are tuned in any case.

    Returns:
        Steps, accuracies and losses of `problems.curve_numbers`; `rates`: that chosen for each number of steps, or
        None; and of what was tuned `ways`, the schedule and the forward pass chosen with it.

    Raises:
        UserError: a file holds a rule for each population.
        Interrupted: the cell was to stop; nothing of it is kept.
    """
    what, initializer, n_states = _learner(name, how.per_decade, tuned)
    return curve(work, what, topology, task, tag, how, initializer=initializer, n_states=n_states)


def curve(
    work: Work,
    what: Any,
    topology: Topology,
    task: Task,
    tag: object,
    how: Comparison,
    *,
    initializer: Initializer,
    n_states: int,
    forwards: Mapping[str, Rules] | None = None,
    schedules: Sequence[str] = SCHEDULES[:1],
) -> dict[str, Any]:
    """Evaluates a rule as it is, or what has a learning rate at its best one; for the others see `learn`.

    Args:
        what: a rule, or a `Rated`.
        initializer: how synapses are drawn.
        n_states: the number of states of a neuron.
        forwards, schedules: among which a baseline is tuned (see `learning.tune`).
    """  # fmt: skip
    net = compile_topology(topology, n_states=n_states, batch_size=how.batch_size)
    common: dict[str, Any] = {
        "steps": tuple(how.steps), "n_draws": how.draws, "batch_size": how.batch_size, "initializer": initializer,
    }  # fmt: skip
    key = work.key("curve", tag)
    if not isinstance(what, Rated):
        return {**curve_numbers(evaluate(key, net, what, task, **common)), "rates": None}
    done = [0]

    n_ways = len(what.choices(forwards or {forward_passes.PLAIN: forward_passes.plain()}, schedules))

    def tick() -> None:
        done[0] += 1
        work.tell(done[0] / (n_ways + 1), f"{done[0]} of {n_ways} ways to learn")
        work.check_stop()

    found = tune(
        what, key, net, task, n_choosing=how.choosing, forwards=forwards, schedules=schedules, tick=tick, **common
    )
    ways = [[choice.schedule, choice.forward] for choice in found.choices]
    return {**curve_numbers(found.curve), "rates": list(found.rates), "ways": ways}


def _learner(name: str, per_decade: int, tuned: bool) -> tuple[Any, Any, int]:
    """What learns, how its synapses are drawn, and its number of states."""
    if name in BASELINES:
        return dataclasses.replace(BASELINES[name], per_decade=per_decade), glorot_uniform, 2
    if name == BACKPROP:
        return Rated(presets.backprop, *_DECADES, per_decade), glorot_uniform, 2
    of_class = None if name in files.names() else _classes().get(name)
    if of_class is not None:
        rule, initializer = of_class, glorot_uniform
    else:
        file = files.read(name)
        rule, initializer = file.rule, initializer_of(file)
    if not isinstance(rule, Rule):
        raise UserError(f"'{name}' holds a rule for each population; give a file that holds one for all of them.")
    fields = {field.name for field in dataclasses.fields(rule)}
    if "learning_rate" in fields and (tuned or of_class is not None):

        def at(rate: float) -> Rule:
            return dataclasses.replace(rule, learning_rate=rate)

        return Rated(at, *_DECADES, per_decade), initializer, rule.n_states
    return rule, initializer, rule.n_states


# --- what came of it ------------------------------------------------------------------------------------------------


def accuracies(results: Results, name: str) -> np.ndarray | None:
    """The accuracies `[draws, steps]` of a cell; 0 where learning diverged; None where the cell is not done."""
    if name not in results:
        return None
    return np.nan_to_num(accuracy_of(results[name].numbers), nan=0.0)


def table(results: Results, name: str, about: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of a cell's table: `about`; and after each number of steps accuracy, its interval and the learning rate."""
    from ..learning import interval

    if name not in results:
        return []
    numbers = results[name].numbers
    found, rates = accuracy_of(numbers), numbers["rates"] or [None] * len(numbers["steps"])
    rows = []
    for n, step in enumerate(numbers["steps"]):
        at = interval(found[:, n])
        half = None if np.isnan(at.half) else at.half
        mean = at.mean if np.isfinite(at.mean) else None
        rows.append({**about, "step": step, "accuracy": mean, "half_interval": half, "learning_rate": rates[n]})
    return rows
