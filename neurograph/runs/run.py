"""A run in its folder: opened, continued, interrupted and resumed bit by bit, finished; whatever it runs.

What it runs is a `Process`: training (`training`), or meta-learning (`meta_learning`).
"""

import pathlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from .. import __version__
from . import claim as claims
from . import environment
from . import folder as files
from .folder import Checkpoint, Fix, RunError, Unlogged

SECONDS_BETWEEN_CHECKPOINTS = 60.0


class Process(Protocol):
    """What a run runs.

    Attributes:
        kind: section of the run's config that holds its settings: `train` or `meta`.
        folder: the run's; set when it is opened.
        step, n_steps: steps done, and steps to do.
        marks: numbers of steps of which no call to the device passes a multiple.
        checkpoint_every: steps between checkpoints; None leaves them to the clock.
        most_per_call: most steps of one call to the device.
        seconds_per_call: about how long one call may take: the most that an interrupt has to wait, beyond one step.
        unlogged: what the next line of metrics still has to count.
    """

    kind: str
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
    files.create(folder)
    with claims.claiming(folder):
        files.check_holds_no_run(folder)  # which another process may have made meanwhile
        process.folder = folder
        process.write()
        environment.record(folder, process.step)
        save(process)
        write_config(process)  # last: a folder with a config is a run that can be resumed


def write_config(process: Process) -> None:
    """Writes the run's config."""
    files.write_config(process.folder, {**process.about(), "neurograph": __version__})


def stored(folder: pathlib.Path, kind: str, changes: Mapping[str, Any]) -> Stored:
    """Reads what a run's folder says; nothing is written.

    Raises:
        RunError: the folder holds no run of this kind, or a damaged one.
    """
    document = files.read_config(folder, kind)
    given = {name: value for name, value in changes.items() if value is not None}
    return Stored(document, {**document[kind], **given}, files.load_checkpoint(folder))


def reopen(process: Process, folder: pathlib.Path) -> None:
    """Makes a process that stands at its latest checkpoint ready to go on: what was measured later is dropped.

    Args:
        process: as restored.
        folder: the run's.

    Raises:
        RunError: more steps are done than the run is to have.
    """
    process.folder = folder
    if process.step > process.n_steps:
        raise RunError(
            f"run '{folder}' has done {process.step} steps already, more than the {process.n_steps} requested",
            Fix.STEPS,
            kind=process.kind,
            steps=process.step,
        )
    environment.compare(folder)
    environment.record(folder, process.step)
    files.rewind(folder, process.step)


def save(process: Process) -> None:
    """Writes a checkpoint."""
    files.save_checkpoint(process.folder, Checkpoint(process.step, process.arrays(), process.unlogged))


def loop(process: Process, *, stop: Callable[[], bool] = lambda: False) -> Iterator[Any]:
    """Steps until the last, or until `stop()`; yields the status after each call to the device.

    Metrics and checkpoints are on disk before the status that follows them is yielded, the last state always.

    Args:
        process: opened or reopened.
        stop: called before the first and after each call; the state reached is saved.

    Raises:
        Divergence: learning has diverged; what is good is saved.
    """
    per_call, last_saved = 1, time.monotonic()
    if stop():
        return
    if process.step == 0:
        process.begin()
    while process.step < process.n_steps:
        ahead = [m - process.step % m for m in process.marks]
        n = min([per_call, process.most_per_call, process.n_steps - process.step, *ahead])
        started = time.monotonic()
        process.advance(n)
        seconds = max(time.monotonic() - started, 1e-9)
        per_call = max(1, int(n * process.seconds_per_call / seconds))
        record = process.record()
        if record is not None:
            files.append_metrics(process.folder, [{"step": process.step, **record}])
        done, stopping = process.step == process.n_steps, stop()
        overdue = time.monotonic() - last_saved > SECONDS_BETWEEN_CHECKPOINTS
        due = process.checkpoint_every is not None and process.step % process.checkpoint_every == 0
        if done or stopping or overdue or due:
            save(process)
            process.saved()
            last_saved = time.monotonic()
        yield process.status(n / seconds)
        if stopping:
            return


def finish(process: Process, facts: Mapping[str, Any] = {}) -> dict[str, Any]:
    """Writes the summary, with `facts` of the caller's, and returns it."""
    summary = files.finite({**process.summary(), **facts, "run_dir": str(process.folder)})
    files.write_summary(process.folder, summary)
    claims.release(process.folder)
    return summary
