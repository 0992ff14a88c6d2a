"""`Topology -> CompiledGraph`: levels, renumbering, blocks of synapses and their padded tables.

Done once on the host in vectorised NumPy (loops go over groups and blocks, never over synapses); the last module that
knows `Topology`. Neurons are renumbered so that each *group* (the neurons of one population at one level, gated by one
population's genome) is one slice; synapses so that each *block* is one slice. Every index table is an array leaf;
static are only the Python numbers that shape the program.
"""

import itertools
from collections import Counter
from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, Int

from .ops import Block, Table
from .topology import INPUT, ROLES, Topology, levels

LOWERINGS = ("auto", "padded_gather", "segment_sum")

MIN_DENSE = 64
"""A complete block of fewer synapses becomes a matmul only where that spares its target group all sparse blocks."""
MAX_PADDING = 4.0
"""Places in a table for each synapse, beyond which it gives way to `segment_sum` ..."""
FEW_SLOTS = 8
"""... unless it has no more slots than these."""


class Group(NamedTuple):
    """The neurons of one population at one level, alike in `gate`: one slice of the renumbered neurons.

    Attributes:
        level: length of the longest path to it.
        population: index into `CompiledGraph.populations`.
        role: "input", "hidden" or "output".
        start, stop: its slice.
        activation: its population's own, by name; None takes the rule's.
        bias: whether the unit neuron feeds it.
        feeds_on: "all", "some" or "none" of its neurons have outgoing synapses.
        gate: the population whose genome gates it on the way forward and governs its bias: that of its in-neighbours
            where they are of one population, else its own.
    """

    level: int
    population: int
    role: str
    start: int
    stop: int
    activation: str | None
    bias: bool
    feeds_on: str
    gate: int


class Wires(NamedTuple):
    """Which groups a block joins.

    Attributes:
        block: index into the blocks of its kind.
        sources: indices of the source groups, one for each piece.
        target: index of the target group.
        population: the population whose genome governs its synapses (that of the senders of forward signals).
    """

    block: int
    sources: tuple[int, ...]
    target: int
    population: int


class CompiledGraph(eqx.Module):
    """A wiring ready to run. A pytree: all tables are leaves.

    Attributes:
        groups: all groups, in an order in which every synapse goes from an earlier to a later one.
        populations: names.
        forward_wires: blocks of `forward_blocks`; together they hold every synapse once, in compiled order.
        feedback_wires: for each block of `feedback_blocks`, the upper groups (`sources`) that feed back to `target`.
        n_dense: the first `n_dense` forward blocks are matmuls in both directions; the feedback blocks hold the rest.
        forward_blocks, feedback_blocks: the synapses by forward receiver; the sparse ones by backward receiver.
        feedback_order, feedback_rank: from the sparse synapses' compiled order to the feedback blocks', and back.
        neuron_order, neuron_rank: user's number of each compiled neuron, and back.
        synapse_order, synapse_rank: the same for synapses.
        column: compiled neuron -> feature of an input, component of an output.
        output_rows: compiled number of each output, in the prediction's order.
        feeds_on: compiled neuron -> whether it has outgoing synapses.
        fan_in, fan_out: of each synapse's receiver and sender, in the user's order; bias excluded.
        bias_fan: `[2, neurons]`, in the user's order: fan-in, and number of neurons of its population at its level.
        weights, backward_weights, biases: initial synapses that came with the topology, in the user's order, or None.
    """

    groups: tuple[Group, ...] = eqx.field(static=True)
    populations: tuple[str, ...] = eqx.field(static=True)
    forward_wires: tuple[Wires, ...] = eqx.field(static=True)
    feedback_wires: tuple[Wires, ...] = eqx.field(static=True)
    n_dense: int = eqx.field(static=True)
    forward_blocks: tuple[Block, ...]
    feedback_blocks: tuple[Block, ...]
    feedback_order: Int[Array, " sparse"]
    feedback_rank: Int[Array, " sparse"]
    neuron_order: Int[Array, " neurons"]
    neuron_rank: Int[Array, " neurons"]
    synapse_order: Int[Array, " synapses"]
    synapse_rank: Int[Array, " synapses"]
    column: Int[Array, " neurons"]
    output_rows: Int[Array, " outputs"]
    feeds_on: Array
    fan_in: Int[Array, " synapses"]
    fan_out: Int[Array, " synapses"]
    bias_fan: Int[Array, "two neurons"]
    weights: Float[Array, "_ synapses"] | None
    backward_weights: Float[Array, "_ synapses"] | None
    biases: Float[Array, "_ neurons"] | None

    @property
    def n_neurons(self) -> int:
        return self.column.shape[0]

    @property
    def n_synapses(self) -> int:
        return self.synapse_order.shape[0]

    @property
    def n_inputs(self) -> int:
        return sum(g.stop - g.start for g in self.groups if g.role == "input")

    @property
    def n_outputs(self) -> int:
        return self.output_rows.shape[0]

    @property
    def n_levels(self) -> int:
        return max(g.level for g in self.groups) + 1

    def __repr__(self) -> str:
        lowerings = Counter[str]()
        for block in self.forward_blocks:
            lowerings[block.lowering] += block.n_synapses
        plan = ", ".join(f"{n:,} by {name}" for name, n in lowerings.items())
        return (
            f"CompiledGraph: {self.n_neurons:,} neurons in {len(self.groups):,} groups, {self.n_levels:,} levels, "
            f"{self.n_synapses:,} synapses in {len(self.forward_blocks):,} blocks ({plan}), padding {padding(self):.0%}"
        )


def compile_topology(topology: Topology, *, lowering: str = "auto", pad_to: int = 1) -> CompiledGraph:
    """Compiles a wiring.

    Args:
        topology: a valid topology.
        lowering: "auto" chooses block by block: a matmul where a block is complete, a padded gather, or `segment_sum`
            where padding would be excessive; "padded_gather" and "segment_sum" force one of these on all blocks. The
            choice changes no result beyond rounding.
        pad_to: tables get a multiple of so many slots. Changes no result.

    Raises:
        ValueError: unknown lowering, or `pad_to` below 1.
    """
    if lowering not in LOWERINGS:
        raise ValueError(f"lowering is {lowering!r}; it must be one of {', '.join(LOWERINGS)}.")
    if pad_to < 1:
        raise ValueError(f"pad_to is {pad_to}; it must be 1 or more.")
    level, population = levels(topology), topology.population_of
    roles = topology.roles
    gate = _gates(topology)
    # inputs first, then level by level; one slice for each (level, population, gating population)
    order = np.lexsort((np.arange(topology.n_neurons), gate, population, roles != INPUT, level))
    rank = _inverse(order)
    starts = _starts(level[order], population[order], gate[order])
    group_of = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, topology.n_neurons)))

    senders, receivers = rank[topology.senders], rank[topology.receivers]
    in_degree = np.bincount(receivers, minlength=topology.n_neurons)
    out_degree = np.bincount(senders, minlength=topology.n_neurons)
    feeds_on = out_degree > 0
    stops = np.append(starts[1:], topology.n_neurons)
    sizes = stops - starts
    edges = _Edges(senders, receivers, group_of, starts, sizes, population[order][starts])

    dense_pairs, is_dense = edges.complete_pairs() if lowering == "auto" else (np.empty((0, 2), int), None)
    forward = _forward_layout(edges, dense_pairs, is_dense, lowering, pad_to)
    feedback = _feedback_layout(edges, forward, lowering, pad_to)

    groups = []
    for start, stop in zip(starts, stops, strict=True):
        index = int(population[order[start]])
        about = topology.populations[index]
        feeding = feeds_on[start:stop]
        groups.append(
            Group(
                level=int(level[order[start]]),
                population=index,
                role=about.role,
                start=int(start),
                stop=int(stop),
                activation=about.activation,
                bias=about.bias and about.role != ROLES[INPUT],
                feeds_on="all" if feeding.all() else "some" if feeding.any() else "none",
                gate=int(gate[order[start]]),
            )
        )
    layers = np.diff(_starts(level[order], population[order]), append=topology.n_neurons)
    column = np.zeros(topology.n_neurons, np.int32)
    column[rank[topology.inputs]] = np.arange(len(topology.inputs))
    column[rank[topology.outputs]] = np.arange(len(topology.outputs))
    return CompiledGraph(
        groups=tuple(groups),
        populations=tuple(p.name for p in topology.populations),
        forward_wires=forward.wires,
        feedback_wires=feedback.wires,
        n_dense=len(dense_pairs),
        forward_blocks=forward.blocks,
        feedback_blocks=feedback.blocks,
        feedback_order=_int32(feedback.order),
        feedback_rank=_int32(_inverse(feedback.order)),
        neuron_order=_int32(order),
        neuron_rank=_int32(rank),
        synapse_order=_int32(forward.order),
        synapse_rank=_int32(_inverse(forward.order)),
        column=_int32(column),
        output_rows=_int32(rank[topology.outputs]),
        feeds_on=jax.device_put(feeds_on),
        fan_in=_int32(in_degree[receivers]),
        fan_out=_int32(out_degree[senders]),
        bias_fan=_int32(np.stack([in_degree, np.repeat(layers, layers)])[:, rank]),
        weights=_given(topology.weights),
        backward_weights=_given(topology.backward_weights),
        biases=_given(topology.biases),
    )


def padding(graph: CompiledGraph) -> float:
    """Share of the slots of all padded tables that are padding (0 where there is no table)."""
    slots = used = 0
    for block in (*graph.forward_blocks, *graph.feedback_blocks):
        for table in (block.by_target, block.by_source):
            if table is not None:
                slots += table.sources.size
                used += block.n_synapses
    return 1 - used / slots if slots else 0.0


class _Edges(NamedTuple):
    """Synapses between renumbered neurons, and the groups that these lie in."""

    senders: np.ndarray
    receivers: np.ndarray
    group_of: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray
    population_of_group: np.ndarray

    def complete_pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """The complete (source group, target group) pairs that become matmuls, and which synapses these hold."""
        n_groups = len(self.starts)
        source, target = self.group_of[self.senders], self.group_of[self.receivers]
        pairs, which, counts = np.unique(source * n_groups + target, return_inverse=True, return_counts=True)
        sources, targets = np.divmod(pairs, n_groups)
        complete = counts == self.sizes[sources] * self.sizes[targets]
        wholly = np.bincount(targets, ~complete, minlength=n_groups) == 0
        chosen = complete & ((counts >= MIN_DENSE) | wholly[targets])
        return np.stack([sources, targets], axis=1)[chosen], chosen[which]


def _gates(topology: Topology) -> np.ndarray:
    """Each neuron's gating population: that of its in-neighbours where they are of one, else its own."""
    population, sending = topology.population_of, topology.population_of[topology.senders]
    lowest = np.full(topology.n_neurons, len(topology.populations))
    highest = np.full(topology.n_neurons, -1)
    np.minimum.at(lowest, topology.receivers, sending)
    np.maximum.at(highest, topology.receivers, sending)
    return np.where(lowest == highest, lowest, population)


class _Layout(NamedTuple):
    blocks: tuple[Block, ...]
    wires: tuple[Wires, ...]
    order: np.ndarray


def _forward_layout(edges: _Edges, dense_pairs, is_dense, lowering: str, pad_to: int) -> _Layout:
    """Blocks by forward receiver: the complete pairs, then what remains by (target group, senders' population)."""
    blocks, wires, order = [], [], []
    if is_dense is None:
        is_dense = np.zeros(len(edges.senders), bool)
    dense = np.flatnonzero(is_dense)
    source, target = edges.group_of[edges.senders[dense]], edges.group_of[edges.receivers[dense]]
    dense = dense[np.lexsort((edges.receivers[dense], edges.senders[dense], target, source))]
    order.append(dense)
    for s, t in dense_pairs:
        n_s, n_t = int(edges.sizes[s]), int(edges.sizes[t])
        wires.append(Wires(len(blocks), (int(s),), int(t), int(edges.population_of_group[s])))
        blocks.append(Block("dense", (n_s,), n_t, n_s * n_t))

    sparse = np.flatnonzero(~is_dense)
    senders, receivers = edges.senders[sparse], edges.receivers[sparse]
    population, target = edges.population_of_group[edges.group_of[senders]], edges.group_of[receivers]
    by = np.lexsort((senders, receivers, population, target))
    order.append(sparse[by])
    population, target = population[by], target[by]
    for cut in _slices(_starts(target, population), len(by)):
        t = int(target[cut.start])
        block, sources = _sparse_block(edges, senders[by[cut]], receivers[by[cut]], t, lowering, pad_to)
        wires.append(Wires(len(blocks), sources, t, int(population[cut.start])))
        blocks.append(block)
    return _Layout(tuple(blocks), tuple(wires), np.concatenate(order))


def _feedback_layout(edges: _Edges, forward: _Layout, lowering: str, pad_to: int) -> _Layout:
    """The sparse synapses by backward receiver: for each group, one block from all groups above that it sends to."""
    n_dense = sum(block.n_synapses for block in forward.blocks if block.lowering == "dense")
    sparse = forward.order[n_dense:]
    lower, upper = edges.senders[sparse], edges.receivers[sparse]
    group = edges.group_of[lower]
    order = np.lexsort((upper, lower, group))
    blocks, wires = [], []
    for cut in _slices(_starts(group[order]), len(order)):
        g = int(group[order[cut.start]])
        block, sources = _sparse_block(edges, upper[order[cut]], lower[order[cut]], g, lowering, pad_to)
        wires.append(Wires(len(blocks), sources, g, int(edges.population_of_group[g])))
        blocks.append(block)
    return _Layout(tuple(blocks), tuple(wires), order)


def _sparse_block(edges: _Edges, senders, receivers, target: int, lowering: str, pad_to: int):
    """The block of the given synapses (sorted by receiver) into one group, and its source groups."""
    sources = np.unique(edges.group_of[senders])
    offsets = np.zeros(len(edges.starts), np.int64)
    offsets[sources] = np.cumsum(edges.sizes[sources]) - edges.sizes[sources] - edges.starts[sources]
    local_senders = senders + offsets[edges.group_of[senders]]
    local_receivers = receivers - edges.starts[target]
    n_sources, n_targets, n = int(edges.sizes[sources].sum()), int(edges.sizes[target]), len(senders)
    by_target, slot = _table(local_receivers, local_senders, n_targets, n_sources, lowering, pad_to)
    by_source, _ = _table(local_senders, local_receivers, n_sources, n_targets, lowering, pad_to)
    block = Block(
        lowering="segment_sum" if by_target is None else "padded_gather",
        sizes=tuple(int(size) for size in edges.sizes[sources]),
        n_targets=n_targets,
        n_synapses=n,
        senders=_int32(local_senders),
        receivers=_int32(local_receivers),
        by_target=by_target,
        by_source=by_source,
        slot=None if slot is None else _int32(slot),
    )
    return block, tuple(int(s) for s in sources)


def _table(rows, sources, n_rows: int, n_sources: int, lowering: str, pad_to: int):
    """A padded table with one column for each row, and the flat slot of each synapse; None if padding is excessive."""
    n = len(rows)
    degree = np.bincount(rows, minlength=n_rows)
    n_slots = _round_up(int(degree.max()), pad_to)
    excessive = n_slots > FEW_SLOTS and n_slots * n_rows > MAX_PADDING * n
    if lowering == "segment_sum" or (lowering == "auto" and excessive):
        return None, None
    by = np.argsort(rows, kind="stable")
    slot = np.empty(n, np.int64)
    slot[by] = np.arange(n) - np.repeat(np.cumsum(degree) - degree, degree)
    flat = slot * n_rows + rows
    table = np.full((2, n_slots * n_rows), [[n_sources], [n]], np.int32)
    table[0, flat], table[1, flat] = sources, np.arange(n)
    return Table(*(_int32(half.reshape(n_slots, n_rows)) for half in table)), flat


def _starts(*keys: np.ndarray) -> np.ndarray:
    """Where the runs of equal keys begin."""
    n = len(keys[0])
    if n == 0:
        return np.empty(0, np.int64)
    changes = np.zeros(n, bool)
    changes[0] = True
    for key in keys:
        changes[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(changes)


def _slices(starts: np.ndarray, n: int) -> list[slice]:
    bounds = [*starts.tolist(), n]
    return [slice(a, b) for a, b in itertools.pairwise(bounds)]


def _inverse(order: np.ndarray) -> np.ndarray:
    inverse = np.empty_like(order)
    inverse[order] = np.arange(len(order))
    return inverse


def _round_up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple


def _int32(array: np.ndarray) -> Array:
    return jax.device_put(np.ascontiguousarray(array, np.int32))


def _given(values: np.ndarray | None) -> Array | None:
    return None if values is None else jax.device_put(values)
