"""Cells that are meta-training: a run of its own in the experiment's folder, with checkpoints, which is resumed."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, Field

from ..learning.divergence import Divergence
from ..rules import Rule, files
from ..runs import meta_learning, run
from ..runs.metrics import read_metrics, read_summary
from ..runs.settings import MetaConfig, load_topology
from ..tasks.datasets import DATA_SETS
from ..topology.files.yaml import STRICT
from .cells import SEARCHES, Cell, Interrupted, Result, Results, Skipped, Work, file_name
from .problems import skipped_without_data

_SEEDS = 1000
"""Searches of an experiment have the seeds from 1000 times its own on, so that no two experiments share one."""


class SearchConfig(BaseModel):
    """Meta-training runs that differ by their seeds alone."""

    model_config = STRICT

    runs: Annotated[int, Field(ge=0, le=_SEEDS)] = Field(default=1, description="how many")
    wirings: Annotated[list[str], Field(min_length=1)] = Field(description="wirings to learn on")
    meta: MetaConfig = Field(description="the settings of `neurograph meta-train`")

    def names(self) -> list[str]:
        """The names of the cells."""
        return [f"search {number}" for number in range(self.runs)]


def cells(config: SearchConfig, weight: float) -> list[Cell]:
    """A cell for each meta-training run, whose numbers have the rule (see `rule_of`)."""
    return [Cell(name, _of(config, number), weight) for number, name in enumerate(config.names())]


def _of(config: SearchConfig, number: int) -> Callable[[Work], Result]:
    return lambda work: search(work, config.wirings, config.meta, number)


def search(work: Work, wirings: Sequence[str], config: MetaConfig, number: int = 0) -> Result:
    """Meta-trains a rule, or goes on from the latest checkpoint.

    Args:
        work: of the cell.
        wirings: see `SearchConfig`.
        config: the settings; the seed is the experiment's, with the number of the search.
        number: of the search.

    Returns:
        `rule`: the text of its file; `accuracy` and `loss` in fresh unrolls, `accuracies` of all rules of the last
        population in these, `meta_steps`; and `diverged`, where the text may be empty.

    Raises:
        Interrupted: the cell was to stop; a checkpoint is kept.
        Skipped: the data of a task are not here.
    """
    process = _opened(work, wirings, config, number)
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
    return Result({"rule": text, "diverged": bool(summary.get("diverged")), **known})


def trajectory(work: Work) -> list[dict[str, Any]]:
    """What the meta-training run of a cell has recorded over meta-steps: its standing (`meta.learners.Standing`)."""
    return read_metrics(work.folder / SEARCHES / file_name(work.name))


def rule_of(results: Results, name: str) -> files.RuleFile | None:
    """The rule that a search has found; None where it diverged or is not done."""
    found = results.get(name)
    if found is None or found.numbers["diverged"] or not found.numbers["rule"]:
        return None
    return files.loads(found.numbers["rule"], f"the rule of {name}")


def needed_rule(work: Work, name: str) -> files.RuleFile:
    """The rule that a search has found, or one that comes with the package, or a file's.

    Args:
        work: of the cell that needs it.
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
    has_files = any(task.partition(":")[0] in DATA_SETS for task in config.tasks)
    changes: dict[str, Any] = {"data_dir": work.data_dir} if has_files and work.data_dir is not None else {}
    if (folder / "config.yaml").exists():
        return meta_learning.resume(folder, **changes)
    options = {**config.task_options, **changes}
    seeded = config.model_copy(update={"seed": _SEEDS * work.seed + number, "task_options": options})
    with skipped_without_data():
        process = meta_learning.prepare([load_topology(wiring) for wiring in wirings], seeded)
    run.open_run(process, folder)
    return process
