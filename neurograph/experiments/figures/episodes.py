"""Learning of five classes, one example at a time, with fixed random feedback (Shervani-Tabar and Rosenbaum 2023)."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BaseModel, Field

from ... import tasks
from ...engine.initializers import glorot_uniform
from ...learning import Rated, interval
from ...rules import presets
from ...rules.error_hebb_oja import ErrorHebbOja, softplus
from ...runs.settings import MetaConfig, load_topology
from ...tasks import datasets
from ...tasks.spec import parse
from ...topology.files.yaml import STRICT
from .. import contenders, searches
from ..cells import Cell, Result, Results, Skipped, Work
from ..problems import load_task

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Name = Annotated[str, Field(min_length=1)]
CHOSEN, SEARCH = "data", "search 0"
RANDOM, FOUND, BACKPROP = LEARNERS = ("random feedback alone", "the rule found", "backpropagation")
_LABELS = {RANDOM: "#9aa5b1", FOUND: "#0072B2", BACKPROP: "#1f2933"}
_LEAST_GAP = 0.02


class Classes(BaseModel):
    """Classes to meta-learn on, and others to be judged on."""

    model_config = STRICT

    training: Annotated[list[Name], Field(min_length=1)] = Field(description="tasks of meta-training")
    test: Name = Field(description="a task of as many classes, which meta-training never sees")
    options: dict[str, Any] = Field(default_factory=dict, description="options of these tasks")


class Settings(contenders.Comparison):
    """Which data, which network, how the rule is meta-trained, and how all are evaluated."""

    data: Annotated[list[Classes], Field(min_length=1)] = Field(description="the first one whose files are here counts")
    hidden: Annotated[list[contenders.Count], Field(min_length=1)] = Field(description="sizes of the hidden layers")
    meta: MetaConfig = Field(description="the settings of `neurograph meta-train`, without tasks")


def cells(settings: Settings) -> list[Cell]:
    found = [
        Cell(CHOSEN, functools.partial(_chosen, settings), 0.1),
        Cell(SEARCH, functools.partial(_search, settings), 10.0),
    ]
    return found + [Cell(name, functools.partial(_curve, settings, name)) for name in LEARNERS]


def _chosen(settings: Settings, work: Work) -> Result:
    """The data that are used, kept so that a resumed experiment uses the same."""
    for number, classes in enumerate(settings.data):
        if all(_is_here(spec, work.data_dir) for spec in (*classes.training, classes.test)):
            return Result({"number": number, **classes.model_dump()})
    raise Skipped("none of the data sets is here; name the folder of one of them.")


def _is_here(spec: str, data_dir: str | None) -> bool:
    """Whether a task can be loaded without a download."""
    if parse(spec).name not in datasets.DATA_SETS:
        return True
    try:
        return bool(tasks.files_of(spec, data_dir))
    except datasets.DataError:
        return False


def _classes(settings: Settings, work: Work) -> Classes:
    if CHOSEN not in work.results:
        raise Skipped("no data set was chosen.")
    return settings.data[work.results[CHOSEN].numbers["number"]]


def _wiring(settings: Settings, task: tasks.Task) -> str:
    return "mlp:" + "-".join(map(str, (task.n_inputs, *settings.hidden, task.n_outputs)))


def _search(settings: Settings, work: Work) -> Result:
    classes = _classes(settings, work)
    wiring = _wiring(settings, load_task(work, classes.training[0], **classes.options))
    options = {**settings.meta.task_options, **classes.options}
    config = settings.meta.model_copy(update={"tasks": tuple(classes.training), "task_options": options})
    return searches.search(work, [wiring], config)


def _curve(settings: Settings, name: str, work: Work) -> Result:
    classes = _classes(settings, work)
    task = load_task(work, classes.test, **classes.options)
    topology = load_topology(_wiring(settings, task))
    makes: dict[str, Callable[[float], Any]] = {
        RANDOM: lambda rate: ErrorHebbOja(learning_rate=rate),
        BACKPROP: lambda rate: presets.backprop(rate, activation=softplus),
    }
    if name in makes:
        what: Any = Rated(makes[name], 1e-4, 1e0, settings.per_decade)
    else:
        what = searches.needed_rule(work, SEARCH).rule
    found = contenders.curve(work, what, topology, task, CHOSEN, settings, initializer=glorot_uniform, n_states=3)
    return Result(found)


# --- what came of it ------------------------------------------------------------------------------------------------


def rows(settings: Settings, results: Results) -> list[dict[str, Any]]:
    about = {"task": results[CHOSEN].numbers["test"]} if CHOSEN in results else {}
    found = []
    for name in LEARNERS:
        found += contenders.table(results, name, {**about, "learner": name})
    if (rule := _rule(results)) is not None:
        numbers = {"learning_rate": rule.learning_rate, "error_hebb": rule.error_hebb, "oja": rule.oja}
        found.append({**about, "learner": FOUND, **{name: float(value) for name, value in numbers.items()}})
    return found


def _rule(results: Results) -> ErrorHebbOja | None:
    file = searches.rule_of(results, SEARCH)
    if file is None:
        return None
    assert isinstance(file.rule, ErrorHebbOja)
    return file.rule


def measures(settings: Settings, results: Results) -> dict[str, float | None]:
    last = {name: None if (of := contenders.accuracies(results, name)) is None else of[:, -1] for name in LEARNERS}
    random, found, backprop = last.values()
    gap = None if random is None or backprop is None else float((backprop - random).mean())
    gain = None if random is None or found is None else float((found - random).mean())
    rule = _rule(results)
    rate = 0.0 if rule is None else float(rule.learning_rate)
    return {
        "random_feedback_is_behind": gap,
        "terms_help": gain,
        "gap_closed": None if gap is None or gain is None or gap < _LEAST_GAP else gain / gap,
        "oja_is_kept": None if rule is None or rate <= 0 else float(rule.oja) / rate,
    }


def draw(settings: Settings, results: Results) -> "Figure":
    from ...plotting.figures import new_figure

    figure, (left, right) = new_figure(9.6, 3.8, 2)
    _curves(left, settings, results)
    _numbers(right, results)
    return figure


def _curves(axes: "Axes", settings: Settings, results: Results) -> None:
    """Means over draws, with 95 % intervals."""
    from ...plotting.curves import style
    from ...plotting.figures import INK

    at = np.arange(len(settings.steps))
    for name, ink in _LABELS.items():
        accuracy = contenders.accuracies(results, name)
        if accuracy is None:
            continue
        mean, half = np.array([interval(column) for column in accuracy.T]).T
        axes.plot(at, mean, color=ink, label=name, linewidth=1.8)
        axes.fill_between(at, mean - half, mean + half, color=ink, alpha=0.15, linewidth=0)
    axes.set_ylim(-0.02, 1.02)
    style(axes, "test accuracy")
    axes.set_xticks(at, [f"{step:,}" for step in settings.steps], fontsize=8)
    axes.set_xlabel("examples, one at a time" if settings.batch_size == 1 else "learning steps", fontsize=8)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8, loc="upper left")
    task = results[CHOSEN].numbers["test"] if CHOSEN in results else "left out"
    axes.set_title(f"{task}, never seen in meta-training", fontsize=9, color=INK)


def _numbers(axes: "Axes", results: Results) -> None:
    """The three numbers of the rule."""
    from ...plotting.curves import style
    from ...plotting.figures import INK, MUTED

    rule = _rule(results)
    words = ("error times activity\n(learning rate)", "product of errors", "Oja's term")
    values = [0.0] * 3 if rule is None else [float(rule.learning_rate), float(rule.error_hebb), float(rule.oja)]
    axes.bar(range(3), values, color=_LABELS[FOUND], width=0.5)
    axes.axhline(0, color=MUTED, linewidth=0.8)
    style(axes, "")
    axes.set_xlabel("")
    axes.set_xticks(range(3), words, fontsize=8)
    for place, value in enumerate(values):
        way = {"xytext": (0, 3), "va": "bottom"} if value >= 0 else {"xytext": (0, -3), "va": "top"}
        axes.annotate(f"{value:.3g}", (place, value), textcoords="offset points", ha="center", fontsize=8, **way)
    axes.margins(y=0.12)
    title = "no rule was found" if rule is None else "the rule found (it began at 0 for the last two)"
    axes.set_title(title, fontsize=9, color=INK)
