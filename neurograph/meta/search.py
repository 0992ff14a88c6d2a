"""What a run of meta-learning searches: names resolved, wirings paired with tasks and compiled, genomes founded."""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ..compile import compile_topology
from ..config import MetaConfig, TrainConfig
from ..costs import Costs, known
from ..genome import Genome, GenomeError, GenomeFile, astype
from ..resolve import (
    FEEDBACKS,
    anchored,
    as_genome_says,
    genome_file,
    resolve_genome,
    resolve_initializer,
    resolve_rule,
    resolve_task,
)
from ..rules import Rule
from ..tasks import Task
from ..topology import Topology, check_fits
from . import population as populations
from .evolution import Evolution
from .gradient import Curriculum, Method
from .learners import ByGradient, Learner
from .objective import Objective, Problem

MOST_STEPS = 2**31 - 1


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
        origin: provenance of the genome that it began with, where that has one.
        command: that began it; empty where it was not the command line.
    """

    config: MetaConfig
    topologies: tuple[Topology, ...]
    costs: Costs
    problems: tuple[Problem, ...]
    learner: Learner
    rule: Rule
    partners: tuple[Topology, ...]
    origin: dict[str, Any] = {}  # noqa: RUF012 - never changed
    command: str = ""


def prepare(
    topologies: Sequence[Topology],
    config: MetaConfig,
    folder: pathlib.Path = pathlib.Path(),
    costs: Costs | None = None,
    start: GenomeFile | None = None,
) -> Search:
    """Resolves names, pairs wirings with tasks, compiles, and founds the population.

    Args:
        topologies: the wirings; each is paired with every task whose inputs and outputs it has.
        config: what was asked.
        folder: where relative paths in the configuration start.
        costs: to compile by; None takes those of this machine.
        start: the genome to start from, in place of the configuration's, as a resumed run has kept it.

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
    origin = _origin(config) if start is None else start.provenance
    return Search(config, tuple(topologies), costs, problems, learner, objective.rule, partners, origin)


def _as_genome_says(config: MetaConfig, folder: pathlib.Path) -> MetaConfig:
    """With an absolute path of the genome, and its rule and initializer where none was asked for."""
    asked = {name: getattr(config, name) for name in ("rule", "initializer") if name in config.model_fields_set}
    found = anchored(TrainConfig(task=config.tasks[0], genome=config.genome, **asked), folder)
    found = as_genome_says(found)
    own = {name: getattr(found, name) for name in ("rule", "initializer") if name in found.model_fields_set}
    return config.model_copy(update={"genome": found.genome, **own})


def _origin(config: MetaConfig) -> dict[str, Any]:
    """How the genome to start from came about; nothing of a computed one."""
    return {} if config.genome in ("random", "backprop") else genome_file(config.genome).provenance


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


def _founders(config: MetaConfig, training: TrainConfig, start: GenomeFile | None) -> Genome:
    """The first genomes, stacked."""
    key = jax.random.fold_in(jax.random.key(config.seed), 1)
    dtype = jnp.dtype(config.dtype)
    if config.genome == "random" and start is None:
        forward = bool(config.rule.forward_synapse_update)
        n_states = config.n_states or 4
        found = populations.random(key, config.size, n_states, update=-(config.update or 0.01), forward_synapse=forward)
    else:
        genome = resolve_genome(training) if start is None else start.genome
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
