"""Activations of either pass, and numbers of states (sections 4.5 and C.2, C.3, Figures 12 and 13)."""

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from ...topology import ActivationName
from .. import grids
from ..cells import Cell, Result, Results, Work
from ..grids import Count, Sizes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINEAR = "identity"
SAME = "forward"
Backward = ActivationName | Annotated[str, Field(pattern=f"^{SAME}$")]


class Settings(grids.OneTask):
    """Which activations and how many states; a search for each combination."""

    hidden: Sizes = Field(description="sizes of the hidden layers")
    forward: Annotated[list[ActivationName], Field(min_length=1)] = Field(description="activations on the way up")
    backward: Annotated[list[Backward], Field(min_length=1)] = Field(
        description="those on the way back; forward: the same as on the way up; identity: none"
    )
    states: Annotated[list[Annotated[Count, Field(ge=2)]], Field(min_length=1)] = Field(
        description="numbers of states, ascending"
    )
    learns: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.2, description="gain over always saying the largest class from which a rule counts as one that learns"
    )

    @model_validator(mode="after")
    def _states_ascend(self) -> "Settings":
        if sorted(set(self.states)) != self.states:
            raise ValueError("numbers of states ascend; put them in order, each once")
        return self

    @property
    def pairs(self) -> list["Pair"]:
        """The pairs of activations, each once."""
        both = [Pair(up, up if down == SAME else down) for up in self.forward for down in self.backward]
        return list(dict.fromkeys(both))


class Pair(NamedTuple):
    """Activations on the way up and on the way back."""

    forward: str
    backward: str

    def __str__(self) -> str:
        return f"{self.forward}, back {self.backward}"


def cells(settings: Settings) -> list[Cell]:
    found = []
    for pair, k in _grid(settings):
        found.append(Cell(f"search {_name(pair, k)}", functools.partial(_searched, settings, pair, k), 40.0))
        found.append(Cell(_name(pair, k), functools.partial(_tested, settings, pair, k)))
    return found


def _grid(settings: Settings) -> Iterator[tuple[Pair, int]]:
    return ((pair, k) for pair in settings.pairs for k in settings.states)


def _name(pair: Pair, k: int) -> str:
    return f"{pair}, {k} states"


def _searched(settings: Settings, pair: Pair, k: int, work: Work) -> Result:
    activations = {"forward_activation": pair.forward, "backward_activation": pair.backward}
    config = grids.changed(settings.meta, activations, n_states=k)
    return grids.search(work, settings, settings.hidden, config, settings.task)


def _tested(settings: Settings, pair: Pair, k: int, work: Work) -> Result:
    steps = (0, settings.meta.longest)
    return grids.try_out(work, settings, f"search {_name(pair, k)}", settings.hidden, steps, settings.task)


# --- what came of it ------------------------------------------------------------------------------------------------


def rows(settings: Settings, results: Results) -> list[dict[str, Any]]:
    found = []
    for pair, k in _grid(settings):
        one = grids.tested(results, _name(pair, k))
        if one is not None:
            fresh = results[f"search {_name(pair, k)}"].numbers.get("accuracies") or []
            population = {"of_population": " ".join(f"{value:.4g}" for value in fresh if value is not None)}
            about = {"forward": pair.forward, "backward": pair.backward, "states": k}
            found += [{**about, **one.row(step), **population} for step in one.steps]
    return found


def accuracies(settings: Settings, results: Results, pair: Pair) -> dict[int, float]:
    """The mean test accuracies of a pair after the steps of meta-training, by the number of states.

    A rule whose search diverged is left out.
    """
    each = {k: grids.tested(results, _name(pair, k)) for k in settings.states}
    return {k: one.at(settings.meta.longest) for k, one in each.items() if one is not None}


def measures(settings: Settings, results: Results) -> dict[str, float | None]:
    by_pair = {pair: accuracies(settings, results, pair) for pair in settings.pairs}
    bent = {pair: found for pair, found in by_pair.items() if pair.forward != LINEAR}
    linear = [found for pair, found in by_pair.items() if pair == (LINEAR, LINEAR)]
    means = [float(np.mean(list(found.values()))) for found in bent.values() if found]
    gained = _gains(list(bent.values()))
    order = [_rank_correlation(found) for found in bent.values()]
    known = [value for value in order if value is not None]
    return {
        "almost_all_learn": _share_that_learns(settings, results),
        "little_impact": max(means) - min(means) if len(means) > 1 else None,
        "linear_gains_nothing": float(np.mean(gains)) if (gains := _gains(linear)) else None,
        "states_help": float(np.mean(gained)) if gained else None,
        "states_in_order": float(np.mean(known)) if known else None,
    }


def _gains(found: list[dict[int, float]]) -> list[float]:
    """By how much the accuracy with the most states lies above that with the fewest."""
    return [each[max(each)] - each[min(each)] for each in found if len(each) > 1]


def _rank_correlation(found: dict[int, float]) -> float | None:
    """Spearman's, of the number of states and the accuracy; of 3 numbers or more, with accuracies not all alike."""
    if len(found) < 3 or len(set(found.values())) == 1:
        return None
    from scipy import stats

    states, accuracies = (stats.rankdata(values) for values in (list(found), list(found.values())))
    return float(np.corrcoef(states, accuracies)[0, 1])


def _share_that_learns(settings: Settings, results: Results) -> float | None:
    """Gives the share of all combinations whose search is done; one that has found no rule does not learn."""
    verdicts = []
    for pair, k in _grid(settings):
        one = grids.tested(results, _name(pair, k))
        if one is not None:
            verdicts.append(one.at(settings.meta.longest) - one.majority >= settings.learns)
        elif f"search {_name(pair, k)}" in results:
            verdicts.append(False)
    return float(np.mean(verdicts)) if verdicts else None


def draw(settings: Settings, results: Results) -> "Figure":
    """A panel for each activation on the way up, with a line for each on the way back."""
    from ...plotting.figures import new_figure

    n = len(settings.forward)
    figure, panels = new_figure(max(3.1 * n, 5.0), 3.6, n)
    backward = list(dict.fromkeys(pair.backward for pair in settings.pairs))
    for up, axes in zip(settings.forward, panels, strict=True):
        _panel(axes, settings, results, [pair for pair in settings.pairs if pair.forward == up], backward)
    return figure


def _panel(axes: "Axes", settings: Settings, results: Results, pairs: list[Pair], backward: list[str]) -> None:
    from ...plotting.curves import style
    from ...plotting.figures import INK, MUTED, colours

    step, palette = settings.meta.longest, dict(zip(backward, colours(len(backward)), strict=True))
    for number, pair in enumerate(pairs):
        points = [(k, grids.tested(results, _name(pair, k))) for k in settings.states]
        known = [(k, one.at(step), one.deviation(step) or 0.0) for k, one in points if one is not None]
        if known:
            x, y, error = np.array(known).T
            label, shift = f"back: {pair.backward}", 0.04 * (number - (len(pairs) - 1) / 2)
            axes.errorbar(
                x + shift, y, error, color=palette[pair.backward], marker="o", markersize=4, capsize=2, label=label
            )
            axes.axhline(next(one.majority for _, one in points if one is not None), color=MUTED, linewidth=0.6,
                         linestyle=":")  # fmt: skip
    axes.set_ylim(-0.02, 1.02)
    style(axes, f"test accuracy on {grids.task_of(settings, results)}, {step} steps")
    axes.set_xticks(settings.states)
    axes.set_xlabel("states of each neuron", fontsize=9)
    axes.set_title(f"forward: {pairs[0].forward}", fontsize=9, color=INK)
