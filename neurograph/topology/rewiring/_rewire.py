"""Finds a method of rewiring by its name."""

import inspect
from typing import Any

from ..._text import nearest, shown
from .._types import Topology, fail
from ._configuration import configuration
from ._degree_preserving import degree_preserving
from ._erdos_renyi import erdos_renyi
from ._order import check_choice, check_whole
from ._weights import shuffle_weights

METHODS = {
    "degree_preserving": degree_preserving,
    "configuration": configuration,
    "erdos_renyi": erdos_renyi,
    "shuffle_weights": shuffle_weights,
}


def rewire(topology: Topology, method: str, *, seed: int = 0, **options: Any) -> Topology:
    """Draws a null model of a wiring.

    Args:
        topology: the wiring.
        method: one of `METHODS`: "degree_preserving", "configuration", "erdos_renyi" or "shuffle_weights".
        seed: the seed of the random choices.
        options: those of the method, see the function of its name.

    Returns:
        The rewired wiring; the last line of its `history` says what has been done.

    Raises:
        TopologyError: the method or an option is unknown or wrong, or see the method.

    >>> from neurograph.topology import generators, rewire
    >>> rewire(generators.random_dag(4, 2, 20, in_degree=3), "degree_preserving", seed=1).n_synapses
    66
    """
    check_choice(topology.name, "method", method, METHODS)
    check_whole(topology.name, "seed", seed, 0)
    known = [key for key in inspect.signature(METHODS[method]).parameters if key not in ("topology", "seed")]
    for key in options:
        if key not in known:
            raise fail(topology.name, f"{method} has no option {shown(key)}; {nearest(key, known)}")
    return METHODS[method](topology, seed=seed, **options)
