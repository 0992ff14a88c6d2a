"""`compile_topology`: the choices, in order."""

import jax
import numpy as np
from jaxtyping import Array

from ..costs import Costs, known
from ..ops import DOWN, UP, Wiring
from ..topology import Topology
from . import _stages as stages
from ._blocks import Choice, Synapses, int32, matmuls_of, sparse_order, stage_of, tables_of
from ._graph import CompiledGraph

LOWERINGS = ("auto", "dense", "padded_gather", "segment_sum")
SCHEDULES = ("auto", "unrolled", "scan")
GENOMES = ("shared", "by_population")


def compile_topology(
    topology: Topology,
    *,
    lowering: str = "auto",
    schedule: str = "auto",
    tile: tuple[int, int] | None = None,
    n_states: int = 2,
    batch_size: int = 128,
    costs: Costs | None = None,
    genomes: str = "shared",
) -> CompiledGraph:
    """Compiles a wiring. No argument but the first changes a result beyond rounding.

    Args:
        topology: a valid topology.
        lowering: "auto" takes for each block of synapses what the cost model finds cheapest: a matmul, with or without
            gaps, or a padded gather; "dense", "padded_gather" and "segment_sum" force one on all.
        schedule: "auto" runs levels that a matmul feeds one by one, and runs of other levels in one loop; "unrolled"
            takes every level by itself, "scan" all that are not inputs in one loop (and makes no matmuls).
        tile: (rows, slots) of the tiles of padded gathers, instead of the cheapest.
        n_states, batch_size: what to choose for; any others run as well.
        costs: the cost model; None takes those measured on this machine, else defaults (`costs.known`).
        genomes: "shared" if all populations have one genome; "by_population" if each may have its own, which keeps
            their synapses apart.

    Raises:
        ValueError: an unknown lowering, schedule or kind of genomes, or a tile without rows or slots.
    """
    _check(lowering, schedule, genomes, tile)
    costs = known().costs if costs is None else costs
    work = n_states * batch_size
    groups = stages.group(topology, one_genome=genomes == "shared")
    senders, receivers = groups.rank[topology.senders], groups.rank[topology.receivers]
    pairs = stages.pair_up(groups, senders, receivers)
    if lowering == "dense":
        chosen, schedule = np.ones(len(pairs.counts), bool), "unrolled"
    elif lowering == "auto" and schedule != "scan":
        chosen = stages.as_matmuls(groups, pairs, costs, work, n_states)
    else:
        chosen = np.zeros(len(pairs.counts), bool)
    layout = stages.lay_out(groups, pairs, chosen, schedule, mix_populations=genomes == "shared")

    starts = groups.starts[layout.first]
    sizes = np.diff(np.append(starts, topology.n_neurons))
    kinds, row_kinds = _kinds(groups, layout)
    n_populations = len(topology.populations)
    if genomes == "shared":
        families, family = (tuple(range(n_populations)),), np.zeros(len(kinds), np.int64)
    else:
        families, family = tuple((p,) for p in range(n_populations)), np.array([of[0].population for of in kinds])
    slices = np.stack([groups.starts, groups.starts + groups.sizes], axis=1)
    last = np.append(layout.first[1:], len(groups.starts))
    synapses = Synapses(
        senders,
        receivers,
        starts,
        sizes,
        layout.of[groups.of],
        family,
        [slices[a:b] for a, b in zip(layout.first, last, strict=True)],
    )

    number = np.full(len(pairs.counts), -1)
    number[chosen] = np.arange(int(chosen.sum()))
    joined = [(int(s), int(t)) for s, t in zip(pairs.sources[chosen], pairs.targets[chosen], strict=True)]
    of_pair = number[pairs.of]
    matmuls, dense = matmuls_of(synapses, of_pair, slices, joined)
    sparse = sparse_order(synapses, np.flatnonzero(of_pair < 0))
    choice = Choice(lowering, tile, costs, work, n_states)
    order = np.concatenate([dense, sparse])
    wiring = Wiring(
        stages=tuple(stage_of(starts, sizes, n, int(family[n]), kinds[n]) for n in range(len(starts))),
        n_families=len(families),
        matmuls=tuple(matmuls),
        up=tuple(tables_of(synapses, sparse, UP, choice)),
        down=tuple(tables_of(synapses, sparse, DOWN, choice)),
        senders=int32(senders[sparse]),
        receivers=int32(receivers[sparse]),
        row_kinds=tuple(row_kinds),
    )

    n = topology.n_neurons
    in_degree = np.bincount(topology.receivers, minlength=n)
    out_degree = np.bincount(topology.senders, minlength=n)
    rank = groups.rank
    column = np.zeros(n, np.int64)
    column[rank[topology.inputs]] = np.arange(len(topology.inputs))
    column[rank[topology.outputs]] = np.arange(len(topology.outputs))
    with_outputs = [s for s, of in enumerate(kinds) if any(kind.role == "output" for kind in of)]
    place = np.zeros(n, np.int64)
    rows = np.concatenate([np.arange(starts[s], starts[s] + sizes[s]) for s in with_outputs])
    place[rows] = np.arange(len(rows))
    return CompiledGraph(
        wiring=wiring,
        populations=tuple(p.name for p in topology.populations),
        families=families,
        stage_names=_names(topology, groups, layout),
        output_stages=tuple(with_outputs),
        n_inputs=len(topology.inputs),
        n_levels=int(groups.level.max()) + 1,
        neuron_order=int32(groups.order),
        neuron_rank=int32(rank),
        synapse_order=int32(order),
        synapse_rank=int32(stages.inverse(order)),
        column=int32(column),
        output_rows=int32(rank[topology.outputs]),
        output_places=int32(place[rank[topology.outputs]]),
        feeds_on=jax.device_put(groups.feeds_on),
        fan_in=int32(in_degree[topology.receivers]),
        fan_out=int32(out_degree[topology.senders]),
        bias_fan=int32(np.stack([in_degree, groups.layer_size[rank]])),
        weights=_given(topology.weights),
        backward_weights=_given(topology.backward_weights),
        biases=_given(topology.biases),
    )


def _check(lowering: str, schedule: str, genomes: str, tile: tuple[int, int] | None) -> None:
    if lowering not in LOWERINGS:
        raise ValueError(f"lowering is {lowering!r}; it must be one of {', '.join(LOWERINGS)}.")
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule is {schedule!r}; it must be one of {', '.join(SCHEDULES)}.")
    if genomes not in GENOMES:
        raise ValueError(f"genomes is {genomes!r}; it must be one of {', '.join(GENOMES)}.")
    if tile is not None and min(tile) < 1:
        raise ValueError(f"tile is {tile}; it must have 1 row and 1 slot or more.")


def _kinds(groups: stages.Groups, layout: stages.Layout):
    """The kinds of each stage, and for a stage of several, the kind of each row."""
    kinds, row_kinds = [], []
    last = np.append(layout.first[1:], len(groups.starts))
    for a, b in zip(layout.first, last, strict=True):
        of_groups = groups.kinds[a:b]
        distinct = tuple(dict.fromkeys(of_groups))
        kinds.append(distinct)
        number = {kind: n for n, kind in enumerate(distinct)}
        rows = np.repeat([number[kind] for kind in of_groups], groups.sizes[a:b])
        row_kinds.append(int32(rows) if len(distinct) > 1 else None)
    return kinds, row_kinds


def _names(topology: Topology, groups: stages.Groups, layout: stages.Layout) -> tuple[str, ...]:
    """The populations of each stage, and their levels."""
    population = topology.population_of[groups.order[groups.starts]]
    last = np.append(layout.first[1:], len(groups.starts))
    names = []
    for a, b in zip(layout.first, last, strict=True):
        found = [topology.populations[p].name for p in dict.fromkeys(population[a:b].tolist())]
        some = ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
        low, high = int(groups.level[a]), int(groups.level[b - 1])
        names.append(f"{some} (level {low})" if low == high else f"{some} (levels {low}-{high})")
    return tuple(names)


def _given(values: np.ndarray | None) -> Array | None:
    return None if values is None else jax.device_put(values)
