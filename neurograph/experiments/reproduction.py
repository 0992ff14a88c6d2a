"""An experiment in its folder: opened, run cell by cell, interrupted, resumed, finished.

experiment.json     what is computed: the experiment's file, scale, seed, command and data folder, with a checksum
environment.jsonl   machine, cores, versions and date of each process that computed cells
cells/, searches/   results, and run folders of cells that are meta-training (see `cells`)
numbers.csv, numbers.json, claims.json, figure.png, report.html   written when all cells are done
.lock, .writer      which process writes the folder
"""

import csv
import dataclasses
import datetime
import io
import json
import os
import pathlib
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax

from .. import _files, cache
from .._text import UserError, nearest, shown
from ..runs import claim as claims_of_folders
from ..runs import environment, run
from ..runs import folder as folders
from ..runs.atomic import append, write_atomically
from ..runs.errors import Fix, RunError, RunWarning, fix_of
from ..runs.lines import as_line, finite, read_lines
from . import cells
from .claims import Judged, judge
from .documents import SCALES, Experiment, Scale, load, of_data

FILE = "experiment.json"
CLAIMS = "claims.json"


@dataclasses.dataclass
class Reproduction:
    """An experiment in its folder.

    Attributes:
        experiment: what it is.
        scale, seed, data_dir, command: how it was asked for.
        folder: where its results are.
        results: those of the cells that are done, by name.
        seconds: how long each of these took.
        skipped: why cells could not be computed, by name.
    """

    experiment: Experiment
    scale: Scale
    seed: int
    data_dir: str | None
    command: str
    folder: pathlib.Path
    results: dict[str, cells.Result] = dataclasses.field(default_factory=dict)
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def settings(self) -> Any:
        return self.experiment.at(self.scale).settings

    @property
    def cells(self) -> list[cells.Cell]:
        return self.experiment.module.cells(self.settings)


class Outcome(NamedTuple):
    """What came of an experiment.

    Attributes:
        rows: the table of numbers.
        measures: what claims are judged by.
        claims: the claims with their verdicts.
    """

    rows: list[dict[str, Any]]
    measures: dict[str, float | None]
    claims: list[Judged]


def scale_of(word: str) -> Scale:
    """The scale of a name.

    Raises:
        UserError: there is none.
    """
    if word not in SCALES:
        raise UserError(f"there is no scale '{word}'; {nearest(word, SCALES)}")
    return cast(Scale, word)


def open_new(
    what: str, folder: pathlib.Path, scale: str = "small", *, seed: int = 0, data_dir: str | None = None, command: str
) -> Reproduction:
    """Makes the folder of an experiment.

    Args:
        what: its name, or the path of a file of one's own.
        folder: its folder, which may exist if it holds no experiment and no run.
        scale: one of `SCALES`.
        seed: makes all draws.
        data_dir: the folder of data sets; else that of the environment.
        command: that asked for it.

    Raises:
        UserError: there is no such experiment or scale, the folder holds one, or it cannot be written; the folder of
            data sets does not exist.
    """
    experiment, size = load(what), scale_of(scale)
    check_free(folder)
    _check_data_folder(data_dir)
    if data_dir is not None:
        data_dir = str(pathlib.Path(data_dir).expanduser().absolute())
    made = Reproduction(experiment, size, seed, data_dir, command, folder)
    check_cells(made)
    try:
        _files.make_folder(folder / cells.FOLDER)
    except OSError as error:
        raise RunError(f"folder '{folder}' cannot be made: {error.strerror}", fix_of(error)) from error
    with claims_of_folders.claiming(folder):
        check_free(folder)  # which another process may have taken meanwhile
        about = {"experiment": experiment.name, "scale": size, "seed": seed, "command": command, "data_dir": data_dir}
        _record_environment(made)
        write_atomically(folder / FILE, as_line({**about, "document": dict(experiment.document)}))
    return made


def check_free(folder: pathlib.Path) -> None:
    """Raises a `RunError` where the folder holds an experiment or a run."""
    folders.check_holds_no_run(folder)
    if (folder / FILE).exists():
        raise RunError(f"folder '{folder}' holds an experiment already", Fix.RESUME_OR_FOLDER, folder=folder)


def resume(folder: pathlib.Path, *, data_dir: str | None = None) -> Reproduction:
    """Goes on with an experiment, as its folder keeps it: cells that are done are read.

    Warns with a `RunWarning` where another machine or other versions computed cells, or a result is damaged.

    Args:
        folder: its folder.
        data_dir: the folder of data sets, where that is another one now.

    Raises:
        UserError: the folder holds no experiment, or a damaged one; another process writes it; the folder of data sets
            that is given does not exist.
    """
    _check_data_folder(data_dir)
    found = read(folder, data_dir=data_dir)
    with claims_of_folders.claiming(folder):
        for partial in (*folder.glob(_files.PARTIAL), *(folder / cells.FOLDER).glob(_files.PARTIAL)):
            partial.unlink(missing_ok=True)
        environment.compare(folder)
        _record_environment(found)
    return found


def _check_data_folder(data_dir: str | None) -> None:
    if data_dir is not None and not pathlib.Path(data_dir).expanduser().is_dir():
        raise UserError(
            f"the data folder '{data_dir}' does not exist, or is no folder; give the folder that holds the data sets, "
            "or none."
        )


def read(folder: pathlib.Path, *, data_dir: str | None = None) -> Reproduction:
    """Reads an experiment's folder with the results that are there; nothing is written.

    Warns with a `RunWarning` where a result is damaged, or what says which cells were left out.

    Raises:
        RunError: the folder holds no experiment, or a damaged one.
    """
    path = folder / FILE
    if not path.exists():
        raise RunError(f"'{folder}' holds no experiment: there is no {FILE} in it; give the folder of one.")
    lines = read_lines(path)
    record = lines[0].record if len(lines) == 1 else None
    known = ("experiment", "scale", "seed", "command", "document")
    if record is None or not all(key in record for key in known):
        raise RunError(f"'{path}' is damaged; start the experiment anew in another folder.")
    experiment = of_data(record["experiment"], record["document"])
    place = data_dir or record.get("data_dir")  # which folders made before this was kept lack
    found = Reproduction(experiment, scale_of(record["scale"]), record["seed"], place, record["command"], folder)
    for cell in found.cells:
        done = cells.read(folder, cell.name)
        if done is not None:
            found.results[cell.name], found.seconds[cell.name] = done
    found.skipped = {name: why for name, why in _left_out(folder).items() if name not in found.results}
    return found


def _left_out(folder: pathlib.Path) -> dict[str, str]:
    """Why cells could not be computed, of an experiment that is finished."""
    path = folder / CLAIMS
    if not path.exists():
        return {}
    try:
        found = dict(json.loads(path.read_text(encoding="utf-8"))["skipped"])
    except (OSError, ValueError, KeyError, TypeError):
        told = f"'{path}' is damaged, so that it does not tell what was left out; resume the experiment to write it."
        warnings.warn(RunWarning(told), stacklevel=3)
        return {}
    return found


def check_cells(made: Reproduction) -> None:
    """Checks that the cells' files have different names.

    Raises:
        UserError: two are the same.
    """
    seen: dict[str, str] = {}
    for cell in made.cells:
        other = seen.setdefault(cells.file_name(cell.name), cell.name)
        if other is not cell.name:
            raise UserError(
                f"experiment '{made.experiment.name}': the cells {shown(other)} and {shown(cell.name)} would be kept "
                "in the same file; give them names that differ in letters or digits."
            )


def advance(
    made: Reproduction,
    *,
    stop: Callable[[], bool] = lambda: False,
    tell: Callable[[float, str], None] = lambda done, about: None,
) -> bool:
    """Computes the cells that are not done, and keeps each result at once.

    Args:
        made: opened or resumed.
        stop: whether to stop; asked before each cell, and within long ones.
        tell: receives the share of the experiment that is done, from 0 to 1, and what is being done.

    Returns:
        Whether all cells are done, or skipped for a reason that is kept in `made.skipped`.

    Raises:
        UserError: a cell cannot be computed, or its result cannot be written; what is done is kept.
    """
    todo, made.skipped = made.cells, {}
    total = sum(cell.weight for cell in todo)
    reached = total * share_done(made)
    for number, cell in enumerate(todo, 1):
        if cell.name not in made.results:
            if stop():
                return False
            about = f"{number}/{len(todo)} {cell.name}"

            def told(share: float, what: str, *, about: str = about, before: float = reached, cell=cell) -> None:
                tell((before + min(max(share, 0.0), 1.0) * cell.weight) / total, f"{about} {what}".strip())

            told(0.0, "")
            cache.make_room()
            work = cells.Work(cell.name, made.folder, made.seed, made.data_dir, made.results, stop, told)
            began = time.monotonic()
            try:
                result = cell.run(work)
            except cells.Interrupted:
                return False
            except cells.Skipped as reason:
                made.skipped[cell.name] = str(reason)
            else:
                result = cells.Result(finite(result.numbers), result.arrays)
                made.seconds[cell.name] = time.monotonic() - began
                cells.write(made.folder, cell.name, result, made.seconds[cell.name])
                made.results[cell.name] = result
            reached += cell.weight
            tell(reached / total, about)
    return True


def share_done(made: Reproduction) -> float:
    """The share of the experiment that is done, from 0 to 1."""
    total = sum(cell.weight for cell in made.cells)
    return sum(cell.weight for cell in made.cells if cell.name in made.results) / total


def outcome(made: Reproduction) -> Outcome:
    """Judges the claims by the results that are there."""
    module, settings = made.experiment.module, made.settings
    measures = module.measures(settings, made.results)
    return Outcome(module.rows(settings, made.results), measures, judge(made.experiment.file.claims, measures))


def finish(made: Reproduction) -> Outcome:
    """Writes table, numbers, figure and claims; a `RunWarning` tells of a figure that cannot be written.

    Raises:
        RunError: one of the others cannot be written.
    """
    from ..plotting.figures import save

    found = outcome(made)
    folder = made.folder
    write_atomically(folder / "numbers.csv", _table(found.rows))
    about = {
        "experiment": made.experiment.name, "scale": made.scale, "seed": made.seed, "command": made.command,
        "date": datetime.date.today().isoformat(), "skipped": made.skipped,
    }  # fmt: skip
    each = {name: {"seconds": made.seconds[name], **result.numbers} for name, result in made.results.items()}
    numbers = {**about, "measures": found.measures, "cells": each}
    write_atomically(folder / "numbers.json", json.dumps(finite(numbers), indent=1) + "\n")
    records = [judged.as_record() for judged in found.claims]
    write_atomically(folder / CLAIMS, json.dumps(finite({**about, "claims": records}), indent=1) + "\n")
    run.drawn(lambda: save(made.experiment.module.draw(made.settings, made.results), folder / "figure.png"))
    claims_of_folders.release(folder)
    return found


def finished(folder: pathlib.Path) -> bool:
    """Whether the claims of the folder's experiment have been judged."""
    return (folder / CLAIMS).exists()


def processes(folder: pathlib.Path) -> list[dict[str, Any]]:
    """What computed it: a record for each process, with machine, cores, versions and date."""
    return environment.recorded(folder)


def _record_environment(made: Reproduction) -> None:
    line = {
        "step": len(made.results),
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "cores": _n_cores(),
        "x64": bool(jax.config.read("jax_enable_x64")),
        **environment.found(),
    }
    append(made.folder / environment.FILE, as_line(line))


def _n_cores() -> int:
    """The cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        return os.cpu_count() or 1


def _table(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
