"""Wiring diagrams of nervous systems as wirings for a task, and their null models.

They are read from the folder of data sets, whose subfolder `connectomes` has the tables; where these are not there, a
generated directed graph with cycles takes their place, so that every part of an experiment runs.
"""

import contextlib
import pathlib
import warnings
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np

from ..tasks import datasets
from ..topology import (
    HIDDEN,
    INPUT,
    OUTPUT,
    Population,
    Topology,
    TopologyWarning,
    attach,
    files,
    orientation,
    projections,
    rewiring,
)

ConnectomeName = Literal["celegans", "mushroom_body", "larva"]
NullName = Literal["degree_preserving", "configuration", "erdos_renyi", "shuffle_weights"]
FOLDER = "connectomes"
_INDEGREE = 8
_NEURONS, _ENDS, _OUTDEGREE = 60, 12, 6
_LARVA = "drosophila_larva_edges.csv", "drosophila_larva_nodes.csv"
_WORM = "celegans_hermaphrodite_edges.csv", "celegans_hermaphrodite_nodes.csv"
_TABLES: dict[str, tuple[tuple[str, str], dict[str, Any], str]] = {
    "celegans": (
        _WORM,
        {
            "keep": {"kind": "neuron"}, "where": {"type": "chemical"}, "inputs": {"sensory": "1"},
            "outputs": {"synapses_onto_muscle": "1"},
        },
        "eades_lin_smyth",
    ),
    "mushroom_body": (
        _LARVA,
        {
            "keep": {"simple_group": ["PNs", "KCs", "MBONs"]}, "inputs": {"simple_group": "PNs"},
            "outputs": {"simple_group": "MBONs"},
        },
        "distance",
    ),
    "larva": (_LARVA, {"inputs": {"io": "input"}, "outputs": {"io": "output"}}, "distance"),
}  # fmt: skip
"""Tables, roles and the method of orientation by name; docs/connectomes.md has the sources."""


class Found(NamedTuple):
    """A connectome that was read.

    Attributes:
        graph: with its cycles.
        method: how it is oriented.
        is_real: whether it comes from tables, not from a generator.
    """

    graph: orientation.Connectome
    method: str
    is_real: bool


def find(name: str, data_dir: str | None, seed: int) -> Found:
    """Reads a connectome, or generates a graph in its place.

    Args:
        name: "celegans", "mushroom_body" or "larva".
        data_dir: the folder of data sets; None for that of the environment.
        seed: the seed of the generated graph.

    Raises:
        TopologyError: a table is damaged.
    """
    tables, roles, method = _TABLES[name]
    place = datasets.named_place(data_dir)
    paths = [pathlib.Path() if place is None else place / FOLDER / table for table in tables]
    if all(path.is_file() for path in paths):
        return Found(files.read_connectome(*paths, name=name, **roles), method, True)
    return Found(_generated(seed), "distance", False)


def _generated(seed: int) -> orientation.Connectome:
    """Each neuron sends to random others, so that there are cycles; counts of synapses are geometric."""
    rng = np.random.default_rng(seed)
    receivers = np.concatenate(
        [rng.choice(np.delete(np.arange(_NEURONS), n), _OUTDEGREE, replace=False) for n in range(_NEURONS)]
    )
    senders = np.repeat(np.arange(_NEURONS), _OUTDEGREE)
    counts = rng.geometric(0.3, senders.size).astype(float)
    roles = np.full(_NEURONS, HIDDEN)
    roles[:_ENDS], roles[-_ENDS:] = INPUT, OUTPUT
    labels = [f"neuron {n}" for n in range(_NEURONS)]
    return orientation.Connectome(labels, senders, receivers, counts, roles, name="generated graph")


def wiring(found: Found, *, weighted: bool, seed: int) -> Topology:
    """Orients a connectome and leaves out what is on no path from an input to an output; `history` says what.

    Args:
        found: the connectome.
        weighted: whether synapses start at the shares of synapses that a receiver has from each sender.
        seed: the seed by which ties in the orientation are broken.
    """
    kind = "fractions" if weighted else "none"
    return orientation.wiring_of(found.graph, weights=kind, method=found.method, seed=seed)


def null_model(original: Topology, null: str, seed: int) -> Topology:
    """A null model of an oriented connectome: synapses lead from lower levels to higher ones, as there; where single
    swaps preserve degrees, as many join each two levels, too."""
    options = {"order": "level_pairs"} if null == "degree_preserving" else {}
    with _without_warning():
        return rewiring.rewire(original, null, seed=seed, **options)


@contextlib.contextmanager
def _without_warning() -> Iterator[None]:
    """Hidden neurons that come to have no use are counted in the table instead."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TopologyWarning)
        yield


def fitted(wired: Topology, n_inputs: int, n_outputs: int, seed: int) -> Topology:
    """Attaches the inputs and outputs of a task: each former input receives eight random ones, each output all former
    outputs. The same seed joins the same neurons in null models."""
    rng = projections.generator(seed)
    with _without_warning():
        return attach(
            wired,
            inputs=(Population("task input", "input"), n_inputs),
            into=projections.fixed_indegree(rng, n_inputs, wired.inputs.size, min(_INDEGREE, n_inputs)),
            outputs=(Population("task output", "output"), n_outputs),
            out_of=projections.all_to_all(wired.outputs.size, n_outputs),
            seed=seed,
        )
