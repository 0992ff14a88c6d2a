"""Double-edge swaps, which keep every neuron's in- and out-degree, many at a time."""

import numpy as np

from .. import projections
from .._types import Topology, fail
from ._make import replaced
from ._order import check_whole, has_other_sources, order_of, outputs_reached

_PROPOSED = 0.5
"""Chance that a pair of synapses is proposed in a round; below 1 a single swap is possible, too."""
_MOST_EXTENSIONS = 100


def degree_preserving(
    topology: Topology, *, seed: int = 0, order: str = "levels", swaps_per_synapse: int = 10
) -> Topology:
    """Exchanges the senders of pairs of synapses at random: a -> b, c -> d become c -> b, a -> d.

    Every neuron keeps its in-degree and its out-degree (Maslov and Sneppen 2002). A swap succeeds if both new synapses
    lead forward in the order, and neither is there already. Proposals do not depend on what has succeeded before, and a
    swap is as likely as the one that undoes it, so that the stationary distribution is uniform over all wirings of
    these degrees that lead forward in the order. (Attempts are counted, not successes: a chain that stops after some
    number of successes favours wirings from which many swaps succeed.) The swaps reach all of these wirings: of two
    senders, the one with the later place may feed only what the other one may feed, too, so that two wirings that
    differ have a swap that makes them differ less.

    A synapse keeps its receiver and its values; each neuron therefore keeps its incoming weights. With `level_pairs`
    every neuron keeps its level: it has as many senders on each level as before.

    Args:
        topology: the wiring.
        seed: the seed of the random choices.
        order: one of `ORDERS`, see the module `_order`.
        swaps_per_synapse: attempted swaps, divided by the number of synapses.

    Returns:
        The rewired wiring. Its `history` says how many swaps have succeeded.

    Raises:
        TopologyError: an option is wrong, or some output stays out of reach of the inputs (which happens only where
            hidden neurons or outputs receive nothing) after 100 times `n_synapses` further attempts.

    >>> from neurograph.topology import generators, levels
    >>> wiring = generators.random_dag(8, 3, 30, in_degree=4)
    >>> rewired = degree_preserving(wiring, order="level_pairs")
    >>> (levels(rewired) == levels(wiring)).all().item()
    True
    """
    check_whole(topology.name, "swaps_per_synapse", swaps_per_synapse, 1)
    chain = Chain(topology, order, seed)
    chain.swap(swaps_per_synapse * topology.n_synapses)
    if has_other_sources(topology):
        for _ in range(_MOST_EXTENSIONS):
            if outputs_reached(topology, chain.senders, chain.receivers).all():
                break
            chain.swap(topology.n_synapses)
        else:
            missing = int(np.sum(~outputs_reached(topology, chain.senders, chain.receivers)))
            raise fail(
                topology.name,
                f"after degree_preserving swaps no input reaches {missing} of {topology.outputs.size} outputs; remove "
                "the hidden neurons that receive nothing, choose another seed, or order: level_pairs.",
            )
    done = (
        f"degree_preserving, order {order}, seed {seed}: {chain.n_succeeded:,} of {chain.n_attempted:,} swaps succeeded"
    )
    return replaced(topology, chain.senders, topology.receivers, np.arange(topology.n_synapses), done)


class Chain:
    """The Markov chain of swaps; receivers stay where they are, senders change places.

    Attributes:
        senders, receivers: `[synapses]`.
        n_attempted, n_succeeded: swaps until now.
    """

    def __init__(self, topology: Topology, order: str, seed: int):
        self.senders, self.receivers = topology.senders.copy(), topology.receivers
        self.n_attempted = self.n_succeeded = 0
        self._n_neurons = topology.n_neurons
        self._place, self._group = order_of(topology, order)
        self._rng = projections.generator(seed)
        # Partners are drawn within a group; in the sorted order, the groups' places are the same in every round.
        group = np.zeros(self.senders.size, dtype=np.int64) if self._group is None else self._group
        _, sizes = np.unique(group, return_counts=True)
        rank = np.arange(group.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        is_last = rank == np.repeat(sizes, sizes) - 1
        self._first = np.flatnonzero((rank % 2 == 0) & ~is_last)

    def swap(self, n_attempts: int) -> None:
        """Attempts so many swaps."""
        end = self.n_attempted + n_attempts
        while self.n_attempted < end and self._first.size:
            self._round(end - self.n_attempted)

    def _round(self, most: int) -> None:
        """Pairs all synapses at random, and swaps those proposed pairs that meet no other synapse.

        The pairs that a pair of synapses has now and would have after its swap must be met nowhere else, be it in the
        wiring or in another proposal. This condition does not change when any of the pairs are swapped, so that
        the same round undoes itself: the chain is symmetric, as that of single swaps is.
        """
        shuffled = self._rng.permutation(self.senders.size)
        if self._group is not None:
            shuffled = shuffled[np.argsort(self._group[shuffled], kind="stable")]
        first = self._first[self._rng.random(self._first.size) < _PROPOSED]
        if first.size > most:
            first = np.sort(self._rng.permutation(first)[:most])
        self.n_attempted += first.size
        a, b = shuffled[first], shuffled[first + 1]
        place, senders, receivers = self._place, self.senders, self.receivers
        possible = (
            (place[senders[a]] < place[receivers[b]])
            & (place[senders[b]] < place[receivers[a]])
            & (senders[a] != senders[b])
            & (receivers[a] != receivers[b])
        )
        a, b = a[possible], b[possible]
        own = receivers * self._n_neurons + senders
        new = (receivers[[a, b]] * self._n_neurons + senders[[b, a]]).ravel()
        met = repeated(np.concatenate([own, new]))
        n = senders.size
        free = ~(met[a] | met[b] | met[n : n + a.size] | met[n + a.size :])
        a, b = a[free], b[free]
        self.senders[a], self.senders[b] = senders[b], senders[a]
        self.n_succeeded += a.size


def repeated(keys: np.ndarray) -> np.ndarray:
    """Tells of each key whether it comes more than once."""
    order = np.argsort(keys, kind="stable")
    same = keys[order][1:] == keys[order][:-1]
    repeated = np.zeros(keys.size, dtype=bool)
    repeated[order[1:][same]] = True
    repeated[order[:-1][same]] = True
    return repeated
