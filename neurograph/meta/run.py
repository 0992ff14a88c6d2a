"""A run of meta-learning in its folder: begun, improved, resumed bit by bit, finished with a tested genome.

Everything that `neurograph meta-train` does short of talking to a person.
"""

import datetime
import math
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from pydantic import ValidationError

from .. import __version__, runs
from .. import genome as genomes
from ..config import MetaConfig
from ..evaluation import GenomeLearner, curve
from ..genome import Genome
from ..initializers import INITIALIZERS
from ..plotting.meta_curves import meta_curves
from ..runs import RunError
from .learners import Standing
from .search import Search, prepare

SECONDS_BETWEEN_CHECKPOINTS = 60.0
SECONDS_PER_CALL = 1.0
VALIDATION_DRAWS = 16
"""Unrolls of each problem by which the best of the last population is chosen."""
TEST_DRAWS = 8
TESTED = (1, 2, 5, 10, 20, 50, 100)
"""Learning steps after which the best genome is tested at the end, besides the longest unroll's."""


class Status(NamedTuple):
    """Where a run stands.

    Attributes:
        step: meta-steps done.
        standing: of the population.
        steps_per_second: of the latest call.
    """

    step: int
    standing: Standing
    steps_per_second: float


# --- the folder -----------------------------------------------------------------------------------------------------


def open_run(search: Search, folder: pathlib.Path) -> None:
    """Makes the run's folder with all that resuming needs."""
    runs.create(folder)
    for number, topology in enumerate(search.topologies):
        runs.write_topology(folder, topology, f"topology_{number}")
    runs.write_costs(folder, search.costs)
    genomes.save(search.learner.start, folder / "start.txt", search.origin)
    _save(search, folder)
    _write_config(search, folder)  # last: a folder with a config can be resumed


def _write_config(search: Search, folder: pathlib.Path) -> None:
    meta = search.config.model_dump(mode="json")  # with nulls: one may stand for a default that is none
    meta["rule"] = search.config.rule.model_dump(mode="json", exclude_none=True)
    names = [topology.name for topology in search.topologies]
    about = {"neurograph": __version__, "command": search.command, "topologies": names}
    runs.write_config(folder, {**about, "meta": meta})


def reopen_run(folder: pathlib.Path, command: str = "", **changes: Any) -> Search:
    """A run at its latest checkpoint, ready to go on; what was measured after it is dropped.

    Args:
        folder: the run's.
        command: that continues it; kept beside the one that began it, where it changes the configuration.
        changes: of the configuration; only `meta_steps` and `device` may change.

    Raises:
        RunError: the folder holds no such run, or a damaged one; or more is done than is asked for.
    """
    document = runs.read_config(folder, "meta")
    given = {name: value for name, value in changes.items() if value is not None}
    try:
        config = MetaConfig.model_validate({**document["meta"], **given})
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise RunError(f"'{folder / 'config.yaml'}' is damaged: {problems}.") from error
    names = document.get("topologies")
    if not isinstance(names, list) or not names:
        raise RunError(f"'{folder / 'config.yaml'}' is damaged: it has no list 'topologies'. Start the run anew.")
    topologies = [runs.read_topology(folder, f"topology_{n}") for n in range(len(names))]
    start = None
    if config.genome != "random":
        start = genomes.read(folder / "start.txt")
        if not isinstance(start.genome, Genome):
            raise RunError(f"'{folder / 'start.txt'}' is damaged: it holds several genomes. Start the run anew.")
    search = prepare(topologies, config, folder, runs.read_costs(folder), start)
    checkpoint = runs.load_checkpoint(folder)
    try:
        search.learner.restore(checkpoint.arrays)
    except (KeyError, ValueError) as error:
        raise RunError(f"checkpoint '{checkpoint.path}' does not fit the run ({error}). Start the run anew.") from error
    if search.learner.step > config.meta_steps:
        raise RunError(
            f"run '{folder}' has done {search.learner.step} meta-steps already, more than the {config.meta_steps} asked"
            f" for; give --meta-steps {search.learner.step} or more."
        )
    runs.rewind(folder, search.learner.step)
    changed = any(document["meta"].get(name) != value for name, value in given.items())
    commands = [str(document.get("command") or ""), command if changed else ""]
    search = search._replace(command=" && ".join(filter(None, commands)))
    if given:
        _write_config(search, folder)
    return search


def _save(search: Search, folder: pathlib.Path) -> None:
    checkpoint = runs.Checkpoint(search.learner.step, search.learner.arrays())
    runs.save_checkpoint(folder, checkpoint)


# --- the run --------------------------------------------------------------------------------------------------------


def improve(search: Search, folder: pathlib.Path, *, stop: Callable[[], bool] = lambda: False) -> Iterator[Status]:
    """Meta-steps until `config.meta_steps`, or until `stop()`; yields after each call to the device.

    Metrics and checkpoints are on disk before the status that follows them is yielded.

    Args:
        search: at its latest checkpoint.
        folder: the run's, opened.
        stop: asked after each call.
    """
    config, learner = search.config, search.learner
    log_every = max(1, config.meta_steps // 400)
    per_call, last_saved = 1, time.monotonic()
    stopping = stop()
    while learner.step < config.meta_steps and not stopping:
        n = min(per_call, config.meta_steps - learner.step, log_every - learner.step % log_every)
        started = time.monotonic()
        learner.advance(n)
        standing = learner.standing()
        seconds = max(time.monotonic() - started, 1e-9)
        per_call = max(1, int(n * SECONDS_PER_CALL / seconds))
        done, stopping = learner.step == config.meta_steps, stop()
        if done or learner.step % log_every == 0:
            runs.append_metrics(folder, [{"step": learner.step, **standing._asdict()}])
        if done or stopping or time.monotonic() - last_saved > SECONDS_BETWEEN_CHECKPOINTS:
            _save(search, folder)
            keep_best(search, folder)
            draw(folder)
            last_saved = time.monotonic()
        yield Status(learner.step, standing, n / seconds)


def draw(folder: pathlib.Path) -> None:
    """Brings the plot of the run up to date."""
    records = runs.read_metrics(folder)
    if len(records) > 1:
        meta_curves(records, folder / "curves.png", title=folder.name)


def keep_best(search: Search, folder: pathlib.Path, found: dict[str, Any] | None = None) -> None:
    """Writes the best genome so far to `genome.txt`, with its provenance."""
    config = search.config
    genomes.save(
        search.learner.best(),
        folder / "genome.txt",
        {**_provenance(search), **(found or {})},
        rule=config.rule.model_dump(mode="json", exclude_none=True),
        initializer=config.initializer,
    )


def _provenance(search: Search) -> dict[str, Any]:
    """How the genome came about, without a path of this computer."""
    config = search.config
    own = config.model_dump(mode="json", exclude={"rule", "initializer", "tasks", "device", "seed"})
    own["task_options"] = {name: value for name, value in config.task_options.items() if name != "data_dir"}
    own["genome"] = pathlib.Path(config.genome).stem
    defaults = MetaConfig().model_dump(mode="json")
    return {
        "neurograph": __version__,
        "date": datetime.date.today().isoformat(),
        **({"command": search.command} if search.command else {}),
        "tasks": list(dict.fromkeys(problem.task.name for problem in search.problems)),
        "wirings": [
            f"{topology.name}: {topology.n_neurons:,} neurons, {topology.n_synapses:,} synapses"
            for topology in search.topologies
        ],
        "meta_steps_done": search.learner.step,
        "seed": config.seed,
        "settings": {name: value for name, value in own.items() if defaults[name] != value},
        **({"began_with": search.origin} if search.origin else {}),
    }


def finish(search: Search, folder: pathlib.Path) -> dict[str, Any]:
    """Chooses the best genome by fresh unrolls, tests it, writes it and the summary, which it returns.

    The test sets come last: nothing is chosen by them.
    """
    scores = search.learner.validate(VALIDATION_DRAWS)
    chosen = {"loss": round(scores.loss, 4), "accuracy": round(scores.accuracy, 4)}
    tested = _tested(search) if math.isfinite(scores.loss) else []
    about = {**chosen, "after_steps": search.learner.final_length, "draws": VALIDATION_DRAWS}
    keep_best(search, folder, {"scores": about, "test": tested})
    draw(folder)
    summary = {
        **chosen,
        "accuracies": [round(value, 4) for value in scores.accuracies],
        **search.learner.standing()._asdict(),
        "meta_steps": search.learner.step,
        "finished": search.learner.step >= search.config.meta_steps,
        "test": tested,
        "genome": str(folder / "genome.txt"),
        "run_dir": str(folder),
    }
    runs.write_summary(folder, summary)
    return runs.finite(summary)


def _tested(search: Search) -> list[dict[str, Any]]:
    """Mean test accuracy of the best genome on every problem, after some numbers of steps."""
    config, rule = search.config, search.rule
    learner = search.learner.best()
    found = []
    for topology, problem in zip(search.partners, search.problems, strict=True):
        network = GenomeLearner(
            problem.graph, learner, rule, INITIALIZERS[config.initializer], config.batch_size, jnp.dtype(config.dtype)
        )
        key = jax.random.key(config.seed)
        steps = sorted({*TESTED, search.learner.final_length})
        tested = curve(key, network, problem.task, batch_size=config.batch_size, steps=steps, n_draws=TEST_DRAWS)
        accuracy = {step: round(float(value), 4) for step, value in zip(steps, tested.accuracy.mean(0), strict=True)}
        found.append({"task": problem.task.name, "wiring": topology.name, "draws": TEST_DRAWS, "accuracy": accuracy})
    return found
