"""The wiring of a run, in a file of its own, so that resuming needs no other."""

import dataclasses
import pathlib
import warnings
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .._text import shown
from ..topology import Population, Topology, TopologyError, TopologyWarning, validate
from ..topology.files import label_keys, label_of, with_activation_names
from .arrays import read_arrays, write_arrays
from .errors import RunError, in_short

_ARRAYS = {
    "senders": (np.int64, 1),
    "receivers": (np.int64, 1),
    "population_of": (np.int64, 1),
    "inputs": (np.int64, 1),
    "outputs": (np.int64, 1),
    "weights": (np.floating, 2),
    "backward_weights": (np.floating, 2),
    "biases": (np.floating, 2),
}
"""The kind of numbers and of dimensions of each; the last three may be absent."""
_OPTIONAL = {"weights", "backward_weights", "biases"}


_Length = Annotated[int, Field(ge=1, le=2**31)]


class _Population(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    role: str
    shape: tuple[_Length, _Length] | None
    activation: str | None
    bias: bool


class _About(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    populations: list[_Population]
    labels: list[tuple[str, str]] | None
    history: list[str] = []


def write_topology(folder: pathlib.Path, topology: Topology, name: str = "topology") -> None:
    """Keeps the wiring; under another `name` where a run has several.

    Raises:
        TopologyError: it breaks a rule, or a neuron's name or a population's activation is of a type that files do not
            hold.
        RunError: the file cannot be written.
    """
    _validate(topology)  # what is kept can be read
    arrays = {name: getattr(topology, name) for name in _ARRAYS if getattr(topology, name) is not None}
    about = {
        "name": topology.name,
        "populations": [dataclasses.asdict(population) for population in with_activation_names(topology).populations],
        "labels": None if topology.labels is None else [*zip(*label_keys(topology.labels, topology.name), strict=True)],
    }
    if topology.history:
        about["history"] = list(topology.history)
    write_arrays(folder / f"{name}.safetensors", arrays, {"topology": about})


def read_topology(folder: pathlib.Path, name: str = "topology") -> Topology:
    """The wiring that a run keeps, exactly.

    Raises:
        RunError: its file is absent or damaged.
    """
    path = folder / f"{name}.safetensors"
    what = "topology of the run"
    arrays, metadata = read_arrays(path, what)
    try:
        _check(arrays)
        topology = _topology(arrays, metadata.get("topology"), str(path))
        _validate(topology)
    except (TopologyError, ValidationError) as error:
        raise RunError(f"{what} '{path}' is damaged: {in_short(error)} Start the run anew.") from error
    return topology


def _check(arrays: dict[str, np.ndarray]) -> None:
    """Whether there are the arrays of a wiring, and each of the right kind."""
    for name in (*_ARRAYS, *arrays):
        if name not in arrays:
            if name not in _OPTIONAL:
                raise TopologyError(f"{name} is missing.")
        elif name not in _ARRAYS:
            raise TopologyError(f"it holds {shown(name)}, which is not an array of a wiring.")
        else:
            kind, n_dimensions = _ARRAYS[name]
            array = arrays[name]
            if not np.issubdtype(array.dtype, kind) or array.ndim != n_dimensions:
                raise TopologyError(f"{name} has type {array.dtype} and shape {array.shape}.")


def _topology(arrays: dict[str, np.ndarray], about: Any, place: str) -> Topology:
    known = _About.model_validate(about)
    fields: dict[str, Any] = dict(arrays)
    return Topology(
        **fields,
        populations=tuple(Population(**dict(population)) for population in known.populations),
        labels=None if known.labels is None else tuple(label_of(*one, place, known.name) for one in known.labels),
        name=known.name,
        history=tuple(known.history),
    )


def _validate(topology: Topology) -> None:
    """Checks the rules of a wiring; what it warns of was told when the wiring was made."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TopologyWarning)
        validate(topology)
