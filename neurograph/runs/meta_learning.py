"""Meta-learning as a process: a population of rules is improved, and the best is tested and written at the end."""

import datetime
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from .. import __version__, tasks
from .._text import UserError
from ..compile import compile_topology
from ..compile.costs import Costs
from ..engine.initializers import INITIALIZERS
from ..learning import evaluate
from ..learning.divergence import Divergence, is_absurd, loss_of_zeros
from ..meta import Objective, Problem
from ..meta.distribution import Distribution
from ..meta.learners import Standing
from ..rules import files as rule_files
from ..rules import losses
from ..tasks import Task
from ..topology import Topology
from ..topology.files.yaml import checked
from . import metrics, run
from .atomic import write_atomically
from .checkpoint_files import Unlogged
from .costs_file import agreed, read_costs, write_costs
from .errors import RunError
from .resolve import anchored, known_initializer, one_rule
from .search import MOST_STEPS, check, distribution_of, founders_of, learner_of, pairs_of, samples_of, with_buckets
from .settings import COMPUTED, MetaConfig, TrainConfig, as_document
from .topology_file import read_topology, write_topology

VALIDATION_DRAWS = 16
"""Unrolls of each problem by which the best of the last population is chosen."""
TEST_DRAWS = 8
TESTED = (1, 2, 5, 10, 20, 50, 100)
"""Learning steps after which the best rule is tested at the end, besides the longest unroll's."""


class Status(NamedTuple):
    """Where a run stands.

    Attributes:
        step: meta-steps done.
        standing: the standing of the population.
        steps_per_second: the speed of the latest call.
    """

    step: int
    standing: Standing
    steps_per_second: float


class MetaLearning:
    """A population that is improved; for the methods see `run.Process`.

    Attributes:
        topologies, costs: the wirings, and the costs by which they were compiled.
        pairs: wirings and tasks that fit each other; of a distribution, those on which the best rule is tested.
        problems: these, compiled.
        learner: improves the rules.
        origin: provenance of the rule that it began with, where that has one.
        command: that began it; empty where it was not the command line.
    """

    kind = "meta"
    rule_file = "start.txt"
    most_per_call = MOST_STEPS
    seconds_per_call = 1.0
    checkpoint_every: int | None = None

    def __init__(
        self,
        topologies: Sequence[Topology],
        config: MetaConfig,
        pairs: Sequence[tuple[Topology, Task]],
        start: rule_files.RuleFile | None,
        costs: Costs,
        command: str,
        distribution: Distribution | None = None,
    ):
        self.topologies, self.config, self.costs, self.pairs = tuple(topologies), config, costs, tuple(pairs)
        self.command, self.folder, self.unlogged = command, pathlib.Path(), Unlogged()
        self.origin = {} if start is None else start.provenance
        founders = founders_of(config, start, pairs)
        check(config, [topology for topology, _ in pairs], founders)
        compiled: dict[int, Any] = {}
        for topology, _ in pairs:
            if id(topology) not in compiled:
                batch = config.batch_size * config.size
                compiled[id(topology)] = compile_topology(
                    topology, n_states=founders.n_states, batch_size=batch, costs=costs
                )
        self.problems = tuple(Problem(compiled[id(topology)], task) for topology, task in pairs)
        self.objective = Objective(
            initializer=INITIALIZERS[config.initializer],
            capacity=config.longest,
            batch_size=config.batch_size,
            query_size=config.query_size,
            replicas=config.replicas,
            loss=None if config.loss is None else losses.LOSSES[config.loss],
            online=config.online,
            warm_up=config.warm_up,
        )
        self.learner = learner_of(config, self.objective, self.problems, founders, distribution)
        self.marks = (max(1, config.meta_steps // 400),)
        self._standing: Standing | None = None

    @property
    def step(self) -> int:
        return self.learner.step

    @property
    def n_steps(self) -> int:
        return self.config.meta_steps

    def about(self) -> dict[str, Any]:
        names = [topology.name for topology in self.topologies]
        # with nulls: one may stand for a default that is none
        return {"command": self.command, "topologies": names, "meta": as_document(self.config)}

    def write(self) -> None:
        for number, topology in enumerate(self.topologies):
            write_topology(self.folder, topology, f"topology_{number}")
        write_costs(self.folder, self.costs)
        start = rule_files.dumps(self.learner.start, self.origin, initializer=self.config.initializer)
        write_atomically(self.folder / self.rule_file, start)

    def begin(self) -> None:
        pass

    def advance(self, n: int) -> None:
        self.learner.advance(n)
        self._standing = self.learner.standing()

    def record(self) -> dict[str, Any] | None:
        assert self._standing is not None
        due = self.step == self.n_steps or self.step % self.marks[0] == 0
        return self._standing._asdict() if due else None

    def status(self, steps_per_second: float) -> Status:
        assert self._standing is not None
        return Status(self.step, self._standing, steps_per_second)

    @property
    def rule(self) -> Any:
        return self.learner.start

    def arrays(self) -> dict[str, Any]:
        return self.learner.arrays()

    def saved(self) -> None:
        self.keep_best()
        self.draw()

    def draw(self) -> None:
        """Brings the plot of the run up to date."""
        from ..plotting.meta_curves import meta_curves

        records = metrics.read_metrics(self.folder)
        if len(records) > 1:
            run.drawn(lambda: meta_curves(records, self.folder / "curves.png", title=self.folder.name))

    def keep_best(self, found: dict[str, Any] | None = None) -> None:
        """Writes the best rule so far to `genome.txt`, with its provenance.

        Raises:
            Divergence: a number of it is not finite.
        """
        best = self.learner.best()
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(best)):
            raise Divergence(
                f"meta-learning diverged: after meta-step {self.step} the best genome has a number that is not finite. "
                "The previous best genome, if any, is kept"
            )
        provenance = {**self._provenance(), **(found or {})}
        text = rule_files.dumps(best, provenance, initializer=self.config.initializer)
        write_atomically(self.folder / "genome.txt", text)

    def _provenance(self) -> dict[str, Any]:
        """How the rule came about, without a path of this computer."""
        config = self.config
        own = config.model_dump(mode="json", exclude={"rule", "initializer", "tasks", "device", "seed"})
        own["task_options"] = {name: value for name, value in config.task_options.items() if name != "data_dir"}
        own["genome"] = pathlib.Path(config.genome).stem
        defaults = MetaConfig().model_dump(mode="json")
        return {
            "neurograph": __version__,
            "date": datetime.date.today().isoformat(),
            **({"command": self.command} if self.command else {}),
            **self._learnt_on(),
            "meta_steps_done": self.step,
            "seed": config.seed,
            "settings": {name: value for name, value in own.items() if defaults[name] != value},
            **({"began_with": self.origin} if self.origin else {}),
        }

    def _learnt_on(self) -> dict[str, Any]:
        if self.config.distribution is not None:
            specs = self.config.tasks
            return {"pictures": [pathlib.Path(spec).name if tasks.is_file(spec) else spec for spec in specs]}
        return {
            "tasks": list(dict.fromkeys(task.name for _, task in self.pairs)),
            "wirings": [
                f"{topology.name}: {topology.n_neurons:,} neurons, {topology.n_synapses:,} synapses"
                for topology in self.topologies
            ],
        }

    def summary(self) -> dict[str, Any]:
        """Chooses the best rule by fresh unrolls, tests it and writes it.

        The test sets come last: nothing is chosen by them.
        """
        scores = self.learner.validate(VALIDATION_DRAWS)
        chosen = {"loss": round(scores.loss, 4), "accuracy": round(scores.accuracy, 4)}
        diverged = not math.isfinite(scores.loss) or self._is_absurd(scores.loss)
        tested = [] if diverged else self._tested()
        about = {**chosen, "after_steps": self.learner.final_length, "draws": VALIDATION_DRAWS}
        self.keep_best({"scores": about, "test": tested})
        self.draw()
        return {
            **chosen,
            "accuracies": [round(value, 4) for value in scores.accuracies],
            **self.learner.standing()._asdict(),
            "meta_steps": self.step,
            "finished": self.step >= self.n_steps,
            "diverged": diverged,
            "test": tested,
            "genome": str(self.folder / "genome.txt"),
        }

    def _is_absurd(self, loss: float) -> bool:
        """Whether the loss of the best rule shows that it does not learn, but diverges (see `divergence.is_absurd`)."""
        if self.config.method == "cma":  # 1 - R^2, which is 1 of the mean
            return is_absurd(loss, 1.0, lambda: 1.0)

        def of_zeros() -> float:
            return float(np.mean([loss_of_zeros(task) for _, task in self.pairs]))

        return is_absurd(loss, None, of_zeros) and is_absurd(loss, self._untrained(), of_zeros)

    def _untrained(self) -> float:
        """The mean loss of networks that have learnt nothing yet."""
        found = [
            evaluate(
                jax.random.key(self.config.seed), problem.net, self.learner.best(), problem.task, steps=(0,), n_draws=1,
                batch_size=self.config.batch_size, initializer=self.objective.initializer, held_out=True,
            )
            for problem in self.problems
        ]  # fmt: skip
        return float(np.mean([curve.loss for curve in found]))

    def _tested(self) -> list[dict[str, Any]]:
        """Mean test accuracy of the best rule on every problem, after some numbers of steps."""
        steps, found = sorted({*TESTED, self.learner.final_length}), []
        for (topology, task), problem in zip(self.pairs, self.problems, strict=True):
            tested = evaluate(
                jax.random.key(self.config.seed), problem.net, self.learner.best(), task, steps=steps,
                n_draws=TEST_DRAWS, batch_size=self.config.batch_size, initializer=self.objective.initializer,
            )  # fmt: skip
            means = tested.accuracy.mean(0)
            accuracy = {step: round(float(value), 4) for step, value in zip(steps, means, strict=True)}
            found.append({"task": task.name, "wiring": topology.name, "draws": TEST_DRAWS, "accuracy": accuracy})
        return found


def prepare(
    topologies: Sequence[Topology],
    config: MetaConfig,
    base: pathlib.Path = pathlib.Path(),
    costs: Costs | None = None,
    start: rule_files.RuleFile | None = None,
    command: str = "",
) -> MetaLearning:
    """Resolves names, pairs wirings with tasks, compiles, and founds the population.

    Args:
        topologies: the wirings; each is paired with every task whose inputs and outputs it has. There are none where
            the settings have a distribution.
        config: the settings.
        base: where relative paths in them start.
        costs: to compile by; None takes those known of this machine.
        start: the rule to start from, in place of the settings', as a resumed run has kept it.
        command: that began the run.

    Raises:
        ValueError: (of its kinds) something is not there, or does not fit.
    """
    given = {name: getattr(config, name) for name in ("rule", "initializer") if name in config.model_fields_set}
    first = anchored(TrainConfig(task=config.tasks[0], genome=config.genome, **given), base)
    trainings = [anchored(config.training(task), base) for task in config.tasks]
    config = config.model_copy(
        update={
            "tasks": tuple(training.task for training in trainings),
            "task_options": trainings[0].task_options,
            "genome": first.genome,
        }
    )
    config, distribution = with_buckets(config), None
    if config.distribution is not None:
        if topologies:
            raise UserError("both wirings and a distribution are given, which draws its own; leave one of them out.")
        distribution = distribution_of(config.distribution, trainings)
        pairs = samples_of(config, distribution)
    else:
        pairs = pairs_of(topologies, trainings)
    if start is None and config.genome not in COMPUTED:
        # the file's rule, with options only where they were given
        start = one_rule(str(config.genome), config.training(config.tasks[0]), pairs[0][1], 0)
        if start.initializer is not None and "initializer" not in config.model_fields_set:
            config = config.model_copy(update={"initializer": known_initializer(start.initializer)})
    costs = agreed() if costs is None else costs
    return MetaLearning(topologies, config, pairs, start, costs, command, distribution)


def resume(folder: pathlib.Path, command: str = "", **changes: Any) -> MetaLearning:
    """A run at its latest checkpoint, ready to go on; what was measured after it is dropped.

    Args:
        folder: the run's.
        command: that continues it; kept beside the one that began it, where it changes the settings.
        changes: new values of settings; only `meta_steps`, `device`, and where the same data are now (`tasks`,
            `data_dir`) may change.

    Raises:
        ValueError: (of its kinds) the folder holds no such run, or a damaged one; a change is out of range; or more is
            done than is requested.
    """
    with run.resuming(folder, MetaLearning.kind):
        return _resumed(folder, command, changes)


def _resumed(folder: pathlib.Path, command: str, changes: Mapping[str, Any]) -> MetaLearning:
    stored = run.stored(folder, MetaLearning.kind, MetaLearning.rule_file, changes)
    config = checked(MetaConfig, stored.settings, None)
    names = stored.document.get("topologies")
    if not names and config.distribution is None:
        raise RunError(f"'{folder / 'config.yaml'}' is damaged: it has no list 'topologies'. Start the run anew.")
    topologies = [read_topology(folder, f"topology_{n}") for n in range(len(names or ()))]
    start = rule_files.read(folder / MetaLearning.rule_file) if config.genome not in COMPUTED else None
    given = {name: value for name, value in changes.items() if value is not None}
    changed = any(stored.document["meta"].get(name) != value for name, value in given.items())
    commands = [str(stored.document.get("command") or ""), command if changed else ""]
    process = prepare(topologies, config, folder, read_costs(folder), start, " && ".join(filter(None, commands)))
    try:
        process.learner.restore(stored.checkpoint.arrays)
    except UserError as error:
        path = stored.checkpoint.path
        raise RunError(f"checkpoint '{path}' does not fit the run ({error}). Start the run anew.") from error
    run.reopen(process, folder, is_changed=bool(given))
    return process
