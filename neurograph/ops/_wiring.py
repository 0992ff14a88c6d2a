"""What the sums run over: stages of neurons, and the synapses between them, each block laid out by its lowering."""

from collections.abc import Hashable
from typing import NamedTuple

import equinox as eqx
from jaxtyping import Array, Int

from ._arrays import n_bytes
from .lowerings import Gather, Matmul


class Stage(NamedTuple):
    """A slice of neurons that a pass computes together, or level after level in one loop.

    Attributes:
        start, stop: its slice.
        rule: number of the rule by which the synapses that its neurons send live.
        types: the types of its neurons; the sums only compare them.
    """

    start: int
    stop: int
    rule: int
    types: tuple[Hashable, ...]

    @property
    def size(self) -> int:
        return self.stop - self.start


class Wiring(eqx.Module):
    """All synapses. Their values are a tuple of one array for each matmul, then `[channels, synapses]` of all others.

    Attributes:
        stages: the stages, in an order in which every synapse goes from a stage to itself or to a later one.
        n_rules: number of rules.
        matmuls: blocks of synapses as matrices.
        up: all other, "sparse" synapses by receiver; tables of one stage stand next to each other.
        down: the same synapses by sender.
        senders, receivers: the ends of the sparse synapses; rows are counted through all stages.
        row_types: for each stage of several types, the number of each row's type; else None.
    """

    stages: tuple[Stage, ...] = eqx.field(static=True)
    n_rules: int = eqx.field(static=True)
    matmuls: tuple[Matmul, ...]
    up: tuple[Gather, ...]
    down: tuple[Gather, ...]
    senders: Int[Array, " sparse"]
    receivers: Int[Array, " sparse"]
    row_types: tuple[Int[Array, " rows"] | None, ...]

    @property
    def n_sparse(self) -> int:
        """The number of synapses that belong to no matmul."""
        return self.senders.shape[0]

    @property
    def n_bytes(self) -> int:
        """The memory of all index tables."""
        return n_bytes(self)
