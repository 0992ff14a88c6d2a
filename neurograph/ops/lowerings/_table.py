"""Sparse synapses that end in one stage, and what every way to lay them out must offer."""

import abc
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .._arrays import Rows, n_bytes, rows_of
from ._costs import Costs

Compute = Callable[[Rows, Callable[[Array], Array]], tuple[Rows, Any]]
"""What rows compute: (what they received, a slicer of arrays of all rows) -> (what they send to later rows of their
stage, what to keep)."""


class Table(eqx.Module):
    """How a `Gather` lays out its synapses; each lowering is one final subclass.

    A table reads a *pool*: the rows of the stages that are read, then `n_scratch` rows of its own.
    """

    lowering: ClassVar[str]
    """The name of the lowering."""
    n_scratch: eqx.AbstractVar[int]
    """How many scratch rows the pool must have."""

    @property
    @abc.abstractmethod
    def n_places(self) -> int:
        """In how many slots the synapses' values are laid out before they are summed; 0 if they are not."""

    @property
    @abc.abstractmethod
    def shape(self) -> tuple[int, int, int] | None:
        """(tiles, slots, rows) of a padded gather, else None."""

    @abc.abstractmethod
    def n_messages(self, *, in_order: bool) -> int:
        """The most messages, one for each synapse, that are in memory at once; `in_order`: in a pass level by level."""

    @abc.abstractmethod
    def pull(self, size: int, w: Float[Array, "channels sparse"], pool: Rows) -> Rows:
        """`y_r = sum over the row's synapses of w * pool`, for all `size` rows at once; in float32 at least."""

    @abc.abstractmethod
    def dots(self, size: int, n_channels: int, pool: Rows, y: Rows) -> Float[Array, "channels synapses"]:
        """`sum_b pool * y` for each synapse, `y` having `size` rows; summed over channels where `n_channels` is 1."""

    @abc.abstractmethod
    def sweep(
        self, w: Float[Array, "channels sparse"], pool: Rows, own: int, out: Any, compute: Compute
    ) -> tuple[Rows, Any]:
        """Goes level by level: a row's sum goes through `compute`, and later rows read what that sends.

        Args:
            w: the sparse synapses.
            pool: the pool, in which the stage's own rows, from `own` on, are not yet there.
            own: where the own rows begin in the pool.
            out: tree of arrays `[_, rows, _]` for what `compute` keeps; whatever they hold is overwritten.
            compute: see `Compute`.

        Returns:
            The pool with the own rows, and `out`.
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


class Gather(eqx.Module):
    """Sparse synapses that end, in its direction, in one stage.

    Attributes:
        stage: the stage whose rows are summed.
        sources: the stages that are read, in the order of the pool; where `stage` is among them, the pass has to go
            through the table in order.
        rule: number of the senders' rule (in the direction `UP`, a stage has one table for each rule of its senders).
        size: number of rows of the stage.
        n_synapses: number of synapses.
        table: how they are laid out.
        picks: for each source, which of its rows are in the pool; None for all.
    """

    stage: int = eqx.field(static=True)
    sources: tuple[int, ...] = eqx.field(static=True)
    rule: int = eqx.field(static=True)
    size: int = eqx.field(static=True)
    n_synapses: int = eqx.field(static=True)
    table: Table
    picks: tuple[Int[Array, " rows"] | None, ...]

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

    def pool(self, pieces: Sequence[Rows]) -> Rows:
        """The rows that are read of the sources' arrays, then the scratch rows."""
        parts = [
            piece if pick is None else rows_of(piece, pick) for piece, pick in zip(pieces, self.picks, strict=True)
        ]
        if self.table.n_scratch:
            channels, _, batch = parts[0].shape
            parts.append(jnp.zeros((channels, self.table.n_scratch, batch), jnp.result_type(*parts)))
        return parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis=1)

    def pull(self, w: Float[Array, "channels sparse"], pieces: Sequence[Rows]) -> Rows:
        """The sums into all rows, from the sources' arrays."""
        return self.table.pull(self.size, w, self.pool(pieces))

    def dots(self, n_channels: int, pieces: Sequence[Rows], y: Rows) -> Float[Array, "channels synapses"]:
        """The inner products along its synapses; for a table in the direction `UP`."""
        return self.table.dots(self.size, n_channels, self.pool(pieces), y)

    def cost(self, costs: Costs, work: int, channels: int) -> float:
        """The nanoseconds that a sum is expected to take, with the neurons where a pass goes through it in order."""
        return self.table.cost(costs, work, channels, cells=self.internal)
