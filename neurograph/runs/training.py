"""Training as a process: learning steps of one network on one task, evaluated on the task's query set on the way."""

import contextlib
import functools
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .. import engine, tasks
from .._text import UserError
from ..compile import CompiledGraph
from ..compile.costs import Costs
from ..engine import NetworkState, devices
from ..learning.divergence import Divergence as Divergence
from ..learning.divergence import is_absurd, loss_of_zeros
from ..rules import files as rule_files
from ..tasks import Task
from ..topology import Topology
from ..topology.files.yaml import checked
from . import checkpoint_files, memory, metrics, run
from .atomic import write_atomically
from .checkpoint_files import Checkpoint, Unlogged
from .checkpoints import from_arrays, to_arrays
from .costs_file import agreed, read_costs, write_costs
from .errors import RunError
from .resolve import Resolved, resolve
from .settings import TrainConfig, as_document
from .topology_file import read_topology, write_topology

CAPACITY = 256
"""Most steps that one call to the device can take: the length of what it reports."""


class Status(NamedTuple):
    """Where a run stands.

    Attributes:
        step: steps done.
        loss, accuracy: mean over the support batches of the latest call, before they were learnt from.
        steps_per_second: the speed of the latest call.
        query_accuracy: the latest on the query set, or None before the first.
    """

    step: int
    loss: float
    accuracy: float
    steps_per_second: float
    query_accuracy: float | None


class Programs(NamedTuple):
    """A run's two programs, compiled ahead of time.

    `advance(state, n)` takes n steps, at most `CAPACITY`, and returns the state, the loss and the score of each step,
    and whether all synapses are finite. It gives the memory of its argument to its result, so that all synapses are
    held once. `evaluate(state)` returns loss and score on the query set. `n_devices` share each batch; `n_bytes` are
    what XLA plans of the memory of each, for the program that needs more.
    """

    n_devices: int
    n_bytes: int
    advance: Callable[[NetworkState, int], tuple[NetworkState, Any, Any, Any]]
    evaluate: Callable[[NetworkState], tuple[Any, Any]]


def compile_programs(
    key: jax.Array, net: CompiledGraph, rule: Any, state: NetworkState, task: Task, batch_size: int
) -> Programs:
    """Compiles both programs for the shapes of a run; the devices in use share the examples of each batch."""
    over = devices.sharing(batch_size)
    alike: dict[str, Any] = {} if over.size == 1 else {"out_shardings": jax.NamedSharding(over, jax.P())}
    with jax.set_mesh(over) if over.size > 1 else contextlib.nullcontext():
        steps = jax.jit(_advance, static_argnames="batch_size", donate_argnames="state", **alike)
        steps = steps.lower(key, net, rule, state, task, jnp.int32(1), batch_size=batch_size).compile()
        query = jax.jit(_evaluate, **alike).lower(net, rule, state, task).compile()

    def advance(state: NetworkState, n: int):
        if not 0 <= n <= CAPACITY:
            raise UserError(
                f"{n} steps were requested in one call, which takes 0 to {CAPACITY}; call it again for more."
            )
        return steps(key, net, rule, state, task, jnp.int32(n))

    n_bytes = max(memory.planned(steps), memory.planned(query))
    return Programs(over.size, n_bytes, advance, lambda state: query(net, rule, state, task))


def _advance(key, net, rule, state: NetworkState, task: Task, n_steps, *, batch_size: int):
    def reported(_, info, target):
        return task.mean_loss(info.prediction, target), task.score(info.prediction, target)

    state, (losses, scores) = engine.learn(
        key, net, rule, state, task, steps=n_steps, batch_size=batch_size, save=reported, most=CAPACITY
    )
    finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(values)) for values in state.synapses]))
    return state, losses, scores, finite


def _evaluate(net, rule, state: NetworkState, task: Task):
    x, target = task.query_set()
    prediction = engine.predict(net, rule, state, x.astype(state.dtype))
    return task.mean_loss(prediction, target), task.score(prediction, target)


class _Leg(NamedTuple):
    """One call to the device: the step at which it started, and what its steps reported."""

    step: int
    unlogged: Unlogged
    loss: np.ndarray
    accuracy: np.ndarray


class Training:
    """A network that is trained; for the methods see `run.Process`.

    Attributes:
        topology, net, costs: the wiring, its compiled form, and the costs by which it was compiled: a resumed run has
            those that it began with, so that its sums are the same.
        resolved: rule, task and settings.
        state: freshly drawn synapses, or those of the latest checkpoint; `advance` deletes its arrays.
        memory: what training is expected to need.
    """

    kind = "train"
    rule_file = "genome.txt"
    most_per_call = CAPACITY
    seconds_per_call = 0.2

    def __init__(self, topology: Topology, resolved: Resolved, costs: Costs):
        config = resolved.config
        self.topology, self.resolved, self.costs, self.config = topology, resolved, costs, config
        self.net = resolved.compile(topology, costs)
        self.memory = memory.estimate(
            self.net, resolved.rule, resolved.task, batch_size=config.batch_size, dtype=resolved.dtype
        )
        memory.check(self.memory)
        devices.sharing(config.batch_size)  # before anything is written
        init_key, self.key = jax.random.split(jax.random.key(config.seed))
        self.state = engine.init(
            init_key,
            self.net,
            resolved.rule,
            dtype=resolved.dtype,
            initializer=resolved.initializer,
            batch_size=config.batch_size,
        )
        self.folder, self.unlogged = pathlib.Path(), Unlogged()
        self.log_every = config.log_every or max(1, config.steps // 400)
        self.evaluate_every = config.evaluate_every or max(1, config.steps // 20)
        self.checkpoint_every: int | None = config.checkpoint_every or max(1, config.steps // 10)
        self.marks = (self.log_every, self.evaluate_every, self.checkpoint_every)
        self._step = 0
        self._query_accuracy: float | None = None
        self._query_loss: float | None = None
        self._leg: _Leg | None = None

    @functools.cached_property
    def programs(self) -> Programs:
        """Compiled when they are first needed.

        Raises:
            ValueError: they need more memory than there is.
        """
        resolved = self.resolved
        found = compile_programs(self.key, self.net, resolved.rule, self.state, resolved.task, self.config.batch_size)
        memory.check_planned(found.n_bytes)
        return found

    @property
    def step(self) -> int:
        return self._step

    @property
    def n_steps(self) -> int:
        return self.config.steps

    def about(self) -> dict[str, Any]:
        known = {name: value for name, value in as_document(self.config).items() if value is not None}
        return {"topology": self.topology.name, "train": known}

    def write(self) -> None:
        write_topology(self.folder, self.topology)
        write_costs(self.folder, self.costs)
        rule = rule_files.dumps(self.resolved.rule, {"run": self.folder.name}, initializer=self.config.initializer)
        write_atomically(self.folder / self.rule_file, rule)

    def begin(self) -> None:
        metrics.append_metrics(self.folder, [{"step": 0, **self._evaluated()}])

    def _evaluated(self) -> dict[str, float]:
        loss, score = self.programs.evaluate(self.state)
        self._query_loss, self._query_accuracy = float(loss), float(score)
        return {"query_loss": self._query_loss, "query_accuracy": self._query_accuracy}

    def advance(self, n: int) -> None:
        """n steps.

        Raises:
            Divergence: a loss or synapse is not finite; the last good network is in the latest checkpoint.
        """
        reached, loss, accuracy, finite = self.programs.advance(self.state, n)
        leg = _Leg(self._step, self.unlogged, np.asarray(loss)[:n], np.asarray(accuracy)[:n])
        if not (np.isfinite(leg.loss).all() and bool(finite)):
            raise _divergence(self, leg, self._leg)
        self.state, self._step, self._leg = reached, self._step + n, leg
        self.unlogged = _added(self.unlogged, leg, n)

    def record(self) -> dict[str, float] | None:
        done, found = self._step == self.n_steps, {}
        if done or self._step % self.log_every == 0:
            loss, accuracy, steps = self.unlogged
            found = {"loss": loss / steps, "support_accuracy": accuracy / steps}
            self.unlogged = Unlogged()
        if done or self._step % self.evaluate_every == 0:
            found |= self._evaluated()
        return found or None

    def status(self, steps_per_second: float) -> Status:
        assert self._leg is not None
        loss, accuracy = float(self._leg.loss.mean()), float(self._leg.accuracy.mean())
        return Status(self._step, loss, accuracy, steps_per_second, self._query_accuracy)

    @property
    def rule(self) -> Any:
        return self.resolved.rule

    def arrays(self) -> dict[str, np.ndarray]:
        return to_arrays(self.net, self.state)

    def saved(self) -> None:
        if self._step == self.n_steps:
            self.check()

    def check(self) -> None:
        """Checks the loss at the end of training.

        Raises:
            Divergence: it is not finite, or absurd (see `divergence.is_absurd`); all synapses are kept.
        """
        if self._query_loss is None:
            self._evaluated()
        loss = self._query_loss
        assert loss is not None
        first = metrics.read_metrics(self.folder)[:1]
        before = first[0].get("query_loss") if first and first[0]["step"] == 0 else None
        if not np.isfinite(loss):
            what = "is not finite"
        elif is_absurd(loss, before, lambda: loss_of_zeros(self.resolved.task)):
            what = f"is {loss:.2g}" + ("" if before is None else f", but was {before:.2g} before training")
        else:
            return
        raise Divergence(
            f"training diverged: the test loss {what}. The synapses after step {self._step}, the last, are kept"
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Takes over the network of a checkpoint.

        Raises:
            RunError: it does not fit.
        """
        try:
            self.state = from_arrays(checkpoint.arrays, checkpoint.step, self.net, self.state)
        except UserError as error:
            raise RunError(
                f"checkpoint '{checkpoint.path}' does not fit the run: {error}. Start the run anew."
            ) from error
        self._step, self.unlogged = checkpoint.step, checkpoint.unlogged
        self._query_loss = None

    def summary(self) -> dict[str, Any]:
        """Evaluates the latest checkpoint on the query set, and draws the curves."""
        from ..plotting import curves

        task = self.resolved.task
        self.restore(checkpoint_files.load_checkpoint(self.folder))
        loss, score = self.programs.evaluate(self.state)
        accuracy = float(score)
        about: dict[str, Any] = {"test_accuracy": accuracy}
        if task.score_name == "accuracy":
            accuracy = round(accuracy * task.n_query) / task.n_query
            error = float(tasks.standard_error(accuracy, task.n_query))
            about = {"test_accuracy": accuracy, "test_accuracy_standard_error": error}
        records = metrics.read_metrics(self.folder)
        if len(records) > 1:
            run.drawn(lambda: curves(records, self.folder / "curves.png", title=self.folder.name))
        return {
            **about,
            "score": task.score_name,
            "test_loss": float(loss),
            "n_test": task.n_query,
            "steps": self._step,
            "finished": self._step >= self.n_steps,
        }


def prepare(
    topology: Topology,
    config: TrainConfig,
    base: pathlib.Path,
    rule: rule_files.RuleFile | None = None,
    costs: Costs | None = None,
) -> Training:
    """Resolves the settings, compiles the wiring and draws the synapses.

    Args:
        topology: the wiring.
        config: the settings.
        base: where relative paths in them start.
        rule: in place of the one that they name.
        costs: to compile by; None takes those known of this machine.

    Raises:
        ValueError: (of its kinds) something does not fit, or training needs more memory than there is.
    """
    return Training(topology, resolve(config, topology, base, rule), agreed() if costs is None else costs)


def load(folder: pathlib.Path, **changes: Any) -> Training:
    """A run as its folder describes it, at its latest checkpoint; nothing is written.

    Args:
        folder: the run's.
        changes: new values of settings; only what changes no step already taken: `steps`, `device`, and where the
            same data are now, `task` or `data_dir`.

    Raises:
        ValueError: (of its kinds) the folder holds no run, or a damaged one; a change is out of range.
    """
    stored = run.stored(folder, Training.kind, Training.rule_file, changes)
    config = checked(TrainConfig, stored.settings, None)
    rule = rule_files.read(folder / Training.rule_file)
    training = prepare(read_topology(folder), config, folder, rule, read_costs(folder))
    training.restore(stored.checkpoint)
    training.folder = folder
    return training


def resume(folder: pathlib.Path, **changes: Any) -> Training:
    """`load`, made ready to go on: changes are kept, and costs where the folder has none.

    Raises:
        ValueError: (of its kinds) as `load`; or more steps are done than are requested.
    """
    with run.resuming(folder, Training.kind):
        training = load(folder, **changes)
        run.reopen(training, folder, is_changed=bool(changes))
    return training


# --- divergence -----------------------------------------------------------------------------------------------------


def _added(unlogged: Unlogged, leg: _Leg, n: int) -> Unlogged:
    """With the first n steps of a leg. One by one, so that the sum does not depend on how steps fall into legs."""
    loss, accuracy, steps = unlogged
    for one_loss, one_accuracy in zip(leg.loss[:n].tolist(), leg.accuracy[:n].tolist(), strict=True):
        loss, accuracy, steps = loss + one_loss, accuracy + one_accuracy, steps + 1
    return Unlogged(loss, accuracy, steps)


def _divergence(training: Training, leg: _Leg, previous: _Leg | None) -> Divergence:
    """Finds the last good network, the one before the step that spoilt it, and makes it the latest checkpoint."""
    bad = np.flatnonzero(~np.isfinite(leg.loss))
    # a loss is that of the synapses before its step: those which the step before it left are not good either
    within, below = (previous, previous.loss.size) if bad.size and bad[0] == 0 and previous else (leg, leg.loss.size)
    if bad.size and within is leg:
        below = max(int(bad[0]), 1)
    state, n = _last_finite(training, _network_at(training, within.step), below)
    good, folder = within.step + n, training.folder
    unlogged = _added(within.unlogged, within, n)
    checkpoint = Checkpoint(good, to_arrays(training.net, state), unlogged)
    run.written(folder, lambda: checkpoint_files.save_checkpoint(folder, checkpoint))
    if bad.size and n == below - 1:
        what = f"diverged at step {leg.step + int(bad[0]) + 1}: its loss is not finite"
    else:
        what = f"diverged at step {good + 1}: its update left a synapse that is not finite"
    return Divergence(f"training {what}. The synapses after step {good}, the last good ones, are kept")


def _network_at(training: Training, step: int) -> NetworkState:
    """The network after a step, bit by bit: trained once more from the checkpoint before. Later ones are dropped."""
    checkpoint_files.drop_checkpoints(training.folder, after=step)
    checkpoint = checkpoint_files.load_checkpoint(training.folder)
    state = from_arrays(checkpoint.arrays, checkpoint.step, training.net, training.state)
    for start in range(checkpoint.step, step, training.most_per_call):
        state = training.programs.advance(state, min(training.most_per_call, step - start))[0]
    return state


def _last_finite(training: Training, state: NetworkState, below: int) -> tuple[NetworkState, int]:
    """The network after the most steps, fewer than `below`, that leaves every synapse finite; found by bisection."""
    good, bad = 0, below
    middle = below - 1  # mostly it is the very last
    while bad - good > 1:
        *_, finite = training.programs.advance(jax.tree.map(jnp.copy, state), middle)
        good, bad = (middle, bad) if bool(finite) else (good, middle)
        middle = (good + bad) // 2
    return training.programs.advance(state, good)[0], good
