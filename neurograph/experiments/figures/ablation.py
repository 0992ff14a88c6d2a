"""Variants of the rule (sections 4.5 and C.7, Figures 9 and 17): which of them are found to learn, in ten steps?"""

import functools
import itertools
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from pydantic import Field, field_validator, model_validator

from ... import _files
from ...learning import BASELINES, Descent, evaluate
from ...rules import Blur, files
from ...rules.blur import Hebbian
from ...runs.atomic import write_atomically
from ...runs.settings import RuleConfig
from .. import grids
from ..cells import SEARCHES, Cell, Result, Results, Work, file_name
from ..grids import Count, Sizes
from ..problems import chosen, curve_numbers, fitted, majority

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Update = Literal["additive", "multiplicative", "multiplicative_second_state"]
Start = Literal["random", "backprop"]
Names = Annotated[list[str], Field(min_length=1)]


class Settings(grids.GridConfig):
    """What rules are found on and tested on; a search for each variant on each task."""

    trained_on: Names = Field(description="tasks of meta-training, a search for each; letters are omniglot")
    tested_on: Names = Field(description="tasks on which each rule is tested; the first one of both lists is the same")
    hidden: Sizes = Field(description="sizes of the hidden layers")
    updates: Annotated[dict[Update, RuleConfig], Field(min_length=1)] = Field(
        description="updates on the way back, each with further options of the rule"
    )
    symmetric: Annotated[list[bool], Field(min_length=1)] = Field(
        default=[True, False], description="whether synapses of both ways are tied"
    )
    single_state: Annotated[list[bool], Field(min_length=1)] = Field(
        default=[True, False], description="whether one channel of a synapse serves all states"
    )
    starts: Annotated[list[Start], Field(min_length=1)] = Field(
        default=["random", "backprop"], description="what the rules are before meta-training"
    )
    rates: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)] = Field(
        description="learning rates of SGD; the first is the paper's"
    )
    longest: Count = Field(description="the most learning steps; at least those of meta-training")
    shown: Count | None = Field(default=None, description="how many variants the figure shows, the best; null: all")

    @field_validator("updates")
    @classmethod
    def _options_are_new(cls, updates: dict[Update, RuleConfig]) -> dict[Update, RuleConfig]:
        for update, options in updates.items():
            if taken := options.model_fields_set & {"name", "backward_update", "symmetric", "single_state"}:
                raise ValueError(
                    f"the option {min(taken)} of the update {update} follows from the variant; leave it out"
                )
        return updates

    @model_validator(mode="after")
    def _steps_and_tasks_go_together(self) -> "Settings":
        if self.longest < self.meta.longest:
            raise ValueError("longest is less than the steps of an unroll; make it as many or more")
        if self.trained_on[0] != self.tested_on[0]:
            raise ValueError("trained_on and tested_on begin with different tasks; begin both with the same")
        if len({f"{rate:g}" for rate in self.rates}) < len(self.rates):
            raise ValueError("two learning rates are the same in six digits; leave one of them out")
        return self

    @property
    def variants(self) -> list["Variant"]:
        """All combinations."""
        return [
            Variant(*each) for each in itertools.product(self.updates, self.symmetric, self.single_state, self.starts)
        ]

    @property
    def steps(self) -> list[int]:
        """The numbers of learning steps after which rules are tested."""
        known = self.meta.longest
        return sorted(
            {n for n in (0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100) if n < self.longest} | {known, self.longest}
        )

    @property
    def tasks(self) -> list[str]:
        """All tasks."""
        return list(dict.fromkeys((*self.trained_on, *self.tested_on)))


class Variant(NamedTuple):
    """A variant of the rule (see `rules.Blur`), and what it is before meta-training."""

    update: str
    symmetric: bool
    single_state: bool
    start: str

    def __str__(self) -> str:
        return f"{self.update.replace('_', ' ')}, {self.without_update}"

    @property
    def without_update(self) -> str:
        """The other parts, in words."""
        tied = "symmetric" if self.symmetric else "asymmetric"
        return f"{tied}, {'single state' if self.single_state else 'multistate'}, {self.start} start"


def cells(settings: Settings) -> list[Cell]:
    found = [
        Cell(_sgd(rate, task), functools.partial(_descended, settings, rate, task))
        for task in settings.tested_on
        for rate in settings.rates
    ]
    for variant, trained in itertools.product(settings.variants, settings.trained_on):
        found.append(Cell(_search(variant, trained), functools.partial(_searched, settings, variant, trained), 30.0))
        for task in settings.tested_on:
            run = functools.partial(_tested, settings, variant, trained, task)
            found.append(Cell(_name(variant, trained, task), run))
    return found


def _sgd(rate: float, task: str) -> str:
    return f"sgd {rate:g} on {task}"


def _search(variant: Variant, trained: str) -> str:
    return f"search {variant}, on {trained}"


def _name(variant: Variant, trained: str, task: str) -> str:
    return f"{variant}, of {trained}, on {task}"


def structured_start(n_states: int, rate: float, update: str) -> Blur:
    """Numbers close to backpropagation (section 4.5 (c)): nu, mu and nu~ are 1, mu~ swaps the first two states.

    Where the way back multiplies, the first state also feeds the second one on the way up, as in section 3.1: else the
    second one would be 0 in hidden neurons, whatever it is multiplied by. States beyond the second pass to themselves.

    Args:
        n_states: k.
        rate: -eta~.
        update: the update on the way back.
    """
    one = np.eye(n_states)
    nu, post = one.copy(), one.copy()
    post[:2, :2] = [[0, 1], [1, 0]]
    if update != "additive":
        nu[:2, :2] = [[1, 1], [0, 0]]  # row: source
    return Blur(jnp.asarray(nu), jnp.asarray(one), Hebbian(jnp.asarray(one), jnp.asarray(post), eta=-rate))


def _searched(settings: Settings, variant: Variant, trained: str, work: Work) -> Result:
    options = settings.updates[variant.update]  # pyright: ignore[reportArgumentType]
    rule = {
        **{name: getattr(options, name) for name in options.model_fields_set},
        "backward_update": variant.update,
        "symmetric": variant.symmetric,
        "single_state": variant.single_state,
    }
    config = grids.changed(settings.meta, rule)
    if variant.start == "backprop":
        config = config.model_copy(update={"genome": str(_start(settings, variant, work))})
    return grids.search(work, settings, settings.hidden, config, trained, settings.tasks)


def _start(settings: Settings, variant: Variant, work: Work) -> pathlib.Path:
    """The file of the structured start, beside the run of the search."""
    path = (work.folder / SEARCHES / f"{file_name(work.name)}_start.txt").resolve()
    _files.make_folder(path.parent)
    start = structured_start(settings.meta.n_states or 2, settings.meta.update or 0.1, variant.update)
    write_atomically(path, files.dumps(start))
    return path


def _tested(settings: Settings, variant: Variant, trained: str, task: str, work: Work) -> Result:
    search = _search(variant, trained)
    return grids.try_out(work, settings, search, settings.hidden, settings.steps, task, settings.tasks)


def _descended(settings: Settings, rate: float, task: str, work: Work) -> Result:
    """SGD on the cross-entropy, from the draws that the rules have."""
    name, loaded = chosen(work, task, settings.tasks, settings.stand_in)
    on = fitted(loaded, settings.hidden)
    found = evaluate(
        work.key("curve", (name, len(settings.hidden))), on.net, Descent(BASELINES["sgd"].make, jnp.asarray(rate)),
        on.task, steps=tuple(settings.steps), n_draws=settings.draws, batch_size=settings.batch_size,
    )  # fmt: skip
    return Result({**curve_numbers(found), "task": name, "majority": majority(on.task)})


# --- what came of it ------------------------------------------------------------------------------------------------


def _places(settings: Settings) -> Iterator[tuple[str, str]]:
    return itertools.product(settings.trained_on, settings.tested_on)


def rows(settings: Settings, results: Results) -> list[dict[str, Any]]:
    found = []
    for task, rate in itertools.product(settings.tested_on, settings.rates):
        one = grids.tested(results, _sgd(rate, task))
        found += [] if one is None else [{"learner": f"sgd {rate:g}", **one.row(step)} for step in one.steps]
    for variant, (trained, task) in itertools.product(settings.variants, _places(settings)):
        one = grids.tested(results, _name(variant, trained, task))
        if one is not None:
            on = results[_search(variant, trained)].numbers["task"]
            about = {"learner": str(variant), **variant._asdict(), "trained_on": on}
            found += [{**about, **one.row(step)} for step in one.steps]
    return found


def accuracies(settings: Settings, results: Results) -> dict[Variant, np.ndarray]:
    """Gives each variant's mean test accuracies at the steps of meta-training, less those of the largest class alone.

    There is one for each place: what it was found on, and what it is tested on; it is 0 where the
    search has found no rule, and NaN where it was not done. Variants of which nothing is known are left out.
    """
    found = {}
    for variant in settings.variants:
        each = []
        for trained, task in _places(settings):
            one = grids.tested(results, _name(variant, trained, task))
            if one is not None:
                each.append(one.at(settings.meta.longest) - one.majority)
            else:
                each.append(0.0 if _search(variant, trained) in results else np.nan)
        if np.isfinite(each).any():
            found[variant] = np.array(each)
    return found


def ranked(settings: Settings, results: Results) -> list[Variant]:
    """The variants by their mean accuracy over places, the best first."""
    found = accuracies(settings, results)
    return sorted(found, key=lambda variant: -float(np.nanmean(found[variant])))


def measures(settings: Settings, results: Results) -> dict[str, float | None]:
    found = accuracies(settings, results)
    mean = {variant: float(np.nanmean(each)) for variant, each in found.items()}
    return {
        "simplest_wins": _lead_of_the_simplest(mean),
        "simplest_needs_its_start": _gap(mean, SIMPLEST, SIMPLEST._replace(start="random")),
        "asymmetry_is_no_gain": _share_of_gains(mean, "symmetric"),
        "ahead_of_sgd": _ahead(settings, results, found, settings.rates[:1]),
        "ahead_of_best_sgd": _ahead(settings, results, found, settings.rates),
        "most_are_reasonable": _share_of_reasonable(mean),
        "update_matters_for_the_rest": _different_winners(mean),
        "updates_are_alike": _gap_of_updates(mean),
    }


SIMPLEST = Variant("additive", True, True, "backprop")


def _lead_of_the_simplest(mean: dict[Variant, float]) -> float | None:
    others = [value for variant, value in mean.items() if variant != SIMPLEST and variant.update == "additive"]
    return mean[SIMPLEST] - max(others) if SIMPLEST in mean and others else None


def _gap(mean: dict[Variant, float], one: Variant, other: Variant) -> float | None:
    return mean[one] - mean[other] if one in mean and other in mean else None


def _share_of_gains(mean: dict[Variant, float], part: str) -> float | None:
    """The share of variants with `part` that are worse than the same without it."""
    gaps = [_gap(mean, one._replace(**{part: False}), one) for one in mean if getattr(one, part)]
    known = [gap > 0 for gap in gaps if gap is not None]
    return float(np.mean(known)) if known else None


def _ahead(settings: Settings, results: Results, found: dict[Variant, np.ndarray], rates: list[float]) -> float | None:
    """The share of places where the best variant is ahead of SGD at all of these rates."""
    verdicts = []
    for number, (_, task) in enumerate(_places(settings)):
        curves = [grids.tested(results, _sgd(rate, task)) for rate in rates]
        descents = [one.at(settings.meta.longest) - one.majority for one in curves if one is not None]
        values = [each[number] for each in found.values() if np.isfinite(each[number])]
        if values and descents:
            verdicts.append(max(values) > max(descents))
    return float(np.mean(verdicts)) if verdicts else None


def _share_of_reasonable(mean: dict[Variant, float]) -> float | None:
    """The share of variants with at least half of the best one's gain over the largest class; None where none gains."""
    best = max(mean.values(), default=0.0)
    return float(np.mean([value >= best / 2 for value in mean.values()])) if best > 0 else None


def _winners(mean: dict[Variant, float]) -> dict[str, Variant]:
    """Gives the best variant of each update."""
    updates = dict.fromkeys(variant.update for variant in mean)
    return {
        update: max((variant for variant in mean if variant.update == update), key=lambda one: mean[one])
        for update in updates
    }


def _different_winners(mean: dict[Variant, float]) -> float | None:
    """How many combinations of the other parts are the best of an update; None of one update alone."""
    winners = _winners(mean)
    return float(len({each[1:] for each in winners.values()})) if len(winners) > 1 else None


def _gap_of_updates(mean: dict[Variant, float]) -> float | None:
    best = {update: mean[variant] for update, variant in _winners(mean).items()}
    known = {"additive", "multiplicative"} <= best.keys()
    return abs(best["additive"] - best["multiplicative"]) if known else None


# --- the figure -----------------------------------------------------------------------------------------------------

_COLOURS = {
    (True, "random"): "#D55E00",
    (True, "backprop"): "#8C6BB1",
    (False, "random"): "#009E73",
    (False, "backprop"): "#0072B2",
}
"""By whether synapses are tied, and by the start."""


def draw(settings: Settings, results: Results) -> "Figure":
    """A row for each task of tests; a column for each task of meta-training, of each update."""
    from ...plotting.figures import INK, blank_figure

    columns = list(itertools.product(settings.updates, settings.trained_on))
    n = len(settings.tested_on)
    figure = blank_figure(max(3.2 * len(columns), 4.5) + 3.2, max(2.8 * n, 3.6))
    panels = figure.subplots(n, len(columns), squeeze=False)
    best = ranked(settings, results)[: settings.shown]
    labels: dict[str, Any] = {}
    for row, task in enumerate(settings.tested_on):
        for column, (update, trained) in enumerate(columns):
            axes = panels[row, column]
            mine = [variant for variant in best if variant.update == update]
            labels |= _panel(axes, settings, results, mine, trained, task)
            words = f"{update.replace('_', ' ')}\n" if len(settings.updates) > 1 else ""
            axes.set_title(f"{words}meta-trained on {_used(settings, results, trained)}", fontsize=8.5, color=INK)
    if labels:
        figure.legend(list(labels.values()), list(labels), loc="outside right upper", frameon=False, fontsize=7.5)
    return figure


def _used(settings: Settings, results: Results, trained: str) -> str:
    """The task that took the place of this one, or itself."""
    found = [
        results[_search(variant, trained)] for variant in settings.variants if _search(variant, trained) in results
    ]
    return found[0].numbers["task"] if found else f"{trained} (left out)"


def _panel(
    axes: "Axes", settings: Settings, results: Results, variants: list[Variant], trained: str, task: str
) -> dict[str, Any]:
    """Draws accuracy over steps with deviations; SGD is black, at the paper's rate solid. Gives the lines by label."""
    from ...plotting.curves import style
    from ...plotting.figures import INK, MUTED

    lines: dict[str, Any] = {}
    used = task
    for number, rate in enumerate(settings.rates):
        one = grids.tested(results, _sgd(rate, task))
        if one is not None:
            dashes: Any = "-" if number == 0 else (0, (1 + 2 * number, 2))
            label = f"SGD, rate {rate:g}"
            colour, width = (INK, 1.6) if number == 0 else (MUTED, 0.9)
            (lines[label],) = axes.plot(
                one.steps, one.accuracy.mean(0), color=colour, linewidth=width, linestyle=dashes
            )
            used = one.task
    for number, variant in enumerate(variants):
        one = grids.tested(results, _name(variant, trained, task))
        if one is not None:
            colour = _COLOURS[variant.symmetric, variant.start]
            error = [one.deviation(step) or 0.0 for step in one.steps]
            shift = 0.06 * (number - len(variants) / 2)
            lines[variant.without_update] = axes.errorbar(
                np.array(one.steps) + shift, one.accuracy.mean(0), error, color=colour, linewidth=1.4,
                elinewidth=0.6, linestyle="--" if variant.single_state else "-",
            )  # fmt: skip
    axes.axvline(settings.meta.longest, color=MUTED, linewidth=0.6, linestyle=":")
    axes.set_ylim(-0.02, 1.02)
    style(axes, f"test accuracy on {used}")
    axes.set_xlabel("learning steps", fontsize=8)
    return lines
