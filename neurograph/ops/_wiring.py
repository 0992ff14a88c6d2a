"""What the sums run over: stages of neurons, and the synapses between them, laid out for one lowering or another."""

from collections.abc import Hashable
from typing import NamedTuple

import equinox as eqx
from jaxtyping import Array, Bool, Int

UP, DOWN = "up", "down"
"""Directions: with the forward signals, from senders to receivers; and against them."""


class Stage(NamedTuple):
    """A slice of neurons that a pass computes together, or level after level in one loop.

    Attributes:
        start, stop: its slice.
        family: its neurons' family: neurons that share a genome.
        kinds: what kinds of neurons there are in it; opaque to the sums.
    """

    start: int
    stop: int
    family: int
    kinds: tuple[Hashable, ...]

    @property
    def size(self) -> int:
        return self.stop - self.start


class Matmul(eqx.Module):
    """Synapses from consecutive rows of one stage to all of another: all pairs, or enough that a matrix with gaps is
    fastest.

    Values are `[channels, n_sources, n_targets]` where all pairs are joined, else `[channels, synapses]`.

    Attributes:
        source, target: stages.
        begin: first row of the source stage.
        family: of the source.
        shape: (n_sources, n_targets).
        n_synapses: how many of the places are taken.
        places: `[n_sources, n_targets]`, the synapse at each place, `n_synapses` where there is none.
        where: the place of each synapse, `s * n_targets + t`.
    """

    source: int = eqx.field(static=True)
    begin: int = eqx.field(static=True)
    target: int = eqx.field(static=True)
    family: int = eqx.field(static=True)
    shape: tuple[int, int] = eqx.field(static=True)
    n_synapses: int = eqx.field(static=True)
    places: Int[Array, "sources targets"] | None = None
    where: Int[Array, " synapses"] | None = None

    @property
    def lowering(self) -> str:
        return "dense" if self.places is None else "scattered"


class Tiles(eqx.Module):
    """A padded gather: each tile sums `n_slots` summands into each of `n_rows` consecutive rows.

    What is read is a *pool*: the rows of the `sources`, then scratch rows. A row with more summands than
    its tiles have slots finds the excess in scratch rows, which earlier tiles summed: hubs are split, and cost no more
    than others. Tiles come in an order in which what they read is there.

    Attributes:
        sources: where each summand comes from, a row of the pool; what pads a row reads what its first slot reads.
        synapses: along which of the sparse synapses; `n` stands for a synapse of value 0, `n + 1` for one of value 1.
        rows: the row that each of the tile's rows contributes to, counted within the stage; `size` for none.
        begin: first row of the stage that the tile writes.
        scratch: first scratch row that it writes, if it is not the last for its rows.
        first, last: whether it is the first, and the last tile for its rows.
        where: the flat slot of each synapse; only of tables in the direction `UP`.
        n_scratch: scratch rows; the last `n_rows` of them are never read.
        splits: whether some rows are split.
        accumulates: whether some rows take several tiles.
    """

    sources: Int[Array, "tiles slots rows"]
    synapses: Int[Array, "tiles slots rows"]
    rows: Int[Array, "tiles rows"]
    begin: Int[Array, " tiles"]
    scratch: Int[Array, " tiles"]
    first: Bool[Array, " tiles"]
    last: Bool[Array, " tiles"]
    where: Int[Array, " synapses"] | None
    n_scratch: int = eqx.field(static=True)
    splits: bool = eqx.field(static=True)
    accumulates: bool = eqx.field(static=True)

    @property
    def n_tiles(self) -> int:
        return self.sources.shape[0]

    @property
    def n_slots(self) -> int:
        return self.sources.shape[1]

    @property
    def n_rows(self) -> int:
        return self.sources.shape[2]


class Segments(eqx.Module):
    """The reference lowering: gather, multiply, `segment_sum`, level by level.

    Attributes:
        sources: row of the pool that each synapse reads.
        synapses: which of the sparse synapses it is.
        rows: row of the stage that it contributes to, ascending within each level.
        levels: for each level of the stage, in the pass's order: (first row, last row + 1, first synapse, last + 1).
    """

    sources: Int[Array, " synapses"]
    synapses: Int[Array, " synapses"]
    rows: Int[Array, " synapses"]
    levels: tuple[tuple[int, int, int, int], ...] = eqx.field(static=True)


class Gather(eqx.Module):
    """Sparse synapses that end, in its direction, in one stage.

    Attributes:
        stage: whose rows are summed.
        sources: the stages that are read, in the order of the pool; where `stage` is among them, the pass has to go
            through the table in order.
        family: of the synapses' senders (in the direction `UP`, all synapses into a stage from one family).
        size: rows of the stage.
        n_synapses: how many.
        table: how.
        picks: for each source, which of its rows are in the pool; None for all.
    """

    stage: int = eqx.field(static=True)
    sources: tuple[int, ...] = eqx.field(static=True)
    family: int = eqx.field(static=True)
    size: int = eqx.field(static=True)
    n_synapses: int = eqx.field(static=True)
    table: Tiles | Segments
    picks: tuple[Int[Array, " rows"] | None, ...]

    @property
    def internal(self) -> bool:
        return self.stage in self.sources

    @property
    def lowering(self) -> str:
        return "padded_gather" if isinstance(self.table, Tiles) else "segment_sum"


class Wiring(eqx.Module):
    """All synapses. Their values are a tuple: an array for each matmul, then one of all others, `[channels, synapses]`.

    Attributes:
        stages: in an order in which every synapse goes from a stage to itself or to a later one.
        n_families: number of families.
        matmuls: blocks of synapses as matrices.
        up: the others by receiver; tables of one stage next to each other.
        down: the same synapses by sender.
        senders, receivers: of the sparse synapses, rows counted through all stages.
        row_kinds: for each stage of several kinds, the kind of each row; else None.
    """

    stages: tuple[Stage, ...] = eqx.field(static=True)
    n_families: int = eqx.field(static=True)
    matmuls: tuple[Matmul, ...]
    up: tuple[Gather, ...]
    down: tuple[Gather, ...]
    senders: Int[Array, " sparse"]
    receivers: Int[Array, " sparse"]
    row_kinds: tuple[Int[Array, " rows"] | None, ...]

    @property
    def n_sparse(self) -> int:
        return self.senders.shape[0]
