"""The checkpoints of a run: the last few, each a file of its own, which is on the disk before an older one goes."""

import pathlib
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from .._text import shown
from . import checksums
from .arrays import read_arrays, write_arrays
from .errors import RunError, RunWarning

KEPT_CHECKPOINTS = 3


class Unlogged(NamedTuple):
    """Sums over the steps since the last line of metrics, kept so that a resumed run writes the same next line.

    Attributes:
        loss, accuracy: sums over the support batches.
        steps: how many.
    """

    loss: float = 0.0
    accuracy: float = 0.0
    steps: int = 0


class Checkpoint(NamedTuple):
    """A network as it is kept: NumPy arrays, neurons and synapses in the user's order, which no version renumbers.

    Attributes:
        step: steps done.
        arrays: by name (see `checkpoints`).
        unlogged: what the next line of metrics still has to count.
        path: the path of its file; None before it has one.
    """

    step: int
    arrays: dict[str, np.ndarray]
    unlogged: Unlogged = Unlogged()
    path: pathlib.Path | None = None


def save_checkpoint(folder: pathlib.Path, checkpoint: Checkpoint) -> pathlib.Path:
    """Writes a checkpoint, then removes all but the last few.

    Those of later steps go, too: the run has gone back to before them, since they were damaged.

    Raises:
        RunError: it cannot be written.
    """
    path = folder / "checkpoints" / f"step_{checkpoint.step:08d}.safetensors"
    write_arrays(path, checkpoint.arrays, {"step": checkpoint.step, "unlogged": checkpoint.unlogged})
    paths = _checkpoints(folder)
    last = paths.index(path) + 1
    for other in (*paths[last:], *paths[: max(0, last - KEPT_CHECKPOINTS)]):
        other.unlink(missing_ok=True)
    return path


def load_checkpoint(folder: pathlib.Path) -> Checkpoint:
    """The latest checkpoint that can be read.

    A damaged latest one gives way to the one before it, with a `RunWarning`.

    Raises:
        RunError: there is none, or none can be read.
    """
    paths = _checkpoints(folder)
    if not paths:
        raise RunError(f"run folder '{folder}' has no checkpoint; start the run anew.")
    found, errors = _latest_good(paths)
    if found is None:
        others = "" if len(paths) == 1 else " None of the checkpoints before it can be read, either."
        raise RunError(f"{errors[0]}{others} Start the run anew.")
    if errors:
        warnings.warn(RunWarning(f"{errors[0]} The checkpoint of step {found.step} is used instead."), stacklevel=2)
    return found


def latest_step(folder: pathlib.Path) -> int | None:
    """The step of the latest checkpoint that can be read; None where there is none."""
    found, _ = _latest_good(_checkpoints(folder))
    return None if found is None else found.step


def make_room(folder: pathlib.Path) -> bool:
    """Removes a checkpoint that the run can do without, where the disk is full; tells whether there was one.

    A damaged one that is later than the latest good one goes first, then the oldest; the latest good one never.
    """
    paths = _checkpoints(folder)
    found, _ = _latest_good(paths)
    if found is None or found.path is None or len(paths) == 1:
        return False
    place = paths.index(found.path)
    (*paths[place + 1 :], *paths[:place])[0].unlink(missing_ok=True)
    return True


def drop_checkpoints(folder: pathlib.Path, after: int) -> None:
    """Removes the checkpoints of later steps."""
    for path in _checkpoints(folder):
        if path.stem.removeprefix("step_").isdigit() and int(path.stem.removeprefix("step_")) > after:
            path.unlink(missing_ok=True)


def _checkpoints(folder: pathlib.Path) -> list[pathlib.Path]:
    """By step: longer numbers come later."""
    return sorted((folder / "checkpoints").glob("step_*.safetensors"), key=lambda path: (len(path.name), path.name))


def _latest_good(paths: Sequence[pathlib.Path]) -> tuple[Checkpoint | None, list[RunError]]:
    """The latest that can be read, and what is wrong with those after it."""
    errors = []
    for path in reversed(paths):
        try:
            return _read(path), errors
        except RunError as error:
            errors.append(error)
    return None, errors


def _read(path: pathlib.Path) -> Checkpoint:
    arrays, about = read_arrays(path, "checkpoint")
    damaged = f"checkpoint '{path}' is damaged"
    if "step" not in about:
        raise RunError(f"{damaged}: it does not record its step.")
    step, unlogged = about["step"], about.get("unlogged")
    if not checksums.is_count(step):
        raise RunError(f"{damaged}: its step is {shown(step)}; it must be a whole number that an int32 holds.")
    if not _are_sums(unlogged):
        raise RunError(
            f"{damaged}: its sums since the last line of metrics are {shown(unlogged)}, not two floats and a count."
        )
    return Checkpoint(step, arrays, Unlogged(*unlogged), path)


def _are_sums(unlogged: object) -> TypeGuard[list[Any]]:
    return (
        isinstance(unlogged, list)
        and [type(value) for value in unlogged] == [float, float, int]
        and checksums.is_count(unlogged[2])
    )
