"""From a wiring and a configuration to a finished run: prepare, train, resume. Everything that `neurograph train` does
short of talking to a person, for whom `train` yields its status after each call to the device.
"""

import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from . import __version__, engine, runs, tasks, views
from . import genome as genomes
from .compile import CompiledGraph, compile_topology
from .config import TrainConfig
from .engine import NetworkState
from .genome import Genomes
from .plotting import curves
from .resolve import resolve_genome, resolve_initializer, resolve_rule, resolve_task
from .rules import Rule
from .tasks import Task
from .topology import Topology, check_fits
from .training import CAPACITY, Compiled, compile_training

SECONDS_PER_CALL = 0.2
"""About how long one call to the device may take: the most that Ctrl-C has to wait, beyond one step."""
SECONDS_BETWEEN_CHECKPOINTS = 60.0


class Divergence(ArithmeticError):
    """A loss or a synapse is not finite any more."""


class Experiment(NamedTuple):
    """All that a run needs, resolved: what to run, on what, from where.

    Attributes:
        topology, graph: the wiring and its compiled form.
        rule, genome: what learns.
        task: what is learnt.
        network: freshly drawn synapses.
        key: addresses the support batches.
        config: the resolved configuration.
    """

    topology: Topology
    graph: CompiledGraph
    rule: Rule
    genome: Genomes
    task: Task
    network: NetworkState
    key: jax.Array
    config: TrainConfig


class Status(NamedTuple):
    """Where a run stands.

    Attributes:
        step: steps done.
        loss, accuracy: mean over the support batches of the latest call.
        steps_per_second: of the latest call.
        query_accuracy: the latest on the query set, or None before the first.
    """

    step: int
    loss: float
    accuracy: float
    steps_per_second: float
    query_accuracy: float | None


def prepare(topology: Topology, config: TrainConfig, folder: pathlib.Path, genome: Genomes | None = None) -> Experiment:
    """Resolves names, checks that all fits, compiles the wiring and draws the synapses.

    Args:
        topology: the wiring.
        config: what was asked.
        folder: where relative paths in the configuration start.
        genome: instead of the configuration's.

    Raises:
        ValueError: (of its kinds `TopologyError`, `ConfigError`, `TaskError`, `GenomeError`) something does not fit.
    """
    rule = resolve_rule(config, topology)
    if genome is None:
        genome = resolve_genome(config, folder)
    dtype = jnp.dtype(config.dtype)
    genome = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), genome)
    task = resolve_task(config, topology, folder)
    check_fits(topology, task.n_inputs, task.n_outputs, task.name)
    graph = compile_topology(topology)
    init_key, support_key = jax.random.split(jax.random.key(config.seed))
    network = engine.init(
        init_key,
        graph,
        genome,
        rule=rule,
        dtype=dtype,
        initializer=resolve_initializer(config),
        batch_size=config.batch_size,
    )
    return Experiment(topology, graph, rule, genome, task, network, support_key, config)


def compile_experiment(experiment: Experiment) -> Compiled:
    """The run's programs, compiled ahead of time."""
    return compile_training(
        experiment.key,
        experiment.graph,
        experiment.genome,
        experiment.network,
        experiment.task,
        rule=experiment.rule,
        batch_size=experiment.config.batch_size,
    )


def open_run(experiment: Experiment, folder: pathlib.Path) -> None:
    """Makes the run's folder and writes all that resuming needs, the drawn synapses as first checkpoint included."""
    runs.create(folder)
    runs.write_topology(folder, experiment.topology)
    genomes.save(experiment.genome, folder / "genome.txt", {"run": folder.name})
    runs.save_checkpoint(folder, experiment.network)
    # last: a folder with a config is a run that can be resumed
    config = experiment.config.model_dump(mode="json", exclude_none=True)
    runs.write_config(folder, {"neurograph": __version__, "topology": experiment.topology.name, "train": config})


def load_run(folder: pathlib.Path, **changes: Any) -> Experiment:
    """A run as its folder describes it, at its latest checkpoint; nothing else is read, nothing written.

    Args:
        folder: the run's.
        changes: of the configuration; only what changes no step already taken (`steps`, `device`).

    Raises:
        RunError: the folder holds no run, or a damaged one.
    """
    stored = runs.read_config(folder)
    given = {name: value for name, value in changes.items() if value is not None}
    try:
        config = TrainConfig.model_validate({**stored["train"], **given})
    except (KeyError, TypeError, ValueError) as error:
        raise runs.RunError(f"'{folder / 'config.yaml'}' is damaged: {' '.join(str(error).split())}.") from error
    experiment = prepare(runs.read_topology(folder), config, folder, genomes.load(folder / "genome.txt"))
    return experiment._replace(network=runs.load_checkpoint(folder, experiment.network))


def reopen_run(folder: pathlib.Path, **changes: Any) -> Experiment:
    """`load_run`, made ready to go on: what was measured after the checkpoint is dropped, to be measured again.

    Raises:
        RunError: as `load_run`; or more steps are done than are asked for.
    """
    experiment = load_run(folder, **changes)
    step, steps = int(experiment.network.step), experiment.config.steps
    if step > steps:
        raise runs.RunError(
            f"run '{folder}' has done {step} steps already, more than the {steps} asked for; give --steps {step} or more."
        )
    runs.rewind_metrics(folder, step)
    return experiment


def trained_topology(folder: pathlib.Path) -> Topology:
    """The wiring of a run, with the synapses of its latest checkpoint as weights."""
    experiment = load_run(folder)
    return views.trained(experiment.topology, experiment.graph, experiment.network)


def train(
    experiment: Experiment, compiled: Compiled, folder: pathlib.Path, *, stop: Callable[[], bool] = lambda: False
) -> Iterator[Status]:
    """Trains until `config.steps`, or until `stop()`; yields after each call to the device.

    Metrics and checkpoints are on disk before the status that follows them is yielded, the last network always.

    Args:
        experiment: at its latest checkpoint.
        compiled: its programs.
        folder: the run's, opened.
        stop: asked after each call; the network reached is saved.

    Raises:
        Divergence: a loss or synapse is not finite; the last good network is in the latest checkpoint.
    """
    config, network = experiment.config, experiment.network
    step, saved = int(network.step), int(network.step)
    every = {
        "log": config.log_every or max(1, config.steps // 400),
        "evaluate": config.evaluate_every or max(1, config.steps // 20),
        "checkpoint": config.checkpoint_every or max(1, config.steps // 10),
    }
    pending: list[tuple[float, float]] = []
    query_accuracy: float | None = None
    per_call, began, last_saved = 1, time.monotonic(), time.monotonic()
    if step == 0:
        query_accuracy = _record_evaluation(compiled, network, folder, 0, {})
    while step < config.steps:
        n = min([per_call, CAPACITY, config.steps - step, *(m - step % m for m in every.values())])
        started = time.monotonic()
        reached, progress = compiled.advance(network, n)
        loss, accuracy = np.asarray(progress.loss)[:n], np.asarray(progress.accuracy)[:n]
        seconds = max(time.monotonic() - started, 1e-9)
        bad = np.flatnonzero(~np.isfinite(loss))
        if bad.size or not bool(progress.finite):
            if saved < step:
                runs.save_checkpoint(folder, network)
            raise Divergence(_divergence(step + (int(bad[0]) if bad.size else n - 1), step, bool(bad.size)))
        network, step = reached, step + n
        per_call = max(1, min(CAPACITY, int(n * SECONDS_PER_CALL / seconds)))
        pending += zip(loss.tolist(), accuracy.tolist(), strict=True)
        done = step == config.steps
        record: dict[str, Any] = {}
        if done or step % every["log"] == 0:
            means = np.mean(pending, axis=0)
            record = {"loss": float(means[0]), "support_accuracy": float(means[1])}
            pending = []
        if done or step % every["evaluate"] == 0:
            query_accuracy = _record_evaluation(compiled, network, folder, step, record)
        elif record:
            runs.append_metrics(folder, [{"step": step, **record}])
        stopping = stop()
        overdue = time.monotonic() - last_saved > SECONDS_BETWEEN_CHECKPOINTS
        if done or stopping or overdue or step % every["checkpoint"] == 0:
            runs.save_checkpoint(folder, network)
            saved, last_saved = step, time.monotonic()
        yield Status(step, float(loss.mean()), float(accuracy.mean()), n / seconds, query_accuracy)
        if stopping:
            return


def finish(experiment: Experiment, compiled: Compiled, folder: pathlib.Path, about: dict[str, Any]) -> dict[str, Any]:
    """Evaluates the latest checkpoint on the query set, draws the curves and writes the summary, which it returns."""
    network = runs.load_checkpoint(folder, experiment.network)
    evaluation = compiled.evaluate(network)
    accuracy = float(evaluation.accuracy)
    records = runs.read_metrics(folder)
    summary = {
        "test_accuracy": accuracy,
        "test_accuracy_standard_error": float(tasks.standard_error(accuracy, experiment.task.n_query)),
        "test_loss": float(evaluation.loss),
        "n_test": experiment.task.n_query,
        "steps": int(network.step),
        "finished": int(network.step) >= experiment.config.steps,
        **about,
        "run_dir": str(folder),
    }
    if len(records) > 1:
        curves(records, folder / "curves.png", title=folder.name)
    runs.write_summary(folder, summary)
    return summary


def _record_evaluation(compiled: Compiled, network: NetworkState, folder, step: int, record: dict) -> float:
    evaluation = compiled.evaluate(network)
    loss, accuracy = float(evaluation.loss), float(evaluation.accuracy)
    runs.append_metrics(folder, [{"step": step, **record, "query_loss": loss, "query_accuracy": accuracy}])
    return accuracy


def _divergence(bad: int, good: int, in_loss: bool) -> str:
    what = "its loss is not finite" if in_loss else "its update left a synapse that is not finite"
    return f"training diverged at step {bad}: {what}. The synapses after step {good}, the last good ones, are kept"
