"""From the names of a configuration to the functions, arrays and tasks that they stand for."""

import dataclasses
import difflib
import pathlib
from typing import Any

import jax
from pydantic import ValidationError

from . import datasets, rules, tasks
from . import genomes as shipped
from .config import RuleConfig, TrainConfig
from .genome import Genome, GenomeError, GenomeFile, Genomes, n_states_of
from .genome import read as read_genome
from .initializers import INITIALIZERS, Initializer
from .rules import ACTIVATIONS, Rule
from .tasks import Task
from .topology import Topology

PRESETS = {"backprop": rules.backprop, "blur": rules.blur, "published": rules.published}
FEEDBACKS = {
    "target": rules.target_feedback,
    "error": rules.error_feedback,
    "mean_squared_error": rules.mean_squared_error,
    "softmax_cross_entropy": rules.softmax_cross_entropy,
}
BACKWARD_UPDATES = {
    "additive": rules.additive,
    "multiplicative": rules.multiplicative,
    "multiplicative_second_state": rules.multiplicative_second_state,
}
GENOMES = ("backprop", "random")
_AS_THEY_ARE = (
    "derivative_state",
    "symmetric",
    "single_state",
    "forward_synapse_update",
    "use_forward_states",
    "supervised_every",
    "keep_states",
)


def anchored(config: TrainConfig, folder: pathlib.Path) -> TrainConfig:
    """The configuration with absolute paths, so that it means the same wherever it is read.

    Args:
        config: as read.
        folder: where its relative paths start; what is not there is looked for in the working directory.
    """
    kind, colon, path = config.task.rpartition(":")
    task = config.task
    if pathlib.Path(path).suffix.lower() in (".csv", ".npz"):
        task = f"{kind}{colon}{_found(path, folder)}"
    genome = config.genome
    if isinstance(genome, dict):
        genome = {name: _found_genome(what, folder) for name, what in genome.items()}
    elif genome is not None:
        genome = _found_genome(genome, folder)
    update = {"task": task, "genome": genome, "task_options": _with_data_folder(config, folder)}
    return config.model_copy(update=update)


def _with_data_folder(config: TrainConfig, folder: pathlib.Path) -> dict[str, Any]:
    """The options of the task; those of a data set name the user's data folder, also where only the environment did."""
    options, name = config.task_options, config.task.partition(":")[0].strip().lower().replace("-", "_")
    given = options.get("data_dir")
    if given is None and name in datasets.DATA_SETS and (place := datasets.named_place()) is not None:
        return {**options, "data_dir": str(place)}
    if isinstance(given, str):
        return {**options, "data_dir": _found(str(pathlib.Path(given).expanduser()), folder)}
    return options


def _found_genome(what: str, folder: pathlib.Path) -> str:
    """The path of a file, or of a run's folder, is made absolute; a name stays, unless a file or run is called so."""
    if what in GENOMES:
        return what
    for candidate in (folder / what, pathlib.Path(what)):
        found = shipped.find(candidate)
        if found is not None:
            return str(found.resolve())
    return what


def _found(path: str, folder: pathlib.Path) -> str:
    """Absolute where the file exists, and else as it was given, which is how messages name it."""
    for candidate in (folder / path, pathlib.Path(path)):
        if candidate.exists():
            return str(candidate.resolve())
    return path


def resolve_rule(config: TrainConfig, topology: Topology) -> Rule:
    """The preset, with the options that were given in its place.

    Where nothing is said of the feedback, backpropagation takes the softmax cross-entropy of several outputs, and the
    squared error of one.

    Raises:
        ValueError: softmax over a single output.
    """
    asked, n_outputs = config.rule, len(topology.outputs)
    changes: dict[str, Any] = {name: getattr(asked, name) for name in _AS_THEY_ARE if getattr(asked, name) is not None}
    for name in ("forward_activation", "output_activation", "backward_activation"):
        value = getattr(asked, name)
        if value is not None:
            changes[name] = None if value == "forward" else ACTIVATIONS[value]
    if asked.backward_update is not None:
        changes["backward_update"] = BACKWARD_UPDATES[asked.backward_update]
    if asked.feedback is not None:
        changes["feedback"] = FEEDBACKS[asked.feedback]
    elif asked.name == "backprop" and n_outputs == 1:
        changes["feedback"] = rules.mean_squared_error
    if asked.batch is not None:
        changes["batch_mean"] = asked.batch == "mean"
    if asked.oja is not None:
        changes["oja"] = rules.Oja(asked.oja.form, asked.oja.multiplier, asked.oja.learnable)
    if asked.activation_normalization is not None:
        option = asked.activation_normalization
        changes["activation_normalization"] = rules.ActivationNormalization(
            option.forward, option.backward, option.epsilon
        )
    if asked.synapse_normalization is not None:
        option = asked.synapse_normalization
        changes["synapse_normalization"] = rules.SynapseNormalization(option.kind == "persistent", option.rescale)
    if asked.saturation is not None:
        exponential = asked.saturation.kind == "exp_update"
        changes["synapse_update"] = (
            rules.ExponentialSaturation(asked.saturation.epsilon) if exponential else rules.tanh_saturation
        )
    rule = dataclasses.replace(PRESETS[asked.name](), **changes)
    if rule.feedback is rules.softmax_cross_entropy and n_outputs == 1:
        raise ValueError(
            f"rule.feedback is softmax_cross_entropy, but topology {topology.name!r} has a single output, whose "
            "softmax is always 1; use mean_squared_error, or a wiring with one output for each class."
        )
    return rule


def as_genome_says(config: TrainConfig) -> TrainConfig:
    """The configuration with the rule and the initializer of the genome's file, where none was asked for.

    Raises:
        GenomeError: the file cannot be read, or names no rule or initializer that there is.
    """
    asked = config.genome
    if not isinstance(asked, str) or asked in GENOMES:
        return config
    file, here = genome_file(asked), f"genome '{asked}'"
    update: dict[str, Any] = {}
    if file.rule is not None and "rule" not in config.model_fields_set:
        try:
            update["rule"] = RuleConfig.model_validate(file.rule)
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise GenomeError(f"{here} names a rule that there is not ({problems}).") from error
    if file.initializer is not None and "initializer" not in config.model_fields_set:
        if file.initializer not in INITIALIZERS:
            raise GenomeError(
                f"{here} names the initializer {file.initializer!r}; there are {', '.join(INITIALIZERS)}."
            )
        update["initializer"] = file.initializer
    return config.model_copy(update=update)


def genome_file(what: str) -> GenomeFile:
    """A genome's file by its path, by that of a run's folder, or by the name of one that comes with the package.

    Raises:
        GenomeError: there is none, or it is damaged.
    """
    path = shipped.find(what)
    if path is not None:
        return read_genome(path)
    if pathlib.Path(what).is_dir():
        raise GenomeError(f"'{what}' is a folder without a genome.txt; give a genome's file, or the folder of a run.")
    known = shipped.names()
    near = difflib.get_close_matches(what, (*GENOMES, *known), 1)
    choice = f"give {', '.join((*GENOMES, *known))}, or the path of a file or run."
    mend = f"did you mean '{near[0]}'?" if near else choice
    raise GenomeError(f"there is no genome '{what}'; {mend}")


def resolve_genome(config: TrainConfig) -> Genomes:
    """The genome by name or from its file, or one for each population.

    Raises:
        GenomeError: no such file, a damaged one, or a number of states that does not fit.
    """
    asked = config.genome or ("backprop" if config.rule.name == "backprop" else "random")
    if isinstance(asked, str):
        genome = _one_genome(asked, config, 0)
    else:
        genome: Genomes = {}
        for number, (name, what) in enumerate(asked.items()):
            member = _one_genome(what, config, number)
            if not isinstance(member, Genome):
                raise GenomeError(
                    f"genome file '{what}' holds one genome for each of {', '.join(member)}, so it cannot be that of "
                    f"population {name!r} alone; give it as the only genome."
                )
            genome[name] = member
    n_states = n_states_of(genome)
    if config.n_states not in (None, n_states):
        raise GenomeError(
            f"genome '{config.genome}' has {n_states} states, n_states is {config.n_states}; make them equal, or leave "
            "n_states out."
        )
    if n_states < 2:
        raise GenomeError("the genome has 1 state; learning needs 2, since feedback enters through the second.")
    return genome


def _one_genome(what: str, config: TrainConfig, number: int) -> Genomes:
    n_states, rate = config.n_states or 2, config.learning_rate
    if what == "backprop":
        return Genome.backprop(0.1 if rate is None else rate, n_states)
    if what == "random":
        key = jax.random.fold_in(jax.random.key(config.seed), 1 + number)
        forward = bool(config.rule.forward_synapse_update)
        return Genome.random(key, n_states, update=-(1e-3 if rate is None else rate), forward_synapse=forward)
    return genome_file(what).genome


def resolve_task(config: TrainConfig, topology: Topology) -> Task:
    """The task by name or from its file, with one output or one for each class, as the wiring has.

    Raises:
        TaskError: no such task or option, or a damaged file.
    """
    # two classes can be told by one output or by two: the wiring decides
    n_outputs = len(topology.outputs) if len(topology.outputs) <= 2 else None
    options = {"n_outputs": n_outputs, "seed": config.seed, "dtype": config.dtype, **config.task_options}
    try:
        return tasks.load(config.task, **options)
    except tasks.TaskError as error:
        about_data = isinstance(error.__cause__, datasets.DataError)
        if n_outputs is None or "n_outputs" in config.task_options or about_data:
            raise
    # the number of outputs may be what does not fit: let the task say its own, for a sentence about both
    del options["n_outputs"]
    return tasks.load(config.task, **options)


def resolve_initializer(config: TrainConfig) -> Initializer:
    """How synapses are drawn."""
    return INITIALIZERS[config.initializer]
