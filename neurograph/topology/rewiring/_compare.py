"""Counts what a rewired wiring has in common with the original one."""

from typing import NamedTuple

import numpy as np

from .._graph import reachable
from .._types import HIDDEN, Topology, fail
from .._validate import levels

_MOST_INPUTS = 256
_CHUNK = 64


class Structure(NamedTuple):
    """Numbers of a wiring that do not depend on which neuron is which.

    Attributes:
        n_synapses: synapses.
        n_levels: levels, one more than synapses on the longest path.
        mean_level: mean over all neurons.
        n_outputs_reached: outputs to which a path leads from an input.
        n_idle: hidden neurons that lie on no path from an input to an output.
        n_pairs: pairs of an input and an output which a path joins.
        mean_path: synapses of the shortest path, mean over these pairs (NaN where there are none). Of more than 256
            inputs, 256 are taken for both numbers, evenly spread in their order.
    """

    n_synapses: int
    n_levels: int
    mean_level: float
    n_outputs_reached: int
    n_idle: int
    n_pairs: int
    mean_path: float


class Comparison(NamedTuple):
    """What two wirings of the same neurons have in common.

    Attributes:
        original, rewired: the numbers of each.
        n_synapses_kept: pairs of neurons that a synapse joins in both.
        n_in_degrees_changed, n_out_degrees_changed: neurons whose degree differs.
        n_levels_changed: neurons whose level differs.
    """

    original: Structure
    rewired: Structure
    n_synapses_kept: int
    n_in_degrees_changed: int
    n_out_degrees_changed: int
    n_levels_changed: int


def structure(topology: Topology) -> Structure:
    """Counts levels, paths, and what is reached.

    Args:
        topology: the wiring.

    Returns:
        The numbers.

    >>> from neurograph.topology import generators
    >>> structure(generators.mlp([2, 3, 1])).mean_path
    2.0
    """
    n, senders, receivers = topology.n_neurons, topology.senders, topology.receivers
    level = levels(topology)
    fed = reachable(senders, receivers, n, topology.inputs)
    useful = reachable(receivers, senders, n, topology.outputs)
    n_pairs, total = _paths(topology)
    return Structure(
        n_synapses=topology.n_synapses,
        n_levels=int(level.max(initial=-1)) + 1,
        mean_level=float(level.mean()),
        n_outputs_reached=int(fed[topology.outputs].sum()),
        n_idle=int(np.sum((topology.roles == HIDDEN) & ~(fed & useful))),
        n_pairs=n_pairs,
        mean_path=total / n_pairs if n_pairs else float("nan"),
    )


def compare(original: Topology, rewired: Topology) -> Comparison:
    """Counts what stays of a wiring when it is rewired, and what does not.

    Args:
        original, rewired: two wirings of the same neurons.

    Returns:
        The numbers.

    Raises:
        TopologyError: the wirings do not have the same number of neurons.
    """
    if original.n_neurons != rewired.n_neurons:
        raise fail(
            rewired.name,
            f"it has {rewired.n_neurons} neurons, and the wiring that it is compared with has {original.n_neurons}; "
            "both must have the same neurons.",
        )
    n = original.n_neurons
    keys = [wiring.senders * n + wiring.receivers for wiring in (original, rewired)]

    def n_changed(one: np.ndarray, other: np.ndarray) -> int:
        return int(np.sum(one != other))

    def degrees(ends: np.ndarray) -> np.ndarray:
        return np.bincount(ends, minlength=n)

    return Comparison(
        original=structure(original),
        rewired=structure(rewired),
        n_synapses_kept=int(np.intersect1d(*keys, assume_unique=True).size),
        n_in_degrees_changed=n_changed(degrees(original.receivers), degrees(rewired.receivers)),
        n_out_degrees_changed=n_changed(degrees(original.senders), degrees(rewired.senders)),
        n_levels_changed=n_changed(levels(original), levels(rewired)),
    )


def _paths(topology: Topology) -> tuple[int, int]:
    """Counts the pairs of an input and an output that a path joins, and sums the lengths of the shortest paths."""
    import scipy.sparse

    inputs, n = topology.inputs, topology.n_neurons
    if inputs.size > _MOST_INPUTS:
        inputs = inputs[np.linspace(0, inputs.size - 1, _MOST_INPUTS).astype(np.int64)]
    ones = np.ones(topology.n_synapses, dtype=np.float32)
    matrix = scipy.sparse.csr_array((ones, (topology.receivers, topology.senders)), shape=(n, n))
    n_pairs = total = 0
    for start in range(0, inputs.size, _CHUNK):
        part = inputs[start : start + _CHUNK]
        seen = np.zeros((n, part.size), dtype=bool)
        seen[part, np.arange(part.size)] = True
        frontier, length = seen.astype(np.float32), 0
        while frontier.any():
            length += 1
            new = (matrix @ frontier > 0) & ~seen
            seen |= new
            n_new = int(new[topology.outputs].sum())
            n_pairs, total = n_pairs + n_new, total + length * n_new
            frontier = new.astype(np.float32)
    return n_pairs, total
