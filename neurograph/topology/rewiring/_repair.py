"""Removes parallel synapses by exchanges of senders, which keep all degrees."""

import numpy as np

from ._degree_preserving import repeated
from ._order import Order

_MOST_ROUNDS = 100


def repaired(
    senders: np.ndarray, receivers: np.ndarray, n_neurons: int, places: Order, rng: np.random.Generator
) -> np.ndarray:
    """Exchanges senders until no pair of neurons is joined twice; no exchange makes more parallel synapses.

    Random exchanges between two synapses remove nearly all. Where the degrees leave little freedom, some stay; these
    are removed along alternating cycles (`_along_cycle`).

    Args:
        senders, receivers: `[synapses]`, with parallel ones; some wiring of these degrees has none.
        n_neurons: number of neurons.
        places: where synapses may lead.
        rng: random generator.

    Returns:
        The new senders; receivers stay.
    """
    place, senders = places.place, senders.copy()
    for _ in range(_MOST_ROUNDS):
        own = receivers * n_neurons + senders
        parallel = np.flatnonzero(repeated(own))
        if not parallel.size:
            return senders
        a = rng.permutation(parallel)
        b = _partners(a, senders, receivers, places, rng)
        possible = (place[senders[a]] < place[receivers[b]]) & (place[senders[b]] < place[receivers[a]])
        possible &= (senders[a] != senders[b]) & (receivers[a] != receivers[b])
        a, b = a[possible], b[possible]
        # Of the proposals that have a synapse in common, or a pair of neurons, the first is taken.
        keys = np.stack([own[a], own[b], receivers[a] * n_neurons + senders[b], receivers[b] * n_neurons + senders[a]])
        alone = _first_of_each(keys)
        a, b, keys = a[alone], b[alone], keys[:, alone]
        ordered = np.sort(own)
        times = np.searchsorted(ordered, keys, side="right") - np.searchsorted(ordered, keys, side="left")
        change = -(times[0] > 1).astype(int) - (times[1] > 1) + (times[2] > 0) + (times[3] > 0)
        a, b = a[change <= 0], b[change <= 0]
        senders[a], senders[b] = senders[b], senders[a]
    order = np.argsort(receivers, kind="stable")
    start = np.searchsorted(receivers[order], np.arange(n_neurons + 1))
    while True:
        own = receivers * n_neurons + senders
        by_key = np.argsort(own, kind="stable")
        surplus = by_key[1:][own[by_key][1:] == own[by_key][:-1]]
        if not surplus.size:
            return senders
        for synapse in surplus.tolist():
            # An earlier cycle may have passed through it.
            if np.sum(senders[receivers == receivers[synapse]] == senders[synapse]) > 1:
                _along_cycle(synapse, senders, receivers, order, start, places, rng)


def _along_cycle(
    synapse: int,
    senders: np.ndarray,
    receivers: np.ndarray,
    order: np.ndarray,
    start: np.ndarray,
    places: Order,
    rng: np.random.Generator,
) -> None:
    """Takes one of several parallel synapses away along the shortest alternating cycle, in place.

    From its sender a pair that is not joined leads to a receiver, from there a synapse back to a sender, and so on,
    until the last sender may feed the first receiver. The synapses pass their senders on: pairs that were not joined
    are joined once, and the degrees stay. There is such a cycle wherever some wiring of these degrees has no parallel
    synapses: the difference of the two consists of such cycles.

    Args:
        synapse: a synapse that has a parallel one.
        senders, receivers: `[synapses]`.
        order: `[synapses]`, the synapses sorted by receiver.
        start: `[neurons + 1]`, where those of each receiver begin in `order`.
        places: where synapses may lead.
        rng: random generator.
    """
    place, group = places
    first, target = int(senders[synapse]), int(receivers[synapse])
    unseen = start[1:] > start[:-1]
    if group is not None:
        unseen &= place == place[target]
    reached_from: dict[int, int] = {}
    back_by: dict[int, int] = {first: -1}
    queue = [first]
    for sender in queue:
        joined = np.zeros(unseen.size, dtype=bool)
        joined[receivers[senders == sender]] = True
        found = np.flatnonzero(unseen & (place > place[sender]) & ~joined)
        if unseen[target] and place[target] > place[sender] and not joined[target]:
            moved, taken = synapse, sender
            while moved >= 0:
                senders[moved] = taken
                moved = back_by[taken]
                if moved >= 0:
                    taken = reached_from[int(receivers[moved])]
            return
        unseen[found] = False
        for receiver in rng.permutation(found).tolist():
            reached_from[receiver] = sender
            for other in order[start[receiver] : start[receiver + 1]].tolist():
                if (group is None or group[other] == group[synapse]) and int(senders[other]) not in back_by:
                    back_by[int(senders[other])] = other
                    queue.append(int(senders[other]))
    raise AssertionError("the degrees are those of a wiring without parallel synapses")


def _partners(
    a: np.ndarray, senders: np.ndarray, receivers: np.ndarray, places: Order, rng: np.random.Generator
) -> np.ndarray:
    """Draws a synapse for each one given: of the same group, or into a neuron that the sender may feed."""
    if places.group is None:
        keys, least = places.place[receivers], places.place[senders[a]] + 1
        most = np.full(a.size, keys.max())
    else:
        keys, least, most = places.group, places.group[a], places.group[a]
    order = np.argsort(keys, kind="stable")
    low = np.searchsorted(keys[order], least, side="left")
    high = np.searchsorted(keys[order], most, side="right")
    return order[low + (rng.random(a.size) * (high - low)).astype(np.int64)]


def _first_of_each(keys: np.ndarray) -> np.ndarray:
    """Tells, bool `[proposals]`, which proposals `[4, proposals]` share no key with an earlier one."""
    _, first = np.unique(keys.T.ravel(), return_index=True)
    is_first = np.zeros(keys.size, dtype=bool)
    is_first[first] = True
    return np.asarray(is_first.reshape(-1, keys.shape[0]).all(axis=1))
