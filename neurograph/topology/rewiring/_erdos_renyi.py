"""As many synapses as before, placed at random."""

from collections.abc import Callable

import numpy as np

from .. import projections
from .._graph import reachable
from .._types import INPUT, OUTPUT, Topology, fail
from ._make import replaced
from ._order import Order, check_choice, order_of, outputs_reached

UNREACHED = ("redraw", "join")
_MOST_DRAWS = 1000


def erdos_renyi(topology: Topology, *, seed: int = 0, order: str = "levels", unreached: str = "redraw") -> Topology:
    """Places as many synapses as before among all pairs of neurons that may be joined; every choice is equally likely.

    A pair may be joined if it leads forward in the order, not into an input, and not out of an output, unless an output
    of the original wiring feeds on. This is the random graph G(n, M) of Erdos and Renyi within these pairs. Degrees
    do not stay, and hidden neurons may come to lie on no path from an input to an output (a warning says how many).
    Given weights and backward weights are dealt to the new synapses at random.

    Args:
        topology: the wiring.
        seed: the seed of the random choices.
        order: one of `ORDERS`, see the module `_order`; with `level_pairs` as many synapses as before lead from each
            level to each other one.
        unreached: what is done where no input reaches some output. "redraw": all is drawn again, at most 1000 times, so
            that all wirings whose outputs are reached are equally likely. "join": for each such output, one synapse is
            moved so that it leads into it, from a random neuron which the inputs reach; `history` says how many.

    Returns:
        The rewired wiring.

    Raises:
        TopologyError: an option is wrong, or in none of 1000 drawings do the inputs reach every output.
    """
    check_choice(topology.name, "unreached", unreached, UNREACHED)
    if unreached == "join" and order == "level_pairs":
        raise fail(
            topology.name,
            "unreached: join moves synapses to other pairs of levels, which order: level_pairs keeps; choose another "
            "of the two.",
        )
    rng, places = projections.generator(seed), order_of(topology, order)
    may_send = np.ones(topology.n_neurons, dtype=bool)
    if not (topology.roles[topology.senders] == OUTPUT).any():
        may_send[topology.outputs] = False
    draw = _levels_drawer(topology, places, may_send) if places.group is not None else None
    done = f"erdos_renyi, order {order}, unreached {unreached}, seed {seed}"
    for n_draws in range(1, _MOST_DRAWS + 1):
        senders, receivers = draw(rng) if draw else _drawn(topology, places.place, may_send, rng)
        if unreached == "join":
            n_moved = _join(topology, senders, receivers, places.place, may_send, rng)
            told = f"{n_moved:,} synapses moved so that every output is reached"
            break
        if outputs_reached(topology, senders, receivers).all():
            told = f"drawing number {n_draws:,} is the first whose outputs are all reached"
            break
    else:
        raise fail(
            topology.name,
            f"in none of {_MOST_DRAWS} drawings by erdos_renyi do the inputs reach every output; choose unreached: "
            "join, or a method that keeps degrees.",
        )
    return replaced(topology, senders, receivers, rng.permutation(topology.n_synapses), f"{done}: {told}")


def _drawn(topology: Topology, place: np.ndarray, may_send: np.ndarray, rng: np.random.Generator) -> projections.Pairs:
    """Draws distinct pairs; those of a receiver are numbered by the senders of lower place, which come first."""
    senders = np.flatnonzero(may_send)
    senders = senders[np.argsort(place[senders], kind="stable")]
    receivers = np.flatnonzero(topology.roles != INPUT)
    n_choices = np.searchsorted(place[senders], place[receivers], side="left")
    ends = np.cumsum(n_choices)
    number = projections.choose(rng, ends[-1:], np.array([topology.n_synapses]))[0]
    index = np.searchsorted(ends, number, side="right")
    return senders[number - (ends[index] - n_choices[index])], receivers[index]


def _levels_drawer(
    topology: Topology, places: Order, may_send: np.ndarray
) -> Callable[[np.random.Generator], projections.Pairs]:
    """Gives a function that draws distinct pairs for each pair of levels, as many as there were."""
    level = places.place
    n_levels = int(level.max(initial=0)) + 1
    assert places.group is not None
    group, n_chosen = np.unique(places.group, return_counts=True)
    low, high = np.divmod(group, n_levels)
    senders, receivers = np.flatnonzero(may_send), np.flatnonzero(topology.roles != INPUT)
    senders = senders[np.argsort(level[senders], kind="stable")]
    receivers = receivers[np.argsort(level[receivers], kind="stable")]
    first_sender = np.searchsorted(level[senders], low)
    n_senders = np.searchsorted(level[senders], low, side="right") - first_sender
    first_receiver = np.searchsorted(level[receivers], high)
    n_receivers = np.searchsorted(level[receivers], high, side="right") - first_receiver

    def draw(rng: np.random.Generator) -> projections.Pairs:
        number, row = projections.choose(rng, n_senders * n_receivers, n_chosen)
        receiver, sender = np.divmod(number, n_senders[row])
        return senders[first_sender[row] + sender], receivers[first_receiver[row] + receiver]

    return draw


def _join(
    topology: Topology,
    senders: np.ndarray,
    receivers: np.ndarray,
    place: np.ndarray,
    may_send: np.ndarray,
    rng: np.random.Generator,
) -> int:
    """Moves a synapse to each output that is not reached, in place; gives how many.

    What is moved led from a neuron that is not reached, or into one with two senders that are; so all that was reached
    stays so.
    """
    n_moved = 0
    while True:
        fed = reachable(senders, receivers, topology.n_neurons, topology.inputs)
        missing = topology.outputs[~fed[topology.outputs]]
        if not missing.size:
            return n_moved
        output = missing[np.argmin(place[missing])]
        n_fed = np.bincount(receivers[fed[senders]], minlength=topology.n_neurons)
        spare = np.flatnonzero(~fed[senders] | (n_fed[receivers] > 1))
        feeding = np.flatnonzero(fed & may_send & (place < place[output]))
        if not spare.size or not feeding.size:
            raise fail(
                topology.name,
                f"erdos_renyi has too few synapses for every output to be reached: {topology.n_synapses} for "
                f"{topology.outputs.size} outputs; use a method that keeps degrees.",
            )
        moved = spare[rng.integers(0, spare.size)]
        senders[moved], receivers[moved] = feeding[rng.integers(0, feeding.size)], output
        n_moved += 1
