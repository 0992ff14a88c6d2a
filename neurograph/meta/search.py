"""A run of meta-learning: from wirings, tasks and a configuration to a genome's file.

Everything that `neurograph meta-train` does short of talking to a person. The run's folder holds what a resumed run
needs; it goes on bit by bit.
"""

import datetime
import pathlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from pydantic import ValidationError

from .. import __version__, runs
from .. import genome as genomes
from ..compile import compile_topology
from ..config import MetaConfig, TrainConfig
from ..costs import Costs, known
from ..evaluation import GenomeLearner, curve
from ..genome import Genome, GenomeError, astype
from ..initializers import INITIALIZERS
from ..plotting.meta_curves import meta_curves
from ..resolve import (
    FEEDBACKS,
    anchored,
    as_genome_says,
    resolve_genome,
    resolve_initializer,
    resolve_rule,
    resolve_task,
)
from ..rules import Rule
from ..runs import RunError
from ..tasks import Task
from ..topology import Topology, check_fits
from . import population as populations
from .evolution import Evolution
from .gradient import Curriculum, Method
from .learners import ByGradient, Learner, Standing
from .objective import Objective, Problem

SECONDS_BETWEEN_CHECKPOINTS = 60.0
SECONDS_PER_CALL = 1.0
MOST_STEPS = 2**31 - 1
VALIDATION_DRAWS = 16
"""Unrolls of each problem by which the best of the last population is chosen."""
TEST_DRAWS = 8
TESTED = (1, 2, 5, 10, 20, 50, 100)
"""Learning steps after which the best genome is tested at the end."""


class Search(NamedTuple):
    """All that a run of meta-learning needs, resolved.

    Attributes:
        config: the resolved configuration.
        topologies: the wirings.
        costs: by which they were compiled.
        problems: wirings and tasks that fit each other.
        learner: improves the genomes.
        rule: by which networks learn.
        partners: the wiring of each problem.
        command: that began it; empty where it was not the command line.
    """

    config: MetaConfig
    topologies: tuple[Topology, ...]
    costs: Costs
    problems: tuple[Problem, ...]
    learner: Learner
    rule: Rule
    partners: tuple[Topology, ...]
    command: str = ""


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


def prepare(
    topologies: Sequence[Topology],
    config: MetaConfig,
    folder: pathlib.Path = pathlib.Path(),
    costs: Costs | None = None,
    start: Genome | None = None,
) -> Search:
    """Resolves names, pairs wirings with tasks, compiles, and founds the population.

    Args:
        topologies: the wirings; each is paired with every task whose inputs and outputs it has.
        config: what was asked.
        folder: where relative paths in the configuration start.
        costs: to compile by; None takes those of this machine.
        start: the genome to start from, in place of the configuration's.

    Raises:
        ValueError: (of its kinds `TopologyError`, `ConfigError`, `TaskError`, `GenomeError`) something does not fit.
    """
    costs = known().costs if costs is None else costs
    if start is None:
        config = _as_genome_says(config, folder)
    trainings = [anchored(config.training(task), folder) for task in config.tasks]
    first = trainings[0].model_copy(update={"genome": config.genome})
    config = config.model_copy(
        update={"tasks": tuple(training.task for training in trainings), "task_options": first.task_options}
    )
    pairs = _pairs(topologies, trainings)
    rules = {resolve_rule(first, topology) for topology, _ in pairs}
    if len(rules) > 1:
        raise ValueError(
            "the wirings have one output and several outputs, which the rule tells apart; name a feedback."
        )
    _check(config, [topology for topology, _ in pairs])
    founders = _founders(config, first, start)
    n_states = founders.n_states
    compiled: dict[int, Any] = {}
    for topology, _ in pairs:
        if id(topology) not in compiled:
            compiled[id(topology)] = compile_topology(
                topology, n_states=n_states, batch_size=config.batch_size * config.size, costs=costs
            )
    problems = tuple(Problem(compiled[id(topology)], task) for topology, task in pairs)
    single = any(len(topology.outputs) == 1 for topology in topologies)
    loss = config.loss or ("mean_squared_error" if single else "softmax_cross_entropy")
    objective = Objective(
        rule=rules.pop(),
        initializer=resolve_initializer(first),
        capacity=config.longest,
        batch_size=config.batch_size,
        query_size=config.query_size,
        replicas=config.replicas,
        loss=FEEDBACKS[loss].loss,
        online=config.online,
        warm_up=config.warm_up,
    )
    learner = _learner(config, objective, problems, founders)
    partners = tuple(topology for topology, _ in pairs)
    return Search(config, tuple(topologies), costs, problems, learner, objective.rule, partners)


def _as_genome_says(config: MetaConfig, folder: pathlib.Path) -> MetaConfig:
    """With an absolute path of the genome, and its rule and initializer where none was asked for."""
    asked = {name: getattr(config, name) for name in ("rule", "initializer") if name in config.model_fields_set}
    found = anchored(TrainConfig(task=config.tasks[0], genome=config.genome, **asked), folder)
    found = as_genome_says(found)
    own = {name: getattr(found, name) for name in ("rule", "initializer") if name in found.model_fields_set}
    return config.model_copy(update={"genome": found.genome, **own})


def _check(config: MetaConfig, topologies: Sequence[Topology]) -> None:
    """Raises a ValueError where values, each right by itself, do not go together."""
    if config.method == "cma" and config.size < 2:
        raise ValueError("genomes is 1, but CMA-ES compares genomes; give 2 or more.")
    if config.rule.keep_states and config.query_size != config.batch_size:
        raise ValueError(
            f"the rule keeps states, one for each example of a batch, but batch_size is {config.batch_size} and "
            f"query_size {config.query_size}; make them equal."
        )
    last_stage = config.unroll + config.curriculum.add * ((config.meta_steps - 1) // config.curriculum.every)
    if last_stage > MOST_STEPS:
        raise ValueError(
            f"the curriculum comes to unrolls of {last_stage:,} steps, more than the {MOST_STEPS:,} that can be "
            "counted; give a smaller curriculum.add, or a larger curriculum.every."
        )
    for topology in topologies:
        if config.loss == "softmax_cross_entropy" and len(topology.outputs) == 1:
            raise ValueError(
                f"loss is softmax_cross_entropy, but topology {topology.name!r} has a single output, whose softmax is "
                "always 1; use mean_squared_error, or a wiring with one output for each class."
            )


def _pairs(topologies: Sequence[Topology], trainings: Sequence[TrainConfig]) -> list[tuple[Topology, Task]]:
    """Every wiring with every task that it fits; each must find a partner."""
    pairs: list[tuple[Topology, Task]] = []
    for training in trainings:
        loaded = [(topology, resolve_task(training, topology)) for topology in topologies]
        fitting = [
            (topology, task)
            for topology, task in loaded
            if (len(topology.inputs), len(topology.outputs)) == (task.n_inputs, task.n_outputs)
        ]
        if not fitting:
            _, task = loaded[0]
            check_fits(topologies[0], task.n_inputs, task.n_outputs, task.name)
        pairs += fitting
    for topology in topologies:
        if not any(topology is partner for partner, _ in pairs):
            task = resolve_task(trainings[0], topology)
            check_fits(topology, task.n_inputs, task.n_outputs, task.name)
    return pairs


def _founders(config: MetaConfig, training: TrainConfig, start: Genome | None) -> Genome:
    """The first genomes, stacked."""
    key = jax.random.fold_in(jax.random.key(config.seed), 1)
    dtype = jnp.dtype(config.dtype)
    if config.genome == "random" and start is None:
        forward = bool(config.rule.forward_synapse_update)
        n_states = config.n_states or 4
        found = populations.random(key, config.size, n_states, update=-(config.update or 0.01), forward_synapse=forward)
    else:
        genome = resolve_genome(training) if start is None else start
        if not isinstance(genome, Genome):
            raise GenomeError("meta-learning starts from one genome for all populations; the file holds several.")
        found = populations.around(key, astype(genome, dtype), config.size, config.spread)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), found)


def _learner(config: MetaConfig, objective: Objective, problems: tuple[Problem, ...], founders: Genome) -> Learner:
    key = jax.random.fold_in(jax.random.key(config.seed), 2)
    if config.method == "cma":
        return Evolution(
            key, founders, problems, objective, length=config.unroll, n_batches=config.query_batches,
            sigma=config.sigma, seed=config.seed,
        )  # fmt: skip
    curriculum = Curriculum(
        config.unroll, config.curriculum.add, config.curriculum.every, config.longest, config.curriculum.shortest
    )
    decay = optax.cosine_decay_schedule(config.learning_rate, config.meta_steps, 0.02)
    method = Method(
        learning_rate=decay if config.schedule == "cosine" else optax.constant_schedule(config.learning_rate),
        clip=config.clip,
        curriculum=curriculum,
        synchronise_every=config.synchronise_every,
        noise=config.noise,
        patience=config.patience,
        memory=config.memory,
    )
    return ByGradient(key, founders, problems, objective, method, averaged=config.average)


# --- the folder -----------------------------------------------------------------------------------------------------


def open_run(search: Search, folder: pathlib.Path) -> None:
    """Makes the run's folder with all that resuming needs."""
    runs.create(folder)
    for number, topology in enumerate(search.topologies):
        runs.write_topology(folder, topology, f"topology_{number}")
    runs.write_costs(folder, search.costs)
    genomes.save(search.learner.start, folder / "start.txt")
    _save(search, folder)
    _write_config(search, folder)  # last: a folder with a config can be resumed


def _write_config(search: Search, folder: pathlib.Path) -> None:
    meta = search.config.model_dump(mode="json")  # with nulls: one may stand for a default that is none
    meta["rule"] = search.config.rule.model_dump(mode="json", exclude_none=True)
    names = [topology.name for topology in search.topologies]
    about = {"neurograph": __version__, "command": search.command, "topologies": names}
    runs.write_config(folder, {**about, "meta": meta})


def reopen_run(folder: pathlib.Path, **changes: Any) -> Search:
    """A run at its latest checkpoint, ready to go on; what was measured after it is dropped.

    Args:
        folder: the run's.
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
        start = genomes.load(folder / "start.txt")
        if not isinstance(start, Genome):
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
    search = search._replace(command=str(document.get("command", "")))
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
    }


def finish(search: Search, folder: pathlib.Path) -> dict[str, Any]:
    """Chooses the best genome by fresh unrolls, tests it, writes it and the summary, which it returns.

    The test sets come last: nothing is chosen by them.
    """
    scores = search.learner.validate(VALIDATION_DRAWS)
    chosen = {name: float(np.round(value, 4)) for name, value in scores.items()}
    tested = _tested(search) if np.isfinite(chosen["loss"]) else []
    about = {**chosen, "after_steps": search.learner.final_length, "draws": VALIDATION_DRAWS}
    keep_best(search, folder, {"scores": about, "test": tested})
    draw(folder)
    summary = {
        **chosen,
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
        tested = curve(key, network, problem.task, batch_size=config.batch_size, steps=TESTED, n_draws=TEST_DRAWS)
        accuracy = {step: round(float(value), 4) for step, value in zip(TESTED, tested.accuracy.mean(0), strict=True)}
        found.append({"task": problem.task.name, "wiring": topology.name, "draws": TEST_DRAWS, "accuracy": accuracy})
    return found
