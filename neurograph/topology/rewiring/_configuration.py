"""The directed acyclic configuration model: degrees stay, and all else is drawn anew."""

import dataclasses

import numpy as np

from .. import projections
from .._types import Topology, fail
from ._make import replaced
from ._order import Order, check_choice, has_other_sources, order_of, outputs_reached
from ._repair import repaired

PARALLEL = ("repair", "reject", "merge")
_MOST_DRAWS = 1000


def configuration(topology: Topology, *, seed: int = 0, order: str = "levels", parallel: str = "repair") -> Topology:
    """Draws a random wiring of the same in- and out-degrees anew (Karrer and Newman, Phys. Rev. Lett. 102, 2009).

    A neuron has as many outgoing and incoming stubs as synapses in the original wiring. Neurons are gone through in the
    order, and each incoming stub is joined to one of the outgoing stubs of earlier neurons that are still free, each
    with the same chance. The number of choices depends on degrees alone, so that all matchings of stubs are
    equally likely. A matching may join a pair of neurons twice or more, which a wiring cannot hold; `parallel` says
    what is then done.

    A neuron keeps its incoming weights; those of `merge` add up.

    Args:
        topology: the wiring.
        seed: the seed of the random choices.
        order: one of `ORDERS`, see the module `_order`; `total` is the ordered ensemble of the paper. With
            `level_pairs`, stubs are matched within each pair of levels.
        parallel: "repair": senders of parallel synapses are exchanged with those of random others, or else along a
            cycle of several synapses, until there are none. Degrees stay; the distribution is uniform only nearly,
            and `degree_preserving` has no such bias.
            "reject": the matching is drawn again, at most 1000 times, until it has none. All wirings are then equally
            likely; only few synapses per neuron leave a chance of that.
            "merge": parallel synapses become one. Matchings stay equally likely; degrees and the number of synapses
            become smaller.

    Returns:
        The rewired wiring. Its `history` says how many parallel synapses there were.

    Raises:
        TopologyError: an option is wrong; none of 1000 matchings is without parallel synapses (`reject`); or in none
            of 1000 drawings do the inputs reach every output.
    """
    check_choice(topology.name, "parallel", parallel, PARALLEL)
    rng, places = projections.generator(seed), order_of(topology, order)
    can_miss = has_other_sources(topology)
    receivers = topology.receivers
    n_parallel = n_draws = n_missed = 0
    while n_draws < _MOST_DRAWS:
        senders = _matched(topology, places, rng)
        n_draws += 1
        n_parallel = _surplus(senders, receivers, topology.n_neurons)
        if n_parallel and parallel == "reject":
            continue
        if n_parallel and parallel == "repair":
            senders = repaired(senders, receivers, topology.n_neurons, places, rng)
        if not can_miss or outputs_reached(topology, senders, receivers).all():
            break
        n_missed += 1
    else:
        if n_missed:
            raise fail(
                topology.name,
                f"in none of {n_draws} drawings by configuration do the inputs reach every output; remove the hidden "
                "neurons that receive nothing, or choose order: level_pairs.",
            )
        raise fail(
            topology.name,
            f"each of {n_draws} drawings by configuration has parallel synapses, {n_parallel} in the last one; choose "
            "parallel: repair or merge, or the method degree_preserving.",
        )
    told = {
        "repair": f"{n_parallel:,} parallel synapses repaired by swaps",
        "reject": f"drawing number {n_draws:,} is the first without parallel synapses",
        "merge": f"{n_parallel:,} parallel synapses merged into others",
    }[parallel]
    done = f"configuration, order {order}, parallel {parallel}, seed {seed}: {told}"
    if parallel == "merge" and n_parallel:
        return _merged(topology, senders, done)
    return replaced(topology, senders, receivers, np.arange(topology.n_synapses), done)


def _matched(topology: Topology, places: Order, rng: np.random.Generator) -> np.ndarray:
    """Gives each synapse, which keeps its receiver, the sender whose stub it is matched with."""
    senders, receivers = topology.senders, topology.receivers
    shuffled = rng.permutation(senders.size)
    if places.group is not None:
        matched = np.empty_like(senders)
        matched[np.argsort(places.group, kind="stable")] = senders[
            shuffled[np.argsort(places.group[shuffled], kind="stable")]
        ]
        return matched
    # Stubs by place; each block of equal place is filled from those before it.
    outgoing = senders[np.argsort(places.place[senders], kind="stable")]
    incoming = np.argsort(places.place[receivers], kind="stable")
    place_of = places.place[receivers[incoming]]
    starts = np.flatnonzero(np.concatenate([[True], place_of[1:] != place_of[:-1]])) if place_of.size else incoming
    ends = np.append(starts[1:], incoming.size)
    before = np.searchsorted(places.place[outgoing], place_of[starts], side="left")
    matched = np.empty_like(senders)
    free, n_free, n_seen = np.empty_like(senders), 0, 0
    for start, end, n_before in zip(starts.tolist(), ends.tolist(), before.tolist(), strict=True):
        free[n_free : n_free + n_before - n_seen] = outgoing[n_seen:n_before]
        n_free, n_seen = n_free + n_before - n_seen, n_before
        n_taken = end - start
        chosen = rng.choice(n_free, n_taken, replace=False)  # different ones, in random order
        matched[incoming[start:end]] = free[chosen]
        # What is left at the end of the list moves to the places of what was taken before that.
        left = np.ones(n_taken, dtype=bool)
        left[chosen[chosen >= n_free - n_taken] - (n_free - n_taken)] = False
        free[chosen[chosen < n_free - n_taken]] = free[n_free - n_taken + np.flatnonzero(left)]
        n_free -= n_taken
    return matched


def _surplus(senders: np.ndarray, receivers: np.ndarray, n_neurons: int) -> int:
    return senders.size - np.unique(receivers * n_neurons + senders).size


def _merged(topology: Topology, senders: np.ndarray, done: str) -> Topology:
    """Makes one synapse of those that join the same pair; their values add up."""
    keys = topology.receivers * topology.n_neurons + senders
    _, first, of = np.unique(keys, return_index=True, return_inverse=True)

    def summed(values: np.ndarray | None) -> np.ndarray | None:
        if values is None:
            return None
        total = np.stack([np.bincount(of, weights=channel, minlength=first.size) for channel in values])
        return total[:, np.argsort(first)]

    kept = np.sort(first)
    values = dataclasses.replace(
        topology, weights=summed(topology.weights), backward_weights=summed(topology.backward_weights)
    )
    return replaced(values, senders[kept], topology.receivers[kept], np.arange(kept.size), done)
