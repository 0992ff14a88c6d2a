"""Makes what a topology file says of other wirings: connectomes, orientation, null models, new inputs and outputs."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath

import numpy as np

from ...._text import UserError, shown
from ... import orientation, projections, rewiring
from ..._attach import attach
from ..._types import ROLES, Population, Topology, TopologyError, titled
from .._connectome import read_connectome
from . import _edges
from ._derived_schema import ConnectomeConfig, EndConfig
from ._document import Document
from ._problems import ConfigError, Path
from ._schema import TopologyFile

_STREAM_INPUTS, _STREAM_OUTPUTS = 10**6, 10**6 + 1
"""Random numbers of attached projections, apart from those of the file's own, which have their place in the list."""

Loader = Callable[[str, FilePath], Topology]
"""Reads a wiring by its name: a file, relative to the folder that is given, or whatever else stands for one."""


def connectome(
    config: ConnectomeConfig, file: TopologyFile, document: Document, folder: FilePath, name: str
) -> Topology:
    """Reads a connectome, and orients it as the file says."""
    with _at(document, ("connectome",)):
        found = read_connectome(
            folder / config.connections,
            folder / config.neurons,
            inputs=config.inputs,
            outputs=config.outputs,
            keep=config.keep,
            where=config.where,
            label=config.label,
            group=config.population,
            weight=config.weight,
            least=config.least,
            name=name,
        )
        return orientation.wiring_of(found, weights=config.weights, prune=config.prune, **_orient_options(file))


def other(what: str, file: TopologyFile, document: Document, folder: FilePath, load: Loader) -> Topology:
    """Reads the wiring that `rewire.of` names; it is called as the file that rewires it says, or else as itself."""
    with _at(document, ("rewire", "of")):
        wiring = load(what, folder)
    history = (*wiring.history, f"read from {shown(what)}")
    return dataclasses.replace(wiring, name=file.name or wiring.name, history=history)


def oriented(
    synapses: _edges.Synapses, file: TopologyFile, document: Document, members: np.ndarray
) -> tuple[_edges.Synapses, tuple[str, ...]]:
    """Drops synapses that lead backward, where the file says so; gives the rest, and what has been done."""
    if file.orient is None:
        return synapses, ()
    roles = np.array([ROLES.index(p.role) for p in file.populations])[members]
    weights = None if synapses.weights is None else np.abs(synapses.weights).sum(axis=0)
    with _at(document, ("orient",)):
        found = orientation.orient(
            synapses.senders,
            synapses.receivers,
            members.size,
            weights=weights,
            inputs=np.flatnonzero(roles == ROLES.index("input")),
            outputs=np.flatnonzero(roles == ROLES.index("output")),
            **_orient_options(file),
        )
    kept, place = np.flatnonzero(found.kept), synapses.place
    left = synapses._replace(
        senders=synapses.senders[kept],
        receivers=synapses.receivers[kept],
        weights=None if synapses.weights is None else synapses.weights[:, kept],
        backward_weights=None if synapses.backward_weights is None else synapses.backward_weights[:, kept],
        place=lambda synapse: place(int(kept[synapse])),
    )
    return left, (f"oriented: {found}",)


def derived(wiring: Topology, file: TopologyFile, document: Document) -> Topology:
    """Rewires a wiring, and then attaches new inputs and outputs to it, where the file says so."""
    if file.rewire is not None:
        options = file.rewire.model_dump(exclude={"of", "seed", "method"})
        seed = file.seed if file.rewire.seed is None else file.rewire.seed
        with _at(document, ("rewire",), wiring.name):
            wiring = rewiring.rewire(wiring, file.rewire.method, seed=seed, **options)
    if file.attach is not None and (file.attach.inputs or file.attach.outputs):
        ends, n_former = file.attach, {"inputs": wiring.inputs.size, "outputs": wiring.outputs.size}
        options = {}
        if ends.inputs is not None:
            with _at(document, ("attach", "inputs"), wiring.name):
                population, size = _end(ends.inputs, "input")
                rng = _generator(ends.inputs, file, _STREAM_INPUTS)
                pairs = _pairs(ends.inputs, rng, size, n_former["inputs"])
                options |= {"inputs": (population, size), "into": pairs}
        if ends.outputs is not None:
            with _at(document, ("attach", "outputs"), wiring.name):
                population, size = _end(ends.outputs, "output")
                rng = _generator(ends.outputs, file, _STREAM_OUTPUTS)
                pairs = _pairs(ends.outputs, rng, n_former["outputs"], size)
                options |= {"outputs": (population, size), "out_of": pairs}
        with _at(document, ("attach",), wiring.name):
            wiring = attach(wiring, **options, seed=file.seed)
    return wiring


@contextlib.contextmanager
def _at(document: Document, path: Path, name: str = "") -> Iterator[None]:
    """Gives what is wrong the place of the key in the file."""
    try:
        yield
    except ConfigError:
        raise
    except UserError as error:
        sentence = str(error)
        if isinstance(error, TopologyError) and name:
            sentence = sentence.removeprefix(titled(name))
        raise ConfigError([document.problem(path, sentence)]) from None


def _orient_options(file: TopologyFile) -> dict:
    if file.orient is None:
        return {"seed": file.seed}
    options = file.orient.model_dump()
    return options | {"seed": file.seed if file.orient.seed is None else file.orient.seed}


def _end(config: EndConfig, role: str) -> tuple[Population, int]:
    shape = None if config.shape is None else (config.shape[0], config.shape[1])
    size = config.size if shape is None else shape[0] * shape[1]
    assert size is not None
    # the former ends may be called as their role is
    return Population(config.name or f"task {role}", role, shape=shape), size


def _generator(config: EndConfig, file: TopologyFile, stream: int) -> np.random.Generator:
    return projections.generator(*((file.seed, stream) if config.seed is None else (config.seed,)))


def _pairs(config: EndConfig, rng: np.random.Generator, n_senders: int, n_receivers: int) -> projections.Pairs:
    match config.rule:
        case "all_to_all":
            return projections.all_to_all(n_senders, n_receivers)
        case "one_to_one":
            return projections.one_to_one(n_senders, n_receivers)
        case "pairwise_bernoulli":
            assert config.p is not None
            return projections.pairwise_bernoulli(rng, n_senders, n_receivers, config.p)
        case "fixed_indegree" | "fixed_outdegree":
            assert config.n is not None
            return getattr(projections, config.rule)(rng, n_senders, n_receivers, config.n)
