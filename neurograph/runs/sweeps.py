"""Sweeps: many independent trainings, one run folder each, that any number of processes share without a server.

    sweep.yaml      what is trained: `topology`, `vary`, `set` (see `Sweep`)
    0001, 0002 ...  a run folder for each combination, in the order of `combinations`

A run that is finished is left alone, one that was interrupted is resumed, one that another process writes is passed by.
"""

import csv
import io
import itertools
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field

from .. import cache
from .._text import UserError
from ..topology.files.yaml import checked, read_document
from . import run, training
from .atomic import write_atomically
from .errors import Fix, RunError
from .folder import check_holds_no_run
from .metrics import read_summary
from .settings import train_config

FILE = "sweep.yaml"

Value = str | int | float | bool | None | list[Any] | dict[str, Any]


class Sweep(BaseModel):
    """What a sweep trains.

    Attributes:
        topology: one wiring or several: topology files, gallery names, sizes of layers.
        vary: settings of a train section by key, each with the values that it takes; dots lead into mappings.
        set: settings that are the same for all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    topology: str | list[str] = Field(min_length=1)
    vary: dict[str, list[Value]] = Field(default_factory=dict)
    set: dict[str, Value] = Field(default_factory=dict)

    @property
    def dtype(self) -> str | None:
        """The type of numbers that is set, which JAX has to know before it makes any; it cannot be varied."""
        found = self.set.get("dtype")
        return found if isinstance(found, str) else None

    def combinations(self) -> list["Combination"]:
        """All of them: each wiring with each combination of values, the last key varying fastest."""
        wirings = [self.topology] if isinstance(self.topology, str) else self.topology
        found = []
        for wiring, values in itertools.product(wirings, itertools.product(*self.vary.values())):
            found.append(Combination(len(found) + 1, wiring, dict(zip(self.vary, values, strict=True))))
        return found


class Combination(NamedTuple):
    """One training of a sweep.

    Attributes:
        number: from 1 on; the name of its folder.
        topology: its wiring.
        varied: the settings in which it differs from others.
    """

    number: int
    topology: str
    varied: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.number:04}"

    def __str__(self) -> str:
        return ", ".join([self.topology, *(f"{key} {value}" for key, value in self.varied.items())])


class Outcome(NamedTuple):
    """What came of a training: "done", "diverged", "interrupted", "taken" (by another process) or "failed", and why."""

    state: Literal["done", "diverged", "interrupted", "taken", "failed"]
    why: str = ""


def read(path: pathlib.Path) -> Sweep:
    """Reads a sweep file.

    Raises:
        ValueError: it cannot be read, is no YAML, or is no sweep; a setting has no values, or is both varied and set.
    """
    document = read_document(path)
    sweep = checked(Sweep, document.data, document)
    for key, varied in sweep.vary.items():
        if not varied:
            raise UserError(f"{path}: vary.{key} has no values; give a list of one or more.")
        if key in ("dtype", "device"):
            raise UserError(f"{path}: {key} cannot be varied; set it, in a file for each.")
        if key in sweep.set:
            raise UserError(f"{path}: {key} is both varied and set; leave it out of one of them.")
    return sweep


def parse_shard(text: str) -> tuple[int, int]:
    """The numbers of "i/n", 1 <= i <= n.

    >>> parse_shard("2/8")
    (2, 8)

    Raises:
        ValueError: the text is of another form.
    """
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise UserError(f"shard is {text!r}; give i/n, such as 1/4: the first of four shares.")
    return int(part), int(parts)


def open_sweep(sweep: Sweep, folder: pathlib.Path) -> None:
    """Makes the sweep's folder, or checks that it holds this very sweep.

    Raises:
        ValueError: it holds another sweep, or a run, or cannot be written.
    """
    path, text = folder / FILE, yaml.safe_dump(sweep.model_dump(), sort_keys=False)
    check_holds_no_run(folder)
    if path.exists():
        if read(path) != sweep:
            raise UserError(
                f"folder '{folder}' holds another sweep ('{path}' differs); give another folder, or the same file."
            )
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"sweep folder '{folder}' cannot be made: {error.strerror}", Fix.FOLDER) from error
    write_atomically(path, text)


def train(
    one: Combination,
    sweep: Sweep,
    folder: pathlib.Path,
    wiring_of: Callable[[str], Any],
    section_of: Callable[[str], Mapping[str, Any] | None],
    stop: Callable[[], bool],
) -> Iterator[tuple[int, int] | Outcome]:
    """Trains one combination, or goes on with it; yields (step, steps) after each call to the device, last the outcome.

    Args:
        one, sweep: what is trained.
        folder: the sweep's.
        wiring_of, section_of: finds a wiring, and its train section, by what the sweep calls it.
        stop: whether to stop; what is done is saved.
    """
    place = folder / one.name
    try:
        done = read_summary(place)
        if done.get("finished") or done.get("diverged"):
            yield Outcome("diverged" if done.get("diverged") else "done")
            return
        if (place / "config.yaml").exists():
            process = training.resume(place)
        else:
            config, base = train_config(one.topology, {**sweep.set, **one.varied}, section_of(one.topology))
            process = training.prepare(wiring_of(one.topology), config, base)
            run.open_run(process, place)
    except RunError as error:
        yield Outcome("taken" if error.fix is Fix.WAIT else "failed", str(error))
        return
    except UserError as error:
        yield Outcome("failed", str(error))
        return
    state: Literal["done", "diverged", "interrupted"] = "done"
    cache.make_room()
    try:
        for status in run.loop(process, stop=stop):
            yield status.step, process.n_steps
        if process.step < process.n_steps:
            state = "interrupted"
    except training.Divergence:
        state = "diverged"
    run.finish(process, {"diverged": state == "diverged"})
    yield Outcome(state)


def write_table(rows: list[dict[str, Any]], path: pathlib.Path) -> None:
    """Writes the rows of `merged` as a CSV file.

    Raises:
        RunError: it cannot be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue())


def merged(folder: pathlib.Path) -> tuple[Sweep, list[dict[str, Any]]]:
    """The sweep of a folder, and a row for each combination: what it varied, and its results where there are any.

    Raises:
        ValueError: the folder holds no sweep.
    """
    if not (folder / FILE).exists():
        raise UserError(f"'{folder}' holds no sweep: there is no {FILE} in it; give the folder that `sweep` wrote.")
    sweep, rows = read(folder / FILE), []
    for one in sweep.combinations():
        summary = read_summary(folder / one.name)
        state = "diverged" if summary.get("diverged") else "done" if summary.get("finished") else "unfinished"
        results = {key: summary.get(key) for key in ("steps", "test_accuracy", "test_loss")}
        rows.append({"run": one.name, "topology": one.topology, **one.varied, "state": state, **results})
    return sweep, rows
