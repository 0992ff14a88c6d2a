"""Genomes against each other and against tuned baselines: on one wiring and task, or over many of both."""

import pathlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .baselines import Baseline, baseline
from .compile import compile_topology
from .config import TrainConfig, plain_config
from .costs import known
from .evaluation import Curve, GenomeLearner, Interval, curve, interval
from .genome import n_states_of
from .resolve import anchored, as_genome_says, resolve_genome, resolve_initializer, resolve_rule, resolve_task
from .rules import ACTIVATIONS
from .tasks import Task
from .topology import Topology, check_fits


class Entry(NamedTuple):
    """One of those compared.

    Attributes:
        name: of the genome or baseline.
        curve: on the trials.
        baseline: how it was tuned; None for a genome.
    """

    name: str
    curve: Curve
    baseline: Baseline | None = None


class Contest(NamedTuple):
    """A genome, ready to be evaluated on a wiring and a task.

    Attributes:
        learner: wiring, genome and rule.
        task: what is learnt.
        config: resolved.
    """

    learner: GenomeLearner
    task: Task
    config: TrainConfig


def prepare(topology: Topology, config: TrainConfig, folder: pathlib.Path) -> Contest:
    """Resolves names, checks that wiring and task fit, compiles.

    Args:
        topology: the wiring.
        config: task, genome, and rule where the genome's is not meant.
        folder: where relative paths start.

    Raises:
        ValueError: (of its kinds) something is not there, or does not fit.
    """
    config = as_genome_says(anchored(config, folder))
    rule, task, genome = resolve_rule(config, topology), resolve_task(config, topology), resolve_genome(config)
    check_fits(topology, task.n_inputs, task.n_outputs, task.name)
    dtype = jnp.dtype(config.dtype)
    graph = compile_topology(
        topology, n_states=n_states_of(genome), batch_size=config.batch_size, costs=known().costs,
        genomes="by_population" if isinstance(genome, dict) and len(genome) > 1 else "shared",
    )  # fmt: skip
    genome = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), genome)
    learner = GenomeLearner(graph, genome, rule, resolve_initializer(config), config.batch_size, dtype)
    return Contest(learner, task, config)


def evaluate(contest: Contest, *, steps: Sequence[int], n_draws: int) -> Curve:
    """Loss and accuracy of the genome, over draws that the seed of the configuration addresses."""
    return curve(
        jax.random.key(contest.config.seed),
        contest.learner,
        contest.task,
        batch_size=contest.config.batch_size,
        steps=steps,
        n_draws=n_draws,
    )


def tuned(
    name: str,
    topology: Topology,
    contest: Contest,
    *,
    steps: Sequence[int],
    n_draws: int,
    activation: str,
    tick: Callable[[], None] = lambda: None,
) -> Baseline:
    """A baseline on the wiring, task, draws and batch size of a contest, with its initializer.

    Args:
        name: sgd, momentum or adam.
        topology: the wiring, which is compiled for it anew: its neurons have one state.
        contest: as `prepare` gives it.
        steps, n_draws: see `evaluation.curve`.
        activation: of hidden neurons, by name.
        tick: called after each learning rate that was tried.
    """
    config = contest.config
    graph = compile_topology(topology, n_states=2, batch_size=config.batch_size, costs=known().costs)
    return baseline(
        name,
        jax.random.key(config.seed),
        graph,
        contest.task,
        activation=ACTIVATIONS[activation],
        initializer=contest.learner.initializer,
        batch_size=config.batch_size,
        steps=steps,
        n_draws=n_draws,
        tick=tick,
    )


class Lead(NamedTuple):
    """The best genome against the best baseline after some steps.

    Attributes:
        step: learning steps.
        genome, baseline: names of the best of each.
        difference: of their accuracies, genome less baseline, over the draws, which are the same for both.
    """

    step: int
    genome: str
    baseline: str
    difference: Interval


def leads(entries: Sequence[Entry]) -> list[Lead]:
    """The best genome against the best baseline, at every number of steps; empty without one of either."""
    genomes = [entry for entry in entries if entry.baseline is None]
    baselines = [entry for entry in entries if entry.baseline is not None]
    if not genomes or not baselines:
        return []
    found = []
    for n, step in enumerate(genomes[0].curve.steps):
        one, other = (max(group, key=lambda entry: entry.curve.accuracy[:, n].mean()) for group in (genomes, baselines))
        difference = one.curve.accuracy[:, n] - other.curve.accuracy[:, n]
        found.append(Lead(step, one.name, other.name, interval(difference)))
    return found


def sentences(found: Sequence[Lead]) -> list[str]:
    """Who is ahead, and at which steps, in words. Ahead is whose 95 % interval of the difference leaves out 0."""
    groups: dict[str, list[Lead]] = {"ahead": [], "behind": [], "level": []}
    for lead in found:
        if lead.step == 0:
            continue
        sure = abs(lead.difference.mean) > lead.difference.half
        groups["level" if not sure else "ahead" if lead.difference.mean > 0 else "behind"].append(lead)
    lines = []
    for group, what in (("ahead", "is ahead of"), ("level", "is level with"), ("behind", "is behind")):
        if groups[group]:
            steps = ", ".join(str(lead.step) for lead in groups[group])
            points = ", ".join(f"{100 * lead.difference.mean:+.1f}" for lead in groups[group])
            lines.append(f"The best genome {what} the best baseline after {steps} steps ({points} points).")
    return lines


class Cell(NamedTuple):
    """A genome on a wiring and a task.

    Attributes:
        genome, wiring, task: names.
        accuracy: after the steps asked; None where wiring and task do not fit each other.
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
    """Every genome on every wiring and task that fit each other, after `at` steps.

    Args:
        genomes: names or files, by what cells call them.
        topologies: wirings, by what cells call them.
        tasks: names or files.
        at: learning steps.
        n_draws: of synapses, batches and trials.
        settings: of `TrainConfig`, alike for all: batch size, seed, options of tasks.
    """
    for task in tasks:
        plain = plain_config({**settings, "task": task})
        for wiring, topology in topologies.items():
            loaded = resolve_task(anchored(plain, pathlib.Path()), topology)
            fits = (len(topology.inputs), len(topology.outputs)) == (loaded.n_inputs, loaded.n_outputs)
            for name, genome in genomes.items():
                found = None
                if fits:
                    config = plain_config({**settings, "task": task, "genome": genome})
                    contest = prepare(topology, config, pathlib.Path())
                    found = interval(evaluate(contest, steps=(at,), n_draws=n_draws).accuracy[:, 0])
                yield Cell(name, wiring, task, found)


def told_apart(short: Sequence[str], full: Sequence[str]) -> list[str]:
    """The short names, or the full ones of those whose short name others have, too.

    >>> told_apart(["genome", "genome", "blur"], ["runs/a/genome.txt", "runs/b/genome.txt", "blur.txt"])
    ['runs/a/genome.txt', 'runs/b/genome.txt', 'blur']
    """
    counts = Counter(short)
    return [one if counts[one] == 1 else other for one, other in zip(short, full, strict=True)]


def best_rate_curves(entry: Entry) -> list[tuple[float, np.ndarray]]:
    """Of a baseline, (learning rate, mean accuracy on held-out support examples at each number of steps)."""
    return [] if entry.baseline is None else [(rate, c.accuracy.mean(axis=0)) for rate, c in entry.baseline.tried]
