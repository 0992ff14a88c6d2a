"""What was chosen for each block of synapses, and what the cost model expects of it."""

from typing import NamedTuple

from ..ops import Costs
from ._graph import CompiledGraph


class BlockPlan(NamedTuple):
    """One block in the direction of the forward signals.

    Attributes:
        sources, target: names of stages.
        synapses: how many.
        lowering: "dense", "scattered", "padded_gather", "csr", "ell" or "segment_sum".
        levels_in_order: whether it goes level by level in one loop, which computes the neurons as well.
        tiles, slots, rows: of a padded gather, how many tiles, and the shape of each; of padded rows, chunks and their
            units; else None.
        filled: share of the places that hold a synapse.
        microseconds: what one forward sum is expected to take.
    """

    sources: tuple[str, ...]
    target: str
    synapses: int
    lowering: str
    levels_in_order: bool
    tiles: int | None
    slots: int | None
    rows: int | None
    filled: float
    microseconds: float


def plan(graph: CompiledGraph, costs: Costs, *, n_states: int = 2, batch_size: int = 128) -> list[BlockPlan]:
    """The plan, block by block.

    Args:
        graph: the compiled graph.
        costs: the cost model.
        n_states, batch_size: what to expect the costs for.
    """
    names, work = graph.stage_names, n_states * batch_size
    blocks = []
    for m in graph.wiring.matmuls:
        cost, filled = m.cost(costs, work, n_states), m.n_synapses / (m.shape[0] * m.shape[1])
        ends = ((names[m.source],), names[m.target])
        blocks.append(BlockPlan(*ends, m.n_synapses, m.lowering, False, None, None, None, filled, cost / 1000))
    for g in graph.wiring.up:
        cost, filled = g.cost(costs, work, n_states), g.n_synapses / (g.table.n_places or g.n_synapses)
        ends, shape = (tuple(names[s] for s in g.sources), names[g.stage]), g.table.shape or (None, None, None)
        blocks.append(BlockPlan(*ends, g.n_synapses, g.lowering, g.internal, *shape, filled, cost / 1000))
    return blocks
