"""What was chosen for each block of synapses, and what the cost model expects of it."""

from typing import NamedTuple

from ..costs import Costs
from ..ops import Tiles
from ._graph import CompiledGraph


class BlockPlan(NamedTuple):
    """One block in the direction of the forward signals.

    Attributes:
        sources, target: names of stages.
        synapses: how many.
        lowering: "dense", "scattered", "padded_gather" or "segment_sum".
        levels_in_order: whether it goes level by level in one loop, which computes the neurons as well.
        tiles, slots, rows: of a padded gather: how many tiles, and the shape of each; else None.
        filled: share of the places that hold a synapse.
        microseconds: of one forward sum, expected.
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
        n_states, batch_size: what to expect the costs of.
    """
    names, work = graph.stage_names, n_states * batch_size
    blocks = []
    for m in graph.wiring.matmuls:
        gaps, places = m.places is not None, m.shape[0] * m.shape[1]
        cost = costs.matmul(*m.shape, work, n_states, gaps)
        filled = m.n_synapses / places
        ends = ((names[m.source],), names[m.target])
        blocks.append(BlockPlan(*ends, m.n_synapses, m.lowering, False, None, None, None, filled, cost / 1000))
    for g in graph.wiring.up:
        ends = (tuple(names[s] for s in g.sources), names[g.stage])
        if isinstance(g.table, Tiles):
            t = g.table
            shape = (t.n_tiles, t.n_slots, t.n_rows)
            cost, filled = costs.table(*shape, work, n_states, cells=g.internal), g.n_synapses / t.sources.size
        else:
            shape = (None, None, None)
            cost, filled = costs.segments(g.n_synapses, len(g.table.levels), work), 1.0
        blocks.append(BlockPlan(*ends, g.n_synapses, g.lowering, g.internal, *shape, filled, cost / 1000))
    return blocks
