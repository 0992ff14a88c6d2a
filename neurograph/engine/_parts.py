"""States by group, synapses by block, genomes by population: how a step sees its arrays."""

from collections.abc import Callable, Mapping

import jax
from jaxtyping import Array

from .. import ops
from ..compile import CompiledGraph
from ..genome import Genome, GenomeError, Genomes, n_states_of
from ..rules import States

Parts = tuple[Array, ...]
"""One array for each group, or for each block."""


def genomes_of(graph: CompiledGraph, genome: Genomes) -> list[Genome]:
    """The genome of each population."""
    if not isinstance(genome, Mapping):
        return [genome] * len(graph.populations)
    n_states_of(genome)
    unknown = sorted(set(genome) - set(graph.populations) - {"*"})
    if unknown:
        raise GenomeError(
            f"there is a genome for population {unknown[0]!r}, which the topology does not have; it has "
            f"{', '.join(graph.populations)} ('*' stands for all others)."
        )
    absent = [name for name in graph.populations if name not in genome and "*" not in genome]
    if absent:
        raise GenomeError(f"population {absent[0]!r} has no genome; add one for it, or one named '*' for all others.")
    return [genome[name] if name in genome else genome["*"] for name in graph.populations]


def by_group(graph: CompiledGraph, states: States) -> Parts:
    return tuple(jax.lax.split(states, [g.stop - g.start for g in graph.groups]))


def by_block(graph: CompiledGraph, synapses) -> Parts:
    return tuple(jax.lax.split(synapses, [b.n_synapses for b in graph.forward_blocks], axis=1))


def by_feedback_block(graph: CompiledGraph, synapses) -> Parts:
    """The sparse synapses, ordered by backward receiver."""
    if not graph.feedback_blocks:
        return ()
    n = graph.feedback_order.shape[0]
    sparse = jax.lax.split(synapses, [synapses.shape[1] - n, n], axis=1)[1]
    ordered = ops.permute(sparse, graph.feedback_order, graph.feedback_rank)
    return tuple(jax.lax.split(ordered, [b.n_synapses for b in graph.feedback_blocks], axis=1))


def into(wires, group: int):
    return [w for w in wires if w.target == group]


def total_of(terms):
    """Sum without a leading zero, so that a single term stays itself; nothing sums to 0."""
    total = None
    for term in terms:
        total = term if total is None else total + term
    return 0.0 if total is None else total


def cached(function: Callable[[int, int], Array]) -> Callable[[int, int], Array]:
    """Each (group, population) once; the program is built once, so a dict will do."""
    known: dict[tuple[int, int], Array] = {}

    def lookup(g: int, p: int) -> Array:
        if (g, p) not in known:
            known[g, p] = function(g, p)
        return known[g, p]

    return lookup
