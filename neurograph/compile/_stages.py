"""Which neurons are computed together: groups, matmuls between them, stages. NumPy."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from .._text import UserError
from ..ops import Costs
from ..ops.lowerings import csr, dense, ell, padded_gather
from ..topology import INPUT, ROLES, Topology, levels

MAX_MATMULS = 128
"""Most matmuls of a program: each has to be compiled. Beyond, the most profitable are taken."""
MAX_STAGES = 4
"""Most runs of groups of one type that become stages of their own; beyond, types share stages."""
WIDE = 1 << 17
"""Numbers (rows x states x batch) from which on a level gains by being a stage: loops copy all levels' arrays."""
HEAVY = 4
"""How many times the mean of synapses a level has that is a stage: in a loop all levels are padded to the heaviest."""
MAX_APART = 32
"""Most levels that are stages by themselves though no matmul feeds them: each has to be compiled."""


class Rules(NamedTuple):
    """Which populations have a rule of their own.

    Attributes:
        names: for each number of a rule, the population that has it; last, "*" for all others, where there are any.
        of: number of each population's rule.
    """

    names: tuple[str, ...]
    of: np.ndarray


def number_rules(topology: Topology, own: Sequence[str]) -> Rules:
    """Numbers the rules: those of the populations named in `own`, in this order, then the one that all others share.

    Raises:
        ValueError: `own` names a population that the topology does not have, or one population twice.
    """
    populations = dict.fromkeys(p.name for p in topology.populations)
    number: dict[str, int] = {}
    for name in own:
        if not isinstance(name, str) or name not in populations:
            raise UserError(
                f"rules names the population {name!r}, which topology {topology.name!r} does not have; its populations "
                f"are {', '.join(map(repr, populations))}: name some of these, and leave out those that share a rule."
            )
        if name in number:
            raise UserError(f"rules names the population {name!r} more than once; name each population at most once.")
        number[name] = len(number)
    names = (*own, *(["*"] if len(number) < len(populations) else []))
    of = np.array([number.get(name, len(number)) for name in populations])
    return Rules(names, of)


class NeuronType(NamedTuple):
    """What neurons may differ in.

    Attributes:
        rule: number of the neuron's own rule, see `CompiledGraph.rules`.
        rule_below: number of the rule of the population of its in-neighbours where these are of one population, else
            its own: the rule of what it receives on the way forward, and of its bias.
        role: "input", "hidden" or "output".
        activation: its population's own, as `Population.activation` has it; None takes the rule's.
        bias: whether the unit neuron feeds it.
        feeds_on: whether "all", "some" or "none" of the outputs among them have outgoing synapses.
    """

    rule: int
    rule_below: int
    role: str
    activation: Hashable
    bias: bool
    feeds_on: str


class Groups(NamedTuple):
    """The neurons of one population at one level, alike in `rule_below`; each a slice of the renumbered neurons.

    Attributes:
        order: user's number of each renumbered neuron.
        rank: its inverse.
        starts, sizes, level: first neuron, number of neurons and level of each group.
        types: the type of each group.
        of: the group of each renumbered neuron.
        feeds_on: whether each renumbered neuron has outgoing synapses.
        layer_size: for each renumbered neuron, how many its population has at its level.
    """

    order: np.ndarray
    rank: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray
    level: np.ndarray
    types: tuple[NeuronType, ...]
    of: np.ndarray
    feeds_on: np.ndarray
    layer_size: np.ndarray


def group(topology: Topology, rules: Rules) -> Groups:
    """Inputs first, then level by level; within a group the neurons with the most synapses first."""
    n = topology.n_neurons
    level, population = levels(topology), topology.population_of
    below = _rules_below(topology, rules)
    in_degree = np.bincount(topology.receivers, minlength=n)
    out_degree = np.bincount(topology.senders, minlength=n)
    degree = np.where(level == 0, out_degree, in_degree)
    order = np.lexsort((-degree, below, population, topology.roles != INPUT, level))
    starts = runs(level[order], population[order], below[order])
    sizes = np.diff(np.append(starts, n))
    feeds_on = (out_degree > 0)[order]
    feeding = np.add.reduceat(feeds_on.astype(np.int64), starts)
    types = []
    of_group = order[starts]
    for p, under, fed, size in zip(population[of_group], below[of_group], feeding, sizes, strict=True):
        about = topology.populations[p]
        feeds = "all" if about.role != "output" or fed == size else "none" if fed == 0 else "some"
        bias = about.bias and about.role != ROLES[INPUT]
        types.append(NeuronType(int(rules.of[p]), int(under), about.role, about.activation, bias, feeds))
    layers = np.diff(runs(level[order], population[order]), append=n)
    return Groups(
        order,
        inverse(order),
        starts,
        sizes,
        level[of_group],
        tuple(types),
        np.repeat(np.arange(len(starts)), sizes),
        feeds_on,
        np.repeat(layers, layers),
    )


def _rules_below(topology: Topology, rules: Rules) -> np.ndarray:
    """For each neuron the rule of the population of its in-neighbours where they are of one, else its own."""
    population, sending = topology.population_of, topology.population_of[topology.senders]
    lowest = np.full(topology.n_neurons, len(topology.populations))
    highest = np.full(topology.n_neurons, -1)
    np.minimum.at(lowest, topology.receivers, sending)
    np.maximum.at(highest, topology.receivers, sending)
    return rules.of[np.where(lowest == highest, lowest, population)]


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


def as_matmuls(groups: Groups, pairs: Pairs, costs: Costs, work: int, channels: int, *, table: str) -> np.ndarray:
    """bool `[pairs]`: those that are cheaper as a matmul than in tables of some lowering, and few enough."""
    n_s, n_t = groups.sizes[pairs.sources], groups.sizes[pairs.targets]
    complete = pairs.counts == n_s * n_t
    matmul = dense.estimate(costs, n_s, n_t, work, channels, gaps=~complete)
    by = {"csr": csr, "ell": ell}.get(table, padded_gather)
    saved = by.estimate_more(costs, 1, work) * pairs.counts - matmul
    # where a target needs no table at all, its start is spared as well
    n_groups = len(groups.starts)
    tables = np.bincount(pairs.targets, ~complete, minlength=n_groups) > 0
    into = np.bincount(pairs.targets, minlength=n_groups)
    spared = by.estimate_start(costs) / np.maximum(into, 1)
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


def set_apart(groups: Groups, pairs: Pairs, table: str, work: int) -> np.ndarray:
    """bool `[groups]`: those that are better a stage by themselves than level by level in one loop with others.

    Args:
        groups, pairs: the neurons, and which of them are joined.
        table: the lowering of what is in no matmul.
        work: states times batch.
    """
    n = len(groups.starts)
    if table == "csr":
        wide = groups.sizes * work >= WIDE
        return wide if wide.sum() <= MAX_APART else np.zeros(n, bool)
    if table != "ell":
        return np.zeros(n, bool)
    if n <= MAX_APART:
        return np.ones(n, bool)
    received = np.bincount(pairs.targets, pairs.counts, minlength=n)
    sent = np.bincount(pairs.sources, pairs.counts, minlength=n)
    heaviest = np.argsort(-np.maximum(received, sent), kind="stable")[:MAX_APART]
    heavy = np.zeros(n, bool)
    heavy[heaviest] = True
    return heavy & (np.maximum(received, sent) > HEAVY * pairs.counts.sum() / n)


def lay_out(groups: Groups, pairs: Pairs, matmuls: np.ndarray, schedule: str, apart: np.ndarray) -> Layout:
    """Groups that a matmul feeds are stages. Of the others, those of one rule share one, if possible of one type.

    Args:
        groups, pairs: the neurons, and which of them are joined.
        matmuls: which pairs are matmuls.
        schedule: as `compile_topology` has it.
        apart: which groups are stages whatever feeds them, where the schedule leaves it open.
    """
    n = len(groups.starts)
    if schedule == "unrolled":
        alone = np.ones(n, bool)
    else:
        alone = np.zeros(n, bool)
        alone[pairs.targets[matmuls]] = True
        if schedule == "auto":
            alone |= apart
    is_input = np.array([one.role == ROLES[INPUT] for one in groups.types])
    rule = np.array([one.rule for one in groups.types])
    number = {one: n for n, one in enumerate(dict.fromkeys(groups.types))}

    def cut(key: np.ndarray) -> np.ndarray:
        breaks = np.ones(n, bool)
        breaks[1:] = (key[1:] != key[:-1]) | alone[1:] | alone[:-1] | (is_input[1:] != is_input[:-1])
        return np.flatnonzero(breaks)

    first = cut(np.array([number[one] for one in groups.types]))
    n_alone = int(alone.sum())
    if schedule == "scan" or len(first) - n_alone > MAX_STAGES:
        first = cut(rule)
    of = np.repeat(np.arange(len(first)), np.diff(np.append(first, n)))
    return Layout(first, of)


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
