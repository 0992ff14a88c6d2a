"""A run's folder holds its settings, what was measured, and checkpoints from which it continues bit by bit.

    config.yaml        the settings, complete; a run that is resumed reads them
    topology.safetensors   the wiring, exactly
    genome.txt         the rule
    costs_cpu.json     by which the way to compute the sums was chosen; costs_gpu.json of a run on a GPU
    environment.jsonl  versions, device and flags of each process that wrote the run
    metrics.jsonl      one JSON object a line
    checkpoints/       step_00000500.safetensors ...; written to a temporary name, then renamed
    curves.png         loss and accuracy over steps
    summary.json       the results
    .lock, .writer     which process writes the folder (`claim`)

No pickle anywhere. A process killed at any moment leaves a folder that can be resumed.
"""

import dataclasses
import enum
import itertools
import json
import math
import pathlib
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import yaml
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from .. import _files
from .._files import yaml as bounded
from .._text import UserError
from ..compile import costs as costs_files
from ..compile.costs import Costs
from ..topology import Population, Topology
from ..topology.files import label_keys, label_of, with_activation_names

FORMAT_VERSION = 1
KEPT_CHECKPOINTS = 3
KINDS = {"train": "train", "meta": "meta-train"}
"""The command that each kind of run comes from, by the section of its config."""

_ARRAYS = (
    "senders",
    "receivers",
    "population_of",
    "inputs",
    "outputs",
    "weights",
    "backward_weights",
    "biases",
)


class Fix(enum.Enum):
    """What helps against a `RunError`, in words for Python; the command line has others, which name its options."""

    FOLDER = "choose another folder"
    RESUME_OR_FOLDER = "resume it, or choose another folder"
    RESUME = "resume it as such a run"
    STEPS = "give {steps} or more"
    WAIT = "wait until it ends, or begin a run in another folder"


class RunError(UserError):
    """A run folder cannot be made, read or continued; the message names it, what was found, and the fix.

    Args:
        problem: the message; without the fix and the full stop where `fix` is given.
        fix: what helps.
        about: what the words for the fix may name.
    """

    def __init__(self, problem: str, fix: Fix | None = None, **about: object):
        self.problem, self.fix, self.about = problem, fix, about
        super().__init__(problem if fix is None else f"{problem}; {fix.value.format(**about)}.")


class RunWarning(UserWarning):
    """Something in a run folder is damaged, but the run can go on without it."""


# --- files ----------------------------------------------------------------------------------------------------------


def write_atomically(path: pathlib.Path, content: bytes | str) -> None:
    """Writes a whole file, or none of it.

    Raises:
        RunError: the file cannot be written.
    """
    try:
        _files.write_atomically(path, content)
    except OSError as error:
        raise RunError(f"'{path}' cannot be written: {error.strerror}", Fix.FOLDER) from error


def write_arrays(path: pathlib.Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> None:
    """A safetensors file, written atomically; equal content gives equal bytes."""
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    # one entry, since safetensors writes several in any order
    about = json.dumps({"format": FORMAT_VERSION, **metadata})
    write_atomically(path, to_bytes(arrays, {"neurograph": about}))


def read_arrays(path: pathlib.Path, what: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Reads a safetensors file of ours: its arrays and its metadata.

    Raises:
        RunError: it is absent, truncated, no safetensors file, not ours, or of a newer version.
    """
    here = f"{what} '{path}'"
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - a file, not a dict
    except FileNotFoundError as error:
        raise RunError(f"{here} does not exist; give the folder of a run, or start the run anew.") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise RunError(f"{here} cannot be read; it is truncated or no safetensors file ({error}).") from error
    try:
        about = json.loads(metadata["neurograph"])
        version = about["format"]
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise RunError(f"{here} was not written by neurograph.") from error
    if version != FORMAT_VERSION:
        raise RunError(f"{here} has format version {version}; this version of neurograph reads {FORMAT_VERSION}.")
    return arrays, about


# --- folder ---------------------------------------------------------------------------------------------------------


def create(folder: pathlib.Path) -> None:
    """Makes a run's folder; an existing one must hold no run.

    Raises:
        RunError: it holds a run already, or cannot be made or written.
    """
    check_holds_no_run(folder)
    try:
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"run folder '{folder}' cannot be made: {error.strerror}", Fix.FOLDER) from error
    probe = folder / "checkpoints" / ".probe"
    write_atomically(probe, b"")
    probe.unlink()


def check_holds_no_run(folder: pathlib.Path) -> None:
    """Raises a `RunError` where the folder holds a run."""
    if (folder / "config.yaml").exists():
        raise RunError(f"run folder '{folder}' holds a run already", Fix.RESUME_OR_FOLDER, folder=folder)


def make_next_free(parent: pathlib.Path, name: str) -> pathlib.Path:
    """Makes the folder `parent/name`, or the first of `name-2`, `name-3` ... that does not exist.

    No two processes that ask at once are given the same one.

    Raises:
        RunError: it cannot be made.
    """
    for number in itertools.count(1):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
        except FileExistsError:
            if parent.is_dir():
                continue
            raise RunError(f"run folder '{folder}' cannot be made: '{parent}' is a file", Fix.FOLDER) from None
        except OSError as error:
            raise RunError(f"run folder '{folder}' cannot be made: {error.strerror}", Fix.FOLDER) from error
        return folder
    raise AssertionError


def write_config(folder: pathlib.Path, config: Mapping[str, Any]) -> None:
    write_atomically(folder / "config.yaml", yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))


def read_config(folder: pathlib.Path, section: str = "train") -> dict[str, Any]:
    """The run's settings.

    Args:
        folder: the run's.
        section: `train`, or `meta` of a run of meta-learning.

    Raises:
        RunError: the folder holds no run, or one of another kind, or its config is damaged.
    """
    path = folder / "config.yaml"
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        config = bounded.load(text)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunError(f"'{folder}' holds no run: it has no config.yaml. Give the folder of a run.") from error
    except OSError as error:
        raise RunError(f"'{path}' cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise RunError(f"'{path}' is damaged: it is not UTF-8 text.") from error
    except yaml.YAMLError as error:
        line, _, sentence = bounded.complaint(error, text)
        raise RunError(f"'{path}' is damaged{'' if line is None else f' in line {line}'}: {sentence}") from error
    if isinstance(config, dict) and section not in config and KINDS.keys() & config.keys():
        kind = KINDS[next(iter(KINDS.keys() & config.keys()))]
        raise RunError(f"'{folder}' holds a run of {kind}", Fix.RESUME, command=kind, folder=folder)
    if isinstance(config, dict) and "neurograph" not in config:  # which is written last
        raise RunError(f"'{path}' is damaged: it is cut short. Start the run anew.")
    if not isinstance(config, dict) or not isinstance(config.get(section), dict):
        raise RunError(f"'{path}' is damaged: it has no mapping '{section}'. Start the run anew.")
    return config


def damaged_config(folder: pathlib.Path, error: ValidationError) -> RunError:
    """What to raise where a run's config does not fit its schema."""
    problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    return RunError(f"'{folder / 'config.yaml'}' is damaged: {problems}.")


# --- costs ---------------------------------------------------------------------------------------------------------


def write_costs(folder: pathlib.Path, costs: Costs) -> None:
    """Keeps the costs that a wiring was compiled by: others may choose sums that differ by rounding."""
    write_atomically(_costs_file(folder), costs_files.as_text(costs))


def read_costs(folder: pathlib.Path) -> Costs | None:
    """The costs that a run was compiled by on this kind of device.

    None where it has not run on one yet, or was begun by a version that did not keep them.

    Raises:
        RunError: their file is damaged.
    """
    path = _costs_file(folder)
    fix = "put it back as it was, or delete it: the run then goes on by this machine's, and may differ by rounding."
    try:
        return costs_files.read(path, fix) if path.exists() else None
    except UserError as error:
        raise RunError(str(error)) from error


def _costs_file(folder: pathlib.Path) -> pathlib.Path:
    return folder / f"costs_{costs_files.platform()}.json"


# --- the wiring ----------------------------------------------------------------------------------------------------


def write_topology(folder: pathlib.Path, topology: Topology, name: str = "topology") -> None:
    """Keeps the wiring, so that resuming needs no other file; under another `name` where a run has several.

    Raises:
        TopologyError: a neuron's name or a population's activation is of a type that files do not hold.
    """
    arrays = {name: getattr(topology, name) for name in _ARRAYS if getattr(topology, name) is not None}
    about = {
        "name": topology.name,
        "populations": [dataclasses.asdict(population) for population in with_activation_names(topology).populations],
        "labels": None if topology.labels is None else [*zip(*label_keys(topology.labels, topology.name), strict=True)],
    }
    write_arrays(folder / f"{name}.safetensors", arrays, {"topology": about})


def read_topology(folder: pathlib.Path, name: str = "topology") -> Topology:
    """The wiring that a run keeps, exactly.

    Raises:
        RunError: its file is absent or damaged.
    """
    path = folder / f"{name}.safetensors"
    arrays, metadata = read_arrays(path, "topology of the run")
    try:
        about = metadata["topology"]
        populations = tuple(
            Population(**{**p, "shape": None if p["shape"] is None else tuple(p["shape"])})
            for p in about["populations"]
        )
        labels = about["labels"]
        if labels is not None:
            labels = tuple(label_of(key, kind, str(path), about["name"]) for key, kind in labels)
        return Topology(**arrays, populations=populations, labels=labels, name=about["name"])
    except (KeyError, TypeError) as error:
        raise RunError(f"topology of the run '{path}' is damaged ({error!r}).") from error


# --- checkpoints ----------------------------------------------------------------------------------------------------


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
    """Writes a checkpoint; keeps the last few."""
    path = folder / "checkpoints" / f"step_{checkpoint.step:08d}.safetensors"
    write_arrays(path, checkpoint.arrays, {"step": checkpoint.step, "unlogged": checkpoint.unlogged})
    for old in _checkpoints(folder)[:-KEPT_CHECKPOINTS]:
        old.unlink(missing_ok=True)
    return path


def load_checkpoint(folder: pathlib.Path) -> Checkpoint:
    """The latest checkpoint that can be read.

    A damaged latest one (a disk that filled up) gives way to the one before it, with a `RunWarning`.

    Raises:
        RunError: there is none, or none can be read.
    """
    paths = _checkpoints(folder)
    if not paths:
        raise RunError(f"run folder '{folder}' has no checkpoint; start the run anew.")
    first_error: RunError | None = None
    for path in reversed(paths):
        try:
            arrays, metadata = read_arrays(path, "checkpoint")
            checkpoint = Checkpoint(int(metadata["step"]), arrays, Unlogged(*metadata["unlogged"]), path)
        except (KeyError, TypeError):
            first_error = first_error or RunError(f"checkpoint '{path}' is damaged: it does not say its step.")
        except RunError as error:
            first_error = first_error or error
        else:
            if first_error is not None:
                warnings.warn(RunWarning(f"{first_error} Step {checkpoint.step} is used in its place."), stacklevel=2)
            return checkpoint
    others = "" if len(paths) == 1 else f" Nor can the {len(paths) - 1} before it."
    raise RunError(f"{first_error}{others} Start the run anew.")


def drop_checkpoints(folder: pathlib.Path, after: int) -> None:
    """Removes the checkpoints of later steps."""
    for path in _checkpoints(folder):
        if path.stem.removeprefix("step_").isdigit() and int(path.stem.removeprefix("step_")) > after:
            path.unlink(missing_ok=True)


def _checkpoints(folder: pathlib.Path) -> list[pathlib.Path]:
    """By step: longer numbers come later."""
    return sorted((folder / "checkpoints").glob("step_*.safetensors"), key=lambda path: (len(path.name), path.name))


# --- metrics --------------------------------------------------------------------------------------------------------


def append_metrics(folder: pathlib.Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Adds records to metrics.jsonl and flushes them to the disk; a number that is not finite becomes null."""
    text = "".join(_as_json(record) + "\n" for record in records)
    try:
        _files.append(folder / "metrics.jsonl", text)
    except OSError as error:
        raise RunError(f"'{folder / 'metrics.jsonl'}' cannot be written: {error.strerror}.") from error


def read_metrics(folder: pathlib.Path) -> list[dict[str, Any]]:
    """All records that are whole; a line cut short by a kill is left out."""
    path = folder / "metrics.jsonl"
    records = []
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(record, dict) and isinstance(record.get("step"), int):
                records.append(record)
    return records


def rewind(folder: pathlib.Path, step: int) -> None:
    """Drops what was recorded after a checkpoint, since it will be measured again, and files that a kill cut short."""
    # the evaluation of step 0 comes after its checkpoint, all other records come before theirs
    kept = [record for record in read_metrics(folder) if 0 < record["step"] <= step or record["step"] < step]
    write_atomically(folder / "metrics.jsonl", "".join(_as_json(record) + "\n" for record in kept))
    for partial in (*folder.glob(_files.PARTIAL), *(folder / "checkpoints").glob(_files.PARTIAL)):
        partial.unlink(missing_ok=True)


def write_summary(folder: pathlib.Path, summary: Mapping[str, Any]) -> None:
    write_atomically(folder / "summary.json", _as_json(summary, indent=2) + "\n")


def finite(value: Any) -> Any:
    """Plain data with None in place of numbers that are not finite, which JSON does not have."""
    if isinstance(value, Mapping):
        return {name: finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _as_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(finite(value), indent=indent, allow_nan=False)
