"""`compile_topology`: the choices, in order."""

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Array

from .._text import UserError
from ..ops import DOWN, UP, Costs, Stage, Wiring
from ..topology import Topology, heights, levels, path_lengths
from . import _stages as stages
from . import kernels
from ._blocks import (
    OFF_A_CPU,
    TABLES,
    WITH_KERNELS,
    WITHOUT_KERNELS,
    Choice,
    Synapses,
    int32,
    matmuls_of,
    sparse_order,
    tables_of,
)
from ._graph import CompiledGraph
from .costs import known, platform

LOWERINGS = ("auto", "dense", *TABLES)
SCHEDULES = ("auto", "unrolled", "scan")


def compile_topology(
    topology: Topology,
    *,
    lowering: str = "auto",
    schedule: str = "auto",
    tile: tuple[int, int] | None = None,
    n_states: int = 2,
    batch_size: int = 128,
    costs: Costs | None = None,
    rules: Sequence[str] = (),
) -> CompiledGraph:
    """Compiles a wiring. No argument but the first changes a result beyond rounding.

    Args:
        topology: a valid topology.
        lowering: "auto" takes for each block of synapses what the cost model finds cheapest: a matmul, with or without
            gaps, compressed rows by a kernel in C++ or a padded gather on a CPU, padded rows on a GPU; "dense",
            "padded_gather", "csr", "ell" and "segment_sum" force one on all.
        schedule: "auto" runs levels that a matmul feeds one by one, and runs of other levels in one loop; "unrolled"
            takes every level by itself, "scan" all that are not inputs in one loop (and makes no matmuls).
        tile: (rows, slots) of the tiles of padded gathers, instead of the cheapest.
        n_states, batch_size: what to choose for; any others run as well.
        costs: the cost model; None takes those measured on this machine, else defaults (`costs.known`).
        rules: names of the populations that have a rule of their own, which keeps their synapses apart; all others
            share one. Rules are numbered in this order, the shared one last (`CompiledGraph.rules`).

    Raises:
        ValueError: an unknown lowering, schedule or population, a tile without rows or slots, or "csr" where no kernel
            serves.
    """
    _check(lowering, schedule, tile)
    costs = known().costs if costs is None else costs
    work = n_states * batch_size
    tables = _tables(lowering, tile)
    numbered = stages.number_rules(topology, rules)
    groups = stages.group(topology, numbered)
    senders, receivers = groups.rank[topology.senders], groups.rank[topology.receivers]
    pairs = stages.pair_up(groups, senders, receivers)
    if lowering == "dense":
        chosen, schedule = np.ones(len(pairs.counts), bool), "unrolled"
    elif lowering == "auto" and schedule != "scan":
        chosen = stages.as_matmuls(groups, pairs, costs, work, n_states, table=tables[0])
    else:
        chosen = np.zeros(len(pairs.counts), bool)
    apart = stages.set_apart(groups, pairs, tables[0], work)
    layout = stages.lay_out(groups, pairs, chosen, schedule, apart)

    starts = groups.starts[layout.first]
    sizes = np.diff(np.append(starts, topology.n_neurons))
    types, row_types = _types(groups, layout)
    rule = np.array([of[0].rule for of in types])
    slices = np.stack([groups.starts, groups.starts + groups.sizes], axis=1)
    last = np.append(layout.first[1:], len(groups.starts))
    synapses = Synapses(
        senders,
        receivers,
        starts,
        sizes,
        layout.of[groups.of],
        rule,
        [slices[a:b] for a, b in zip(layout.first, last, strict=True)],
    )

    number = np.full(len(pairs.counts), -1)
    number[chosen] = np.arange(int(chosen.sum()))
    joined = [(int(s), int(t)) for s, t in zip(pairs.sources[chosen], pairs.targets[chosen], strict=True)]
    of_pair = number[pairs.of]
    matmuls, dense = matmuls_of(synapses, of_pair, slices, joined)
    sparse = sparse_order(synapses, np.flatnonzero(of_pair < 0))
    choice = Choice(tables, tile, costs, work, n_states)
    order = np.concatenate([dense, sparse])
    wiring = Wiring(
        stages=tuple(
            Stage(int(starts[n]), int(starts[n] + sizes[n]), int(rule[n]), types[n]) for n in range(len(starts))
        ),
        n_rules=len(numbered.names),
        matmuls=tuple(matmuls),
        up=tuple(tables_of(synapses, sparse, UP, choice)),
        down=tuple(tables_of(synapses, sparse, DOWN, choice)),
        senders=int32(senders[sparse]),
        receivers=int32(receivers[sparse]),
        row_types=tuple(row_types),
    )

    n = topology.n_neurons
    in_degree = np.bincount(topology.receivers, minlength=n)
    out_degree = np.bincount(topology.senders, minlength=n)
    rank = groups.rank
    column = np.zeros(n, np.int64)
    column[rank[topology.inputs]] = np.arange(len(topology.inputs))
    column[rank[topology.outputs]] = np.arange(len(topology.outputs))
    with_outputs = [s for s, of in enumerate(types) if any(one.role == "output" for one in of)]
    place = np.zeros(n, np.int64)
    rows = np.concatenate([np.arange(starts[s], starts[s] + sizes[s]) for s in with_outputs])
    place[rows] = np.arange(len(rows))
    return CompiledGraph(
        wiring=wiring,
        populations=tuple(p.name for p in topology.populations),
        rules=numbered.names,
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
        depth=int32(np.stack([levels(topology), heights(topology)])[:, groups.order]),
        path_length=jax.device_put(path_lengths(topology)[groups.order].astype(np.float32)),
        fan_in=int32(in_degree[topology.receivers]),
        fan_out=int32(out_degree[topology.senders]),
        bias_fan=int32(np.stack([in_degree, groups.layer_size[rank]])),
        weights=_given(topology.weights),
        backward_weights=_given(topology.backward_weights),
        biases=_given(topology.biases),
    )


def _check(lowering: str, schedule: str, tile: tuple[int, int] | None) -> None:
    if lowering not in LOWERINGS:
        raise UserError(f"lowering is {lowering!r}; it must be one of {', '.join(LOWERINGS)}.")
    if schedule not in SCHEDULES:
        raise UserError(f"schedule is {schedule!r}; it must be one of {', '.join(SCHEDULES)}.")
    if tile is not None and min(tile) < 1:
        raise UserError(f"tile is {tile}; it must have 1 row and 1 slot or more.")


def _tables(lowering: str, tile: tuple[int, int] | None) -> tuple[str, ...]:
    """The lowerings of which the cheapest is taken for synapses that are in no matmul."""
    if lowering == "csr" and (problem := kernels.problem()) is not None:
        raise UserError(f"lowering 'csr' needs kernels in C++, but {problem}; take 'auto'.")
    if lowering in TABLES:
        return (lowering,)
    if tile is not None:
        return WITHOUT_KERNELS
    if platform() != "cpu":
        return OFF_A_CPU
    return WITH_KERNELS if kernels.expected() is None else WITHOUT_KERNELS


def _types(groups: stages.Groups, layout: stages.Layout):
    """The types of each stage, and for a stage of several, the number of each row's type."""
    types, row_types = [], []
    last = np.append(layout.first[1:], len(groups.starts))
    for a, b in zip(layout.first, last, strict=True):
        of_groups = groups.types[a:b]
        distinct = tuple(dict.fromkeys(of_groups))
        types.append(distinct)
        number = {one: n for n, one in enumerate(distinct)}
        rows = np.repeat([number[one] for one in of_groups], groups.sizes[a:b])
        row_types.append(int32(rows) if len(distinct) > 1 else None)
    return types, row_types


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
