"""From a wiring and a configuration to a finished run: prepare, train, resume. Everything that `neurograph train` does
short of talking to a person, for whom `train` yields its status after each call to the device.
"""

import dataclasses
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from pydantic import ValidationError

from . import __version__, engine, runs, tasks
from . import genome as genomes
from . import memory as memory_of
from .checkpoints import from_checkpoint, to_checkpoint
from .compile import CompiledGraph, compile_topology
from .config import TrainConfig
from .costs import Costs, known
from .engine import NetworkState
from .genome import Genomes
from .memory import MemoryEstimate
from .plotting import curves
from .resolve import anchored, as_genome_says, resolve_genome, resolve_initializer, resolve_rule, resolve_task
from .rules import Rule
from .runs import RunError, Unlogged
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
        costs: by which it was compiled; a resumed run has those that it began with, so that its sums are the same.
        rule, genome: what learns.
        task: what is learnt.
        network: freshly drawn synapses, or those of the latest checkpoint; `train` deletes its arrays.
        key: addresses the support batches.
        config: the resolved configuration.
        memory: what training will need.
        unlogged: what the next line of metrics has to count beside the steps to come.
    """

    topology: Topology
    graph: CompiledGraph
    costs: Costs
    rule: Rule
    genome: Genomes
    task: Task
    network: NetworkState
    key: jax.Array
    config: TrainConfig
    memory: MemoryEstimate
    unlogged: Unlogged = Unlogged()


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


def prepare(
    topology: Topology,
    config: TrainConfig,
    folder: pathlib.Path,
    genome: Genomes | None = None,
    costs: Costs | None = None,
) -> Experiment:
    """Resolves names, checks that all fits, compiles the wiring and draws the synapses.

    Args:
        topology: the wiring.
        config: what was asked.
        folder: where relative paths in the configuration start.
        genome: instead of the configuration's.
        costs: to compile by; None takes those measured on this machine, else defaults.

    Raises:
        ValueError: (of its kinds `TopologyError`, `ConfigError`, `TaskError`, `GenomeError`) something does not fit; or
            training needs more memory than there is.
    """
    config = anchored(config, folder)
    if genome is None:
        config = as_genome_says(config)
    rule = resolve_rule(config, topology)
    dtype = jnp.dtype(config.dtype)
    drawn = resolve_genome(config) if genome is None else genome
    genome = cast(Genomes, jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), drawn))
    task = resolve_task(config, topology)
    check_fits(topology, task.n_inputs, task.n_outputs, task.name)
    costs = known().costs if costs is None else costs
    n_states, batch_size = genomes.n_states_of(genome), config.batch_size
    graph = compile_topology(
        topology,
        n_states=n_states,
        batch_size=batch_size,
        costs=costs,
        genomes="by_population" if isinstance(genome, Mapping) and len(genome) > 1 else "shared",
    )
    memory = memory_of.estimate(graph, rule, task, n_states=n_states, batch_size=batch_size, itemsize=dtype.itemsize)
    memory_of.check(memory)
    init_key, support_key = jax.random.split(jax.random.key(config.seed))
    network = engine.init(
        init_key,
        graph,
        genome,
        rule=rule,
        dtype=dtype,
        initializer=resolve_initializer(config),
        batch_size=batch_size,
    )
    return Experiment(topology, graph, costs, rule, genome, task, network, support_key, config, memory)


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
    runs.write_costs(folder, experiment.costs)
    genomes.save(experiment.genome, folder / "genome.txt", {"run": folder.name})
    runs.save_checkpoint(folder, to_checkpoint(experiment.graph, experiment.network, experiment.unlogged))
    # last: a folder with a config is a run that can be resumed
    _write_config(folder, experiment)


def _write_config(folder: pathlib.Path, experiment: Experiment) -> None:
    config = experiment.config.model_dump(mode="json", exclude_none=True)
    runs.write_config(folder, {"neurograph": __version__, "topology": experiment.topology.name, "train": config})


def load_run(folder: pathlib.Path, **changes: Any) -> Experiment:
    """A run as its folder describes it, at its latest checkpoint; nothing is written.

    Args:
        folder: the run's.
        changes: of the configuration; only what changes no step already taken (`steps`, `device`).

    Raises:
        RunError: the folder holds no run, or a damaged one.
    """
    stored = runs.read_config(folder)["train"]
    given = {name: value for name, value in changes.items() if value is not None}
    try:
        config = TrainConfig.model_validate({**stored, **given})
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise RunError(f"'{folder / 'config.yaml'}' is damaged: {problems}.") from error
    genome, costs = genomes.load(folder / "genome.txt"), runs.read_costs(folder)
    experiment = prepare(runs.read_topology(folder), config, folder, genome, costs)
    checkpoint = runs.load_checkpoint(folder)
    network = from_checkpoint(checkpoint, experiment.graph, experiment.network)
    return experiment._replace(network=network, unlogged=checkpoint.unlogged)


def reopen_run(folder: pathlib.Path, **changes: Any) -> Experiment:
    """`load_run`, made ready to go on: changes are kept, and costs where the folder has none; what was measured after
    the checkpoint is dropped, to be measured again.

    Raises:
        RunError: as `load_run`; or more steps are done than are asked for.
    """
    experiment = load_run(folder, **changes)
    step, steps = int(experiment.network.step), experiment.config.steps
    if step > steps:
        raise RunError(
            f"run '{folder}' has done {step} steps already, more than the {steps} asked for; "
            f"give --steps {step} or more."
        )
    runs.rewind(folder, step)
    if runs.read_costs(folder) is None:
        runs.write_costs(folder, experiment.costs)
    if changes:
        _write_config(folder, experiment)
    return experiment


def trained_topology(folder: pathlib.Path) -> Topology:
    """The wiring of a run, with the synapses of its latest checkpoint as weights.

    Raises:
        RunError: the folder holds no run, or a damaged one.
    """
    runs.read_config(folder)
    topology, checkpoint = runs.read_topology(folder), runs.load_checkpoint(folder)
    wide = {name: values.astype(np.float64) for name, values in checkpoint.arrays.items()}
    for name, size in (("forward", topology.n_synapses), ("bias", topology.n_neurons)):
        if name not in wide or wide[name].ndim != 2 or wide[name].shape[1] != size:
            raise RunError(f"checkpoint '{checkpoint.path}' does not fit the run's wiring; start the run anew.")
    return dataclasses.replace(
        topology, weights=wide["forward"], backward_weights=wide.get("backward"), biases=wide["bias"]
    )


class _Leg(NamedTuple):
    """One call to the device: the step at which it started, and what its steps reported."""

    step: int
    unlogged: Unlogged
    loss: np.ndarray
    accuracy: np.ndarray


def train(
    experiment: Experiment, compiled: Compiled, folder: pathlib.Path, *, stop: Callable[[], bool] = lambda: False
) -> Iterator[Status]:
    """Trains until `config.steps`, or until `stop()`; yields after each call to the device.

    Metrics and checkpoints are on disk before the status that follows them is yielded, the last network always.

    Args:
        experiment: at its latest checkpoint. Its network's arrays are deleted (see `Compiled`).
        compiled: its programs.
        folder: the run's, opened.
        stop: asked before the first and after each call; the network reached is saved.

    Raises:
        Divergence: a loss or synapse is not finite; the last good network is in the latest checkpoint.
    """
    config, network, graph = experiment.config, experiment.network, experiment.graph
    step, unlogged = int(network.step), experiment.unlogged
    every = {
        "log": config.log_every or max(1, config.steps // 400),
        "evaluate": config.evaluate_every or max(1, config.steps // 20),
        "checkpoint": config.checkpoint_every or max(1, config.steps // 10),
    }
    query_accuracy: float | None = None
    previous: _Leg | None = None
    per_call, last_saved = 1, time.monotonic()
    if stop():
        return
    if step == 0:
        query_accuracy = _record_evaluation(compiled, network, folder, 0, {})
    while step < config.steps:
        n = min([per_call, CAPACITY, config.steps - step, *(m - step % m for m in every.values())])
        started = time.monotonic()
        reached, report = compiled.advance(network, n)
        leg = _Leg(step, unlogged, np.asarray(report.loss)[:n], np.asarray(report.accuracy)[:n])
        seconds = max(time.monotonic() - started, 1e-9)
        if not (np.isfinite(leg.loss).all() and bool(report.finite)):
            raise _divergence(experiment, compiled, folder, leg, previous)
        network, step, unlogged, previous = reached, step + n, _added(unlogged, leg, n), leg
        per_call = max(1, min(CAPACITY, int(n * SECONDS_PER_CALL / seconds)))
        done = step == config.steps
        record: dict[str, Any] = {}
        if done or step % every["log"] == 0:
            record = {
                "loss": unlogged.loss / unlogged.steps,
                "support_accuracy": unlogged.accuracy / unlogged.steps,
            }
            unlogged = Unlogged()
        if done or step % every["evaluate"] == 0:
            query_accuracy = _record_evaluation(compiled, network, folder, step, record)
        elif record:
            runs.append_metrics(folder, [{"step": step, **record}])
        stopping = stop()
        overdue = time.monotonic() - last_saved > SECONDS_BETWEEN_CHECKPOINTS
        if done or stopping or overdue or step % every["checkpoint"] == 0:
            runs.save_checkpoint(folder, to_checkpoint(graph, network, unlogged))
            last_saved = time.monotonic()
        yield Status(step, float(leg.loss.mean()), float(leg.accuracy.mean()), n / seconds, query_accuracy)
        if stopping:
            return


def _added(unlogged: Unlogged, leg: _Leg, n: int) -> Unlogged:
    """With the first n steps of a leg. One by one, so that the sum does not depend on how steps fall into legs."""
    loss, accuracy, steps = unlogged
    for one_loss, one_accuracy in zip(leg.loss[:n].tolist(), leg.accuracy[:n].tolist(), strict=True):
        loss, accuracy, steps = loss + one_loss, accuracy + one_accuracy, steps + 1
    return Unlogged(loss, accuracy, steps)


def _divergence(
    experiment: Experiment, compiled: Compiled, folder: pathlib.Path, leg: _Leg, previous: _Leg | None
) -> Divergence:
    """Finds the last good network, the one before the step that spoilt it, and makes it the latest checkpoint."""
    bad = np.flatnonzero(~np.isfinite(leg.loss))
    # a loss is that of the synapses before its step: those which the step before it left are not good either
    within, below = (previous, previous.loss.size) if bad.size and bad[0] == 0 and previous else (leg, leg.loss.size)
    if bad.size and within is leg:
        below = max(int(bad[0]), 1)
    network, n = _last_finite(compiled, _network_at(experiment, compiled, folder, within.step), below)
    good = within.step + n
    runs.save_checkpoint(folder, to_checkpoint(experiment.graph, network, _added(within.unlogged, within, n)))
    if bad.size and n == below - 1:
        what = f"diverged at step {leg.step + int(bad[0]) + 1}: its loss is not finite"
    else:
        what = f"diverged at step {good + 1}: its update left a synapse that is not finite"
    return Divergence(f"training {what}. The synapses after step {good}, the last good ones, are kept")


def _network_at(experiment: Experiment, compiled: Compiled, folder: pathlib.Path, step: int) -> NetworkState:
    """The network after a step, bit by bit: trained once more from the checkpoint before. Later ones are dropped."""
    runs.drop_checkpoints(folder, after=step)
    network = from_checkpoint(runs.load_checkpoint(folder), experiment.graph, experiment.network)
    for start in range(int(network.step), step, CAPACITY):
        network, _ = compiled.advance(network, min(CAPACITY, step - start))
    return network


def _last_finite(compiled: Compiled, network: NetworkState, below: int) -> tuple[NetworkState, int]:
    """The network after the most steps, fewer than `below`, that leaves every synapse finite; found by bisection."""
    good, bad = 0, below
    middle = below - 1  # mostly it is the very last
    while bad - good > 1:
        _, report = compiled.advance(jax.tree.map(jnp.copy, network), middle)
        good, bad = (middle, bad) if bool(report.finite) else (good, middle)
        middle = (good + bad) // 2
    return compiled.advance(network, good)[0], good


def finish(experiment: Experiment, compiled: Compiled, folder: pathlib.Path, about: dict[str, Any]) -> dict[str, Any]:
    """Evaluates the latest checkpoint on the query set, draws the curves and writes the summary, which it returns."""
    network = from_checkpoint(runs.load_checkpoint(folder), experiment.graph, experiment.network)
    evaluation = compiled.evaluate(network)
    right = round(float(evaluation.accuracy) * experiment.task.n_query)
    accuracy = right / experiment.task.n_query
    records = runs.read_metrics(folder)
    summary: dict[str, Any] = {
        "test_accuracy": accuracy,
        "test_accuracy_standard_error": float(tasks.standard_error(accuracy, experiment.task.n_query)),
        "test_loss": float(evaluation.loss),
        "n_test": experiment.task.n_query,
        "steps": int(network.step),
        "finished": int(network.step) >= experiment.config.steps,
        **about,
        "run_dir": str(folder),
    }
    summary = runs.finite(summary)
    runs.write_summary(folder, summary)
    if len(records) > 1:
        curves(records, folder / "curves.png", title=folder.name)
    return summary


def _record_evaluation(
    compiled: Compiled, network: NetworkState, folder: pathlib.Path, step: int, record: dict[str, Any]
) -> float:
    evaluation = compiled.evaluate(network)
    loss, accuracy = float(evaluation.loss), float(evaluation.accuracy)
    runs.append_metrics(folder, [{"step": step, **record, "query_loss": loss, "query_accuracy": accuracy}])
    return accuracy
