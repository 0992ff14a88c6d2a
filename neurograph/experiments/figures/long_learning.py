"""Learning over a thousand steps (appendices C.5 and C.6, Figures 15 and 16): Oja's term and synapse normalisation.

Rules are meta-trained with these options and without them. The networks that they train go on to learn far beyond the
unrolls of meta-training; their test errors and the amplitudes of their synapses are kept. From some step on, a copy of
each network learns from random labels instead, which shows whether it still learns.
"""

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from pydantic import BaseModel, Field, model_validator

from ... import engine
from ...rules import as_arrays
from ...topology.files.yaml import STRICT, WHOLE
from .. import amplitudes, searches
from ..cells import Cell, Result, Results, Work
from ..problems import initializer_of, ready

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Count = Annotated[int, Field(ge=1), WHOLE]
Steps = Annotated[int, Field(ge=0), WHOLE]
LEARNT = 0.5
"""Only a network whose test error is no greater than this has something to lose by growing synapses, by learning
beyond the unroll, or by random labels."""


class Settings(BaseModel):
    """The meta-training runs, which options they differ by, and how long their networks learn."""

    model_config = STRICT

    search: searches.SearchConfig = Field(description="the runs of each combination of the options")
    compare: Annotated[list[searches.Option], Field(min_length=1)] = Field(
        description="options of the rule that are switched on and off; oja is one of them"
    )
    tasks: Annotated[list[str], Field(min_length=1)] = Field(description="what the networks learn")
    hidden: Annotated[list[Count], Field(min_length=1)] = Field(description="sizes of the hidden layers")
    steps: Annotated[list[Steps], Field(min_length=2)] = Field(description="after how many steps errors are measured")
    randomise_after: Count | None = Field(
        default=None, description="the step from which on a copy of each network learns from random labels"
    )
    draws: Count = Field(default=3, description="draws of synapses and batches")
    batch_size: Count = Field(default=128, description="examples of a support batch")

    @model_validator(mode="after")
    def _steps_have_marks(self) -> "Settings":
        if "oja" not in self.compare or len(set(self.compare)) < len(self.compare):
            raise ValueError("compare has oja, and each option once; change it")
        if sorted(set(self.steps)) != self.steps or self.search.trained not in self.steps[:-1]:
            raise ValueError(
                f"steps ascend, and the {self.search.trained} of meta-training are among those before the last"
            )
        if self.randomise_after is not None and self.randomise_after not in self.steps[:-1]:
            raise ValueError("randomise_after is one of the steps before the last; change either")
        return self

    @property
    def variants(self) -> list[searches.Variant]:
        """A group of runs for each combination of the options; all on first."""
        return searches.variants(self.search, self.compare)

    @property
    def randomised(self) -> list[int]:
        """The steps at which networks that learn from random labels are judged."""
        return [] if self.randomise_after is None else [step for step in self.steps if step > self.randomise_after]

    def variant(self, *, oja: bool) -> searches.Variant:
        """That with Oja's term or without it, in which all other options are on."""
        on = set(self.compare) if oja else set(self.compare) - {"oja"}
        return next(one for one in self.variants if one.on == on)


def cells(settings: Settings) -> list[Cell]:
    found = [cell for one in settings.variants for cell in searches.cells(one.search, 20.0, one.label)]
    for variant in settings.variants:
        for name in variant.names:
            for task in settings.tasks:
                found.append(Cell(f"{name} on {task}", functools.partial(_long, settings, name, task), 4.0))
    return found


def _long(settings: Settings, name: str, task_name: str, work: Work) -> Result:
    file = searches.needed_rule(work, name)
    rule = as_arrays(searches.single(file), jnp.float32)
    task, net = ready(work, task_name, settings.hidden, n_states=rule.n_states)
    kept: dict[str, list[np.ndarray]] = {"true": [], "random": []}
    sizes: dict[str, list[np.ndarray]] = {"true": [], "random": []}
    for draw in range(settings.draws):
        work.check_stop()
        work.tell(draw / settings.draws, f"draw {draw + 1} of {settings.draws}")
        start, batches = jax.random.split(work.key("long", task_name, draw))
        state = engine.init(start, net, rule, initializer=initializer_of(file), batch_size=settings.batch_size)
        how: dict[str, Any] = {"batch_size": settings.batch_size}
        found, states = amplitudes.learn(batches, net, rule, state, task, steps=settings.steps, **how)
        kept["true"].append(found.error)
        sizes["true"].append(found.amplitude)
        if settings.randomise_after is not None:
            work.check_stop()
            state = states[settings.steps.index(settings.randomise_after)]
            found, _ = amplitudes.learn(
                batches, net, rule, state, task, steps=settings.randomised, shuffled=True, **how
            )
            kept["random"].append(found.error)
            sizes["random"].append(found.amplitude)
    arrays = {labels: np.stack(values) for labels, values in sizes.items() if values}
    return Result({labels: np.array(values).tolist() for labels, values in kept.items()}, arrays)


# --- what came of it ------------------------------------------------------------------------------------------------


def _error(result: Result, labels: str) -> np.ndarray:
    """The mean test error over draws, at each number of steps."""
    return np.array(result.numbers[labels], float).mean(axis=0)


def _decades(result: Result, labels: str) -> np.ndarray:
    """The mean over draws of the amplitude's decimal logarithm, from the network's first step of these labels on."""
    return amplitudes.decades(result.arrays[labels]).mean(axis=0)


def growth(decades: np.ndarray, first: int, last: int) -> float:
    """By how many decades amplitudes grow between two steps; `OVERFLOW` where they have overflowed at the latter.

    >>> growth(np.array([-1.0, 0.0, 2.0]), 0, 2)
    3.0
    """
    if decades[last] >= amplitudes.OVERFLOW:
        return amplitudes.OVERFLOW
    return float(decades[last] - decades[first])


def _best(settings: Settings, results: Results, oja: bool) -> list[Result]:
    """How the best run of a variant learned, on each task."""
    best = searches.best_of(results, settings.variant(oja=oja).names)
    return [results[f"{best} on {task}"] for task in settings.tasks if f"{best} on {task}" in results]


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def measures(settings: Settings, results: Results) -> dict[str, float | None]:
    trained, last = settings.search.trained, settings.steps[-1]
    with_oja, without_oja = (_best(settings, results, oja) for oja in (True, False))
    found = {
        "saturates_with_oja": _mean(growth(_decades(one, "true"), last // 2, last) for one in with_oja),
        "grows_without_oja": _mean(growth(_decades(one, "true"), trained, last) for one in without_oja),
    }
    if settings.randomise_after is None:
        found["unaffected_until_overflow"] = _mean(_until_overflow(settings, one) for one in without_oja)
    else:
        found["keeps_learning"] = _mean(_forgets(settings, one) for one in with_oja)
        found["stops_learning"] = _mean(_forgets(settings, one) for one in without_oja)
    if "synapse_normalization" in settings.compare:
        at = settings.steps.index(trained)
        gains = [_error(one, "true")[at] - _error(one, "true")[-1] for one in with_oja]
        found["improves_beyond_unroll"] = _mean(map(float, gains))
        found["degrades_without_norm"] = _mean(
            float(_error(results[key], "true")[-1] > _error(results[key], "true")[at] + 0.01)
            for one in settings.variants
            if "synapse_normalization" not in one.on
            for key in (f"{name} on {task}" for name in one.names for task in settings.tasks)
            if key in results and _error(results[key], "true")[at] <= LEARNT
        )
    return found


def _until_overflow(settings: Settings, result: Result) -> float | None:
    """By how much the test error rises from the end of the unroll to the last step before synapses overflow.

    None where the network had not learned by then, or synapses had overflowed.
    """
    known = [
        n
        for n, step in enumerate(settings.steps)
        if step >= settings.search.trained and np.isfinite(result.arrays["true"][:, step]).all()
    ]
    error = _error(result, "true")
    if not known or settings.steps[known[0]] != settings.search.trained or error[known[0]] > LEARNT:
        return None
    return float(error[known[-1]] - error[known[0]])


def _forgets(settings: Settings, result: Result) -> float | None:
    """By how much random labels raise the test error; None where the network had not learned before."""
    assert settings.randomise_after is not None
    before = _error(result, "true")[settings.steps.index(settings.randomise_after)]
    return float(_error(result, "random")[-1] - before) if before <= LEARNT else None


def rows(settings: Settings, results: Results) -> list[dict[str, Any]]:
    found = []
    for variant in settings.variants:
        for name in variant.names:
            for task in settings.tasks:
                if (result := results.get(f"{name} on {task}")) is not None:
                    common = {"variant": variant.label, "run": name, "task": task}
                    for labels, steps in (("true", settings.steps), ("random", settings.randomised)):
                        first = 0 if labels == "true" else settings.randomise_after
                        for n, step in enumerate(steps):
                            at = np.array(result.numbers[labels], float)[:, n]
                            size = _decades(result, labels)[step - (first or 0)]
                            found.append(
                                {
                                    **common, "labels": labels, "step": step, "error": float(at.mean()),
                                    "deviation": float(at.std(ddof=1)) if at.size > 1 else None,
                                    "log10_amplitude": float(size), "draws": int(at.size),
                                }
                            )  # fmt: skip
    return found


def draw(settings: Settings, results: Results) -> "Figure":
    from ...plotting.figures import blank_figure

    n = len(settings.tasks)
    figure = blank_figure(max(4.6 * n, 6.4) + 2.4, 6.4)
    panels = figure.subplots(2, n, squeeze=False, sharex=True)
    for column, task in enumerate(settings.tasks):
        _errors(panels[0, column], settings, results, task)
        _amplitudes(panels[1, column], settings, results, task)
    handles: dict[str, Any] = {}
    for axes in panels.flat:
        handles.update(dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True)))
    if handles:
        figure.legend(list(handles.values()), list(handles), loc="outside right upper", frameon=False, fontsize=7.5)
    return figure


def _ink(settings: Settings) -> list[str]:
    from ...plotting.figures import colours

    return colours(len(settings.variants))


def _errors(axes: "Axes", settings: Settings, results: Results, task: str) -> None:
    """The best run of each variant; dotted with random labels."""
    from ...plotting.figures import INK

    for variant, colour in zip(settings.variants, _ink(settings), strict=True):
        result = results.get(f"{searches.best_of(results, variant.names)} on {task}")
        if result is not None:
            true = _error(result, "true")
            axes.plot(settings.steps, true, color=colour, linewidth=1.6, label=variant.label)
            if settings.randomise_after is not None:
                x = [settings.randomise_after, *settings.randomised]
                y = [true[settings.steps.index(x[0])], *_error(result, "random")]
                axes.plot(x, y, color=colour, linewidth=1.2, linestyle=":", label=f"{variant.label}, random labels")
    axes.set_title(task if axes.lines else f"{task} (left out)", fontsize=9, color=INK)
    axes.set_ylim(-0.02, 1.02)
    _dress(axes, settings, "test error")
    axes.set_xlabel("")


def _amplitudes(axes: "Axes", settings: Settings, results: Results, task: str) -> None:
    """All runs of each variant, the best one bold; dotted with random labels."""
    for variant, colour in zip(settings.variants, _ink(settings), strict=True):
        best = searches.best_of(results, variant.names)
        for name in variant.names:
            if (result := results.get(f"{name} on {task}")) is not None:
                size = _shown(result, "true")
                axes.plot(size, color=colour, linewidth=1.6 if name == best else 0.5)
                if settings.randomise_after is not None and name == best:
                    size = _shown(result, "random")
                    steps = settings.randomise_after + np.arange(size.size)
                    axes.plot(steps, size, color=colour, linewidth=1.2, linestyle=":")
    if axes.lines:
        axes.set_yscale("log")
    _dress(axes, settings, "synapses, root mean square")


def _shown(result: Result, labels: str) -> np.ndarray:
    """Amplitudes as drawn: up to where they overflow."""
    decades = _decades(result, labels)
    return 10.0 ** np.where(np.isfinite(result.arrays[labels]).all(axis=0), decades, np.nan)


def _dress(axes: "Axes", settings: Settings, name: str) -> None:
    from ...plotting.curves import style
    from ...plotting.figures import MUTED

    for step in (settings.search.trained, settings.randomise_after):
        if step is not None:
            axes.axvline(step, color=MUTED, linewidth=0.6, linestyle="--")
    style(axes, name)
    axes.tick_params(which="minor", labelsize=7, labelcolor=MUTED, length=0)
    axes.set_xlabel("learning steps", fontsize=8)
    if (legend := axes.get_legend()) is not None:
        legend.remove()
