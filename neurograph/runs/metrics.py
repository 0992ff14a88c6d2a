"""metrics.jsonl and summary.json: what a run measured."""

import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from .atomic import append, write_atomically
from .errors import RunError
from .lines import Line, as_line, finite, read_lines, tell_damaged

METRICS = "metrics.jsonl"


def append_metrics(folder: pathlib.Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Adds records to metrics.jsonl and flushes them to the disk; a number that is not finite becomes null.

    Raises:
        RunError: they cannot be written.
    """
    append(folder / METRICS, "".join(map(as_line, records)))


def read_metrics(folder: pathlib.Path) -> list[dict[str, Any]]:
    """All records that are whole; one at the end that a kill cut short is left out.

    Warns with a `RunWarning` of other lines that are damaged.

    Raises:
        RunError: they cannot be read.
    """
    lines = _lines(folder)
    tell_damaged(folder / METRICS, lines)
    return [line.record for line in lines if line.record is not None]


def rewind(folder: pathlib.Path, step: int) -> None:
    """Drops what was recorded after a checkpoint, since it will be measured again; there may be no file.

    Warns with a `RunWarning` of lines before it that are damaged, which are left as they are.

    Raises:
        RunError: the file cannot be read or written.
    """
    if not (folder / METRICS).exists():
        return
    kept: list[Line] = []
    dropped = False
    for line in _lines(folder):
        if line.record is None:
            is_kept = not dropped
        else:
            # the evaluation of step 0 comes after its checkpoint, all other records come before theirs
            is_kept = 0 < line.record["step"] <= step or line.record["step"] < step
            dropped = dropped or not is_kept
        if is_kept:
            kept.append(line)
    tell_damaged(folder / METRICS, kept)
    write_atomically(folder / METRICS, b"".join(line.text + b"\n" for line in kept))


def write_summary(folder: pathlib.Path, summary: Mapping[str, Any]) -> None:
    """Writes summary.json; a number that is not finite becomes null.

    Raises:
        RunError: it cannot be written.
    """
    write_atomically(folder / "summary.json", json.dumps(finite(summary), indent=2, allow_nan=False) + "\n")


def read_summary(folder: pathlib.Path) -> dict[str, Any]:
    """Reads summary.json; empty where the run has no results yet.

    Raises:
        RunError: it is damaged.
    """
    path = folder / "summary.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise damaged_summary(path, str(error)) from error
    if not isinstance(found, dict):
        raise damaged_summary(path, "it holds no results")
    return found


def damaged_summary(path: pathlib.Path, why: str) -> RunError:
    """The error about a summary.json that cannot be used."""
    return RunError(f"'{path}' is damaged ({why}); remove it, or resume the run, which writes it anew.")


def _lines(folder: pathlib.Path) -> list[Line]:
    """The lines; one that is no record of a step is damaged, too."""
    return [
        line if line.record is None or type(line.record.get("step")) is int else line._replace(record=None)
        for line in read_lines(folder / METRICS)
    ]
