"""Which neurons are computed together: groups, matmuls between them, stages. NumPy."""

from typing import NamedTuple

import numpy as np

from ..costs import Costs
from ..topology import INPUT, ROLES, Topology, levels

MAX_MATMULS = 128
"""Most matmuls of a program: each has to be compiled. Beyond, the most profitable are taken."""
MAX_STAGES = 4
"""Most runs of groups of one kind that become stages of their own; beyond, kinds share stages."""


class Kind(NamedTuple):
    """What neurons may differ in.

    Attributes:
        population: index into `CompiledGraph.populations`.
        role: "input", "hidden" or "output".
        activation: its population's own, by name; None takes the rule's.
        bias: whether the unit neuron feeds it.
        feeds_on: of outputs, whether "all", "some" or "none" have outgoing synapses.
        gate: the population whose genome gates it on the way forward and governs its bias: that of its in-neighbours
            where they are of one population, else its own. With one genome for all, the first population stands for
            every other.
    """

    population: int
    role: str
    activation: str | None
    bias: bool
    feeds_on: str
    gate: int


class Groups(NamedTuple):
    """The neurons of one population at one level, alike in `gate`; each a slice of the renumbered neurons.

    Attributes:
        order: user's number of each renumbered neuron.
        rank: its inverse.
        starts, sizes, level: of each group.
        kinds: of each group.
        of: group of each renumbered neuron.
        feeds_on: whether each renumbered neuron has outgoing synapses.
        layer_size: for each renumbered neuron, how many its population has at its level.
    """

    order: np.ndarray
    rank: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray
    level: np.ndarray
    kinds: tuple[Kind, ...]
    of: np.ndarray
    feeds_on: np.ndarray
    layer_size: np.ndarray


def group(topology: Topology, *, one_genome: bool) -> Groups:
    """Inputs first, then level by level; within a group the neurons with the most synapses first."""
    n = topology.n_neurons
    level, population = levels(topology), topology.population_of
    gate = np.zeros(n, np.int64) if one_genome else _gates(topology)
    in_degree = np.bincount(topology.receivers, minlength=n)
    out_degree = np.bincount(topology.senders, minlength=n)
    degree = np.where(level == 0, out_degree, in_degree)
    order = np.lexsort((-degree, gate, population, topology.roles != INPUT, level))
    starts = runs(level[order], population[order], gate[order])
    sizes = np.diff(np.append(starts, n))
    feeds_on = (out_degree > 0)[order]
    feeding = np.add.reduceat(feeds_on.astype(np.int64), starts)
    kinds = []
    of_group = order[starts]
    for p, g, fed, size in zip(population[of_group], gate[of_group], feeding, sizes, strict=True):
        about = topology.populations[p]
        feeds = "all" if about.role != "output" or fed == size else "none" if fed == 0 else "some"
        bias = about.bias and about.role != ROLES[INPUT]
        kinds.append(Kind(0 if one_genome else int(p), about.role, about.activation, bias, feeds, int(g)))
    layers = np.diff(runs(level[order], population[order]), append=n)
    return Groups(
        order,
        inverse(order),
        starts,
        sizes,
        level[of_group],
        tuple(kinds),
        np.repeat(np.arange(len(starts)), sizes),
        feeds_on,
        np.repeat(layers, layers),
    )


def _gates(topology: Topology) -> np.ndarray:
    """Each neuron's gating population: that of its in-neighbours where they are of one, else its own."""
    population, sending = topology.population_of, topology.population_of[topology.senders]
    lowest = np.full(topology.n_neurons, len(topology.populations))
    highest = np.full(topology.n_neurons, -1)
    np.minimum.at(lowest, topology.receivers, sending)
    np.maximum.at(highest, topology.receivers, sending)
    return np.where(lowest == highest, lowest, population)


class Pairs(NamedTuple):
    """The pairs of groups that are joined: by how many synapses, and which pair each synapse is of."""

    sources: np.ndarray
    targets: np.ndarray
    counts: np.ndarray
    of: np.ndarray


def pair_up(groups: Groups, senders: np.ndarray, receivers: np.ndarray) -> Pairs:
    """`senders`, `receivers`: renumbered."""
    n = len(groups.starts)
    key = groups.of[senders] * n + groups.of[receivers]
    if n * n <= 4 * len(key) + 1024:
        counts = np.bincount(key, minlength=n * n)
        pairs = np.flatnonzero(counts)
        number = np.zeros(n * n, np.int64)
        number[pairs] = np.arange(len(pairs))
        return Pairs(*np.divmod(pairs, n), counts[pairs], number[key])
    pairs, of, counts = np.unique(key, return_inverse=True, return_counts=True)
    return Pairs(*np.divmod(pairs, n), counts, of)


def as_matmuls(groups: Groups, pairs: Pairs, costs: Costs, work: int, channels: int) -> np.ndarray:
    """bool `[pairs]`: those that are cheaper as a matmul, and few enough."""
    n_s, n_t = groups.sizes[pairs.sources], groups.sizes[pairs.targets]
    complete = pairs.counts == n_s * n_t
    gaps = np.where(complete, 0.0, channels * costs.fill)
    matmul = costs.matmul_start + n_s * n_t * (work * costs.multiply_add + gaps)
    saved = costs.gathered(1, work) * pairs.counts - matmul
    # where a target needs no table at all, the loop through it is spared as well
    n_groups = len(groups.starts)
    tables = np.bincount(pairs.targets, ~complete, minlength=n_groups) > 0
    into = np.bincount(pairs.targets, minlength=n_groups)
    spared = (costs.loop_start + costs.tile) / np.maximum(into, 1)
    saved = saved + np.where(tables[pairs.targets], 0.0, spared[pairs.targets])
    chosen = saved > 0
    # a matmul from some rows of a stage that tables feed costs passes over all of that stage on the way back
    tabled = np.bincount(pairs.targets, ~chosen, minlength=n_groups) > 0
    saved = saved - np.where(tabled[pairs.sources], costs.copy * work * groups.sizes[tabled].sum(), 0.0)
    chosen = saved > 0
    if chosen.sum() > MAX_MATMULS:
        chosen &= saved >= np.sort(saved)[-MAX_MATMULS]
        chosen &= saved > 2 * costs.matmul_start
    return chosen


class Layout(NamedTuple):
    """Stages as runs of groups.

    Attributes:
        first: first group of each stage.
        of: stage of each group.
    """

    first: np.ndarray
    of: np.ndarray


def lay_out(groups: Groups, pairs: Pairs, matmuls: np.ndarray, schedule: str, *, mix_populations: bool) -> Layout:
    """Groups that a matmul feeds are stages; of the others, neighbours share one, where possible of one kind."""
    n = len(groups.starts)
    if schedule == "unrolled":
        alone = np.ones(n, bool)
    else:
        alone = np.zeros(n, bool)
        alone[pairs.targets[matmuls]] = True
    is_input = np.array([kind.role == ROLES[INPUT] for kind in groups.kinds])
    population = np.array([kind.population for kind in groups.kinds])
    kind = np.array([_number(groups.kinds)[k] for k in groups.kinds])

    def cut(key: np.ndarray) -> np.ndarray:
        breaks = np.ones(n, bool)
        breaks[1:] = (key[1:] != key[:-1]) | alone[1:] | alone[:-1] | (is_input[1:] != is_input[:-1])
        return np.flatnonzero(breaks)

    first = cut(kind)
    n_alone = int(alone.sum())
    if schedule == "scan" or len(first) - n_alone > MAX_STAGES:
        first = cut(np.zeros(n, int) if mix_populations else population)
    of = np.repeat(np.arange(len(first)), np.diff(np.append(first, n)))
    return Layout(first, of)


def _number(kinds) -> dict[Kind, int]:
    return {kind: number for number, kind in enumerate(dict.fromkeys(kinds))}


def runs(*keys: np.ndarray) -> np.ndarray:
    """Where the runs of equal keys begin."""
    n = len(keys[0])
    if n == 0:
        return np.empty(0, np.int64)
    changes = np.zeros(n, bool)
    changes[0] = True
    for key in keys:
        changes[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(changes)


def inverse(order: np.ndarray) -> np.ndarray:
    result = np.empty_like(order)
    result[order] = np.arange(len(order))
    return result
