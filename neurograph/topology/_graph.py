"""Finds levels, cycles, parallel edges, and what reaches what, in a directed graph given by arrays.

Only levels and mean lengths are found by a Python loop, which is over levels, and over edges only where a level has
few.
"""

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import scipy.sparse

# Edges that the search for a short cycle may visit: finds the shortest of any small graph, and takes under a second.
_CYCLE_SEARCH_BUDGET = 5_000_000

# A frontier of so many neurons and edges takes less time one by one than as arrays.
_FEW = 48


def levels_or_minus_one(senders: np.ndarray, receivers: np.ndarray, n_neurons: int) -> np.ndarray:
    """Gives the longest path to each neuron, int64 `[neurons]`; -1 for every neuron on a cycle or after one.

    Kahn's algorithm, a whole frontier at a time: the synapses of the frontier are gathered from a CSR table, and a
    neuron joins the next frontier with its last unseen incoming synapse. A chain has as many frontiers as neurons, so
    that the narrow ones are gone through edge by edge.
    """
    level = np.full(n_neurons, -1, dtype=np.int64)
    sorted_receivers = receivers[_argsort(senders, n_neurons)]
    start = np.concatenate(([0], np.cumsum(np.bincount(senders, minlength=n_neurons))))
    waiting_for = np.bincount(receivers, minlength=n_neurons)
    position = np.empty(n_neurons, dtype=np.int64)
    # Views of the same memory, of which Python reads one number several times faster.
    table = _Views(level.data, start.data, sorted_receivers.data, waiting_for.data)
    frontier = np.flatnonzero(waiting_for == 0)
    current = 0
    while frontier.size:
        degree = start[frontier + 1] - start[frontier]
        ends = np.cumsum(degree)
        if frontier.size + ends[-1] <= _FEW:
            frontier, current = _through_narrow(frontier, current, table)
            continue
        level[frontier] = current
        edges = np.repeat(start[frontier] - (ends - degree), degree) + np.arange(ends[-1])
        reached = sorted_receivers[edges]
        np.subtract.at(waiting_for, reached, 1)
        ready = reached[waiting_for[reached] == 0]
        # Each once, without a sort: of equal entries the one that wrote its position last stays.
        position[ready] = np.arange(ready.size)
        frontier = ready[position[ready] == np.arange(ready.size)]
        current += 1
    return level


def mean_lengths(senders: np.ndarray, receivers: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Gives the mean number of steps back from each neuron along random synapses, float64 `[neurons]`, by level."""
    degree = np.bincount(receivers, minlength=level.size)
    length = (degree > 0).astype(np.float64)
    order = _argsort(level[receivers], level.size)
    senders, receivers = senders[order], receivers[order]
    ends = np.searchsorted(level[receivers], np.arange(1, level.max(initial=0) + 2))
    for begin, end in itertools.pairwise([0, *ends.tolist()]):
        to = receivers[begin:end]
        np.add.at(length, to, length[senders[begin:end]] / degree[to])
    return length


def _argsort(keys: np.ndarray, n: int) -> np.ndarray:
    """The stable order of keys from 0 to n - 1; those of 16 bits take NumPy's radix sort, several times faster."""
    return np.argsort(keys.astype(np.uint16) if n <= np.iinfo(np.uint16).max else keys, kind="stable")


class _Views(NamedTuple):
    """What the search for levels reads and writes, of int64: see `levels_or_minus_one`."""

    level: memoryview
    start: memoryview
    receivers: memoryview
    waiting_for: memoryview


def _through_narrow(frontier: np.ndarray, current: int, table: _Views) -> tuple[np.ndarray, int]:
    """Goes on from a frontier one by one while there are few neurons and edges; gives the next, and its level."""
    level, start, receivers, waiting_for = table
    neurons = frontier.tolist()
    while neurons and len(neurons) + sum(start[neuron + 1] - start[neuron] for neuron in neurons) <= _FEW:
        ready = []
        for neuron in neurons:
            level[neuron] = current
            for edge in range(start[neuron], start[neuron + 1]):
                receiver = receivers[edge]
                waiting_for[receiver] -= 1
                if not waiting_for[receiver]:
                    ready.append(receiver)
        neurons = ready
        current += 1
    return np.array(neurons, dtype=np.int64), current


def find_cycle(senders: np.ndarray, receivers: np.ndarray, n_neurons: int) -> list[int]:
    """Lists the neurons of a short cycle, in order; in a small graph, of the shortest. There must be a cycle."""
    from scipy.sparse import csgraph

    matrix = _matrix(senders, receivers, n_neurons)
    _, component = csgraph.connected_components(matrix, directed=True, connection="strong")
    size = np.bincount(component)
    smallest = np.flatnonzero(size > 1)[np.argmin(size[size > 1])]
    members = np.flatnonzero(component == smallest)
    inside = matrix[members][:, members].tocsr()
    n_starts = int(np.clip(_CYCLE_SEARCH_BUDGET // (inside.nnz + members.size), 1, members.size))
    best: list[int] = []
    for start in range(n_starts):
        cycle = _shortest_cycle_through(inside, start)
        if not best or len(cycle) < len(best):
            best = cycle
        if len(best) == 2:
            break
    return [int(members[i]) for i in best]


def _shortest_cycle_through(matrix: "scipy.sparse.csr_array", start: int) -> list[int]:
    """Finds the shortest cycle through `start` of a strongly connected graph, by breadth-first search."""
    from scipy.sparse import csgraph

    order, predecessor = csgraph.breadth_first_order(matrix, start, directed=True, return_predecessors=True)
    closes = matrix[:, [start]].toarray()[:, 0] > 0
    # In breadth-first order the first neuron with a synapse to `start` is a nearest one.
    neuron = int(order[np.argmax(closes[order])])
    path = [neuron]
    while neuron != start:
        neuron = int(predecessor[neuron])
        path.append(neuron)
    return path[::-1]


def first_parallel(senders: np.ndarray, receivers: np.ndarray, n_neurons: int) -> tuple[int, int] | None:
    """Finds the first two edges that join the same pair of neurons in the same direction; None where there are none."""
    keys = senders * n_neurons + receivers
    if np.all(keys[1:] > keys[:-1]):
        return None
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    repeats = np.flatnonzero(ordered[1:] == ordered[:-1])
    if not repeats.size:
        return None
    first = repeats[np.argmin(order[repeats + 1])]
    return int(order[first]), int(order[first + 1])


def reachable(senders: np.ndarray, receivers: np.ndarray, n_neurons: int, sources: np.ndarray) -> np.ndarray:
    """Tells, bool `[neurons]`, whether a path leads there from any of `sources` (which reach themselves)."""
    from scipy.sparse import csgraph

    # One more neuron, with a synapse to every source, makes it a single search.
    from_root = np.full(sources.size, n_neurons)
    matrix = _matrix(np.concatenate([senders, from_root]), np.concatenate([receivers, sources]), n_neurons + 1)
    seen = csgraph.breadth_first_order(matrix, n_neurons, directed=True, return_predecessors=False)
    result = np.zeros(n_neurons + 1, dtype=bool)
    result[seen] = True
    return result[:-1]


def _matrix(senders: np.ndarray, receivers: np.ndarray, n_neurons: int) -> "scipy.sparse.csr_array":
    import scipy.sparse

    # float64, as csgraph would convert it to that anyway.
    values = np.ones(senders.size)
    return scipy.sparse.coo_array((values, (senders, receivers)), shape=(n_neurons, n_neurons)).tocsr()
