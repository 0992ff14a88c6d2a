"""A run in its folder: opened, continued, interrupted and resumed bit by bit, finished; whatever it runs.

What it runs is a `Process`: training (`training`), or meta-learning (`meta_learning`).
"""

import contextlib
import pathlib
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from ..compile.costs import Costs
from ..engine import devices
from . import claim as claims
from . import config, costs_file, data_files, environment, metrics
from . import folder as folders
from .checkpoint_files import Checkpoint, Unlogged, latest_step, load_checkpoint, make_room, save_checkpoint
from .errors import KINDS, Fix, RunError, RunWarning
from .lines import finite

SECONDS_BETWEEN_CHECKPOINTS = 60.0


class Process(Protocol):
    """What a run runs.

    Attributes:
        kind: section of the run's config that holds its settings: `train` or `meta`.
        rule_file: name of the file from which the rule is read when the run is resumed.
        costs: by which wirings were compiled.
        folder: the run's; set when it is opened.
        step, n_steps: steps done, and steps to do.
        marks: numbers of steps of which no call to the device passes a multiple.
        checkpoint_every: steps between checkpoints; None leaves them to the clock.
        most_per_call: most steps of one call to the device.
        seconds_per_call: about how long one call may take: the most that an interrupt has to wait, beyond one step.
        unlogged: what the next line of metrics still has to count.
    """

    kind: str
    rule_file: str
    costs: Costs
    folder: pathlib.Path
    marks: tuple[int, ...]
    checkpoint_every: int | None
    most_per_call: int
    seconds_per_call: float
    unlogged: Unlogged

    @property
    def step(self) -> int: ...
    @property
    def n_steps(self) -> int: ...
    @property
    def rule(self) -> Any:
        """Returns what learns, or what the search began with."""
        ...

    def about(self) -> Mapping[str, Any]:
        """Returns the run's settings, with what the config says beside them."""
        ...

    def write(self) -> None:
        """Writes into the new folder all that resuming needs, beside the config and the checkpoint."""
        ...

    def begin(self) -> None:
        """Does what precedes the very first step."""
        ...

    def advance(self, n: int) -> None:
        """Takes n steps."""
        ...

    def record(self) -> Mapping[str, Any] | None:
        """Returns the line of metrics for the step reached; None where it has none."""
        ...

    def status(self, steps_per_second: float) -> Any:
        """Returns how far the run is, to be shown to a person."""
        ...

    def arrays(self) -> dict[str, Any]:
        """Returns all that a checkpoint keeps."""
        ...

    def saved(self) -> None:
        """Does what follows a checkpoint."""
        ...

    def summary(self) -> dict[str, Any]:
        """Returns the results, and draws them into the folder."""
        ...


class Stored(NamedTuple):
    """What a run's folder says of it.

    Attributes:
        document: the config.
        settings: its section, with changes.
        checkpoint: the latest that can be read.
    """

    document: dict[str, Any]
    settings: dict[str, Any]
    checkpoint: Checkpoint


def open_run(process: Process, folder: pathlib.Path) -> None:
    """Makes the run's folder with all that resuming needs, the state at the start as first checkpoint included.

    Raises:
        RunError: the folder holds a run already, or cannot be written.
    """
    folders.create(folder)
    with claims.claiming(folder):
        folders.check_holds_no_run(folder)  # which another process may have made meanwhile
        folders.remove_partial(folder)
        process.folder = folder
        process.write()
        environment.record(folder, process.step, process.rule)
        metrics.rewind(folder, process.step)
        save(process)
        write_config(process)  # last: a folder with a config is a run that can be resumed


def write_config(process: Process) -> None:
    """Writes the run's config, with the checksums of the texts that are there."""
    costs = sorted(path.name for path in process.folder.glob("costs_*.json"))
    about = dict(process.about())
    data = data_files.fingerprints(about[process.kind])
    about.update({data_files.KEY: data} if data else {})
    config.write_config(process.folder, about, (process.rule_file, *costs))


def stored(folder: pathlib.Path, kind: str, rule_file: str, changes: Mapping[str, Any]) -> Stored:
    """Reads what a run's folder says; nothing is written.

    Args:
        folder: the run's.
        kind, rule_file: those of its `Process`.
        changes: new values of settings; None is none. `task` (or `tasks`) and `data_dir` say where data are now.

    Raises:
        RunError: the folder holds no run of this kind, or a damaged one.
    """
    document = config.read_config(folder, kind)
    config.check_text(folder, document, rule_file, "restore it, or start the run anew.")
    config.check_text(folder, document, costs_file.file_name(), costs_file.FIX)
    given = {name: value for name, value in changes.items() if value is not None}
    specs = given.pop("tasks", given.pop("task", None))
    settings = data_files.moved(folder, {**document[kind]}, specs, given.pop("data_dir", None))
    data_files.check(folder, document, settings)
    return Stored(document, {**settings, **given}, load_checkpoint(folder))


@contextlib.contextmanager
def resuming(folder: pathlib.Path, kind: str) -> Iterator[None]:
    """Claims a run's folder to go on with it; after an exception it is released.

    Raises:
        RunError: it holds no run of this kind, another process writes it, or it cannot be written.
    """
    config.read_config(folder, kind)  # or else nothing is there to claim
    with begun(folder, kind), claims.claiming(folder):
        yield


def reopen(process: Process, folder: pathlib.Path, *, is_changed: bool) -> None:
    """Makes a process that stands at its latest checkpoint ready to go on: what was measured later is dropped.

    Costs are kept where the folder has none of this kind of device.

    Args:
        process: as restored.
        folder: the run's.
        is_changed: whether settings have changed, which are kept then.

    Raises:
        RunError: more steps are done than the run is to have, or the folder cannot be written.
    """
    process.folder = folder
    if process.step > process.n_steps:
        raise RunError(
            f"run '{folder}' has already done {process.step} steps, more than the {process.n_steps} requested",
            Fix.STEPS,
            kind=process.kind,
            steps=process.step,
        )
    folders.remove_partial(folder)
    environment.compare(folder, process.rule)
    written(folder, lambda: environment.record(folder, process.step, process.rule))
    written(folder, lambda: metrics.rewind(folder, process.step))
    if costs_file.read_costs(folder) is None:
        written(folder, lambda: costs_file.write_costs(folder, process.costs))
        is_changed = True
    if is_changed:
        written(folder, lambda: write_config(process))


def save(process: Process) -> None:
    """Writes a checkpoint."""
    save_checkpoint(process.folder, Checkpoint(process.step, process.arrays(), process.unlogged))


def written(folder: pathlib.Path, write: Callable[[], object]) -> None:
    """Writes into the folder of a run; where the disk is full, once more without one of the older checkpoints.

    Raises:
        RunError: it cannot be written.
    """
    try:
        write()
    except RunError as error:
        if error.fix is not Fix.SPACE_OR_FOLDER or not make_room(folder):
            raise
        write()


@contextlib.contextmanager
def begun(folder: pathlib.Path, kind: str) -> Iterator[None]:
    """Has errors advise to resume the run where its folder cannot be written; another folder is of no use to it."""
    try:
        yield
    except RunError as error:
        if error.fix not in (Fix.FOLDER, Fix.SPACE_OR_FOLDER):
            raise
        step = latest_step(folder)
        if step is None:
            raise
        fix = Fix.ACCESS if error.fix is Fix.FOLDER else Fix.SPACE
        raise RunError(error.problem, fix, folder=folder, command=KINDS[kind], step=step) from error


def drawn(draw: Callable[[], object]) -> None:
    """Draws a picture of the run; where it cannot be written, a `RunWarning` tells, and the run goes on."""
    from ..plotting.figures import PlotError

    try:
        draw()
    except PlotError as error:
        warnings.warn(RunWarning(f"{error} The run continues without the picture."), stacklevel=2)


def loop(
    process: Process,
    *,
    stop: Callable[[], bool] = lambda: False,
    told: Callable[[Mapping[str, Any]], None] = lambda line: None,
) -> Iterator[Any]:
    """Steps until the last, or until `stop()`; yields the status after each call to the device.

    Metrics and checkpoints are on disk before the status that follows them is yielded, the last state always.

    Args:
        process: opened or reopened.
        stop: called before the first and after each call; the state reached is saved.
        told: receives each line of metrics when it is on disk.

    Raises:
        Divergence: learning has diverged; what is good is saved.
        RunError: the folder cannot be written, also after an older checkpoint was removed to make room.
    """
    with begun(process.folder, process.kind):
        yield from _loop(process, stop, told)


def _loop(process: Process, stop: Callable[[], bool], told: Callable[[Mapping[str, Any]], None]) -> Iterator[Any]:
    per_call, last_saved, folder = 1, time.monotonic(), process.folder
    if devices.any_of_all(stop()):
        return
    if process.step == 0:
        written(folder, process.begin)
        for line in metrics.read_metrics(folder) if (folder / metrics.METRICS).exists() else []:
            told(line)
    while process.step < process.n_steps:
        ahead = [m - process.step % m for m in process.marks]
        n = int(devices.first_of_all(min([per_call, process.most_per_call, process.n_steps - process.step, *ahead])))
        started = time.monotonic()
        process.advance(n)
        seconds = max(time.monotonic() - started, 1e-9)
        per_call = max(1, int(n * process.seconds_per_call / seconds))
        record = process.record()
        if record is not None:
            line = {"step": process.step, **record}
            written(folder, lambda line=line: metrics.append_metrics(folder, [line]))
            told(line)
        done, stopping = process.step == process.n_steps, devices.any_of_all(stop())
        overdue = time.monotonic() - last_saved > SECONDS_BETWEEN_CHECKPOINTS
        due = process.checkpoint_every is not None and process.step % process.checkpoint_every == 0
        if done or stopping or overdue or due:
            written(folder, lambda: save(process))
            written(folder, process.saved)
            last_saved = time.monotonic()
        yield process.status(n / seconds)
        if stopping:
            return


def finish(process: Process, facts: Mapping[str, Any] = {}) -> dict[str, Any]:
    """Writes the summary, with `facts` of the caller's, and returns it.

    Raises:
        RunError: it cannot be written.
    """
    with begun(process.folder, process.kind):
        summary = finite({**process.summary(), **facts, "run_dir": str(process.folder)})
        written(process.folder, lambda: metrics.write_summary(process.folder, summary))
    claims.release(process.folder)
    return summary
