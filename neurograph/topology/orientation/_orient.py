"""Orders neurons, drops what leads backward, and counts it."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..._text import UserError, nearest, shown
from .. import projections
from ._greedy import greedy_order, improved_order

if TYPE_CHECKING:
    import networkx as nx

METHODS = ("eades_lin_smyth", "distance", "given", "random")


class OrientationError(UserError):
    """What was given to orient is wrong; the message says what, and the fix."""


class Orientation(NamedTuple):
    """An order of neurons, and the synapses that lead forward in it.

    Attributes:
        order: int64 `[neurons]`, the neurons in order.
        kept: bool `[synapses]`: those that lead forward.
        n_synapses, weight: synapses that were given, and the sum of their weights.
        n_loops, weight_loops: self-loops, dropped in any order.
        n_into_inputs, weight_into_inputs: other synapses that are dropped since they lead into an input.
        n_out_of_outputs, weight_out_of_outputs: of the rest those that are dropped since they lead from an output to a
            neuron that is none, where outputs come last.
        n_backward, weight_backward: all others that lead backward (under "distance" also those that lead sideways).
        n_passes: passes of improvement.
    """

    order: np.ndarray
    kept: np.ndarray
    n_synapses: int
    weight: float
    n_loops: int
    weight_loops: float
    n_into_inputs: int
    weight_into_inputs: float
    n_out_of_outputs: int
    weight_out_of_outputs: float
    n_backward: int
    weight_backward: float
    n_passes: int

    @property
    def n_dropped(self) -> int:
        return self.n_loops + self.n_into_inputs + self.n_out_of_outputs + self.n_backward

    @property
    def weight_dropped(self) -> float:
        return self.weight_loops + self.weight_into_inputs + self.weight_out_of_outputs + self.weight_backward

    def __str__(self) -> str:
        return (
            f"{self.n_dropped:,} of {self.n_synapses:,} synapses dropped, {self.weight_dropped:,.6g} of "
            f"{self.weight:,.6g} of their weight ({_share(self.weight_dropped, self.weight)}): {self.n_loops:,} "
            f"self-loops, {self.n_into_inputs:,} into inputs, {self.n_out_of_outputs:,} out of outputs, "
            f"{self.n_backward:,} others that lead backward"
        )


def orient(
    senders: ArrayLike,
    receivers: ArrayLike,
    n_neurons: int,
    *,
    weights: ArrayLike | None = None,
    inputs: ArrayLike = (),
    outputs: ArrayLike = (),
    outputs_last: bool = True,
    method: str = "eades_lin_smyth",
    most_passes: int = 100,
    seed: int = 0,
) -> Orientation:
    """Orders neurons so that little weight leads backward; what does is dropped, so that no cycle is left.

    Inputs come first, and nothing leads into them (as `Topology` demands). Outputs come last, so that nothing leads
    from them to other neurons; among themselves they are ordered as the others are. Within the inputs the order is
    without effect.

    Args:
        senders, receivers: `[synapses]`, row numbers; cycles and self-loops are allowed, no pair comes twice.
        n_neurons: number of neurons.
        weights: `[synapses]`, what dropping each synapse costs, not negative, such as counts; by default 1 each. Of
            signed weights give the absolute values.
        inputs, outputs: row numbers.
        outputs_last: whether outputs come last; otherwise they are ordered together with the hidden neurons and may
            feed on.
        method: "eades_lin_smyth": the greedy order of Eades, Lin and Smyth (1993), then improved by moving single
            neurons to their best places. Drops little, and makes many levels.
            "distance": by the number of synapses on the shortest path from an input. Also drops what joins neurons of
            the same distance, and so makes as few levels as there are distances.
            "given": the row numbers, improved as the first method is.
            "random": a random order, not improved, to compare with.
        most_passes: passes of improvement at most; 0 leaves the order as it is.
        seed: the seed of ties and of the order in which neurons are moved.

    Returns:
        The order, what is kept, and what is dropped for which reason.

    Raises:
        OrientationError: an argument is wrong.

    >>> oriented = orient([0, 1, 2, 1], [1, 2, 1, 3], 4, weights=[1, 5, 2, 1], inputs=[0], outputs=[3])
    >>> oriented.kept.tolist(), oriented.weight_backward
    ([True, True, False, True], 2.0)
    """
    if method not in METHODS:
        raise OrientationError(f"orient has method {shown(method)}, which is unknown; {nearest(method, METHODS)}")
    if isinstance(most_passes, bool) or not isinstance(most_passes, int) or most_passes < 0:
        raise OrientationError(f"orient has most_passes {shown(most_passes)}; it must be a whole number of at least 0.")
    senders, receivers = _rows(senders, "senders", n_neurons), _rows(receivers, "receivers", n_neurons)
    inputs, outputs = _rows(inputs, "inputs", n_neurons), _rows(outputs, "outputs", n_neurons)
    if senders.size != receivers.size:
        raise OrientationError(f"orient has {senders.size} senders but {receivers.size} receivers; give one each.")
    keys = senders * n_neurons + receivers
    if np.unique(keys).size < keys.size:
        raise OrientationError("orient has two synapses that join the same pair of neurons; add them up to one.")
    cost = np.ones(senders.size) if weights is None else _weights(weights, senders.size)
    block = np.ones(n_neurons, dtype=np.int64)
    if outputs_last:
        block[outputs] = 2
    block[inputs] = 0
    if np.intersect1d(inputs, outputs).size:
        raise OrientationError("orient has neurons that are both inputs and outputs; each can be only one of them.")
    rng = projections.generator(seed)
    loops = senders == receivers
    into_inputs = (block[receivers] == 0) & ~loops
    out_of_outputs = (block[senders] > block[receivers]) & ~into_inputs
    if method == "distance":
        place, n_passes = _distances(senders, receivers, block), 0
        order = np.argsort(place, kind="stable")
    else:
        order, n_passes = _in_blocks(senders, receivers, cost, block, method, most_passes, rng)
        place = np.empty(n_neurons, dtype=np.int64)
        place[order] = np.arange(n_neurons)
    kept = (place[senders] < place[receivers]) & ~into_inputs & ~loops
    backward = ~kept & ~loops & ~into_inputs & ~out_of_outputs
    n_dropped = [int(which.sum()) for which in (loops, into_inputs, out_of_outputs, backward)]
    weight = [float(cost[which].sum()) for which in (loops, into_inputs, out_of_outputs, backward)]
    return Orientation(
        order=order,
        kept=kept,
        n_synapses=senders.size,
        weight=float(cost.sum()),
        n_loops=n_dropped[0],
        weight_loops=weight[0],
        n_into_inputs=n_dropped[1],
        weight_into_inputs=weight[1],
        n_out_of_outputs=n_dropped[2],
        weight_out_of_outputs=weight[2],
        n_backward=n_dropped[3],
        weight_backward=weight[3],
        n_passes=n_passes,
    )


def orient_networkx(
    graph: "nx.DiGraph", *, weight: str | None = "weight", **options: object
) -> tuple["nx.DiGraph", Orientation]:
    """Drops edges of a directed graph so that it has no cycle, and `neurograph.topology.from_networkx` takes it.

    Args:
        graph: a `DiGraph`; nodes with the attribute `role` of "input" or "output" are the inputs and outputs.
        weight: the edges' attribute whose absolute value says what dropping an edge costs (1 where it is missing);
            None: 1 for each edge.
        options: `outputs_last`, `method`, `most_passes`, `seed`, see `orient`.

    Returns:
        A copy of the graph without the dropped edges, its nodes in their order, and what was dropped.

    Raises:
        OrientationError: the graph is undirected or has parallel edges, a weight is no number, or an option is wrong.
    """
    import networkx as nx

    if not isinstance(graph, nx.DiGraph) or graph.is_multigraph():
        raise OrientationError(f"orient_networkx got an object of type {type(graph).__name__}; give a DiGraph.")
    row = {node: i for i, node in enumerate(graph)}
    edges = list(graph.edges(data=True))
    roles = [data.get("role") for _, data in graph.nodes(data=True)]
    values = [1.0 if weight is None else data.get(weight, 1.0) for _, _, data in edges]
    try:
        cost = np.abs(np.array(values, dtype=np.float64))
    except (TypeError, ValueError):
        raise OrientationError(f"an edge has a {weight} that is no number; make all of them numbers.") from None
    oriented = orient(
        np.array([row[u] for u, _, _ in edges], dtype=np.int64),
        np.array([row[v] for _, v, _ in edges], dtype=np.int64),
        len(row),
        weights=cost,
        inputs=[i for i, role in enumerate(roles) if role == "input"],
        outputs=[i for i, role in enumerate(roles) if role == "output"],
        **options,  # pyright: ignore[reportArgumentType] - checked there
    )
    acyclic = graph.copy()
    acyclic.remove_edges_from([edges[i][:2] for i in np.flatnonzero(~oriented.kept).tolist()])
    return acyclic, oriented


def _in_blocks(
    senders: np.ndarray,
    receivers: np.ndarray,
    cost: np.ndarray,
    block: np.ndarray,
    method: str,
    most_passes: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, int]:
    """Orders inputs, hidden neurons and outputs, each by themselves; gives the order, and the passes of improvement."""
    parts, n_passes = [], 0
    for number in range(3):
        members = np.flatnonzero(block == number)
        inside = (block[senders] == number) & (block[receivers] == number) & (senders != receivers) & (number > 0)
        row = np.full(block.size, -1, dtype=np.int64)
        row[members] = np.arange(members.size)
        edges = row[senders[inside]], row[receivers[inside]], cost[inside]
        order, n = _ordered(*edges, members.size, method, most_passes, rng)
        parts.append(members[order])
        n_passes = max(n_passes, n)
    return np.concatenate(parts), n_passes


def _distances(senders: np.ndarray, receivers: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Gives the distance from the nearest input; outputs that come last, and what is out of reach, are behind."""
    distance = np.where(block == 0, 0, -1)
    frontier, steps = block == 0, 0
    if not frontier.any():
        raise OrientationError("orient by distance needs inputs, from which distances are counted; give some.")
    while frontier.any():
        steps += 1
        reached = np.zeros(block.size, dtype=bool)
        reached[receivers[frontier[senders]]] = True
        frontier = reached & (distance < 0)
        distance[frontier] = steps
    return np.where((block == 2) | (distance < 0), steps, distance)


def _ordered(
    senders: np.ndarray,
    receivers: np.ndarray,
    weights: np.ndarray,
    n: int,
    method: str,
    most_passes: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, int]:
    if method == "random":
        return rng.permutation(n), 0
    order = np.arange(n)
    if not senders.size:
        return order, 0
    if method == "eades_lin_smyth":
        order = greedy_order(senders, receivers, weights, n, rng.permutation(n))
    return improved_order(order, senders, receivers, weights, most_passes, rng)


def _rows(values: ArrayLike, what: str, n_neurons: int) -> np.ndarray:
    array = np.asarray(values)
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise OrientationError(
            f"orient has {what} of type {array.dtype}, shape {array.shape}; give one row of integers."
        )
    if array.min() < 0 or array.max() >= n_neurons:
        wrong = array.min() if array.min() < 0 else array.max()
        raise OrientationError(f"orient has {wrong} among {what}; neurons are numbered 0 to {n_neurons - 1}.")
    return array.astype(np.int64)


def _weights(values: ArrayLike, n_synapses: int) -> np.ndarray:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise OrientationError("orient has a weight that is no number; make all of them numbers.") from None
    if array.shape != (n_synapses,):
        raise OrientationError(f"orient has weights of shape {array.shape}; give {n_synapses}, one for each synapse.")
    if not np.isfinite(array).all() or (array < 0).any():
        raise OrientationError("orient has a weight that is negative or not finite; give absolute values.")
    return array


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "0.0%"
