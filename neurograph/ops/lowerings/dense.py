"""A matmul, on the matrix of all synapses between two stages: without gaps ("dense"), with gaps ("scattered"), or with
gaps that an argument of the program says ("masked")."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .._arrays import Rows, accumulator, einsum, n_bytes
from ._costs import Costs

LARGE = 1 << 20
"""Places of a matrix from which on a CPU does not gain from transposing it before a matmul."""


class Matmul(eqx.Module):
    """Synapses from consecutive rows of one stage to all rows of another: all pairs, or so many that a matrix with gaps
    is fastest.

    Values are `[channels, n_sources, n_targets]` where all pairs are joined, else `[channels, synapses]`. With a mask
    they have the shape of the whole matrix, so that matrices of one shape share a program whatever their gaps are; what
    stands in the gaps is never read.

    Attributes:
        source, target: stages.
        begin: first row of the source stage that it reads.
        rule: number of the rule of the source stage.
        shape: (n_sources, n_targets).
        n_synapses: how many of the places are taken.
        places: `[n_sources, n_targets]`, the synapse at each place, `n_synapses` where there is none.
        where: the place of each synapse, `s * n_targets + t`.
        mask: `[n_sources, n_targets]`, whether a pair is joined.
    """

    source: int = eqx.field(static=True)
    begin: int = eqx.field(static=True)
    target: int = eqx.field(static=True)
    rule: int = eqx.field(static=True)
    shape: tuple[int, int] = eqx.field(static=True)
    n_synapses: int = eqx.field(static=True)
    places: Int[Array, "sources targets"] | None = None
    where: Int[Array, " synapses"] | None = None
    mask: Bool[Array, "sources targets"] | None = None

    @property
    def lowering(self) -> str:
        return "masked" if self.mask is not None else "dense" if self.places is None else "scattered"

    @property
    def n_bytes(self) -> int:
        """The memory of its index tables."""
        return n_bytes(self)

    @property
    def value_shape(self) -> tuple[int, ...]:
        """The shape of its synapses' values, for one channel."""
        return self.shape if self.where is None else (self.n_synapses,)

    def pull(self, w: Float[Array, "channels ..."], a: Rows) -> Rows:
        """`y_t = sum_s w_st a_s` into all rows of the target stage, from the states of the whole source stage."""
        a, values = self.rows(a), self.matrix(w)

        # k: state (or channel), s: source, t: target, b: batch
        def transposed_first(values, a):
            # for several channels XLA's fast matmul contracts the last axis; without the barrier it would move the
            # transposition into the slow one again
            turned = jax.lax.optimization_barrier(jnp.swapaxes(values, 1, 2))
            return _product("ts,ksb->ktb", "kts,ksb->ktb", turned, a)

        def as_it_is(values, a):
            return _product("st,ksb->ktb", "kst,ksb->ktb", values, a)

        if values.shape[0] == 1 or min(self.shape) < 16 or self.shape[0] * self.shape[1] > LARGE:
            return as_it_is(values, a)
        return jax.lax.platform_dependent(values, a, cpu=transposed_first, default=as_it_is)

    def pull_T(self, w: Float[Array, "channels ..."], y: Rows) -> Rows:
        """The transpose, `x_s = sum_t w_st y_t`, into the rows of the source stage that it reads."""
        return _product("st,ktb->ksb", "kst,ktb->ksb", self.matrix(w), y)

    def dots(self, n_channels: int, a: Rows, y: Rows) -> Float[Array, "channels ..."]:
        """`sum_b a_s y_t` for each synapse; summed over channels where `n_channels` is 1."""
        pattern = "ksb,ktb->st" if n_channels == 1 else "ksb,ktb->kst"
        d = einsum(pattern, self.rows(a), y).astype(accumulator(jnp.result_type(a, y)))
        return self.without_gaps(self.values(d[None] if n_channels == 1 else d))

    def cost(self, costs: Costs, work: int, channels: int) -> float:
        """The nanoseconds that a sum is expected to take; `work` is states times batch."""
        return estimate(costs, *self.shape, work, channels, gaps=self.places is not None)

    def rows(self, a: Array) -> Array:
        """The rows of an array of the source stage that it reads."""
        n_sources = self.shape[0]
        if n_sources == a.shape[1]:
            return a
        return jax.lax.slice_in_dim(a, self.begin, self.begin + n_sources, axis=1)

    def add(self, size: int, total: Array | None, term: Array) -> Array:
        """Adds a term that has only the rows that it reads to a sum (None for 0) over all rows of the source stage."""
        n_sources = self.shape[0]
        if n_sources == size:
            return term if total is None else total + term
        if total is None:
            around = (self.begin, size - self.begin - n_sources)
            return jnp.pad(term, ((0, 0), around, *((0, 0),) * (term.ndim - 2)))
        return jax.lax.dynamic_update_slice_in_dim(
            total, self.rows(total) + term.astype(total.dtype), self.begin, axis=1
        )

    def matrix(self, w: Float[Array, "channels ..."]) -> Float[Array, "channels sources targets"]:
        """The synapses' values at their places; 0 where there is no synapse."""
        if self.places is None:
            return self.without_gaps(w)
        return w.at[:, self.places].get(mode="fill", fill_value=0)

    def values(self, matrix: Float[Array, "channels sources targets"]) -> Float[Array, "channels ..."]:
        """The inverse of `matrix`: what stands at the synapses' places; with a mask, in the gaps, too."""
        return matrix if self.where is None else matrix.reshape(matrix.shape[0], -1)[:, self.where]

    def without_gaps(self, w: Float[Array, "channels ..."]) -> Float[Array, "channels ..."]:
        """The synapses' values, and 0 for what the mask hides."""
        return w if self.mask is None else jnp.where(self.mask[None], w, 0)


def _product(shared: str, each: str, values: Array, a: Array) -> Array:
    """With one channel for all states, or one for each; summed, and returned, in float32 at least."""
    dtype = accumulator(jnp.result_type(values, a))
    if values.shape[0] == 1:
        return einsum(shared, values[0], a, preferred_element_type=dtype)
    return einsum(each, values, a, preferred_element_type=dtype)


def estimate(costs: Costs, n_sources: Any, n_targets: Any, work: int, channels: int, *, gaps: Any) -> Any:
    """The nanoseconds of a matmul, before it is laid out.

    Args:
        costs: the cost model.
        n_sources, n_targets: sizes of the matrix; numbers, or arrays for many matmuls.
        work: states times batch.
        channels: the number of channels of the synapses.
        gaps: whether some pairs are not joined; one for each matmul.
    """
    return costs.matmul_start + n_sources * n_targets * (work * costs.multiply_add + gaps * (channels * costs.fill))
