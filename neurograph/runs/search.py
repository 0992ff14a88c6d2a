"""What a search for rules consists of, by its settings: problems, the first rules, and the method."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .. import tasks
from .._text import UserError, count
from ..meta import Curriculum, Method, Objective, Problem
from ..meta import population as populations
from ..meta.distribution import BUCKETS, Bucket, Distribution, Pictures, Space, draw_task, draw_wiring, pictures_of
from ..meta.distribution.search import DistributionSearch, SearchOptions
from ..meta.evolution import Evolution
from ..meta.learners import ByGradient, Learner
from ..rules import Rule, RuleError, as_arrays, losses
from ..rules import files as rule_files
from ..rules.options import PRESET_OPTIONS
from ..tasks import Task, datasets
from ..tasks.spec import parse
from ..topology import Topology, check_fits
from .resolve import loss_of, one_rule, resolve_task
from .settings import BucketConfig, DistributionConfig, MetaConfig, RuleConfig, TrainConfig

MOST_STEPS = 2**31 - 1
"""The most steps that an int32 counts."""
TESTED = 2**31 - 2
"""With the seed: what draws the problems of a distribution on which a rule is tested; the index of no meta-step."""
STORED = (*datasets.DATA_SETS, *tasks.bundled.N_TABLE_QUERY, "digits", "diabetes")
"""Tasks of examples that can be had as they are, not standardised."""


def check(config: MetaConfig, topologies: Sequence[Topology], founders: Any) -> None:
    """Raises a UserError where values, each right by itself, do not go together."""
    n_numbers = sum(leaf.size for leaf in jax.tree.leaves(founders)) // config.size
    if n_numbers < 2 and config.method == "cma":
        raise UserError(
            f"the rule has {count(n_numbers, 'number')}, but CMA-ES needs 2 or more; use the method 'gradient'."
        )
    if config.distribution is not None and (config.method == "cma" or (config.genomes or 1) > 1):
        what = "method is cma" if config.method == "cma" else f"genomes is {config.genomes}"
        raise UserError(
            f"{what}, but a distribution improves one genome, by gradient or es; leave it out, or the distribution."
        )
    if config.distribution is not None:
        defaults = MetaConfig()
        for name in ("unroll", "batch_size", "curriculum", "replicas", "online", "loss"):
            if getattr(config, name) != getattr(defaults, name):
                raise UserError(
                    f"{name} is given, but what a distribution draws is as its buckets say; leave it out, or change "
                    "them."
                )
    if config.distribution is None and config.method == "es":
        raise UserError("method is es, which estimates the gradient over a distribution; give one, or another method.")
    if config.method == "cma" and config.size < 2:
        raise UserError("genomes is 1, but CMA-ES compares genomes; give 2 or more.")
    if founders.keep_states and config.query_size != config.batch_size:
        raise UserError(
            f"the rule keeps states, one for each example of a batch, but batch_size is {config.batch_size} and "
            f"query_size is {config.query_size}; make them equal."
        )
    last_stage = config.unroll + config.curriculum.add * ((config.meta_steps - 1) // config.curriculum.every)
    if last_stage > MOST_STEPS:
        raise UserError(
            f"the curriculum reaches unrolls of {last_stage:,} steps, more than the {MOST_STEPS:,} that can be "
            "counted; give a smaller curriculum.add, or a larger curriculum.every."
        )
    for topology in topologies:
        if config.loss == "softmax_cross_entropy" and len(topology.outputs) == 1:
            raise UserError(
                f"loss is softmax_cross_entropy, but topology {topology.name!r} has a single output, whose softmax is "
                "always 1; use mean_squared_error, or a wiring with one output for each class."
            )


def pairs_of(topologies: Sequence[Topology], trainings: Sequence[TrainConfig]) -> list[tuple[Topology, Task]]:
    """Every wiring with every task that it fits; each must find a partner."""
    pairs: list[tuple[Topology, Task]] = []
    trainings = _each_its_own(trainings)
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


def with_buckets(config: MetaConfig) -> MetaConfig:
    """The settings, whose distribution has its buckets; those by which `universal` was found where it names none."""
    if config.distribution is None or config.distribution.buckets is not None:
        return config
    of_each = [
        BucketConfig(
            inputs=space.n_inputs, outputs=space.n_outputs, depth=space.depth, width=space.width,
            least_depth=space.least_depth, span=space.span, batch_size=batch_size, unroll=steps,
        )
        for space, batch_size, steps in BUCKETS
    ]  # fmt: skip
    return config.model_copy(update={"distribution": config.distribution.model_copy(update={"buckets": of_each})})


def distribution_of(config: DistributionConfig, trainings: Sequence[TrainConfig]) -> Distribution:
    """The distribution of some settings.

    Args:
        config: with buckets.
        trainings: the tasks whose pictures are drawn from; several sizes of a data set count as one.

    Raises:
        ValueError: (of its kinds) a task cannot be loaded, or is none of stored pictures.
    """
    pictures: dict[str, list[Pictures]] = {}
    for training in _each_its_own(trainings):
        spec = str(training.task)
        is_file = tasks.is_file(spec)
        stored = is_file or parse(spec).name in STORED
        options = {**training.task_options, **({"standardise": False} if stored else {})}
        loaded = tasks.load(spec, seed=training.seed, dtype=training.dtype, **options)
        pictures.setdefault(spec if is_file else parse(spec).name, []).append(pictures_of(loaded))
    of_each = [
        Bucket(Space(b.inputs, b.outputs, b.depth, b.width, b.least_depth, b.span), b.batch_size, b.unroll)
        for b in config.buckets or ()
    ]
    return Distribution.of(of_each, pictures)


def samples_of(config: MetaConfig, distribution: Distribution) -> list[tuple[Topology, Task]]:
    """A wiring and a task of each bucket, which no meta-step has drawn: a rule is tested by them at the end."""
    random = np.random.default_rng([config.seed, TESTED])
    found = []
    for bucket in distribution.buckets:
        wiring = draw_wiring(random, bucket.space)
        task, kind = draw_task(random, bucket.space.n_inputs, bucket.space.n_outputs, distribution.pictures)
        found.append((wiring, dataclasses.replace(task, name=kind)))
    return found


def _each_its_own(trainings: Sequence[TrainConfig]) -> list[TrainConfig]:
    """The tasks, of which those that read no data set have no folder of data sets, where another one has use for it."""
    reads = [not tasks.is_file(str(one.task)) and parse(str(one.task)).name in datasets.DATA_SETS for one in trainings]
    if not any(reads):
        return list(trainings)

    def without(one: TrainConfig) -> TrainConfig:
        options = {name: value for name, value in one.task_options.items() if name != "data_dir"}
        return one.model_copy(update={"task_options": options})

    return [one if is_read else without(one) for one, is_read in zip(trainings, reads, strict=True)]


def founders_of(config: MetaConfig, start: rule_files.RuleFile | None, pairs: Sequence[tuple[Topology, Task]]) -> Any:
    """The first rules, stacked."""
    key = jax.random.fold_in(jax.random.key(config.seed), 1)
    dtype, task = jnp.dtype(config.dtype), pairs[0][1]
    training = config.training(config.tasks[0])
    if start is None and training.rule.name not in PRESET_OPTIONS:
        found = as_arrays(one_rule(config.genome, training, task, 0).rule, dtype)
        founders = populations.around(key, found, config.size, config.spread)
    elif config.genome == "random" and start is None:
        training = training.model_copy(
            update={"n_states": config.n_states or 4, "learning_rate": config.update or 0.01}
        )
        rules = [one_rule("random", training, task, n).rule for n in range(config.size)]
        founders = populations.stacked([as_arrays(rule, dtype) for rule in rules])
    else:
        found = start or one_rule(config.genome, training, task, 0, lean=False)
        if not isinstance(found.rule, Rule):
            raise RuleError(
                "meta-learning starts from one rule for all populations, but the file holds several; give a file with "
                "one."
            )
        founders = populations.around(key, as_arrays(found.rule, dtype), config.size, config.spread)
    if config.n_states not in (None, founders.n_states):
        raise RuleError(
            f"genome '{config.genome}' has {founders.n_states} states, but n_states is {config.n_states}; make them "
            "equal, or leave n_states out."
        )
    if start is None and loss_of(founders) is not None and not _names_loss(training.rule):
        of_tasks = {task.loss: task.name for _, task in pairs}
        if len(of_tasks) > 1:
            raise UserError(
                f"the tasks {', '.join(of_tasks.values())} have different losses, but the rule descends only one; "
                "name it with rule.feedback, or, for a class of rules, with rule.options.loss."
            )
    descends = {loss_of(founders)} - {None}
    if descends == {losses.softmax_cross_entropy} and any(len(topology.outputs) == 1 for topology, _ in pairs):
        raise UserError(
            "the rule descends softmax_cross_entropy, but a wiring has a single output, whose softmax is always 1; "
            "give mean_squared_error as rule.feedback, or, for a class of rules, as rule.options.loss."
        )
    return founders


def _names_loss(rule: RuleConfig) -> bool:
    return rule.feedback is not None or "loss" in rule.options


def learner_of(
    config: MetaConfig,
    objective: Objective,
    problems: tuple[Problem, ...],
    founders: Any,
    distribution: Distribution | None = None,
) -> Learner:
    """The search that the settings describe, over problems, or over a distribution."""
    key = jax.random.fold_in(jax.random.key(config.seed), 2)
    if config.method == "cma":
        return Evolution(
            key, founders, problems, objective, length=config.unroll, n_batches=config.query_batches,
            sigma=config.sigma, seed=config.seed,
        )  # fmt: skip
    curriculum = Curriculum(
        config.unroll, config.curriculum.add, config.curriculum.every, config.longest, config.curriculum.shortest
    )
    rate = config.learning_rate
    schedule = optax.cosine_decay_schedule(rate, config.meta_steps, 0.02) if config.schedule == "cosine" else rate
    optimizer = optax.chain(
        optax.clip_by_global_norm(config.clip), optax.adamw(schedule, weight_decay=config.weight_decay)
    )
    if distribution is not None and config.distribution is not None:
        how = SearchOptions(
            optimizer,
            per_step=config.distribution.problems,
            warm_up=config.warm_up,
            pairs=config.distribution.pairs if config.method == "es" else 0,
            sigma=config.sigma,
            horizon=config.distribution.horizon,
            fields=None if config.distribution.fields is None else tuple(config.distribution.fields),
            memory=config.memory,
            query_size=config.query_size,
            initializer=objective.initializer,
        )
        return DistributionSearch(key, populations.member(founders, 0), distribution, how, seed=config.seed)
    method = Method(
        optimizer=optimizer,
        curriculum=curriculum,
        synchronise_every=config.synchronise_every,
        noise=config.noise,
        patience=config.patience,
        memory=config.memory,
        warm=0.5,
    )
    return ByGradient(key, founders, problems, objective, method, averaged=config.average)
