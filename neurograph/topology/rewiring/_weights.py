"""Permutes the given values of synapses; the wiring stays."""

import numpy as np

from .. import projections
from .._types import Topology, fail
from ._make import replaced
from ._order import check_choice

WITHIN = ("all", "receivers", "senders")


def shuffle_weights(topology: Topology, *, seed: int = 0, within: str = "all") -> Topology:
    """Permutes the given weights among the synapses; every permutation is equally likely.

    The values of a synapse (of all channels, forward and backward) move together. Biases stay.

    Args:
        topology: the wiring, with weights or backward weights.
        seed: the seed of the random choices.
        within: "all": among all synapses; "receivers": among the synapses that a neuron receives, for each neuron, so
            that its incoming weights stay as a set; "senders": likewise among those that it sends.

    Returns:
        The wiring with permuted values.

    Raises:
        TopologyError: an option is wrong, or the wiring has no weights.

    >>> from neurograph.topology import from_arrays
    >>> wiring = from_arrays([0, 1, 2], [3, 3, 3], weights=[1.0, 2.0, 3.0])
    >>> sorted(shuffle_weights(wiring, seed=1).weights[0].tolist())
    [1.0, 2.0, 3.0]
    """
    check_choice(topology.name, "within", within, WITHIN)
    if topology.weights is None and topology.backward_weights is None:
        raise fail(
            topology.name,
            "shuffle_weights needs synapses with given weights, but this wiring has none; give it weights, or rewire "
            "it by another method.",
        )
    rng, n = projections.generator(seed), topology.n_synapses
    shuffled = rng.permutation(n)
    values_of = shuffled
    if within != "all":
        ends = topology.receivers if within == "receivers" else topology.senders
        values_of = np.empty(n, dtype=np.int64)
        values_of[np.argsort(ends, kind="stable")] = shuffled[np.argsort(ends[shuffled], kind="stable")]
    return replaced(
        topology,
        topology.senders,
        topology.receivers,
        values_of,
        f"shuffle_weights, within {within}, seed {seed}: {int(np.sum(values_of != np.arange(n))):,} of {n:,} synapses "
        "have the values of another one",
    )
