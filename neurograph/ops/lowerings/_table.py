"""Sparse synapses that end in one stage, and what every way to lay them out must offer."""

import abc
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .._arrays import ByStage, Rows, n_bytes, rows_of
from ._costs import Costs

Compute = Callable[[Rows, Callable[[Array], Array]], tuple[Rows, Any]]
"""What rows compute: (what they received, a slicer of arrays of all rows) -> (what they send to later rows of their
stage, what to keep)."""


class Table(eqx.Module):
    """How a `Gather` lays out its synapses; each lowering is one final subclass.

    A table reads *pieces*: the arrays of the stages that send, in the order of `Gather.sources`; or one array of all
    stages.
    """

    lowering: ClassVar[str]
    """The name of the lowering."""
    reads_all: ClassVar[bool] = False
    """Whether its one piece is an array of all stages."""

    @property
    def n_places(self) -> int:
        """In how many slots the synapses' values are laid out before they are summed; 0 if they are not."""
        return 0

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """(tiles, slots, rows) of a padded gather, or (chunks, slots, units) of padded rows; else None."""
        return None

    def n_messages(self, *, in_order: bool) -> int:
        """The most messages, one for each synapse, that are in memory at once; `in_order`: in a pass level by level."""
        return 0

    @abc.abstractmethod
    def pull(self, size: int, w: Float[Array, "channels sparse"], pieces: Sequence[Rows]) -> Rows:
        """`y_r = sum over the row's synapses of w * its sender`, for all `size` rows at once; in float32 at least."""

    @abc.abstractmethod
    def dots(self, size: int, n_channels: int, pieces: Sequence[Rows], y: Rows) -> Float[Array, "channels synapses"]:
        """`sum_b sender * y` for each synapse, `y` having `size` rows; summed over channels where `n_channels` is 1."""

    @abc.abstractmethod
    def sweep(
        self, w: Float[Array, "channels sparse"], pieces: Sequence[Rows], own: int, out: Any, compute: Compute
    ) -> tuple[Rows, Any]:
        """Goes level by level: a row's sum goes through `compute`, and later rows read what that sends.

        Args:
            w: the sparse synapses.
            pieces: the pieces; zeros in place of the stage's own, which is not there yet.
            own: which of them has the stage's own rows.
            out: tree of arrays `[_, rows, _]` for what `compute` keeps; whatever they hold is overwritten.
            compute: see `Compute`.

        Returns:
            The own rows, and `out`.
        """

    @abc.abstractmethod
    def cost(self, costs: Costs, work: int, channels: int, *, cells: bool) -> float:
        """The nanoseconds that a sum is expected to take.

        Args:
            costs: the cost model.
            work: states times batch.
            channels: the number of channels of the synapses.
            cells: whether a pass computes the neurons as well, level by level.
        """


class Pooled(Table):
    """A table that reads a *pool*, one array: the rows that are read of the pieces, then `n_scratch` of its own."""

    picks: eqx.AbstractVar[tuple[Int[Array, " rows"] | None, ...]]
    """For each piece, which of its rows are in the pool; None for all, as of the stage's own."""
    n_scratch: eqx.AbstractVar[int]
    """How many scratch rows the pool has."""

    def pool(self, pieces: Sequence[Rows]) -> Rows:
        """The rows that are read of the pieces, then the scratch rows."""
        parts = [
            piece if pick is None else rows_of(piece, pick) for piece, pick in zip(pieces, self.picks, strict=True)
        ]
        if self.n_scratch:
            channels, _, batch = parts[0].shape
            parts.append(jnp.zeros((channels, self.n_scratch, batch), jnp.result_type(*parts)))
        return parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis=1)

    def begin_of(self, pieces: Sequence[Rows], n: int) -> int:
        """The row of the pool where piece n begins."""
        sizes = [a.shape[1] if pick is None else pick.shape[0] for a, pick in zip(pieces, self.picks, strict=True)]
        return sum(sizes[:n])

    @staticmethod
    def own_rows(pool: Rows, begin: int, piece: Rows) -> Rows:
        """The rows of a piece that is in the pool as a whole."""
        return jax.lax.slice_in_dim(pool, begin, begin + piece.shape[1], axis=1)


class Gather(eqx.Module):
    """Sparse synapses that end, in its direction, in one stage.

    Attributes:
        stage: the stage whose rows are summed.
        sources: the stages that are read; where `stage` is among them, the pass has to go
            through the table in order.
        rule: number of the senders' rule (in the direction `UP`, a stage has one table for each rule of its senders).
        size: number of rows of the stage.
        n_synapses: number of synapses.
        table: how they are laid out.
    """

    stage: int = eqx.field(static=True)
    sources: tuple[int, ...] = eqx.field(static=True)
    rule: int = eqx.field(static=True)
    size: int = eqx.field(static=True)
    n_synapses: int = eqx.field(static=True)
    table: Table

    @property
    def internal(self) -> bool:
        """Whether rows of the stage read other rows of it."""
        return self.stage in self.sources

    @property
    def lowering(self) -> str:
        return self.table.lowering

    @property
    def n_bytes(self) -> int:
        """The memory of its index tables."""
        return n_bytes(self)

    @property
    def n_messages(self) -> int:
        """The most messages that are in memory at once."""
        return self.table.n_messages(in_order=self.internal)

    def pull(self, w: Float[Array, "channels sparse"], states: ByStage) -> Rows:
        """The sums into all rows."""
        return self.table.pull(self.size, w, self._pieces(states))

    def dots(self, n_channels: int, states: ByStage, y: Rows) -> Float[Array, "channels synapses"]:
        """The inner products along its synapses; for a table in the direction `UP`."""
        return self.table.dots(self.size, n_channels, self._pieces(states), y)

    def sweep(
        self, w: Float[Array, "channels sparse"], states: ByStage, out: Any, compute: Compute
    ) -> tuple[Rows, Any]:
        """A pass in order, see `Table.sweep`; the stage's own states are zeros."""
        own = 0 if self.table.reads_all else self.sources.index(self.stage)
        return self.table.sweep(w, self._pieces(states), own, out, compute)

    def _pieces(self, states: ByStage) -> list[Rows]:
        return [states.whole()] if self.table.reads_all else states.pieces(self.sources)

    def cost(self, costs: Costs, work: int, channels: int) -> float:
        """The nanoseconds that a sum is expected to take, with the neurons where a pass goes through it in order."""
        return self.table.cost(costs, work, channels, cells=self.internal)
