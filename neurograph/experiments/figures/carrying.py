"""Why do rules not carry over (new)? One thing is changed at a time from where a genome is good; parts of its step are
replaced, to see which of them is at fault."""

import dataclasses
import functools
import json
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import jax
import numpy as np
from pydantic import BaseModel, Field, field_validator, model_validator

from ..._text import UserError, count, nearest
from ...compile import compile_topology
from ...learning import BASELINES, CHOOSING, SCHEDULES, Curve, forward_passes, interval, tune
from ...rules import Blur, files
from ...runs.settings import load_topology
from ...topology import Topology
from ...topology.files import loads
from ...topology.files.yaml import STRICT, WHOLE
from .. import contenders, inputs, repairs
from ..cells import Cell, Result, Results, Work
from ..layers import layered
from ..problems import accuracy_of, curve_numbers, initializer_of, load_task
from ..suspects import AS_THEY_ARE, REPAIRS, Replaced, possible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AS_IT_IS = "as it is"
FACTORS = ("inputs", "images", "fan-in", "depth", "density", "deep graph", "batch size", "labels")
"""What may be varied."""
GROUPS = ("inputs", "wiring")
"""Among which points repairs are judged."""


class Place(BaseModel):
    """Where a rule learns. Every field but the first two may be what a factor varies."""

    model_config = STRICT

    genome: str = Field(description="a rule of the class Blur that comes with the package, or a file's")
    task: str = Field(description="what is learnt: stored examples whose inputs are from 0 to 1")
    hidden: list[Annotated[int, Field(ge=1), WHOLE]] = Field(default=[], description="sizes of the hidden layers")
    density: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0,
        description="share of the pairs of neighbouring layers that have a synapse; of the outputs all have",
    )
    wiring: str | dict[str, Any] | None = Field(
        default=None, description="another wiring: that of a gallery or a file, or what such a file says"
    )
    inputs: str = Field(default="each standardised", description="what inputs become")
    batch_size: Annotated[int, Field(ge=2), WHOLE] = Field(default=128, description="examples of a support batch")
    wrong_labels: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0, description="share of the support labels that are drawn anew from all classes"
    )

    @field_validator("inputs")
    @classmethod
    def _is_known(cls, words: str) -> str:
        inputs.parse(words)
        return words


class Factor(BaseModel):
    """What is varied, from which place."""

    model_config = STRICT

    of: str = Field(description="the place from which it departs, one of places")
    about: Literal["inputs", "wiring", "learning"] = Field(description="among which points repairs are judged")
    points: Annotated[dict[str, dict[str, Any]], Field(min_length=1)] = Field(
        description="by name, the fields of the place that differ there"
    )


class Settings(BaseModel):
    """Places, what is varied, and how learning is measured."""

    model_config = STRICT

    places: Annotated[dict[str, Place], Field(min_length=1)] = Field(description="where genomes are good, by name")
    factors: dict[str, Factor] = Field(description="what is varied, by a name of FACTORS")
    diagnosed: list[str] = Field(
        default=[], description="places and points looked at level by level, as 'FACTOR: POINT'"
    )
    steps: Annotated[list[contenders.Count], Field(min_length=2)] = Field(description="after how many learning steps")
    early: contenders.Count = Field(description="learning steps by which the move of the gap is judged; one of steps")
    behind: contenders.Positive = Field(default=0.02, description="from which gap on repairs are judged")
    draws: contenders.Count = Field(default=5, description="draws of synapses and batches, alike for all")
    choosing: contenders.Count = Field(default=2, description="draws by which a rate or a size is chosen")
    most_examples: Annotated[int, Field(ge=10), WHOLE] | None = Field(
        default=None, description="support examples at most, and a fifth as many test examples; by default all"
    )
    per_decade: contenders.Count = Field(default=2, description="rates and sizes that are tried in each decade")

    @model_validator(mode="after")
    def _fits(self) -> "Settings":
        if self.early not in self.steps or sorted(set(self.steps)) != self.steps:
            raise ValueError("steps ascend, and early is one of them; change either")
        for name, factor in self.factors.items():
            if name not in FACTORS:
                raise ValueError(f"there is no factor '{name}'; {nearest(name, FACTORS)}")
            if factor.of not in self.places:
                raise ValueError(f"the factor '{name}' departs from '{factor.of}'; {nearest(factor.of, self.places)}")
        names = [point.name for point in points(self)]
        for name in self.diagnosed:
            if name not in names:
                raise ValueError(f"diagnosed names '{name}'; {nearest(name, names)}")
        return self


class Point(NamedTuple):
    """A place, or a point of a factor.

    Attributes:
        name: that of the place, or "FACTOR: POINT".
        base: the name of the place from which it departs; its own of a place.
        factor: the name of the factor; None of a place.
        place: where the rule learns.
    """

    name: str
    base: str
    factor: str | None
    place: Place


def points(settings: Settings) -> list[Point]:
    """The places, then the points of each factor."""
    found = [Point(name, name, None, place) for name, place in settings.places.items()]
    for name, factor in settings.factors.items():
        given = settings.places[factor.of].model_dump()
        found += [
            Point(f"{name}: {words}", factor.of, name, Place.model_validate({**given, **changes}))
            for words, changes in factor.points.items()
        ]
    return found


# --- cells ------------------------------------------------------------------------------------------------------------


def cells(settings: Settings) -> list[Cell]:
    return [Cell(point.name, functools.partial(_learnt, settings, point)) for point in points(settings)]


def _learnt(settings: Settings, point: Point, work: Work) -> Result:
    """SGD at its best, the rule as it is and with each repair; and what its steps are, level by level."""
    place = point.place
    file = files.read(place.genome)
    rule, initializer = file.rule, initializer_of(file)
    if not isinstance(rule, Blur):
        raise UserError(f"'{place.genome}' holds no rule of the class Blur; give one that does.")
    loaded = load_task(work, place.task, standardise=False)
    topology = _wiring(place, loaded.n_inputs, loaded.n_outputs, work.seed)
    net, where = compile_topology(topology, n_states=rule.n_states), repairs.Levels.of(topology)
    key, common = work.key("curve", point.base), {"batch_size": place.batch_size, "initializer": initializer}

    def task_of(words: str) -> Any:
        return inputs.changed(
            loaded, words, wrong_labels=place.wrong_labels, most=settings.most_examples, seed=work.seed
        )

    task, normalised = task_of(place.inputs), forward_passes.normalised_like(rule)
    forwards = {forward_passes.PLAIN: forward_passes.plain()}
    forwards |= {} if normalised is None else {"normalised": normalised}
    sgd = dataclasses.replace(BASELINES["sgd"], per_decade=settings.per_decade)
    of_sgd = tune(
        sgd, key, net, task, forwards=forwards, schedules=SCHEDULES[:1], steps=settings.steps, n_draws=settings.draws,
        n_choosing=settings.choosing, tick=work.check_stop, **common,
    )  # fmt: skip
    numbers: dict[str, Any] = {"sgd": {**curve_numbers(of_sgd.curve), "amounts": list(of_sgd.rates)}}
    numbers["sgd"]["ways"] = [choice.forward for choice in of_sgd.choices]
    for n, (name, repair) in enumerate({AS_IT_IS: AS_THEY_ARE, **possible(rule)}.items(), 1):
        work.tell(n / (len(REPAIRS) + 2), name)
        here = task if repair.inputs is None else task_of(repair.inputs)
        numbers[name] = _at_best(settings, work, repair, key, net, rule, where, here, common)
    if point.name in settings.diagnosed:
        n = settings.steps.index(settings.early)
        descent = sgd.learners(net, forwards, SCHEDULES[:1])[of_sgd.choices[n]]
        for name, learns in (("rule", rule), ("sgd", descent)):
            found = repairs.diagnosis(
                key, net, learns, where, task, steps=(0, settings.early), n_draws=settings.draws, **common
            )
            numbers[f"diagnosis of {name}"] = found.mean(axis=0).tolist()
            work.check_stop()
    return Result(numbers)


def _at_best(
    settings: Settings, work: Work, repair: Replaced, key: Any, net: Any, rule: Blur, where: Any, task: Any, how: Any
) -> dict[str, Any]:
    """The curve with a repair; its number is tuned for each number of steps, as the rate of a baseline is."""
    amounts = [1.0]
    if repair.amounts is not None:
        low, high = repair.amounts
        amounts = [float(f"{x:.3g}") for x in np.logspace(low, high, round((high - low) * settings.per_decade) + 1)]

    def curve(key: Any, amount: float, n_draws: int, *, held_out: bool) -> Curve:
        work.check_stop()
        made = repair.make(rule, where, amount)
        return repairs.curve(key, net, made, task, steps=settings.steps, n_draws=n_draws, held_out=held_out, **how)

    chosen = [amounts[0]] * len(settings.steps)
    if len(amounts) > 1:
        apart = jax.random.fold_in(key, CHOOSING)
        tried = [curve(apart, amount, settings.choosing, held_out=True).accuracy.mean(axis=0) for amount in amounts]
        chosen = [amounts[n] for n in np.argmax(np.nan_to_num(np.stack(tried)), axis=0)]
    found = {amount: curve(key, amount, settings.draws, held_out=False) for amount in dict.fromkeys(chosen)}
    parts = [(found[amount].loss[:, n], found[amount].accuracy[:, n]) for n, amount in enumerate(chosen)]
    loss, accuracy = (np.stack(part, axis=1) for part in zip(*parts, strict=True))
    return {**curve_numbers(Curve(tuple(settings.steps), loss, accuracy)), "amounts": chosen}


def _wiring(place: Place, n_inputs: int, n_outputs: int, seed: int) -> Topology:
    if place.wiring is not None:
        what = place.wiring
        return load_topology(what) if isinstance(what, str) else loads(json.dumps(what), "wiring")
    return layered([n_inputs, *place.hidden, n_outputs], place.density, seed)


# --- what came of it ------------------------------------------------------------------------------------------------


def _accuracy(results: Results, point: str, name: str) -> np.ndarray | None:
    """Accuracies `[draws, steps]`; 0 where learning diverged."""
    if point not in results or name not in results[point].numbers:
        return None
    return np.nan_to_num(accuracy_of(results[point].numbers[name]), nan=0.0)


def gaps(results: Results, point: str, name: str = AS_IT_IS) -> np.ndarray | None:
    """Accuracy of the rule, or of it with a repair, minus that of SGD: `[draws, steps]`."""
    mine, other = _accuracy(results, point, name), _accuracy(results, point, "sgd")
    return None if mine is None or other is None else mine - other


def _closed(settings: Settings, results: Results, name: str, repair: str) -> float | None:
    """The share of the gap that a repair closes at a point, `sum (repaired - as it is) / sum (SGD - as it is)` over the
    numbers of steps where the rule is behind by `behind` or more; None where there is none."""
    before, after = gaps(results, name), gaps(results, name, repair)
    if before is None or after is None:
        return None
    before, after = before.mean(axis=0), after.mean(axis=0)
    is_behind = before <= -settings.behind
    missed = float(-np.sum(before[is_behind]))
    return float(np.sum((after - before)[is_behind])) / missed if missed > 0 else None


def _usual(settings: Settings, results: Results, group: str, repair: str) -> float | None:
    """The median of that share over the points of a group, so that no point decides alone."""
    shares = [_closed(settings, results, name, repair) for name in _of_group(settings, group)]
    found = [share for share in shares if share is not None]
    return float(np.median(found)) if found else None


def _of_group(settings: Settings, group: str) -> list[str]:
    return [
        point.name for point in points(settings)
        if point.factor is not None and settings.factors[point.factor].about == group
    ]  # fmt: skip


def _moves(settings: Settings, results: Results, factor: str) -> list[float]:
    """By how much the gap is worse at each point of a factor than where it departs."""
    n, found = settings.steps.index(settings.early), []
    for point in points(settings):
        if point.factor == factor:
            here, there = gaps(results, point.name), gaps(results, point.base)
            if here is not None and there is not None:
                found.append(float(there[:, n].mean() - here[:, n].mean()))
    return found


def measures(settings: Settings, results: Results) -> dict[str, float | None]:
    n = settings.steps.index(settings.early)
    at_places = [gap[:, n].mean() for gap in (gaps(results, name) for name in settings.places) if gap is not None]
    found: dict[str, float | None] = {"found": float(min(at_places)) if at_places else None}
    for factor in FACTORS:
        found[f"moves_{factor}"] = max(_moves(settings, results, factor), default=None)
    for group in GROUPS:
        found |= {f"{group}_{repair}": _usual(settings, results, group, repair) for repair in REPAIRS}
    return found


def rows(settings: Settings, results: Results) -> list[dict[str, Any]]:
    """Accuracies of all that learns, with the share that each repair closes at that point; and the diagnosis."""
    found: list[dict[str, Any]] = []
    for point in points(settings):
        if point.name not in results:
            continue
        numbers, about = results[point.name].numbers, {"point": point.name, "from": point.base}
        for name in ("sgd", AS_IT_IS, *REPAIRS):
            accuracy = _accuracy(results, point.name, name)
            if accuracy is None:
                continue
            closed = _closed(settings, results, point.name, name) if name in REPAIRS else None
            for k, step in enumerate(settings.steps):
                at = interval(accuracy[:, k])
                half = None if np.isnan(at.half) else at.half
                found.append(
                    {
                        **about, "quantity": "accuracy", "learns": name, "step": step, "level": None,
                        "number": at.mean, "half_interval": half, "amount": numbers[name]["amounts"][k],
                        "share_closed_over_steps": closed,
                    }
                )  # fmt: skip
        for who in ("rule", "sgd"):
            for step, at in zip((0, settings.early), numbers.get(f"diagnosis of {who}", []), strict=False):
                found += [
                    {**about, "quantity": quantity, "learns": who, "step": step, "level": level, "number": number}
                    for quantity, each in zip(repairs.QUANTITIES, at, strict=True)
                    for level, number in enumerate(each, 1)
                    if number is not None
                ]
    return found


def draw(settings: Settings, results: Results) -> "Figure":
    """A panel for each factor, one for what repairs close, and the diagnosis by level."""
    from ...plotting.figures import blank_figure
    from ..panels import rows_of

    n_rows = -(-(len(settings.factors) + 1) // 3)
    figure = blank_figure(12.5, 2.7 * n_rows + 3.4)
    upper, lower = rows_of(figure, (2.7 * n_rows, 3.4))
    panels = upper.subplots(n_rows, 3, squeeze=False).ravel()
    for axes, factor in zip(panels, settings.factors, strict=False):
        _of_factor(axes, settings, results, factor)
    lines, labels = panels[0].get_legend_handles_labels()
    named = [f"after {count(int(label), 'step')}" for label in labels]
    upper.legend(lines, named, loc="outside upper center", ncols=len(named), frameon=False, fontsize=8)
    _of_repairs(panels[len(settings.factors)], settings, results)
    for axes in panels[len(settings.factors) + 1 :]:
        axes.set_visible(False)
    _by_level(lower.subplots(1, 3), settings, results)
    return figure


def _of_factor(axes: "Axes", settings: Settings, results: Results, factor: str) -> None:
    """The gap at the place from which the factor departs, and at its points."""
    from ...plotting.curves import style
    from ...plotting.figures import INK, MUTED, colours

    style(axes, "")  # which makes a legend of what is drawn already
    axes.set_xlabel("")
    base = settings.factors[factor].of
    names = {base: "as found"} | {f"{factor}: {words}": words for words in settings.factors[factor].points}
    for k, (step, ink) in enumerate(zip(settings.steps, colours(len(settings.steps)), strict=True)):
        at = [
            (n, interval(gap[:, k])) for n, gap in enumerate(gaps(results, name) for name in names) if gap is not None
        ]
        where, means = [n for n, _ in at], [100 * each.mean for _, each in at]
        halves = [100 * np.nan_to_num(each.half) for _, each in at]
        axes.errorbar(
            where, means, yerr=halves, fmt="o-", color=ink, markersize=3.5, linewidth=1, capsize=2, label=str(step)
        )
    axes.axhline(0, color=MUTED, linewidth=0.8, linestyle="--")
    if axes.get_ylim()[0] < -25:
        axes.set_yscale("symlog", linthresh=5)
        ticks = [-50, -20, -10, -5, 0, 5, 10]
        axes.set_yticks(ticks, [str(tick) for tick in ticks])
    crowded = len(names) > 5
    turned = {"rotation": 25, "ha": "right", "rotation_mode": "anchor"} if crowded else {}
    axes.set_xticks(range(len(names)), list(names.values()), fontsize=6.5, **turned)
    axes.set_xlim(-0.4, len(names) - 0.6)
    axes.set_ylabel("genome minus SGD, points", fontsize=7.5)
    axes.set_title(f"{factor} (found on {base})", fontsize=9, color=INK)


def _of_repairs(axes: "Axes", settings: Settings, results: Results) -> None:
    """The share of the gap that each repair closes, the median of either group of points."""
    from ...plotting.figures import INK, MUTED, colours

    for n, (group, ink) in enumerate(zip(GROUPS, colours(2), strict=True)):
        shares = [_usual(settings, results, group, repair) for repair in REPAIRS]
        at = np.arange(len(shares)) + 0.38 * (n - 0.5)
        # what makes things much worse is drawn as -1
        axes.barh(at, [max(share or 0.0, -1.0) for share in shares], 0.36, color=ink, label=group)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.axvline(1, color=MUTED, linewidth=0.8, linestyle="--")
    axes.set_yticks(range(len(REPAIRS)), list(REPAIRS), fontsize=7)
    axes.invert_yaxis()
    axes.tick_params(labelsize=7, length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_title("median share of the gap that a repair closes", fontsize=9, color=INK)
    axes.legend(fontsize=7, frameon=False, loc="lower left")


def _by_level(panels: Any, settings: Settings, results: Results) -> None:
    """Direction, size and feedback of a step by level: at the first step dashed, later solid; dots are SGD or exact."""
    from ...plotting.curves import style
    from ...plotting.figures import INK, colours

    inks = dict(zip(settings.diagnosed, colours(len(settings.diagnosed)), strict=True))
    titles = (
        f"cosine of change and minus gradient\n(dashed: first step, solid: after {settings.early})",
        "|change| / |w|\n(dotted: SGD)",
        "feedback over that of outputs\n(dotted: exact)",
    )
    for number, (axes, title) in enumerate(zip(panels, titles, strict=True)):
        for name, ink in inks.items():
            if name not in results:
                continue
            mine, other = (
                np.array(results[name].numbers[f"diagnosis of {who}"], float) for who in ("rule", "sgd")
            )  # [steps, quantities, levels]
            at = np.linspace(0, 1, mine.shape[2])
            for step, line in ((0, "--"), (1, "-")):
                axes.plot(at, mine[step, number], line, color=ink, linewidth=1.2, label=name if step else None)
            second = (None, other[1, 1], mine[1, 3])[number]
            if second is not None:
                axes.plot(at, second, ":", color=ink, linewidth=1.2)
        style(axes, "")
        if number:
            axes.set_yscale("log")
            axes.tick_params(axis="y", which="both", labelsize=7)
        axes.set_title(title, fontsize=9, color=INK)
        axes.set_xlabel("")
        axes.set_xticks([0, 1], ["first level", "outputs"], fontsize=7.5)
        if axes.get_legend() is not None:
            axes.get_legend().remove()
    if any(name in results for name in inks):
        handles, labels = panels[0].get_legend_handles_labels()
        panels[2].legend(handles, labels, fontsize=6.5, frameon=False, loc="upper right")
