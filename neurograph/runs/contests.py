"""Rules ready to be evaluated: settings resolved and wirings compiled, on one wiring and task or over many of both."""

import contextlib
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax

from ..compile import CompiledGraph, compile_topology
from ..compile.costs import known
from ..learning import BASELINES, Curve, Interval, Tuned, evaluate, interval, tune
from ..rules import ACTIVATIONS
from ..topology import Topology
from .resolve import Resolved, SingleOutputError, anchored, resolve, resolve_task
from .settings import TrainConfig, plain_config


class Contest(NamedTuple):
    """A rule on a wiring and a task.

    Attributes:
        topology, net: the wiring, and its compiled form.
        resolved: rule, task and settings.
    """

    topology: Topology
    net: CompiledGraph
    resolved: Resolved

    def curve(self, *, steps: Sequence[int], n_draws: int) -> Curve:
        """Loss and score of the rule, over draws that the seed of the settings addresses."""
        resolved = self.resolved
        return evaluate(
            jax.random.key(resolved.config.seed),
            self.net,
            resolved.rule,
            resolved.task,
            steps=steps,
            n_draws=n_draws,
            batch_size=resolved.batch_size,
            initializer=resolved.initializer,
        )

    def tuned(self, name: str, *, steps: Sequence[int], n_draws: int, activation: str, tick: Any) -> Tuned:
        """A baseline on the wiring, task, draws and batch size of the contest, with its initializer.

        Args:
            name: one of `BASELINES`.
            steps, n_draws: see `evaluate`.
            activation: the activation of hidden neurons, by name.
            tick: called after each learning rate that was tried.
        """
        resolved = self.resolved
        net = compile_topology(self.topology, n_states=2, batch_size=resolved.batch_size, costs=known().costs)
        return tune(
            BASELINES[name],
            jax.random.key(resolved.config.seed),
            net,
            resolved.task,
            activation=ACTIVATIONS[activation],
            initializer=resolved.initializer,
            batch_size=resolved.batch_size,
            steps=steps,
            n_draws=n_draws,
            tick=tick,
        )


def prepare(topology: Topology, config: TrainConfig, base: pathlib.Path) -> Contest:
    """Resolves names, checks that wiring and task fit, compiles.

    Args:
        topology: the wiring.
        config: task, genome, and rule where the genome's is not meant.
        base: where relative paths start.

    Raises:
        ValueError: (of its kinds) something is not there, or does not fit.
    """
    resolved = resolve(config, topology, base)
    return Contest(topology, resolved.compile(topology), resolved)


class Cell(NamedTuple):
    """A rule on a wiring and a task.

    Attributes:
        genome, wiring, task: names.
        accuracy: after the steps requested; None where wiring and task do not fit each other.
    """

    genome: str
    wiring: str
    task: str
    accuracy: Interval | None


def transfer(
    genomes: Mapping[str, str],
    topologies: Mapping[str, Topology],
    tasks: Sequence[str],
    *,
    at: int,
    n_draws: int,
    settings: dict[str, Any],
) -> Iterator[Cell]:
    """Every rule on every wiring and task that fit each other, after `at` steps; a softmax fits no single output.

    Args:
        genomes: names or files, by what cells call them.
        topologies: wirings, by what cells call them.
        tasks: names or files.
        at: learning steps.
        n_draws: the number of draws of synapses, batches and trials.
        settings: settings of `TrainConfig`, alike for all: batch size, seed, options of tasks.
    """
    base = pathlib.Path()
    compiled: dict[tuple[str, int, tuple[str, ...]], CompiledGraph] = {}
    for name in tasks:
        plain = anchored(plain_config({**settings, "task": name}), base)
        for wiring, topology in topologies.items():
            task = resolve_task(plain, topology)
            fits = (len(topology.inputs), len(topology.outputs)) == (task.n_inputs, task.n_outputs)
            for genome, what in genomes.items():
                found = resolved = None
                if fits:
                    config = plain_config({**settings, "task": name, "genome": what})
                    with contextlib.suppress(SingleOutputError):
                        resolved = resolve(config, topology, base, task=task)
                if resolved is not None:
                    shape = (wiring, resolved.n_states, resolved.populations)
                    if shape not in compiled:
                        compiled[shape] = resolved.compile(topology)
                    contest = Contest(topology, compiled[shape], resolved)
                    found = interval(contest.curve(steps=(at,), n_draws=n_draws).accuracy[:, 0])
                yield Cell(genome, wiring, name, found)
