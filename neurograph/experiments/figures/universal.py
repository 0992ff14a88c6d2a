"""Does a rule carry over (new)? A genome as it is, on many problems, against baselines at their best for each one."""

import dataclasses
import functools
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BaseModel, Field, model_validator

from ..._text import UserError, nearest
from ...learning import BASELINES, SCHEDULES, forward_passes, interval
from ...rules import Rule, Universal, files
from ...rules.universal import TERMS
from ...runs.settings import load_topology
from ...tasks import Task, one_of
from ...topology import Topology
from ...topology.files import loads
from ...topology.files.yaml import STRICT, WHOLE
from .. import contenders
from ..cells import Cell, Result, Results, Work
from ..problems import initializer_of, load_task

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

UNTRAINED = "untrained"
"""What a rule Universal with the numbers that it begins with is called."""


class Problem(BaseModel):
    """A task on a wiring."""

    model_config = STRICT

    wiring: str = Field(description="one of wirings, or the name of a wiring")
    task: str = Field(description="what is learnt")
    batch_size: Annotated[int, Field(ge=2), WHOLE] | None = Field(
        default=None, description="examples of a support batch; by default that of all problems"
    )

    draws: contenders.Count | None = Field(default=None, description="draws; by default as many as of all problems")
    choosing: contenders.Count | None = Field(
        default=None, description="draws by which a baseline's rate is chosen; by default as many as of all problems"
    )
    splits: contenders.Count = Field(
        default=1,
        description="divisions of the examples into support and query set, by the task's split_seed 0, 1, ...; each "
        "draw takes one of them",
    )

    @property
    def name(self) -> str:
        return f"{self.task} on {self.wiring}"


class Settings(contenders.Comparison):
    """Which genome, problems and baselines, and which ingredients are left out."""

    learns: str = Field(default="universal", description="a rule that comes with the package or a file's, or untrained")
    wirings: dict[str, str | dict[str, Any]] = Field(
        default_factory=dict, description="wirings by name: that of a gallery or a file, or what such a file says"
    )
    problems: Annotated[list[Problem], Field(min_length=1)] = Field(description="where it learns")
    baselines: list[str] = Field(default=list(BASELINES), description="what it is compared with")
    ablations: list[str] = Field(default=[], description="ingredients that are left out of a rule Universal")
    ablated: list[str] = Field(default=[], description="the problems on which they are, as 'TASK on WIRING'")
    unseen: list[str] = Field(
        default=[], description="tasks that took no part when the genome was found and nothing was chosen by"
    )

    @model_validator(mode="after")
    def _names_are_known(self) -> "Settings":
        problems = [problem.name for problem in self.problems]
        tasks = [problem.task for problem in self.problems]
        for names, known, sentence in (
            (self.baselines, BASELINES, "there is no baseline '{}'"),
            (self.ablations, ABLATIONS, "nothing called '{}' can be left out"),
            (self.ablated, problems, "ablated names '{}', which is none of the problems"),
            (self.unseen, tasks, "unseen names '{}', which is the task of no problem"),
        ):
            for name in names:
                if name not in known:
                    raise ValueError(f"{sentence.format(name)}; {nearest(name, known)}")
        return self


# --- ingredients ------------------------------------------------------------------------------------------------------


def _without_terms(*names: str) -> Callable[[Universal], Universal]:
    rows = [TERMS.index(name) for name in names]

    def left_out(rule: Universal) -> Universal:
        coefficients, base, output = np.array(rule.coefficients), np.array(rule.base), np.array(rule.output)
        coefficients[:, rows], output[:, rows] = 0, 0
        base[:, [row for row in rows if row < base.shape[1]]] = 0
        return dataclasses.replace(rule, coefficients=coefficients, base=base, output=output)

    return left_out


ABLATIONS: dict[str, Callable[[Universal], Universal]] = {
    "without the fit": _without_terms("fit"),
    "without moving averages": _without_terms("fast", "slow"),
    "without Adam's direction": _without_terms("adam"),
    "without the gradient itself": _without_terms("gradient"),
    "without decay": _without_terms("decay"),
    "without the steps that average": lambda rule: dataclasses.replace(rule, base=np.zeros_like(np.array(rule.base))),
    "without a gain that grows": lambda rule: dataclasses.replace(rule, gain=np.array(rule.gain)[[0, 0]]),
    "without centred senders": lambda rule: dataclasses.replace(rule, sender_centring=0.0),
    "without smaller first steps": lambda rule: dataclasses.replace(
        rule, log_early=np.zeros(2), path_power=0.0, fan_in_power=0.0
    ),
    "without the network": lambda rule: dataclasses.replace(rule, output=np.zeros_like(np.array(rule.output))),
    UNTRAINED: lambda rule: Universal(),
}
"""What is left out of a rule Universal, of which all other numbers stay as they are; nothing is found anew."""


def _rule_of(settings: Settings, change: str | None = None) -> tuple[Rule, Any]:
    """The rule, or the rule without an ingredient; and how its synapses are drawn."""
    file = files.RuleFile(Universal()) if settings.learns == UNTRAINED else files.read(settings.learns)
    rule = file.rule
    if not isinstance(rule, Rule):
        raise UserError(f"'{settings.learns}' holds a rule for each population; give a file that holds one for all.")
    if change is None:
        return rule, initializer_of(file)
    if not isinstance(rule, Universal):
        raise UserError(
            f"ingredients are left out of the rule Universal, but '{settings.learns}' is {type(rule).__name__}; give "
            "no ablations, or another rule."
        )
    return ABLATIONS[change](rule), initializer_of(file)


# --- cells ------------------------------------------------------------------------------------------------------------


def _name(what: str, problem: Problem) -> str:
    return f"{what}, {problem.name}"


def cells(settings: Settings) -> list[Cell]:
    found = []
    for problem in settings.problems:
        # what a baseline costs is the number of ways to learn among which it is chosen
        found.append(Cell(_name("rule", problem), functools.partial(_of_rule, settings, problem, None), 1.0))
        found += [
            Cell(_name(change, problem), functools.partial(_of_rule, settings, problem, change), 1.0)
            for change in (settings.ablations if problem.name in settings.ablated else [])
        ]
        found += [
            Cell(_name(baseline, problem), functools.partial(_of_baseline, settings, problem, baseline), 12.0)
            for baseline in settings.baselines
        ]
    return found


def _wiring(settings: Settings, name: str) -> Topology:
    what = settings.wirings.get(name, name)
    return load_topology(what) if isinstance(what, str) else loads(json.dumps(what), name)


def _how(settings: Settings, problem: Problem) -> Settings:
    own = problem.model_dump(include={"batch_size", "draws", "choosing"}, exclude_none=True)
    return settings.model_copy(update=own)


def _task(work: Work, problem: Problem) -> Task:
    """The task, or one of several divisions for each draw.

    A baseline's rate is then chosen on support examples of several divisions, which are test examples of others: if
    this helps anyone, then the baselines.
    """
    if problem.splits == 1:
        return load_task(work, problem.task)
    return one_of([load_task(work, problem.task, split_seed=seed) for seed in range(problem.splits)])


def _of_rule(settings: Settings, problem: Problem, change: str | None, work: Work) -> Result:
    rule, initializer = _rule_of(settings, change)
    task, topology = _task(work, problem), _wiring(settings, problem.wiring)
    found = contenders.curve(
        work, rule, topology, task, problem.name, _how(settings, problem),
        initializer=initializer, n_states=rule.n_states,
    )  # fmt: skip
    return Result(found)


def _of_baseline(settings: Settings, problem: Problem, baseline: str, work: Work) -> Result:
    """A baseline at its best: plain or with the rule's own forward pass, at a rate that stays or falls."""
    rule, initializer = _rule_of(settings)
    task, topology = _task(work, problem), _wiring(settings, problem.wiring)
    normalised = forward_passes.normalised_like(rule)
    forwards = {forward_passes.PLAIN: forward_passes.plain()}
    forwards |= {} if normalised is None else {"normalised": normalised}
    what = dataclasses.replace(BASELINES[baseline], per_decade=settings.per_decade)
    found = contenders.curve(
        work, what, topology, task, problem.name, _how(settings, problem),
        initializer=initializer, n_states=rule.n_states, forwards=forwards, schedules=SCHEDULES,
    )  # fmt: skip
    return Result(found)


# --- what came of it ------------------------------------------------------------------------------------------------


def _best(settings: Settings, results: Results, problem: Problem) -> tuple[np.ndarray, list[str]] | None:
    """The accuracies `[draws, steps]` of the baseline with the best mean at each number of steps, and its name."""
    names = [name for name in settings.baselines if _name(name, problem) in results]
    if not names:
        return None
    found = [contenders.accuracies(results, _name(name, problem)) for name in names]
    each = np.stack([one for one in found if one is not None])
    which = each.mean(axis=1).argmax(axis=0)
    return each[which, :, np.arange(len(which))].T, [names[n] for n in which]


def _leads(settings: Settings, results: Results, problem: Problem) -> list[Any] | None:
    """By how much the rule is ahead of the best baseline after each number of steps: means and intervals over draws."""
    mine, best = contenders.accuracies(results, _name("rule", problem)), _best(settings, results, problem)
    if mine is None or best is None:
        return None
    return [interval(differences) for differences in (mine - best[0]).T]


def rows(settings: Settings, results: Results) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for problem in settings.problems:
        about = {"task": problem.task, "wiring": problem.wiring}
        for name in ("rule", *settings.ablations, *settings.baselines):
            found += contenders.table(results, _name(name, problem), {**about, "learns": name})
        leads, best = _leads(settings, results, problem), _best(settings, results, problem)
        if leads is not None and best is not None:
            for step, lead, name in zip(settings.steps, leads, best[1], strict=True):
                said = {"learns": f"rule less best baseline ({name})", "step": step}
                half = None if np.isnan(lead.half) else lead.half
                found.append({**about, **said, "accuracy": lead.mean, "half_interval": half, "learning_rate": None})
    return found


def measures(settings: Settings, results: Results) -> dict[str, float | None]:
    early: list[tuple[str, bool]] = []
    late: list[tuple[str, bool]] = []
    distances: list[float] = []
    lost = 0
    for problem in settings.problems:
        numbers = results[_name("rule", problem)].numbers if _name("rule", problem) in results else None
        if numbers is not None:
            losses = np.array([[np.nan if v is None else v for v in draw] for draw in numbers["loss"]], float)
            accuracy = contenders.accuracies(results, _name("rule", problem))
            assert accuracy is not None
            fallen = accuracy[:, -1] < accuracy.max(axis=1) - 0.2
            lost += int(np.sum(~np.isfinite(losses[:, -1]) | fallen))
        leads = _leads(settings, results, problem)
        for step, lead in zip(settings.steps, leads or [], strict=False):
            is_known = not np.isnan(lead.half)  # of a single draw it is not
            if 0 < step <= settings.early and is_known:
                early.append((problem.task, bool(lead.mean - lead.half > 0)))
            elif step > settings.early:
                distances.append(lead.mean)
                if is_known:
                    late.append((problem.task, bool(lead.mean + lead.half >= 0)))
    return {
        "ahead_early": _part(early),
        "not_behind_later": _part(late),
        "unseen_ahead_early": _part([case for case in early if case[0] in settings.unseen]),
        "unseen_not_behind_later": _part([case for case in late if case[0] in settings.unseen]),
        "mean_lead_later": float(np.mean(distances)) if distances else None,
        "diverged": float(lost) if any(_name("rule", p) in results for p in settings.problems) else None,
        **{f"share_{name}": _share(settings, results, name) for name in settings.ablations},
    }


def _part(cases: list[tuple[str, bool]]) -> float | None:
    """Gives the part of the cases, each of a task, that is true; None where there are none."""
    return float(np.mean([is_so for _, is_so in cases])) if cases else None


def _share(settings: Settings, results: Results, change: str) -> float | None:
    """By how much the accuracy falls without an ingredient: mean over steps, draws and problems."""
    found = []
    for problem in settings.problems:
        mine, other = (contenders.accuracies(results, _name(what, problem)) for what in ("rule", change))
        if mine is not None and other is not None:
            found.append(float(np.mean((mine - other)[:, np.array(settings.steps) > 0])))
    return float(np.mean(found)) if found else None


def draw(settings: Settings, results: Results) -> "Figure":
    """A panel for each problem: the rule, baselines at their best, and what is left of the rule without ingredients."""
    from ...plotting.figures import INK, blank_figure, colours

    n = len(settings.problems)
    columns = min(n, 4)
    shape = -(-n // columns), columns
    figure = blank_figure(max(2.5 * columns + 1.9, 7.0), 2.1 * shape[0] + 0.7)
    panels = figure.subplots(*shape, squeeze=False).ravel()
    inks = dict(zip(settings.baselines, colours(len(settings.baselines)), strict=True))
    for number, axes in enumerate(panels):
        if number >= n:
            axes.set_visible(False)
            continue
        problem = settings.problems[number]
        _panel(axes, settings, results, problem, inks)
        axes.set_title(f"{problem.task}\n{problem.wiring}", fontsize=7.5, color=INK)
        axes.set_ylabel("test accuracy" if number % columns == 0 else "", fontsize=8)
        axes.set_xlabel("learning steps" if number + columns >= n else "", fontsize=8)
    lines = [panels[0].plot([], [], color=INK, linewidth=2, label=settings.learns)[0]]
    lines += [panels[0].plot([], [], color=ink, label=name)[0] for name, ink in inks.items()]
    figure.legend(handles=lines, loc="outside right upper", frameon=False, fontsize=7.5)
    return figure


def _panel(axes: "Axes", settings: Settings, results: Results, problem: Problem, inks: dict[str, str]) -> None:
    """Means over draws; the rule is in front."""
    from ...plotting.curves import style
    from ...plotting.figures import INK

    at, drawn = np.arange(len(settings.steps)), []
    for name, ink in (*inks.items(), ("rule", INK)):
        accuracy = contenders.accuracies(results, _name(name, problem))
        if accuracy is not None:
            width = 2.0 if name == "rule" else 1.1
            axes.plot(at, accuracy.mean(axis=0), color=ink, linewidth=width, zorder=4 if name == "rule" else 3)
            drawn.append(accuracy.mean(axis=0)[np.array(settings.steps) > 0])
    style(axes, "")
    if not drawn:
        axes.text(0.5, 0.5, "left out", transform=axes.transAxes, ha="center", fontsize=8)
        return
    low, high = min(map(np.min, drawn)), max(map(np.max, drawn))
    axes.set_ylim(low - 0.05 * (high - low + 0.01), high + 0.05 * (high - low + 0.01))
    axes.set_xticks(at, [f"{step:,}" for step in settings.steps], fontsize=6)
