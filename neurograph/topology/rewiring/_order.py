"""In which order the synapses of a rewired wiring lead forward, so that there is no cycle.

- `levels`: from a lower level of the original wiring to a higher one.
- `total`: forward in one order of all neurons, that by level, and by row within a level; neurons of one level may so
  come to be joined.
- `level_pairs`: as `levels`, and as many synapses join each two levels as in the original wiring. Where degrees stay,
  every neuron has as many senders and receivers on each level as before, and keeps its own level.
"""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from ..._text import nearest, shown
from .._graph import reachable
from .._types import Topology, fail
from .._validate import levels

ORDERS = ("levels", "total", "level_pairs")


class Order(NamedTuple):
    """Where synapses may lead.

    Attributes:
        place: int64 `[neurons]`; a synapse leads from a lower place to a higher one.
        group: int64 `[synapses]`, the pair of levels of each synapse of the original wiring where this stays, or None.
    """

    place: np.ndarray
    group: np.ndarray | None


def order_of(topology: Topology, order: str) -> Order:
    """Finds the places of neurons in one of `ORDERS`, and the pairs of levels where these stay."""
    check_choice(topology.name, "order", order, ORDERS)
    level = levels(topology)
    if order == "total":
        place = np.empty_like(level)
        place[np.argsort(level, kind="stable")] = np.arange(level.size)
        return Order(place, None)
    if order == "levels":
        return Order(level, None)
    return Order(level, level[topology.senders] * (int(level.max(initial=0)) + 1) + level[topology.receivers])


def check_choice(name: str, key: str, value: object, valid: Collection[str]) -> None:
    """Checks that an option is one of the words that it may be."""
    if value not in valid:
        raise fail(name, f"{key} is {shown(value)}, which is unknown; {nearest(value, valid)}")


def check_whole(name: str, key: str, value: object, least: int) -> None:
    """Checks that an option is a whole number that is large enough."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise fail(name, f"{key} is {shown(value)}; it must be a whole number of at least {least}.")


def outputs_reached(topology: Topology, senders: np.ndarray, receivers: np.ndarray) -> np.ndarray:
    """Tells, bool `[outputs]`, to which outputs a path leads from an input."""
    return reachable(senders, receivers, topology.n_neurons, topology.inputs)[topology.outputs]


def has_other_sources(topology: Topology) -> bool:
    """Tells whether a neuron other than the inputs receives nothing.

    Where none does, and in-degrees stay, every path back from an output ends at an input.
    """
    receives = np.bincount(topology.receivers, minlength=topology.n_neurons) > 0
    return int(np.sum(~receives)) > topology.inputs.size
