"""States by stage, synapses by part, genomes by population and by line: how a step sees its arrays."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..compile import CompiledGraph, Kind
from ..genome import Genome, GenomeError, Genomes, n_states_of
from ..rules import States

ByStage = tuple[Array, ...]
"""One array for each stage."""
Synapses = tuple[Float[Array, "channels ..."], ...]
"""One array for each matmul, then one of all other synapses (`neurograph.ops.Wiring`)."""


class Lineage(NamedTuple):
    """Who has which genome.

    Attributes:
        genomes: of each population.
        of_family: of each family.
        lines: for each family, its line: families of one genome are on one line.
        of_line: of each line.
    """

    genomes: tuple[Genome, ...]
    of_family: tuple[Genome, ...]
    lines: tuple[int, ...]
    of_line: tuple[Genome, ...]


def lineage_of(graph: CompiledGraph, genome: Genomes) -> Lineage:
    """The genome of each population, family and line."""
    if not isinstance(genome, Mapping):
        n = len(graph.families)
        return Lineage((genome,) * len(graph.populations), (genome,) * n, (0,) * n, (genome,))
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
    genomes = tuple(genome[name] if name in genome else genome["*"] for name in graph.populations)
    of_line: list[Genome] = []
    lines = []
    for family in graph.families:
        one, *others = family
        for other in others:
            if genomes[other] is not genomes[one]:
                raise GenomeError(
                    f"populations {graph.populations[one]!r} and {graph.populations[other]!r} have different genomes, "
                    'but the topology was compiled for one; give compile_topology genomes="by_population".'
                )
        known = [n for n, g in enumerate(of_line) if g is genomes[one]]
        if not known:
            of_line.append(genomes[one])
        lines.append(known[0] if known else len(of_line) - 1)
    return Lineage(genomes, tuple(genomes[family[0]] for family in graph.families), tuple(lines), tuple(of_line))


def by_stage(graph: CompiledGraph, values: Array) -> ByStage:
    """An array of all neurons, along its second axis, in parts."""
    return tuple(jax.lax.split(values, [stage.size for stage in graph.wiring.stages], axis=1))


def whole(parts: Sequence[Float[Array, "_ _ batch"]]) -> States:
    """All neurons' states. Inputs may come with their first state alone; the others are 0."""
    k = max(part.shape[0] for part in parts)
    full = [jnp.pad(part, ((0, k - part.shape[0]), (0, 0), (0, 0))) for part in parts]
    return jnp.concatenate(full, axis=1)


def for_kinds(graph: CompiledGraph, stage: int, value: Callable[[Kind], Array]) -> Array:
    """An array `[_, rows]` or `[_, 1]` of which each row is that of its kind."""
    index = graph.wiring.row_kinds[stage]
    values = [value(kind) for kind in graph.kinds(stage)]
    result = values[0]
    for n, other in enumerate(values[1:], start=1):
        assert index is not None
        result = jnp.where(index[None] == n, other, result)
    return result
