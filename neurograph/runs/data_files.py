"""Fingerprints of the files that a run's tasks are read from: a run goes on with the data that it began with.

The config has them under `data`: the SHA-256 of each file as it was when the run began, by its path then. Files may
have moved since, and are named anew when the run is resumed; what they hold must be the same.
"""

import hashlib
import pathlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from .. import tasks
from .._files import absolute, check_has_end, expanded
from .._text import listed
from .errors import Fix, RunError, RunWarning

KEY = "data"
_SHORT = 12


def fingerprints(settings: Mapping[str, Any]) -> dict[str, str]:
    """Gives the SHA-256 of each file that the tasks of a run are read from, by its path.

    Args:
        settings: the run's, which fit their schema, of which `task` or `tasks`, and `task_options`, are read.

    Raises:
        RunError: a file cannot be read.
    """
    data_dir = (settings.get("task_options") or {}).get("data_dir")
    if not isinstance(data_dir, str | None):
        return {}  # which the task refuses
    paths = [path for spec in _specs(settings) for path in tasks.files_of(spec, data_dir)]
    return {str(path.absolute()): _sha256(path) for path in dict.fromkeys(paths)}


def moved(
    folder: pathlib.Path, settings: Mapping[str, Any], specs: str | Sequence[str] | None, data_dir: str | None
) -> dict[str, Any]:
    """Gives a run's settings with the places where its data are now.

    Args:
        folder: the run's.
        settings: as the run keeps them.
        specs: the file of the task, or of each; None where they have not moved.
        data_dir: the folder of the data sets; None where it has not moved.

    Raises:
        RunError: a task of the run is not read from a file, a new one is not, or there are more or fewer.
    """
    changed = dict(settings)
    if data_dir is not None:
        options = settings.get("task_options") or {}
        changed["task_options"] = {**options, "data_dir": str(expanded(data_dir).absolute())}
    if specs is None:
        return changed
    old, new = _specs(settings), [specs] if isinstance(specs, str) else list(specs)
    fix = "keep the run's tasks, or start a new run."
    if len(old) != len(new):
        raise RunError(f"run '{folder}' has {len(old)} tasks ({', '.join(old)}); give the same number, or {fix}")
    anew = []
    for before, now in zip(old, new, strict=True):
        if not all(map(tasks.is_file, (before, now))):
            raise RunError(
                f"run '{folder}' was started on task '{before}', but '{now}' is given, and only a file that has "
                f"moved can be given a new name; {fix}"
            )
        anew.append(tasks.at(now, absolute(expanded(tasks.files_of(now)[0]))))
    changed.update({"tasks": anew} if "tasks" in settings else {"task": anew[0]})
    return changed


def check(folder: pathlib.Path, document: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Checks that the files of a run's tasks hold what they held when it began.

    Warns with a `RunWarning` where that was not kept.

    Args:
        folder: the run's.
        document: its config.
        settings: its settings now.

    Raises:
        RunError: a file has changed, or cannot be read. Of a data set that is not there, whoever loads it says so.
    """
    found, kept = fingerprints(settings), document.get(KEY, {})
    if found and not kept:
        warnings.warn(
            RunWarning(f"run '{folder}' has no checksum of its data, so it is not known whether they have changed."),
            stacklevel=3,
        )
        return
    if not found:
        return
    if len(kept) != len(found):
        before, now = (listed([repr(pathlib.Path(str(path)).name) for path in paths]) for paths in (kept, found))
        raise RunError(f"run '{folder}' was started with data from {before}, but they are now in {now}", Fix.DATA)
    for (old, before), (new, now) in zip(kept.items(), found.items(), strict=True):
        if before != now:
            then = "" if old == new else f", '{old}' when run '{folder}' began,"
            raise RunError(
                f"the data file '{new}'{then} has changed since run '{folder}' began (its SHA-256 was "
                f"{str(before)[:_SHORT]}..., and is now {now[:_SHORT]}...)",
                Fix.DATA,
            )


def _specs(settings: Mapping[str, Any]) -> list[str]:
    given = settings.get("tasks") or [settings.get("task")]
    return [given] if isinstance(given, str) else [spec for spec in given if spec is not None]


def _sha256(path: pathlib.Path) -> str:
    try:
        check_has_end(path)
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no file can have such a name"
        raise RunError(f"the data file {str(path)!r} cannot be read: {reason}", Fix.DATA) from error
