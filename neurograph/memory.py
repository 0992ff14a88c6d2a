"""How much memory a run will need, estimated from counts before anything is allocated."""

import os
from typing import NamedTuple

from .rules import Rule
from .topology import Topology


class MemoryEstimate(NamedTuple):
    """Bytes, by what they are for.

    Attributes:
        synapses: stored values, those of a call before, the new values of a step and the Hebbian sums between them.
        tables: index tables of the sparse lowerings.
        states: of one step: forward and backward states, what neurons transmit, and intermediate sums.
        data: support and query examples.
    """

    synapses: int
    tables: int
    states: int
    data: int

    @property
    def total(self) -> int:
        return sum(self)


def estimate(
    topology: Topology, rule: Rule, n_states: int, batch_size: int, itemsize: int, n_examples: int
) -> MemoryEstimate:
    """Estimates a run's memory. Rough: within about a factor of two on wirings that are not tiny.

    Args:
        topology: the wiring.
        rule, n_states: decide how many values a synapse has.
        batch_size: of support batches.
        itemsize: bytes of one number.
        n_examples: examples that live on the device.
    """
    values = rule.n_channels(n_states) * (2 if rule.stores_backward else 1) * topology.n_synapses * itemsize
    index_bytes, tables, padding = 4, 4, 1.5
    return MemoryEstimate(
        synapses=4 * values,
        tables=int(tables * 2 * index_bytes * padding * topology.n_synapses),
        states=6 * topology.n_neurons * n_states * batch_size * itemsize,
        data=n_examples * len(topology.inputs) * itemsize,
    )


def available() -> int | None:
    """Bytes of memory of this computer, or None where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def readable(n_bytes: float) -> str:
    """`12.3 MB` and the like (powers of 1000)."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"
