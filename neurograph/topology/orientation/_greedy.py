"""The greedy order of Eades, Lin and Smyth, with weights, and its improvement by moving single neurons."""

import heapq

import numpy as np

_PER_PASS = 1e-6


def greedy_order(
    senders: np.ndarray, receivers: np.ndarray, weights: np.ndarray, n_neurons: int, tie: np.ndarray
) -> np.ndarray:
    """Orders neurons so that little weight leads backward.

    Eades, Lin and Smyth, "A fast and effective heuristic for the feedback arc set problem", Inf. Process. Lett. 47,
    1993: neurons that send nothing are put last, those that receive nothing first, and else the one that sends most
    beyond what it receives comes next; each time without those that are placed already. Degrees are sums of weights
    here. A heap in place of the paper's buckets makes it O(E log E).

    Args:
        senders, receivers: `[synapses]`, without self-loops.
        weights: `[synapses]`, positive.
        n_neurons: number of neurons.
        tie: `[neurons]`, which of equal ones comes first: a permutation.

    Returns:
        int64 `[neurons]`, the neurons in order.
    """
    sends, receives = (np.bincount(ends, weights, n_neurons).tolist() for ends in (senders, receivers))
    n_out, n_in = (np.bincount(ends, minlength=n_neurons).tolist() for ends in (senders, receivers))
    after, before = _table(senders, receivers, weights, n_neurons), _table(receivers, senders, weights, n_neurons)
    rank = tie.tolist()
    heap = [(receives[v] - sends[v], rank[v], v) for v in range(n_neurons)]
    heapq.heapify(heap)
    sinks = [v for v in np.argsort(tie).tolist() if n_out[v] == 0]
    sources = [v for v in np.argsort(tie).tolist() if n_in[v] == 0 and n_out[v] > 0]
    placed = [False] * n_neurons
    head: list[int] = []
    tail: list[int] = []

    def place(neuron: int, end: list[int]) -> None:
        placed[neuron] = True
        end.append(neuron)
        for other, weight in after[neuron]:
            if not placed[other]:
                receives[other] -= weight
                n_in[other] -= 1
                if n_in[other] == 0:
                    sources.append(other)
                heapq.heappush(heap, (receives[other] - sends[other], rank[other], other))
        for other, weight in before[neuron]:
            if not placed[other]:
                sends[other] -= weight
                n_out[other] -= 1
                if n_out[other] == 0:
                    sinks.append(other)
                heapq.heappush(heap, (receives[other] - sends[other], rank[other], other))

    while len(head) + len(tail) < n_neurons:
        if sinks:
            if not placed[neuron := sinks.pop()]:
                place(neuron, tail)
        elif sources:
            if not placed[neuron := sources.pop()]:
                place(neuron, head)
        else:
            excess, _, neuron = heapq.heappop(heap)
            if not placed[neuron] and excess == receives[neuron] - sends[neuron]:
                place(neuron, head)
    return np.array(head + tail[::-1], dtype=np.int64)


def improved_order(
    order: np.ndarray,
    senders: np.ndarray,
    receivers: np.ndarray,
    weights: np.ndarray,
    most_passes: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, int]:
    """Moves neurons one by one to where least weight leads backward, until no move gains, or for so many passes.

    Args:
        order: `[neurons]`, the neurons in order.
        senders, receivers, weights: `[synapses]`, see `greedy_order`.
        most_passes: times that all neurons are gone through, in a random order.
        rng: random generator.

    Returns:
        The improved order, and how many passes were made. What leads backward never becomes more.
    """
    n = order.size
    order, position = order.copy(), np.empty(n, dtype=np.int64)
    position[order] = np.arange(n)
    ends, others = np.concatenate([senders, receivers]), np.concatenate([receivers, senders])
    # To stand behind a receiver costs the synapse to it; to stand behind a sender saves the one from it.
    cost = np.concatenate([weights, -weights])
    sort = np.argsort(ends, kind="stable")
    others, cost = others[sort], cost[sort]
    start = np.searchsorted(ends[sort], np.arange(n + 1))
    total = float(weights.sum())
    for done in range(1, most_passes + 1):
        gained = 0.0
        for neuron in rng.permutation(n).tolist():
            low, high = start[neuron], start[neuron + 1]
            if low == high:
                continue
            places = position[others[low:high]]
            by_place = np.argsort(places, kind="stable")
            sorted_places = places[by_place]
            # entry i: what standing behind the first i neighbours costs
            behind = np.concatenate([[0.0], np.cumsum(cost[low:high][by_place])])
            here = int(position[neuron])
            now = behind[np.searchsorted(sorted_places, here)]
            best = int(np.argmin(behind))
            if now - behind[best] <= _PER_PASS * total / n:
                continue
            gained += float(now - behind[best])
            there = int(sorted_places[best - 1]) + 1 if best else int(sorted_places[0])
            if there > here:
                there -= 1
                order[here:there] = order[here + 1 : there + 1]
            else:
                order[there + 1 : here + 1] = order[there:here].copy()
            order[there] = neuron
            first, last = min(here, there), max(here, there) + 1
            position[order[first:last]] = np.arange(first, last)
        if gained <= _PER_PASS * total:
            return order, done
    return order, most_passes


def _table(ends: np.ndarray, others: np.ndarray, weights: np.ndarray, n_neurons: int) -> list[list[tuple[int, float]]]:
    """Lists for each neuron the neurons at the other ends of its synapses, with the weights."""
    sort = np.argsort(ends, kind="stable")
    pairs = list(zip(others[sort].tolist(), weights[sort].tolist(), strict=True))
    start = np.searchsorted(ends[sort], np.arange(n_neurons + 1)).tolist()
    return [pairs[start[v] : start[v + 1]] for v in range(n_neurons)]
