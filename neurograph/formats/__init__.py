"""Topologies in files: YAML, edge-list CSV, GraphML and networkx's node-link JSON, in and out, by the file's suffix.

What is saved comes back equal: neurons, synapses, inputs and outputs in the user's order, names with their types
(text, whole numbers, floats, booleans, None and tuples of these), populations, and every bit of the initial weights.
"""

import os
from pathlib import Path

from ..topology import Topology
from ..topology._types import fail
from ..topology._validate import nearest
from . import _csv, _graphml, _json, _yaml

_FORMATS = {".yaml": _yaml, ".yml": _yaml, ".csv": _csv, ".graphml": _graphml, ".json": _json}
SUFFIXES = tuple(_FORMATS)


def load(path: str | os.PathLike[str]) -> Topology:
    """Read a topology from a file.

    Args:
        path: a file whose suffix is one of `SUFFIXES`. Beside an edge list `wiring.csv`, `wiring.nodes.csv` is read
            where there is one.

    Returns:
        The topology, named after the file.

    Raises:
        TopologyError: the file cannot be read, is malformed (with its line), or the wiring breaks a rule.
    """
    path = Path(path)
    return _format(path).read(path)


def save(topology: Topology, path: str | os.PathLike[str]) -> None:
    """Write a topology to a file, whole or not at all; `load` gives an equal one back.

    Args:
        topology: the wiring.
        path: a file whose suffix is one of `SUFFIXES`. Beside an edge list `wiring.csv`, `wiring.nodes.csv` is
            written, too.

    Raises:
        TopologyError: the file cannot be written, or a neuron's name is of a type that files do not hold.
    """
    path = Path(path)
    _format(path).write(topology, path)


def _format(path: Path):
    module = _FORMATS.get(path.suffix.lower())
    if module is None:
        raise fail(path.name, f"the file's suffix is {path.suffix!r}; {nearest(path.suffix, SUFFIXES)}")
    return module
