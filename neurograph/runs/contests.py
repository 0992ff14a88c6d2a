"""Rules ready to be evaluated: settings resolved and wirings compiled, on one wiring and task or over many of both."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax

from .. import cache
from ..compile import CompiledGraph, compile_topology
from ..learning import BASELINES, Curve, Interval, Rated, Tuned, evaluate, forward_passes, interval, tune
from ..rules import ACTIVATIONS, Blur, Rule, RuleError, Rules
from ..rules.files import described
from ..topology import Topology
from .costs_file import agreed
from .listing import settings_of
from .resolve import Resolved, SingleOutputError, anchored, resolve, resolve_rule, resolve_task
from .settings import COMPUTED, TrainConfig, plain_config

LOW, HIGH = 1e-4, 1e1
"""The smallest and the largest learning rate that is tried of a rule: those of all baselines together."""
N_RATES = len(Rated(float, LOW, HIGH).rates)
"""How many are tried."""


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

    def baseline(self, name: str, **options: Any) -> Tuned:
        """A baseline on the wiring, task, draws and batch size of the contest, with its initializer.

        Args:
            name: one of `BASELINES`.
            options: as for `tuned`; `forwards` and `schedules` as for `tune`.
        """
        net = compile_topology(self.topology, n_states=2, batch_size=self.resolved.batch_size, costs=agreed())
        return self._tuned(BASELINES[name], net, **options)

    def check_baseline(self, name: str) -> None:
        """Checks that a baseline can be used on the wiring.

        Raises:
            ValueError: it cannot.
        """
        BASELINES[name].of_wiring(self.net)

    def tuned(self, **options: Any) -> Tuned:
        """The rule at its best learning rates, which are chosen as those of baselines are.

        Args:
            options: `steps` and `n_draws` as for `evaluate`; `tick`, called after each learning rate that was tried.

        Raises:
            RuleError: the rule has no learning rate.
        """
        self.check_rate()
        resolved = self.resolved

        def at(rate: float) -> Rules:
            if isinstance(resolved.rule, Rule) and hasattr(resolved.rule, "learning_rate"):
                return dataclasses.replace(resolved.rule, learning_rate=rate)
            return resolve_rule(
                resolved.config.model_copy(update={"learning_rate": rate}), resolved.task, self.topology
            ).rule

        return self._tuned(Rated(at, LOW, HIGH), self.net, **options)

    def check_rate(self) -> None:
        """Checks that the rule has a learning rate to tune: a field of that name, or that of a preset.

        Raises:
            RuleError: it has none.
        """
        rule = self.resolved.rule
        is_preset = isinstance(rule, Blur) and self.resolved.config.genome in COMPUTED
        fields = [field.name for field in dataclasses.fields(rule)] if isinstance(rule, Rule) else []
        if not is_preset and "learning_rate" not in fields:
            if isinstance(constant := getattr(rule, "learning_rate", None), float):
                raise RuleError(
                    f"{type(rule).__name__}.learning_rate has no annotation, which makes it a constant of the class, "
                    f"so it cannot be tuned; write `learning_rate: float = {constant:g}`."
                )
            name, _ = described(rule) if isinstance(rule, Rule) else ("one for each population", ())
            raise RuleError(
                f"the rule ({name}) has no field learning_rate, which is what a comparison tunes; give that name "
                "to the field of its rate, or compare the rule as it is, as a genome's file."
            )

    def _tuned(self, rated: Rated, net: CompiledGraph, **options: Any) -> Tuned:
        resolved, key = self.resolved, jax.random.key(self.resolved.config.seed)
        common = {"initializer": resolved.initializer, "batch_size": resolved.batch_size}
        return tune(rated, key, net, resolved.task, **common, **options)


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


def forward_passes_for(
    contests: Mapping[str, Contest], *, activation: str, normalization: str = "both"
) -> dict[str, Rules]:
    """The forward passes, by name, that baselines are tried with when they are compared with some rules.

    Args:
        contests: the rules, by name.
        activation: the activation of hidden neurons, by name.
        normalization: `plain`; `genome`, with the normalisation of each of the rules that has one; or `both`.

    Raises:
        RuleError: the baselines are to normalise as the rules do, and none of these does.
    """
    hidden = ACTIVATIONS[activation]
    normalised: dict[str, Rules] = {}
    for name, contest in contests.items():
        found = forward_passes.normalised_like(contest.resolved.rule, hidden)
        if found is not None and not any(forward_passes.alike(found, other) for other in normalised.values()):
            normalised[f"normalised as {name}"] = found
    if normalization == "genome" and not normalised:
        raise RuleError(
            f"baselines are to normalise as the rules do, but the forward pass of {', '.join(contests)} normalises "
            "nothing, or in a way that one network of a baseline cannot have; compare with plain baselines."
        )
    if len(normalised) == 1:
        normalised = {"normalised": next(iter(normalised.values()))}
    plain: dict[str, Rules] = {} if normalization == "genome" else {forward_passes.PLAIN: forward_passes.plain(hidden)}
    return plain if normalization == "plain" else {**plain, **normalised}


def advantages(contests: Mapping[str, Contest], forwards: Mapping[str, Rules]) -> dict[str, list[str]]:
    """What each network has that no baseline has, in words; baselines have the initializer of the first.

    Args:
        contests: the rules, by name.
        forwards: the forward passes that baselines are tried with.
    """
    first = next(iter(contests.values())).resolved.config.initializer
    found = {}
    for name, contest in contests.items():
        own = contest.resolved.config.initializer
        drawn = [] if own == first else [f"synapses drawn by {own} (baselines: {first})"]
        found[name] = [*forward_passes.beyond(contest.resolved.rule, list(forwards.values())), *drawn]
    return found


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
            cache.make_room()
            task = resolve_task(plain, topology)
            fits = (len(topology.inputs), len(topology.outputs)) == (task.n_inputs, task.n_outputs)
            for genome, what in genomes.items():
                found = resolved = None
                if fits:
                    config = plain_config({**settings, "task": name, **settings_of(what)})
                    with contextlib.suppress(SingleOutputError):
                        resolved = resolve(config, topology, base, task=task)
                if resolved is not None:
                    shape = (wiring, resolved.n_states, resolved.populations)
                    if shape not in compiled:
                        compiled[shape] = resolved.compile(topology)
                    contest = Contest(topology, compiled[shape], resolved)
                    found = interval(contest.curve(steps=(at,), n_draws=n_draws).accuracy[:, 0])
                yield Cell(genome, wiring, name, found)
