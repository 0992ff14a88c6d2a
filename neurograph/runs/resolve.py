"""From settings to the objects that they name: rule, task, initializer. Each decision is made here, once."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .. import rules, tasks
from .._files import absolute, expanded
from .._text import UserError, nearest, shown
from ..compile import CompiledGraph, compile_topology
from ..compile.costs import Costs
from ..engine.initializers import INITIALIZERS, Initializer
from ..rules import Blur, Hebbian, Rule, RuleError, Rules, files
from ..rules.checks import check_options
from ..rules.options import PRESET_OPTIONS, with_options
from ..tasks import Task, datasets
from ..topology import Topology, check_fits
from .costs_file import agreed
from .settings import COMPUTED, RuleConfig, TrainConfig, usual_genome

DESCENTS = {"backprop", "momentum", "rmsprop", "adam", "lars"}
"""Presets of gradient descent."""
LEAN_OPTIONS = {"forward_activation", "output_activation", "feedback", "batch", "moments", "supervised_every"}
"""Options under which backpropagation is computed with one channel; any other may mix the states."""


class SingleOutputError(UserError):
    """A rule descends the softmax cross-entropy of a wiring with a single output, from which nothing can be learnt."""


class Resolved(NamedTuple):
    """What settings stand for.

    Attributes:
        config: the settings, with absolute paths.
        rule: what learns, its numbers in the run's dtype.
        task: what is learnt.
        initializer: how synapses are drawn.
        batch_size: the size of support batches.
    """

    config: TrainConfig
    rule: Rules
    task: Task
    initializer: Initializer
    batch_size: int

    @property
    def n_states(self) -> int:
        some = self.rule if isinstance(self.rule, Rule) else next(iter(self.rule.values()))
        return some.n_states

    @property
    def dtype(self) -> Any:
        return jnp.dtype(self.config.dtype)

    @property
    def has_presets(self) -> bool:
        """Whether the rule is of the class of the presets, with options such as a saturation."""
        return isinstance(self.rule if isinstance(self.rule, Rule) else next(iter(self.rule.values())), Blur)

    @property
    def populations(self) -> tuple[str, ...]:
        """Those that have a rule of their own."""
        return tuple(name for name in self.rule if name != "*") if isinstance(self.rule, Mapping) else ()

    def compile(self, topology: Topology, costs: Costs | None = None) -> CompiledGraph:
        """The wiring, compiled for the rule, by given costs or those known of this machine."""
        return compile_topology(
            topology,
            n_states=self.n_states,
            batch_size=self.batch_size,
            costs=agreed() if costs is None else costs,
            rules=self.populations,
        )


def resolve(
    config: TrainConfig,
    topology: Topology,
    folder: pathlib.Path,
    rule: files.RuleFile | None = None,
    task: Task | None = None,
) -> Resolved:
    """Finds what the settings name, and checks that it fits the wiring.

    Args:
        config: the settings.
        topology: the wiring.
        folder: where relative paths in the settings start.
        rule: in place of the one that the settings name, as a run's folder keeps it.
        task: in place of the one that the settings name, where it is loaded already.

    Raises:
        ValueError: (of its kinds `TaskError`, `RuleError`, `TopologyError`) something is not there, or does not fit.
    """
    config = anchored(config, folder)
    task = resolve_task(config, topology) if task is None else task
    check_fits(topology, task.n_inputs, task.n_outputs, task.name)
    if rule is None:
        rule = resolve_rule(config, task, topology)
        named = rule.initializer if "initializer" not in config.model_fields_set else None
        config = config.model_copy(update={"initializer": known_initializer(named or config.initializer)})
    loss = loss_of(rule.rule)
    if loss is not None and loss is not task.loss:
        task = task.with_loss(loss)
    numbers = rules.as_arrays(rule.rule, jnp.dtype(config.dtype))
    return Resolved(config, numbers, task, INITIALIZERS[config.initializer], config.batch_size)


def known_initializer(name: str) -> str:
    """The name, if it is that of an initializer.

    Raises:
        RuleError: it is none.
    """
    if name not in INITIALIZERS:
        raise RuleError(f"the rule's file names an unknown initializer {name!r}; {nearest(name, list(INITIALIZERS))}")
    return name


def loss_of(rule: Rules) -> Any:
    """The loss whose slope a rule descends; None where it descends none."""
    some = rule if isinstance(rule, Rule) else next(iter(rule.values()))
    found = some.signal if isinstance(some, Blur) else getattr(some, "loss", None)
    return found if callable(found) else None


# --- paths ----------------------------------------------------------------------------------------------------------


def anchored(config: TrainConfig, folder: pathlib.Path) -> TrainConfig:
    """The settings with absolute paths, so that they mean the same wherever they are read.

    Args:
        config: as read.
        folder: where its relative paths start; what is not there is looked for in the working directory.
    """
    task = config.task
    if tasks.is_file(task):
        task = tasks.at(task, _found(str(tasks.files_of(task)[0]), folder))
    genome = config.genome
    if isinstance(genome, dict):
        genome = {name: _found_genome(what, folder) for name, what in genome.items()}
    elif genome is not None:
        genome = _found_genome(genome, folder)
    options, name = dict(config.task_options), config.task.partition(":")[0].strip().lower().replace("-", "_")
    given = options.get("data_dir")
    if given is None and name in datasets.DATA_SETS and (place := datasets.named_place()) is not None:
        options["data_dir"] = str(place)  # also where only the environment names it
    elif isinstance(given, str):
        options["data_dir"] = _found(given, folder)
    return config.model_copy(update={"task": task, "genome": genome, "task_options": options})


def _found_genome(what: str, folder: pathlib.Path) -> str:
    """The path of a file, or of a run's folder, is made absolute; a name stays, unless a file or run is called so."""
    if what in COMPUTED:
        return what
    path = expanded(what)
    for candidate in (folder / path, path):
        found = files.find(candidate)
        if found is not None:
            return str(absolute(found))
    return what


def _found(path: str, folder: pathlib.Path) -> str:
    """Absolute where the file exists, and else as it was given, which is how messages name it."""
    given = expanded(path)
    for candidate in (folder / given, given):
        if candidate.exists():
            return str(absolute(candidate))
    return path


# --- rules ----------------------------------------------------------------------------------------------------------


def resolve_rule(config: TrainConfig, task: Task, topology: Topology) -> files.RuleFile:
    """The rule: the numbers of the genome, with the options of `rule` where these are given.

    Where nothing is said of the feedback, backpropagation descends the task's loss.

    Raises:
        RuleError: no such rule, a damaged file, or a number of states that does not fit.
        SingleOutputError: softmax over a single output.
    """
    genome = config.genome or usual_genome(config.rule.name)
    if isinstance(genome, str):
        found = one_rule(genome, config, task, 0)
    else:
        members = _members(genome, config, task, lean=True)
        if len({(member.n_channels, member.first_channel_down) for member in members.values()}) > 1:
            members = _members(genome, config, task, lean=False)  # all synapses have the same channels
        found = files.RuleFile(members)
    for one in [found.rule] if isinstance(found.rule, Rule) else found.rule.values():
        check_options(one)
    some = found.rule if isinstance(found.rule, Rule) else next(iter(found.rule.values()))
    if config.n_states not in (None, some.n_states):
        raise RuleError(
            f"the rule {config.genome or config.rule.name!r} has {some.n_states} states, but n_states is "
            f"{config.n_states}; make them equal, or leave n_states out."
        )
    if loss_of(found.rule) is rules.softmax_cross_entropy and len(topology.outputs) == 1:
        raise SingleOutputError(
            f"the rule descends softmax_cross_entropy, but topology {topology.name!r} has a single output, whose "
            "softmax is always 1; give mean_squared_error as rule.feedback (for a class of rules, as "
            "rule.options.loss), or use a wiring with an output for each class."
        )
    return found


def _members(genome: Mapping[str, str], config: TrainConfig, task: Task, *, lean: bool) -> dict[str, Rule]:
    """The rules of a mapping from populations to genomes; for `lean` see `one_rule`."""
    members: dict[str, Rule] = {}
    for number, (name, what) in enumerate(genome.items()):
        member = one_rule(what, config, task, number, lean=lean).rule
        if not isinstance(member, Rule):
            raise RuleError(
                f"rule file '{what}' holds one rule for each of {', '.join(member)}, so it cannot serve "
                f"population {name!r} alone; give it as the only genome."
            )
        members[name] = member
    return members


def one_rule(genome: str, config: TrainConfig, task: Task | None, number: int, *, lean: bool = True) -> files.RuleFile:
    """The rule of a genome's name or file, with the options of the settings.

    Args:
        genome: `backprop`, `random`, or a rule's name or file.
        config: the settings.
        task: whose loss backpropagation descends; None takes the cross-entropy.
        number: the number of the rule in a mapping; random ones differ by it.
        lean: whether backpropagation may be computed with one channel.
    """
    settings, rate = config.rule, config.learning_rate
    given = {n: v for n, v in settings.model_dump(exclude={"name", "options"}).items() if v is not None}
    if genome not in COMPUTED:
        file = read_rule(genome)
        if "rule" not in config.model_fields_set:
            return file
        return file._replace(rule=_each(file.rule, lambda rule: _changed(rule, settings, given, task)))
    if settings.name not in PRESET_OPTIONS:
        return files.RuleFile(with_options(_of_class(settings, rate, task), given))
    n_states = config.n_states or 2
    if genome == "random":
        key = jax.random.fold_in(jax.random.key(config.seed), 1 + number)
        forward, eta = bool(settings.forward_synapse_update), -(1e-3 if rate is None else rate)
        return files.RuleFile(
            _as_preset(rules.blur(key, n_states, eta=eta, forward_update=forward), settings, given, task)
        )
    if n_states < 2:
        raise RuleError(
            f"rule {settings.name!r} starts from backpropagation with 1 state; it needs 2, since feedback enters "
            "through the second."
        )
    n_channels = (
        1 if lean and settings.name in DESCENTS and n_states == 2 and given.keys() <= LEAN_OPTIONS else n_states
    )
    start = rules.backprop(0.1 if rate is None else rate, n_states=n_states, n_channels=n_channels)
    return files.RuleFile(_as_preset(start, settings, given, task))


def read_rule(what: str) -> files.RuleFile:
    """The file of a rule, by its path or name.

    Raises:
        RuleError: there is none, or it is damaged.
    """
    if files.find(what) is None and not pathlib.Path(what).is_dir():
        known = [*COMPUTED, *files.names()]
        raise RuleError(f"there is no rule '{what}'; {nearest(what, known)} The path of a file or run is valid, too.")
    return files.read(what)


def _each(rule: Rules, change: Any) -> Rules:
    return change(rule) if isinstance(rule, Rule) else {name: change(member) for name, member in rule.items()}


def _changed(rule: Rule, settings: RuleConfig, given: dict[str, Any], task: Task | None) -> Rule:
    """The rule of a file with what is said of it: options, or a preset's name, or the name of its own class."""
    name, _ = files.described(rule)
    if "name" in settings.model_fields_set and settings.name in PRESET_OPTIONS:
        return _as_preset(rule, settings, given, task)
    if "name" in settings.model_fields_set and settings.name != name:
        raise RuleError(
            f"rule.name is {settings.name!r}, but the genome's file holds a rule of class {name!r}; "
            "leave rule.name out."
        )
    if settings.options and isinstance(rule, Blur):
        raise RuleError(f"rule.options are for other classes; give the options of class {name!r} as keys of rule.")
    if settings.options:
        other = files.from_entries({"class": name, **settings.options}, "rule")
        rule = dataclasses.replace(rule, **{field: getattr(other, field) for field in settings.options})
    return with_options(rule, given)


def _as_preset(rule: Rule, settings: RuleConfig, given: dict[str, Any], task: Task | None) -> Rule:
    """The numbers of a rule of class `Blur` with the options of a preset, and then those given."""
    if settings.options:
        raise RuleError(
            f"rule.options are for other classes; give the options of rule {settings.name!r} as keys of rule."
        )
    if not isinstance(rule, Blur):
        raise RuleError(
            f"rule.name is {settings.name!r}, but the genome is of class {type(rule).__name__}; leave rule.name out."
        )
    hebbian = Hebbian(rule.hebbian.pre, rule.hebbian.post, rule.hebbian.f, rule.hebbian.eta)
    preset = PRESET_OPTIONS[settings.name]
    bare = Blur(
        rule.nu,
        rule.mu,
        hebbian,
        rule.f,
        rule.eta,
        rule.forward_hebbian,
        derivative_state=bool(given.get("derivative_state", preset.get("derivative_state"))),
    )
    options = {**preset, **given}
    if settings.name in DESCENTS and "feedback" not in given and task is not None:
        options["feedback"] = task.loss
    return with_options(bare, options)


def _of_class(settings: RuleConfig, rate: float | None, task: Task | None) -> Rule:
    """A rule of another class, by its name, with the fields that `rule.options` gives; a loss is that of the task."""
    fields = {} if rate is None else {"learning_rate": rate}
    if rate is not None and "learning_rate" in settings.options:
        raise RuleError(
            f"learning_rate is {rate:g}, but rule.options.learning_rate is {shown(settings.options['learning_rate'])}; "
            "give one of them."
        )
    rule = files.from_entries({"class": settings.name, **fields, **settings.options}, "rule")
    takes_loss = any(field.name == "loss" for field in dataclasses.fields(rule))
    if takes_loss and "loss" not in settings.options and task is not None:
        return dataclasses.replace(rule, loss=task.loss)
    return rule


# --- tasks ----------------------------------------------------------------------------------------------------------


def resolve_task(config: TrainConfig, topology: Topology) -> Task:
    """The task by name or from its file, with one output or one for each class, as the wiring has.

    Raises:
        TaskError: no such task or option, or a damaged file.
    """
    for name in ("spec", "key"):
        if name in config.task_options:
            raise tasks.TaskError(f"task '{config.task}': there is no option '{name}'; leave it out.")
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
