"""Trackers of experiments, which show a run's metrics in a browser: TensorBoard, Weights & Biases (offline).

They are extras: neither is imported before a run asks for it. All that they are told stands in metrics.jsonl, too.
"""

import importlib.util
import math
import pathlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .._text import UserError, nearest
from .errors import RunWarning


class Tracker(NamedTuple):
    """What is told of a run while it goes on.

    Attributes:
        log: receives each line of metrics, a `step` and values by their names.
        close: is called at the end, also of an interrupted run.
        place: the folder that it writes.
    """

    log: Callable[[Mapping[str, Any]], None]
    close: Callable[[], None]
    place: pathlib.Path


def open_tracker(name: str, folder: pathlib.Path, settings: Mapping[str, Any], step: int) -> Tracker:
    """Opens a tracker by name, which writes into the run's folder and never to the network.

    Args:
        name: one of `TRACKERS`.
        folder: the run's.
        settings: the run's, which the tracker shows.
        step: the step from which the run goes on; what was logged later is measured again.

    Raises:
        UserError: as `check`; or it cannot be opened.
    """
    check(name)
    try:
        tracker = TRACKERS[name](folder, settings, step)
    except Exception as error:  # whatever a foreign package raises
        raise UserError(
            f"tracker {name!r} cannot be opened ({type(error).__name__}: {error}); fix that, or leave the tracker out."
        ) from error
    return _forgiving(name, tracker)


def check(name: str) -> None:
    """Checks that a tracker can be opened; nothing is imported.

    Raises:
        UserError: there is none of that name, or it is not installed.
    """
    if name not in TRACKERS:
        raise UserError(f"there is no tracker {name!r}; {nearest(name, list(TRACKERS))}")
    if importlib.util.find_spec(_PACKAGES[name]) is None:
        raise UserError(
            f"tracker {name!r} needs the package {_PACKAGES[name]}, which is not installed; install "
            f"neurograph[{name}], or leave the tracker out."
        )


def _tensorboard(folder: pathlib.Path, settings: Mapping[str, Any], step: int) -> Tracker:
    from tensorboardX import SummaryWriter

    place = folder / "tensorboard"
    writer = SummaryWriter(logdir=str(place), purge_step=step if step else None)
    if step == 0:
        writer.add_text("settings", "\n".join(f"    {name}: {value}" for name, value in settings.items()), 0)

    def log(line: Mapping[str, Any]) -> None:
        for name, value in _numbers(line).items():
            writer.add_scalar(name, value, line["step"])

    return Tracker(log, writer.close, place)


def _wandb(folder: pathlib.Path, settings: Mapping[str, Any], step: int) -> Tracker:
    import wandb  # pyright: ignore[reportMissingImports] - an extra

    run = wandb.init(
        project="neurograph",
        name=folder.resolve().name,
        dir=str(folder),
        config=dict(settings),
        mode="offline",
        settings=wandb.Settings(silent=True, console="off"),
    )

    def log(line: Mapping[str, Any]) -> None:
        run.log(_numbers(line), step=line["step"])

    return Tracker(log, run.finish, folder / "wandb")


TRACKERS: dict[str, Callable[[pathlib.Path, Mapping[str, Any], int], Tracker]] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
}
"""Trackers by the names that `open_tracker` takes."""
_PACKAGES = {"tensorboard": "tensorboardX", "wandb": "wandb"}


def _numbers(line: Mapping[str, Any]) -> dict[str, float]:
    """What of a line of metrics is a finite number, but for the step."""
    return {
        name: float(value)
        for name, value in line.items()
        if name not in ("step", "crc32") and isinstance(value, int | float) and math.isfinite(value)
    }


def _forgiving(name: str, tracker: Tracker) -> Tracker:
    """The same tracker, whose first failure is told, and after which it is left alone: the run goes on."""
    failed = False

    def guarded(call: Callable[..., None]) -> Callable[..., None]:
        def guard(*args: Any) -> None:
            nonlocal failed
            if failed:
                return
            try:
                call(*args)
            except Exception as error:  # whatever a foreign package raises
                failed = True
                message = (
                    f"tracker {name!r} has failed ({type(error).__name__}: {error}); the run continues without it."
                )
                warnings.warn(RunWarning(message), stacklevel=2)

        return guard

    return tracker._replace(log=guarded(tracker.log), close=guarded(tracker.close))
