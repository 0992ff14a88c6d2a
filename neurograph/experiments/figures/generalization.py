"""Other data than those of meta-training (sections 4.2, 4.3, Figures 5 and 6): a genome against SGD at many rates."""

import functools
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from pydantic import BaseModel, Field, model_validator

from ...learning import BASELINES, Descent, evaluate
from ...topology.files.yaml import STRICT, WHOLE
from .. import searches
from ..cells import Cell, Result, Results, Work
from ..problems import accuracy_of, curve_numbers, initializer_of, learnt, ready

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Count = Annotated[int, Field(ge=1), WHOLE]
Steps = Annotated[int, Field(ge=0), WHOLE]
Optimizer = Literal["sgd", "momentum", "adam"]


class Settings(BaseModel):
    """Which tasks, which genome, and which learning rates of the optimizers."""

    model_config = STRICT

    tasks: Annotated[list[str], Field(min_length=1)] = Field(description="what is learnt; letters are omniglot")
    genome: str = Field(default="mnist-4state", description="a rule that comes with the package, or a file")
    search: searches.SearchConfig | None = Field(default=None, description="meta-training, in place of the genome")
    hidden: Annotated[list[Count], Field(min_length=1)] = Field(description="sizes of the hidden layers")
    optimizers: list[Optimizer] = Field(default=["sgd", "momentum"], description="what the genome is compared with")
    rates: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)] = Field(description="learning rates")
    steps: Annotated[list[Steps], Field(min_length=2)] = Field(description="after how many learning steps")
    early: Count = Field(description="steps after which the genome should be ahead, at most those of meta-training")
    draws: Count = Field(default=5, description="draws of synapses and batches")
    batch_size: Count = Field(default=128, description="examples of a support batch")

    @model_validator(mode="after")
    def _early_is_evaluated(self) -> "Settings":
        if self.early not in self.steps or sorted(set(self.steps)) != self.steps:
            raise ValueError("steps ascend, and early is one of them; change either")
        if len({f"{rate:g}" for rate in self.rates}) < len(self.rates):
            raise ValueError("two learning rates are the same in six digits; leave one of them out")
        return self

    @property
    def genomes(self) -> list[str]:
        """What learns beside the optimizers: the genome, or those of the searches."""
        return [self.genome] if self.search is None else self.search.names()


def cells(settings: Settings) -> list[Cell]:
    found = [] if settings.search is None else searches.cells(settings.search, 200.0)
    for task in settings.tasks:
        for genome in settings.genomes:
            found.append(Cell(_name(genome, task), functools.partial(_of_genome, settings, genome, task), 2.0))
        for optimizer in settings.optimizers:
            for rate in settings.rates:
                run = functools.partial(_of_optimizer, settings, optimizer, rate, task)
                found.append(Cell(_name(f"{optimizer} {rate:g}", task), run))
    return found


def _name(learner: str, task: str) -> str:
    return f"{learner} on {task}"


def _of_genome(settings: Settings, genome: str, task: str, work: Work) -> Result:
    file = searches.needed_rule(work, genome)
    on = ready(work, task, settings.hidden, n_states=searches.single(file).n_states)
    how = {"steps": tuple(settings.steps), "n_draws": settings.draws, "batch_size": settings.batch_size}
    return Result(curve_numbers(learnt(work, file, on, task, **how)))


def _of_optimizer(settings: Settings, optimizer: str, rate: float, task: str, work: Work) -> Result:
    """The draws are those of the genome: the same batches, and synapses drawn in the same way."""
    file = searches.needed_rule(work, settings.genomes[0])
    on = ready(work, task, settings.hidden)
    descent = Descent(BASELINES[optimizer].make, jnp.asarray(rate))
    found = evaluate(
        work.key("curve", task), on.net, descent, on.task, steps=tuple(settings.steps),
        n_draws=settings.draws, batch_size=settings.batch_size, initializer=initializer_of(file),
    )  # fmt: skip
    return Result(curve_numbers(found))


# --- what came of it ------------------------------------------------------------------------------------------------


class Learner(NamedTuple):
    """A curve of the figure.

    Attributes:
        kind: "genome", or the optimizer's name.
        label: with its learning rate.
        accuracy: `[draws, steps]`.
    """

    kind: str
    label: str
    accuracy: np.ndarray


def _learners(settings: Settings, results: Results, task: str) -> list[Learner]:
    wanted = [("genome", genome) for genome in settings.genomes]
    wanted += [(name, f"{name} {rate:g}") for name in settings.optimizers for rate in settings.rates]
    return [
        Learner(kind, label, accuracy_of(results[_name(label, task)].numbers))
        for kind, label in wanted
        if _name(label, task) in results
    ]


def rows(settings: Settings, results: Results) -> list[dict[str, Any]]:
    found = []
    for task in settings.tasks:
        for learner in _learners(settings, results, task):
            for n, step in enumerate(settings.steps):
                at = learner.accuracy[:, n]
                found.append(
                    {
                        "task": task, "learner": learner.label, "step": step, "accuracy": float(at.mean()),
                        "deviation": float(at.std(ddof=1)) if at.size > 1 else None, "draws": int(at.size),
                    }
                )  # fmt: skip
    return found


def _leads(settings: Settings, results: Results, step: int) -> dict[str, float]:
    """By how much the best genome is ahead of the best optimizer at its best rate after so many steps, by task."""
    found, n = {}, settings.steps.index(step)
    for task in settings.tasks:
        learners = _learners(settings, results, task)
        genomes = [_at(learner, n) for learner in learners if learner.kind == "genome"]
        others = [_at(learner, n) for learner in learners if learner.kind != "genome"]
        if genomes and others:
            found[task] = max(genomes) - max(others)
    return found


def _at(learner: Learner, n: int) -> float:
    """The mean accuracy, 0 where learning diverged."""
    value = float(learner.accuracy[:, n].mean())
    return value if np.isfinite(value) else 0.0


def measures(settings: Settings, results: Results) -> dict[str, float | None]:
    early, late = (_leads(settings, results, step) for step in (settings.early, settings.steps[-1]))
    gains = []
    for task in settings.tasks:
        genomes = [one for one in _learners(settings, results, task) if one.kind == "genome"]
        gains += [_at(one, len(settings.steps) - 1) - _at(one, 0) for one in genomes]
    return {
        "learns_every_task": min(gains, default=None),
        "ahead_early": float(np.mean([lead > 0 for lead in early.values()])) if early else None,
        "level_later": float(np.mean([lead <= 0.01 for lead in late.values()])) if late else None,
    }


def draw(settings: Settings, results: Results) -> "Figure":
    from ...plotting.figures import blank_figure

    n = len(settings.tasks)
    figure = blank_figure(max(3.4 * n, 7.0) + 2.2, 4.0)
    panels = figure.subplots(1, n, squeeze=False)[0]
    for task, axes in zip(settings.tasks, panels, strict=True):
        _panel(axes, settings, _learners(settings, results, task), task)
    handles, labels = panels[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=7.5)
    return figure


_STYLES = {"sgd": ("--", "Blues"), "momentum": (":", "Oranges"), "adam": ("-.", "Greens")}


def _panel(axes: "Axes", settings: Settings, learners: list[Learner], task: str) -> None:
    """Steps on a logarithmic axis that has room for 0; optimizers are the darker, the larger their learning rate."""
    import matplotlib as mpl

    from ...plotting.curves import style
    from ...plotting.figures import INK, MUTED

    at = np.arange(len(settings.steps))
    for learner in learners:
        mean = learner.accuracy.mean(axis=0)
        if learner.kind == "genome":
            how: dict[str, Any] = {"color": INK, "linewidth": 2.2, "zorder": 4}
        else:
            line, colours = _STYLES[learner.kind]
            number = [f"{rate:g}" for rate in settings.rates].index(learner.label.rpartition(" ")[2])
            shade = 0.35 + 0.6 * number / max(len(settings.rates) - 1, 1)
            how = {"color": mpl.colormaps[colours](shade), "linewidth": 1.1, "linestyle": line, "zorder": 3}
        axes.plot(at, mean, label=learner.label, **how)
    axes.axvline(settings.steps.index(settings.early), color=MUTED, linewidth=0.6, linestyle="--")
    axes.set_ylim(-0.02, 1.02)
    style(axes, "test accuracy")
    if (legend := axes.get_legend()) is not None:
        legend.remove()
    axes.set_xticks(at, [f"{step:,}" for step in settings.steps], fontsize=7)
    axes.set_xlabel("learning steps", fontsize=8)
    axes.set_title(task if learners else f"{task} (left out)", fontsize=9, color=INK)
