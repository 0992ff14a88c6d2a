"""Reads any wiring by its name (a file, a name of the gallery, sizes of layers), and writes it to a file."""

import contextlib
import os
from contextvars import ContextVar
from pathlib import Path

from ... import _files
from ..._text import UserError, nearest, shown
from .._types import Topology, fail
from . import _csv, _graphml, _json, yaml
from ._gallery import find_file
from ._names import with_activation_names
from .yaml import ConfigError, Problem, TopologyFile

_YAML = (".yaml", ".yml")
_OTHERS = {".csv": _csv, ".graphml": _graphml, ".json": _json}
_EDGE_LISTS = (".tsv", ".txt", ".edges", ".edgelist")
SUFFIXES = (*_YAML, *_OTHERS)
"""The formats in which wirings are saved, by suffix."""

_OPEN: ContextVar[tuple[Path, ...]] = ContextVar("topology files that are being read", default=())

_BY_NETWORKX = "from_networkx(networkx.{})"
_BY_SCIPY = "from_adjacency({})"
_IN_PYTHON = {
    ".gexf": _BY_NETWORKX.format("read_gexf(path)"),
    ".gml": _BY_NETWORKX.format("read_gml(path)"),
    ".net": _BY_NETWORKX.format("DiGraph(networkx.read_pajek(path))"),
    ".paj": _BY_NETWORKX.format("DiGraph(networkx.read_pajek(path))"),
    ".sif": _BY_NETWORKX.format("DiGraph(line.split()[::2] for line in open(path))"),
    ".dot": _BY_NETWORKX.format("DiGraph(networkx.nx_pydot.read_dot(path))"),
    ".mat": _BY_SCIPY.format("scipy.io.loadmat(path)['name of the matrix']"),
    ".npz": _BY_SCIPY.format("scipy.sparse.load_npz(path)"),
    ".npy": _BY_SCIPY.format("numpy.load(path)"),
    ".mtx": _BY_SCIPY.format("scipy.io.mmread(path)"),
}


def load(what: str | os.PathLike[str], *, schema: type[TopologyFile] = TopologyFile) -> Topology:
    """Reads a wiring.

    Args:
        what: a file whose suffix is one of `SUFFIXES` (edge lists also .tsv, .txt, .edges, .edgelist), a name of the
            gallery, or the sizes of a perceptron's layers as `mlp:64-128-10`. Beside an edge list `wiring.csv`,
            `wiring.nodes.csv` is read where there is one.
        schema: what YAML files must fit, where more is known of their `train:` section than that it is a mapping.

    Returns:
        The topology, called as a YAML file says, or else as the file.

    Raises:
        ConfigError: there is no such file, or a YAML file breaks the schema; all problems at once, with their places.
        TopologyError: the file is malformed (the message says the line), or the wiring breaks a rule.

    >>> load("mlp:2-3-1").n_synapses
    9
    """
    if yaml.is_shorthand(what):
        return loads(yaml.spelled_out(str(what)), str(what), schema=schema)
    path = find_file(what)
    if path.is_dir():
        raise ConfigError([Problem(str(path), "", "this is a directory; give a file.")])
    suffix = path.suffix.lower()
    if suffix in _EDGE_LISTS:
        return _csv.read(path)
    if suffix in _IN_PYTHON:
        raise fail(
            path.name,
            f"a {suffix} file is read in Python: topology.files.save(topology.{_IN_PYTHON[suffix]}, 'wiring.yaml') "
            "makes a file that can be given everywhere.",
        )
    suffix = _suffix(path)
    if suffix not in _YAML:
        return _OTHERS[suffix].read(path)
    token = _OPEN.set((*_OPEN.get(), path.resolve()))
    try:
        return yaml.read(path, schema, _near)
    finally:
        _OPEN.reset(token)


def loads(
    text: str,
    name: str = "text.yaml",
    folder: str | os.PathLike[str] = ".",
    *,
    schema: type[TopologyFile] = TopologyFile,
) -> Topology:
    """Reads the wiring that the text of a topology file describes.

    Args:
        text: YAML.
        name: what messages call it.
        folder: where relative paths start.
        schema: see `load`.

    Raises:
        ConfigError: the text breaks the schema.
        TopologyError: the wiring breaks a rule.

    >>> loads("generator: {kind: mlp, sizes: [2, 3, 1]}").n_synapses
    9
    """
    return yaml.loads(text, name, Path(folder), schema, _near)


def _near(what: str, folder: Path) -> Topology:
    """Reads a wiring that a topology file in a folder names."""
    if yaml.is_shorthand(what):
        return load(what)
    path = folder / what if (folder / what).exists() else find_file(what)
    if path.resolve() in _OPEN.get():
        raise UserError(f"{shown(what)} is made of this file itself; name another wiring.")
    return load(path)


def save(topology: Topology, path: str | os.PathLike[str]) -> None:
    """Writes a wiring to a file, whole or not at all; `load` gives an equal one back.

    Args:
        topology: the wiring.
        path: a file whose suffix is one of `SUFFIXES`. Beside an edge list `wiring.csv`, `wiring.nodes.csv` is
            written, too.

    Raises:
        TopologyError: the file cannot be written, a neuron's name is of a type that files do not hold, or a
            population's activation is a function without a name.
    """
    path = Path(path)
    suffix, topology = _suffix(path), with_activation_names(topology)
    texts = {path: yaml.dumps(topology)} if suffix in _YAML else _OTHERS[suffix].texts(topology, path)
    try:
        with contextlib.ExitStack() as stack:
            # Files are renamed in the reverse order: the edge list first, then the file beside it.
            for part in reversed(texts):
                stack.enter_context(_files.replacing(part)).write_bytes(texts[part].encode())
    except OSError as error:
        raise fail(path.name, f"{path} cannot be written: {error.strerror or error}.") from None


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise fail(path.name, f"the file's suffix is {shown(path.suffix)}; {nearest(path.suffix, SUFFIXES)}")
    return suffix
