"""Which wiring learns fastest (new): kinds with equally many synapses, and connectomes against their null models."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field, field_validator

from ...learning import Interval, interval
from ...topology.files.yaml import WHOLE
from ...topology.rewiring import structure
from .. import connectomes, contenders, equal_size
from ..cells import Cell, Result, Results, Work
from ..connectomes import ConnectomeName, NullName
from ..problems import load_task

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Names = Annotated[list[str], Field(min_length=1)]
WEIGHTED = "shuffle_weights"
"""The null model that needs initial weights; the connectome that it is compared with has them, too."""
_REFERENCES = {False: "itself", True: "itself, with weights"}


class Settings(contenders.Comparison):
    """Which wirings, how many synapses, which rules, and which null models of which connectomes."""

    task: str = Field(description="what is learnt")
    synapses: Annotated[int, Field(ge=1), WHOLE] = Field(description="of every wiring, within one per cent")
    wirings: Annotated[list[equal_size.KindName], Field(min_length=2)] = Field(description="kinds of wirings")
    rules: Names = Field(description="baselines and rules, at their best learning rates where these are not in a file")
    genomes: Names = Field(description="rules that come with the package, or files, as they are")
    connectomes: list[ConnectomeName] = Field(description="wiring diagrams of nervous systems")
    nulls: list[NullName] = Field(description="null models of these")
    null_seeds: contenders.Count = Field(default=3, description="graphs that are drawn of each null model")
    connectome_rules: Names = Field(description="rules that learn on connectomes and null models")

    _check = field_validator("rules", "genomes", "connectome_rules")(contenders.check)

    @property
    def learners(self) -> list[str]:
        """All that learn on every kind of wiring."""
        return list(dict.fromkeys([*self.rules, *self.genomes]))


def cells(settings: Settings) -> list[Cell]:
    found = [
        Cell(_name(learner, kind), functools.partial(_of_kind, settings, learner, kind))
        for kind in settings.wirings
        for learner in settings.learners
    ]
    for rule in settings.connectome_rules:
        for name in settings.connectomes:
            for variant, null, seed in _variants(settings):
                run = functools.partial(_of_connectome, settings, rule, name, variant, null, seed)
                found.append(Cell(_name(rule, f"{name}, {variant}"), run))
    return found


def _variants(settings: Settings) -> list[tuple[str, str | None, int]]:
    """The connectome itself, where needed with weights, too, and each graph of its null models."""
    found: list[tuple[str, str | None, int]] = [
        (word, None, 0)
        for weighted, word in _REFERENCES.items()
        if any((null == WEIGHTED) is weighted for null in settings.nulls) or not weighted
    ]
    return found + [(_drawn(null, seed), null, seed) for null in settings.nulls for seed in range(settings.null_seeds)]


def _drawn(null: str, seed: int) -> str:
    return f"{null} {seed}"


def _name(learner: str, wiring: str) -> str:
    return f"{learner} on {wiring}"


def _of_kind(settings: Settings, learner: str, kind: str, work: Work) -> Result:
    task = load_task(work, settings.task)
    ends = equal_size.Ends(task.n_inputs, task.n_outputs, work.seed)
    topology = equal_size.fitted(kind, ends, settings.synapses)
    is_tuned = learner in settings.rules
    found = contenders.learn(work, learner, topology, task, settings.task, settings, tuned=is_tuned)
    return Result({**found, "synapses": topology.n_synapses})


def _of_connectome(
    settings: Settings, rule: str, name: str, variant: str, null: str | None, seed: int, work: Work
) -> Result:
    task = load_task(work, settings.task)
    source = connectomes.find(name, work.data_dir, work.seed)
    is_weighted = null == WEIGHTED or variant == _REFERENCES[True]
    wired = connectomes.wiring(source, weighted=is_weighted, seed=work.seed)
    if null is not None:
        wired = connectomes.null_model(wired, null, 1 + seed)
    fitted = connectomes.fitted(wired, task.n_inputs, task.n_outputs, work.seed)
    found = contenders.learn(work, rule, fitted, task, settings.task, settings)
    shape = structure(fitted)
    about = {"synapses": fitted.n_synapses, "levels": shape.n_levels, "idle": shape.n_idle}
    return Result({**found, **about, "is_real": source.is_real, "history": list(wired.history)})


# --- what came of it ------------------------------------------------------------------------------------------------


def rows(settings: Settings, results: Results) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for kind in settings.wirings:
        for learner in settings.learners:
            name = _name(learner, kind)
            found += contenders.table(results, name, _about(results, name, {"wiring": kind, "learner": learner}))
    for rule in settings.connectome_rules:
        for connectome in settings.connectomes:
            for variant, _, _ in _variants(settings):
                name = _name(rule, f"{connectome}, {variant}")
                about = {"wiring": connectome, "learner": rule, "variant": variant}
                found += contenders.table(results, name, _about(results, name, about))
    for one in _contrasts(settings, results):
        half = None if np.isnan(one.lead.half) else one.lead.half
        found.append(
            {
                "wiring": one.connectome, "learner": one.rule, "variant": f"ahead of {one.null}",
                "step": settings.early, "accuracy": one.lead.mean, "half_interval": half,
                "connectome_files": one.is_real, "share_of_graphs_beaten": one.beaten,
            }
        )  # fmt: skip
    return found


def _about(results: Results, name: str, about: dict[str, Any]) -> dict[str, Any]:
    """What the rows of a cell begin with: which it is, and of a connectome how it was made."""
    if name not in results:
        return about
    numbers = results[name].numbers
    more = {key: numbers[key] for key in ("synapses", "levels", "idle") if key in numbers}
    if "history" in numbers:
        more |= {"connectome_files": numbers["is_real"], "history": "; ".join(numbers["history"])}
    return {**about, **more}


def _early(settings: Settings, results: Results, learners: Sequence[str]) -> np.ndarray:
    """Mean accuracies after `early` steps `[learners, wirings]`, NaN where a cell is not done."""
    n = settings.steps.index(settings.early)
    found = np.full((len(learners), len(settings.wirings)), np.nan)
    for row, learner in enumerate(learners):
        for column, kind in enumerate(settings.wirings):
            accuracy = contenders.accuracies(results, _name(learner, kind))
            if accuracy is not None:
                found[row, column] = accuracy[:, n].mean()
    return found


class Contrast(NamedTuple):
    """A connectome against a null model.

    Attributes:
        rule, connectome, null: which.
        lead: by how much the connectome's accuracy after `early` steps is ahead, with the same draws of synapses and
            batches; its interval is the wider of that over draws and that over graphs of the null model.
        beaten: the share of these graphs that the connectome is ahead of.
        is_real: whether the connectome was read from files.
    """

    rule: str
    connectome: str
    null: str
    lead: Interval
    beaten: float
    is_real: bool

    @property
    def is_sure(self) -> bool:
        """Whether the interval excludes 0."""
        return abs(self.lead.mean) > self.lead.half


def _contrasts(settings: Settings, results: Results) -> list[Contrast]:
    n, found = settings.steps.index(settings.early), []
    for rule in settings.connectome_rules:
        for name in settings.connectomes:
            for null in settings.nulls:
                own = _name(rule, f"{name}, {_REFERENCES[null == WEIGHTED]}")
                itself = contenders.accuracies(results, own)
                names = [_name(rule, f"{name}, {_drawn(null, seed)}") for seed in range(settings.null_seeds)]
                others = [contenders.accuracies(results, one) for one in names]
                drawn = [accuracy[:, n] for accuracy in others if accuracy is not None]
                if itself is None or not drawn:
                    continue
                leads = itself[:, n] - np.stack(drawn)  # [graphs, draws]
                halves = [interval(leads.mean(axis=axis)).half for axis in (0, 1)]
                lead = Interval(float(leads.mean()), float(np.max(halves)))
                beaten = float(np.mean(leads.mean(axis=1) > 0))
                found.append(Contrast(rule, name, null, lead, beaten, results[own].numbers["is_real"]))
    return found


def measures(settings: Settings, results: Results) -> dict[str, float | None]:
    counts = [one.numbers["synapses"] for name, one in results.items() if "is_real" not in one.numbers]
    of_rules, of_genomes = (_early(settings, results, some) for some in (settings.rules, settings.genomes))
    whole = of_rules[np.isfinite(of_rules).all(axis=1)]
    differences = whole.max(axis=1) - whole.min(axis=1)
    fastest = np.bincount(whole.argmax(axis=1)) if len(whole) else np.zeros(1)
    seen = np.isfinite(of_rules).any(axis=0)
    best = np.full(of_rules.shape[1], np.nan)
    best[seen] = np.nanmax(of_rules[:, seen], axis=0)
    within = (of_genomes - best)[np.isfinite(of_genomes - best)]
    contrasts = [one for one in _contrasts(settings, results) if one.is_real and np.isfinite(one.lead.half)]
    return {
        "equal_size": float(max(abs(n / settings.synapses - 1) for n in counts)) if counts else None,
        "wiring_matters": float(differences.min()) if len(whole) else None,
        "same_wiring_for_all": float(fastest.max() / len(whole)) if len(whole) else None,
        "genomes_transfer": float(np.mean(within >= -0.02)) if within.size else None,
        "connectomes_differ": float(np.mean([one.is_sure for one in contrasts])) if contrasts else None,
        "connectomes_faster": float(np.mean([one.is_sure and one.lead.mean > 0 for one in contrasts]))
        if contrasts
        else None,
    }


def draw(settings: Settings, results: Results) -> "Figure":
    from ...plotting.figures import blank_figure
    from ..panels import columns_of

    n_rows = max(len(settings.learners), 6)
    figure = blank_figure(1.1 * len(settings.wirings) + 9.0, 0.36 * n_rows + 2.2)
    left, right = columns_of(figure, (1.1 * len(settings.wirings) + 2.5, 6.5))
    _matrix(left.subplots(), settings, results)
    _differences(right.subplots(), settings, results)
    return figure


def _matrix(axes: "Axes", settings: Settings, results: Results) -> None:
    """Mean accuracy of every learner on every wiring."""
    from ...plotting.figures import INK

    means = _early(settings, results, settings.learners)
    axes.imshow(means, aspect="auto", cmap="Blues", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(means):
        text = "-" if np.isnan(value) else f"{value:.3f}"
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color="white" if value > 0.6 else INK)
    axes.set_xticks(range(len(settings.wirings)), [kind.replace("_", "\n") for kind in settings.wirings], fontsize=8)
    axes.set_yticks(range(len(settings.learners)), settings.learners, fontsize=8)
    axes.axhline(len(settings.rules) - 0.5, color="white", linewidth=3)
    title = f"{settings.task}: test accuracy at step {settings.early}, {settings.synapses:,} synapses"
    axes.set_title(title, fontsize=9, color=INK)


def _differences(axes: "Axes", settings: Settings, results: Results) -> None:
    """By how much connectomes are ahead of null models, with 95 % intervals."""
    from ...plotting.figures import INK, MUTED, RULE, colours

    contrasts = _contrasts(settings, results)
    inks = dict(zip(settings.connectome_rules, colours(len(settings.connectome_rules)), strict=True))
    places = list(dict.fromkeys((one.connectome, one.null, one.is_real) for one in contrasts))
    for one in contrasts:
        shift = 0.2 * (list(inks).index(one.rule) - (len(inks) - 1) / 2)
        place = places.index((one.connectome, one.null, one.is_real)) + shift
        half = 0.0 if np.isnan(one.lead.half) else one.lead.half
        axes.errorbar(one.lead.mean, place, xerr=half, fmt="o", color=inks[one.rule], markersize=4, capsize=2)
    axes.axvline(0, color=MUTED, linewidth=0.8, linestyle="--")
    words = [f"{name if is_real else 'generated graph'}: {null.replace('_', ' ')}" for name, null, is_real in places]
    axes.set_yticks(range(len(places)), words, fontsize=8)
    if places:
        axes.set_ylim(len(places) - 0.5, -0.5)
    axes.grid(axis="x", color=RULE, linewidth=0.6)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(labelsize=8, length=0)
    axes.set_xlabel(f"accuracy of the connectome minus that of its null model, step {settings.early}", fontsize=8)
    axes.set_title("connectomes" if places else "connectomes (left out)", fontsize=9, color=INK)
    handles = [axes.plot([], [], "o", color=ink, markersize=4, label=rule)[0] for rule, ink in inks.items()]
    axes.legend(handles=handles, frameon=False, fontsize=7.5)
