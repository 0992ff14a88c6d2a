"""A run's folder: what was asked, what was measured, and checkpoints from which it continues bit by bit.

    config.yaml        everything that was asked, resolved; what --resume reads
    topology.safetensors   the wiring, exactly
    genome.txt         the rule's numbers
    metrics.jsonl      one JSON object a line
    checkpoints/       step_00000500.safetensors ...; written to a temporary name, then renamed
    curves.png         loss and accuracy over steps
    summary.json       the end of the story

No pickle anywhere. A process killed at any moment leaves a folder that can be resumed.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import yaml
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from .engine import NetworkState
from .formats._text import label_keys, label_of
from .topology import Population, Topology

FORMAT_VERSION = 1
KEPT_CHECKPOINTS = 3

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


class RunError(ValueError):
    """A run folder cannot be made, read or continued; the message names it, what was found, and the mend."""


# --- files ----------------------------------------------------------------------------------------------------------


def write_atomically(path: pathlib.Path, content: bytes | str) -> None:
    """Writes to a temporary name in the same folder, flushes to disk, renames: a reader sees all or nothing.

    Raises:
        RunError: the file cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.partial")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise RunError(f"'{path}' cannot be written: {error.strerror}. Choose another folder with --out.") from error


def write_arrays(path: pathlib.Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """A safetensors file, written atomically."""
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_atomically(path, to_bytes(arrays, {"neurograph": str(FORMAT_VERSION), **metadata}))


def read_arrays(path: pathlib.Path, what: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Reads a safetensors file of ours.

    Raises:
        RunError: it is absent, truncated, no safetensors file, not ours, or of a newer version.
    """
    here = f"{what} '{path}'"
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - a file, not a dict
    except FileNotFoundError as error:
        raise RunError(f"{here} does not exist.") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise RunError(f"{here} cannot be read; it is truncated or no such file ({error}).") from error
    if "neurograph" not in metadata:
        raise RunError(f"{here} was not written by neurograph.")
    if metadata["neurograph"] != str(FORMAT_VERSION):
        raise RunError(
            f"{here} has format version {metadata['neurograph']}; this version of neurograph reads {FORMAT_VERSION}."
        )
    return arrays, metadata


# --- folder ---------------------------------------------------------------------------------------------------------


def create(folder: pathlib.Path) -> None:
    """Makes a run's folder; an existing one must hold no run.

    Raises:
        RunError: it holds a run already, or cannot be made or written.
    """
    if (folder / "config.yaml").exists():
        raise RunError(
            f"run folder '{folder}' holds a run already. Continue it with --resume '{folder}', or choose another --out."
        )
    try:
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"run folder '{folder}' cannot be made: {error.strerror}. Choose another with --out.") from error
    probe = folder / "checkpoints" / ".probe"
    write_atomically(probe, b"")
    probe.unlink()


def next_free(parent: pathlib.Path, name: str) -> pathlib.Path:
    """`parent/name`, or the first of `name-2`, `name-3` ... that does not exist."""
    folder, count = parent / name, 1
    while folder.exists():
        count += 1
        folder = parent / f"{name}-{count}"
    return folder


def write_config(folder: pathlib.Path, config: Mapping[str, Any]) -> None:
    write_atomically(folder / "config.yaml", yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))


def read_config(folder: pathlib.Path) -> dict[str, Any]:
    """What the run was asked.

    Raises:
        RunError: the folder holds no run, or its config is damaged.
    """
    path = folder / "config.yaml"
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(f"'{folder}' holds no run: it has no config.yaml. Give the folder of a run.") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RunError(f"'{path}' cannot be read: {' '.join(str(error).split())}.") from error
    if not isinstance(config, dict):
        raise RunError(f"'{path}' is damaged: it holds {type(config).__name__}, not a mapping.")
    return config


# --- the wiring ----------------------------------------------------------------------------------------------------


def write_topology(folder: pathlib.Path, topology: Topology) -> None:
    """Keeps the wiring, so that resuming needs no other file.

    Raises:
        TopologyError: a neuron's name is of a type that files do not hold.
    """
    arrays = {name: getattr(topology, name) for name in _ARRAYS if getattr(topology, name) is not None}
    about = {
        "name": topology.name,
        "populations": [dataclasses.asdict(population) for population in topology.populations],
        "labels": None if topology.labels is None else [*zip(*label_keys(topology.labels, topology.name), strict=True)],
    }
    write_arrays(folder / "topology.safetensors", arrays, {"topology": json.dumps(about)})


def read_topology(folder: pathlib.Path) -> Topology:
    """The wiring that a run keeps, exactly.

    Raises:
        RunError: its file is absent or damaged.
    """
    path = folder / "topology.safetensors"
    arrays, metadata = read_arrays(path, "topology of the run")
    try:
        about = json.loads(metadata["topology"])
        populations = tuple(
            Population(**{**p, "shape": None if p["shape"] is None else tuple(p["shape"])}) for p in about["populations"]
        )
        labels = about["labels"]
        if labels is not None:
            labels = tuple(label_of(key, kind, str(path), about["name"]) for key, kind in labels)
        return Topology(**arrays, populations=populations, labels=labels, name=about["name"])
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise RunError(f"topology of the run '{path}' is damaged ({error!r}).") from error


# --- checkpoints ----------------------------------------------------------------------------------------------------

_FIELDS = ("forward", "backward", "bias", "neurons")


def save_checkpoint(folder: pathlib.Path, network: NetworkState) -> pathlib.Path:
    """Writes the network; keeps the last few checkpoints."""
    step = int(network.step)
    values = {name: getattr(network, name) for name in _FIELDS}
    arrays = {name: np.asarray(value) for name, value in values.items() if value is not None}
    path = folder / "checkpoints" / f"step_{step:08d}.safetensors"
    write_arrays(path, arrays, {"step": str(step)})
    for old in _checkpoints(folder)[:-KEPT_CHECKPOINTS]:
        old.unlink(missing_ok=True)
    return path


def load_checkpoint(folder: pathlib.Path, template: NetworkState) -> NetworkState:
    """The latest checkpoint that can be read.

    A damaged latest one (a disk that filled up) gives way to the one before it.

    Args:
        template: a network of the run's shapes; the checkpoint must fit it.

    Raises:
        RunError: there is none, none can be read, or it does not fit.
    """
    paths = _checkpoints(folder)
    if not paths:
        raise RunError(f"run folder '{folder}' has no checkpoint; start the run anew.")
    first_error: RunError | None = None
    for path in reversed(paths):
        try:
            arrays, metadata = read_arrays(path, "checkpoint")
        except RunError as error:
            first_error = first_error or error
            continue
        return _fitted(path, arrays, metadata, template)
    assert first_error is not None
    raise first_error


def _fitted(path, arrays, metadata, template: NetworkState) -> NetworkState:
    for name in _FIELDS:
        expected, found = getattr(template, name), arrays.get(name)
        if (expected is None) != (found is None) or (
            found is not None and (found.shape != expected.shape or found.dtype != expected.dtype)
        ):
            wanted = "absent" if expected is None else f"{expected.dtype} {expected.shape}"
            held = "absent" if found is None else f"{found.dtype} {found.shape}"
            raise RunError(f"checkpoint '{path}' does not fit the run: {name} is {held}; it must be {wanted}.")
    values = tuple(None if arrays.get(name) is None else jnp.asarray(arrays[name]) for name in _FIELDS)
    step = jnp.asarray(int(metadata["step"]), template.step.dtype)
    return eqx.tree_at(
        lambda n: (*(getattr(n, name) for name in _FIELDS), n.step),
        template,
        (*values, step),
        is_leaf=lambda leaf: leaf is None,
    )


def _checkpoints(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted((folder / "checkpoints").glob("step_*.safetensors"))


# --- metrics --------------------------------------------------------------------------------------------------------


def append_metrics(folder: pathlib.Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Adds records to metrics.jsonl and flushes them."""
    text = "".join(json.dumps(record) + "\n" for record in records)
    try:
        with open(folder / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(text)
            file.flush()
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


def rewind_metrics(folder: pathlib.Path, step: int) -> None:
    """Drops what was recorded after a checkpoint, since it will be measured again."""
    kept = [record for record in read_metrics(folder) if record["step"] <= step]
    write_atomically(folder / "metrics.jsonl", "".join(json.dumps(record) + "\n" for record in kept))


def write_summary(folder: pathlib.Path, summary: Mapping[str, Any]) -> None:
    write_atomically(folder / "summary.json", json.dumps(summary, indent=2) + "\n")
