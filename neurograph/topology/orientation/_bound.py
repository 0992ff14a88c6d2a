"""How much weight any acyclic part of a graph must leave out at least."""

import numpy as np


def lower_bound(senders: np.ndarray, receivers: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Bounds the weight of the smallest feedback arc set from below, by packing short cycles.

    Each cycle loses one of its synapses, so that the sum of the smallest weights of cycles that share no weight is a
    lower bound (weak duality of linear programming). Self-loops, then pairs of opposite synapses, then greedily cycles
    of three are packed; each takes its smallest weight from its synapses.

    Args:
        senders, receivers: `[synapses]`, row numbers; no pair twice.
        weights: `[synapses]`, not negative; by default 1 each.

    Returns:
        The bound, in the unit of the weights.

    >>> lower_bound(np.array([0, 1, 2, 1]), np.array([1, 2, 0, 0]))
    1.0
    """
    senders, receivers = np.asarray(senders, dtype=np.int64), np.asarray(receivers, dtype=np.int64)
    left = np.ones(senders.size) if weights is None else np.array(weights, dtype=np.float64)
    loops = senders == receivers
    bound = float(left[loops].sum())
    senders, receivers, left = senders[~loops], receivers[~loops], left[~loops]
    n = int(max(senders.max(initial=0), receivers.max(initial=0))) + 1
    keys = senders * n + receivers
    order = np.argsort(keys, kind="stable")
    opposite = receivers * n + senders
    place = np.minimum(np.searchsorted(keys[order], opposite), max(keys.size - 1, 0))
    twin = order[place] if keys.size else order
    is_pair = keys[twin] == opposite
    both = np.where(is_pair, np.minimum(left, left[twin]), 0.0)
    bound += float(both.sum()) / 2
    left = left - both
    return bound + _triangles(senders, receivers, left, n)


def _triangles(senders: np.ndarray, receivers: np.ndarray, left: np.ndarray, n: int) -> float:
    """Packs cycles of three greedily, and gives the sum of their smallest weights."""
    after: list[dict[int, float]] = [{} for _ in range(n)]
    for sender, receiver, weight in zip(senders.tolist(), receivers.tolist(), left.tolist(), strict=True):
        if weight > 0:
            after[sender][receiver] = weight
    before: list[set[int]] = [set() for _ in range(n)]
    for sender, row in enumerate(after):
        for receiver in row:
            before[receiver].add(sender)
    total = 0.0
    for a in range(n):
        for b in sorted(after[a]):
            for c in sorted(after[b].keys() & before[a]):
                weight = min(after[a][b], after[b][c], after[c][a])
                total += weight
                for sender, receiver in ((a, b), (b, c), (c, a)):
                    after[sender][receiver] -= weight
                    if after[sender][receiver] <= 0:
                        del after[sender][receiver]
                        before[receiver].discard(sender)
                if b not in after[a]:
                    break
    return total
