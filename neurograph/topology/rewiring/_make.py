"""Makes the rewired `Topology`, with the values of synapses in their new places."""

import dataclasses

import numpy as np

from .._construct import frozen
from .._types import Topology
from .._validate import validate


def replaced(
    topology: Topology, senders: np.ndarray, receivers: np.ndarray, values_of: np.ndarray, done: str
) -> Topology:
    """Gives a wiring with other synapses between the same neurons.

    Args:
        topology: the original wiring.
        senders, receivers: `[synapses]`, the new synapses.
        values_of: `[synapses]`, the old synapse whose weights each new one has.
        done: what has been done, a line of the wiring's `history`.

    Raises:
        TopologyError: the new wiring breaks a rule (see `neurograph.topology.validate`).

    Warns:
        TopologyWarning: some hidden neurons are on no path from an input to an output.
    """
    rewired = dataclasses.replace(
        topology,
        senders=frozen(senders, np.int64),
        receivers=frozen(receivers, np.int64),
        weights=None if topology.weights is None else frozen(topology.weights[:, values_of], np.float64),
        backward_weights=(
            None if topology.backward_weights is None else frozen(topology.backward_weights[:, values_of], np.float64)
        ),
        history=(*topology.history, f"rewired by {done}"),
    )
    validate(rewired)
    return rewired
