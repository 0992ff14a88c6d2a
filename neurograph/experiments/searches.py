"""Cells that are meta-training: a run of its own in the experiment's folder, with checkpoints, which is resumed."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, Field

from ..learning.divergence import Divergence
from ..rules import Rule, files
from ..runs import meta_learning, run
from ..runs.metrics import METRICS, read_metrics, read_summary
from ..runs.settings import (
    ActivationNormalizationConfig,
    MetaConfig,
    OjaConfig,
    SynapseNormalizationConfig,
    load_topology,
)
from ..tasks import datasets, is_file
from ..tasks.spec import parse
from ..topology.files.yaml import STRICT
from .cells import SEARCHES, Cell, Interrupted, Result, Results, Skipped, Work, file_name
from .problems import begun_on, check_classes, skipped_without_data

_SEEDS = 1000
"""Searches of an experiment have the seeds from 1000 times its own on, so that no two experiments share one."""
_TRAJECTORY = ("step", "best_accuracy", "median_accuracy", "best_loss", "median_loss", "length")
"""What a cell keeps of the lines of metrics."""


class SearchConfig(BaseModel):
    """Meta-training runs that differ by their seeds alone."""

    model_config = STRICT

    runs: Annotated[int, Field(ge=0, le=_SEEDS)] = Field(default=1, description="how many")
    wirings: Annotated[list[str], Field(min_length=1)] = Field(description="wirings to learn on")
    meta: MetaConfig = Field(description="the settings of `neurograph meta-train`")

    @property
    def trained(self) -> int:
        """The learning steps of the longest unroll."""
        return self.meta.longest

    def names(self, group: str = "") -> list[str]:
        """The names of the cells, with that of a group where an experiment has several."""
        words = f"search {group}" if group else "search"
        return [f"{words} {number}" for number in range(self.runs)]


Option = Literal["activation_normalization", "synapse_normalization", "oja"]
"""Options of a rule with which and without which rules are meta-trained."""
_WORDS: dict[Option, str] = {
    "activation_normalization": "activation norm",
    "synapse_normalization": "synapse norm",
    "oja": "Oja",
}
_ON: dict[Option, BaseModel] = {
    "activation_normalization": ActivationNormalizationConfig(),
    "synapse_normalization": SynapseNormalizationConfig(),
    "oja": OjaConfig(learnable=True),
}


class Variant(NamedTuple):
    """Meta-training runs that differ from those of other variants by options of the rule alone.

    Attributes:
        label: such as "with Oja".
        on: the options that are on.
        search: the runs, whose seeds are those of the other variants.
    """

    label: str
    on: frozenset[Option]
    search: SearchConfig

    @property
    def names(self) -> list[str]:
        """The names of the cells."""
        return self.search.names(self.label)


def variants(config: SearchConfig, options: Sequence[Option]) -> list[Variant]:
    """Every combination of options switched on and off, all on first.

    Normalisation of activations and of synapses have their default settings; Oja's term is the first one of equation
    8 with a multiplier that is a number of the genome, as in section 3.4.

    Args:
        config: the runs, whose rule is changed.
        options: which to switch.
    """
    found = []
    for values in itertools.product((True, False), repeat=len(options)):
        chosen: dict[Option, bool] = dict(zip(options, values, strict=True))
        label = ", ".join(f"{'with' if on else 'without'} {_WORDS[option]}" for option, on in chosen.items())
        changes = {option: _ON[option] if on else None for option, on in chosen.items()}
        meta = config.meta.model_copy(update={"rule": config.meta.rule.model_copy(update=changes)})
        on: frozenset[Option] = frozenset(option for option in options if chosen[option])
        found.append(Variant(label, on, config.model_copy(update={"meta": meta})))
    return found


def cells(config: SearchConfig, weight: float, group: str = "") -> list[Cell]:
    """A cell for each meta-training run, whose numbers have the rule (see `rule_of`)."""
    return [Cell(name, _of(config, number), weight) for number, name in enumerate(config.names(group))]


def _of(config: SearchConfig, number: int) -> Callable[[Work], Result]:
    return lambda work: search(work, config.wirings, config.meta, number)


def search(work: Work, wirings: Sequence[str], config: MetaConfig, number: int = 0) -> Result:
    """Meta-trains a rule, or goes on from the latest checkpoint.

    Args:
        work: what the cell is given.
        wirings: see `SearchConfig`.
        config: the settings; the seed is the experiment's, with the number of the search.
        number: that of the search.

    Returns:
        `rule`: the text of its file; `accuracy` and `loss` in fresh unrolls, `accuracies` of all rules of the last
        population in these, `meta_steps`; `trajectory`, the lines of metrics; and `diverged`, where the text may be
        empty.

    Raises:
        Interrupted: the cell was to stop; a checkpoint is kept.
        Skipped: the data of a task are not here.
        TaskError: a task cannot be loaded, or is a regression.
    """
    process = _opened(work, wirings, config, number)
    for _, task in process.pairs:
        check_classes(task)
    total = process.n_steps
    try:
        for status in run.loop(process, stop=work.stop):
            work.tell(status.step / total, f"meta-step {status.step:,} of {total:,}")
        if process.step < total:
            raise Interrupted
        summary = run.finish(process)
    except Divergence:
        summary = {**read_summary(process.folder), "diverged": True}
    genome = process.folder / "genome.txt"
    text = genome.read_text(encoding="utf-8") if genome.exists() else ""
    known = {name: summary.get(name) for name in ("accuracy", "accuracies", "loss", "meta_steps")}
    lines = read_metrics(process.folder) if (process.folder / METRICS).exists() else []
    trajectory = [{name: line.get(name) for name in _TRAJECTORY} for line in lines]
    return Result({"rule": text, "diverged": bool(summary.get("diverged")), **known, "trajectory": trajectory})


def rule_of(results: Results, name: str) -> files.RuleFile | None:
    """The rule that a search has found; None where it diverged or is not done."""
    found = results.get(name)
    if found is None or found.numbers["diverged"] or not found.numbers["rule"]:
        return None
    return files.loads(found.numbers["rule"], f"the rule of {name}")


def best_of(results: Results, names: Iterable[str]) -> str | None:
    """The search whose rule has the greatest accuracy in fresh unrolls; None where none has found a rule."""
    found = [name for name in names if rule_of(results, name) is not None]
    return max(found, key=lambda name: results[name].numbers["accuracy"] or 0.0, default=None)


def needed_rule(work: Work, name: str) -> files.RuleFile:
    """The rule that a search has found, or one that comes with the package, or a file's.

    Args:
        work: that of the cell which needs it.
        name: that of a search, or as for `rules.load`.

    Raises:
        Skipped: the search diverged, or was skipped.
    """
    if not name.startswith("search "):
        return files.read(name)
    found = rule_of(work.results, name)
    if found is None:
        raise Skipped(f"{name} has found no rule: it diverged, or its data are not here.")
    return found


def single(file: files.RuleFile) -> Rule:
    """The one rule of a file."""
    assert isinstance(file.rule, Rule), "files of this package hold one rule for all populations"
    return file.rule


def _opened(work: Work, wirings: Sequence[str], config: MetaConfig, number: int) -> meta_learning.MetaLearning:
    folder = work.folder / SEARCHES / file_name(work.name)
    begun = begun_on(work)
    # other tasks have no such option
    is_read = all(not is_file(task) and parse(task).name in datasets.DATA_SETS for task in begun or config.tasks)
    changes: dict[str, Any] = {"data_dir": work.data_dir} if is_read and work.data_dir is not None else {}
    if begun:
        return meta_learning.resume(folder, **changes)
    options = {**config.task_options, **changes}
    seeded = config.model_copy(update={"seed": _SEEDS * work.seed + number, "task_options": options})
    with skipped_without_data():
        process = meta_learning.prepare([load_topology(wiring) for wiring in wirings], seeded)
    run.open_run(process, folder)
    return process
