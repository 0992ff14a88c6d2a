"""The three sums over synapses that everything else is made of, closed under differentiation, with every lowering.

    propagate    y_j^c  = sum_{i in I(j)} w_ij^c a_i^c       from senders to receivers
    propagate_T  x_i^c  = sum_{j in J(i)} w_ij^c y_j^c       from receivers to senders
    edge_dot     s_ij^c = sum_b a_i^c y_j^c                  one number for each synapse: the Hebbian term

    d propagate / da = propagate_T,   d propagate / dw = edge_dot,
    d edge_dot / da = propagate_T(ds, y),   d edge_dot / dy = propagate(ds, a)

Each carries its derivative, written with the other two, so reverse mode of any order costs gathers and never a
scatter-add. States are `[neurons, states, batch]`, batch innermost; synapses `[channels, synapses]`. A synapse vector
with one channel serves all states.

A `Block` is a set of synapses from some source pieces (slices of neurons, each its own array) into one slice of target
neurons. Its lowering is fixed when it is compiled:

    dense          complete bipartite: a matmul on the reshaped synapse vector, synapse `s * n_targets + t`
    padded_gather  tables of senders `[slots, targets]`, summed slot by slot; never builds `[synapses, states, batch]`
    segment_sum    gather, multiply, `jax.ops.segment_sum`; the reference, and what serves very uneven degrees
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

_einsum = functools.partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)


class Table(eqx.Module):
    """For each row, in each slot: where the summand comes from, and along which synapse.

    Padding points one past the end of both: a source row of zeros, a synapse of value zero.
    """

    sources: Int[Array, "slots rows"]
    synapses: Int[Array, "slots rows"]


class Block(eqx.Module):
    """Synapses from `sizes`-long source pieces into one slice of `n_targets` neurons. See the module's docstring."""

    lowering: str = eqx.field(static=True)
    sizes: tuple[int, ...] = eqx.field(static=True)
    n_targets: int = eqx.field(static=True)
    n_synapses: int = eqx.field(static=True)
    senders: Int[Array, " synapses"] | None = None
    receivers: Int[Array, " synapses"] | None = None
    by_target: Table | None = None
    by_source: Table | None = None
    slot: Int[Array, " synapses"] | None = None

    @property
    def n_sources(self) -> int:
        return sum(self.sizes)


Pieces = tuple[Float[Array, "_ states batch"], ...]


# --- one slice of target neurons ------------------------------------------------------------------------------------


@jax.custom_vjp
def propagate(
    block: Block, w: Float[Array, "channels synapses"], pieces: Pieces
) -> Float[Array, "targets states batch"]:
    """Sum over in-neighbours: `y_j^c = sum_{i in I(j)} w_ij^c a_i^c`.

    Args:
        block: the synapses.
        w: their values; one channel serves all states.
        pieces: the senders' states, one array for each source piece.
    """
    if block.lowering == "dense":
        # k: state (or channel), s: source, t: target, b: batch
        matrix = w.reshape(w.shape[0], block.n_sources, block.n_targets)
        a = _joined(pieces)
        return _einsum("st,skb->tkb", matrix[0], a) if w.shape[0] == 1 else _einsum("kst,skb->tkb", matrix, a)
    if block.by_target is None:
        return _segment(w, _joined(pieces), block.senders, block.receivers, block.n_targets)
    return _gather(block.by_target, w, _joined(pieces, padded=True))


@jax.custom_vjp
def propagate_T(block: Block, w: Float[Array, "channels synapses"], y: Float[Array, "targets states batch"]) -> Pieces:
    """Sum over out-neighbours, the transpose: `x_i^c = sum_{j in J(i)} w_ij^c y_j^c`.

    Args:
        block: the synapses.
        w: their values; one channel serves all states.
        y: the receivers' states.

    Returns:
        One array for each source piece.
    """
    if block.lowering == "dense":
        matrix = w.reshape(w.shape[0], block.n_sources, block.n_targets)
        x = _einsum("st,tkb->skb", matrix[0], y) if w.shape[0] == 1 else _einsum("kst,tkb->skb", matrix, y)
    elif block.by_source is None:
        x = _segment(w, y, block.receivers, block.senders, block.n_sources)
    else:
        x = _gather(block.by_source, w, _joined((y,), padded=True))
    return _split(x, block.sizes)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def edge_dot(
    n_channels: int, block: Block, pieces: Pieces, y: Float[Array, "targets states batch"]
) -> Float[Array, "channels synapses"]:
    """For each synapse, the inner product over the batch: `s_ij^c = sum_b a_i^c y_j^c`.

    Args:
        n_channels: number of states for one channel each, or 1 for their sum (the derivative of a shared channel).
        block: the synapses.
        pieces: the senders' states, one array for each source piece.
        y: the receivers' states.
    """
    shared = n_channels == 1
    if block.lowering == "dense":
        pattern = "skb,tkb->st" if shared else "skb,tkb->kst"
        return _einsum(pattern, _joined(pieces), y).reshape(n_channels, block.n_synapses)
    # e: synapse
    pattern = "ekb,ekb->e" if shared else "ekb,ekb->ke"
    if block.by_target is None:
        return _einsum(pattern, _joined(pieces)[block.senders], y[block.receivers]).reshape(n_channels, -1)
    a = _joined(pieces, padded=True)

    def dots(_, sources):
        return None, _einsum("rkb,rkb->r" if shared else "rkb,rkb->kr", _rows(a, sources), y)

    _, s = jax.lax.scan(dots, None, block.by_target.sources)
    s = s.reshape(-1, n_channels, block.n_targets)
    return jnp.moveaxis(s, 1, 0).reshape(n_channels, -1)[:, block.slot]


# --- derivatives: each primitive's is made of the other two -----------------------------------------------------------


def _propagate_fwd(block, w, pieces):
    return propagate(block, w, pieces), (block, w, pieces)


def _propagate_bwd(residuals, dy):
    block, w, pieces = residuals
    return None, edge_dot(w.shape[0], block, pieces, dy), propagate_T(block, w, dy)


def _propagate_T_fwd(block, w, y):
    return propagate_T(block, w, y), (block, w, y)


def _propagate_T_bwd(residuals, dx):
    block, w, y = residuals
    return None, edge_dot(w.shape[0], block, dx, y), propagate(block, w, dx)


def _edge_dot_fwd(n_channels, block, pieces, y):
    return edge_dot(n_channels, block, pieces, y), (block, pieces, y)


def _edge_dot_bwd(n_channels, residuals, ds):
    block, pieces, y = residuals
    return None, propagate_T(block, ds, y), propagate(block, ds, pieces)


propagate.defvjp(_propagate_fwd, _propagate_bwd)
propagate_T.defvjp(_propagate_T_fwd, _propagate_T_bwd)
edge_dot.defvjp(_edge_dot_fwd, _edge_dot_bwd)


# --- numbers of neurons laid on their synapses, and synapses in another order -----------------------------------------


def at_receivers(block: Block, values: Float[Array, "targets channels"]) -> Float[Array, "channels synapses"]:
    """Each synapse's receiver's number."""
    if block.lowering == "dense":
        return jnp.tile(values.T, (1, block.n_sources))
    return values.T[:, block.receivers]


def at_senders(block: Block, pieces: tuple[Float[Array, "_ channels"], ...]) -> Float[Array, "channels synapses"]:
    """Each synapse's sender's number."""
    values = jnp.concatenate(pieces)
    if block.lowering == "dense":
        return jnp.repeat(values.T, block.n_targets, axis=1)
    return values.T[:, block.senders]


@jax.custom_vjp
def permute(
    values: Float[Array, "channels synapses"], order: Int[Array, " synapses"], inverse: Int[Array, " synapses"]
) -> Float[Array, "channels synapses"]:
    """`values[:, order]` for a permutation; its derivative is the gather by the inverse, never a scatter."""
    return values[:, order]


def _permute_fwd(values, order, inverse):
    return permute(values, order, inverse), (order, inverse)


def _permute_bwd(residuals, d):
    order, inverse = residuals
    return permute(d, inverse, order), None, None


permute.defvjp(_permute_fwd, _permute_bwd)


# --- the sums themselves ------------------------------------------------------------------------------------------


def _joined(pieces, padded=False):
    if padded:
        pieces = (*pieces, jnp.zeros((1, *pieces[0].shape[1:]), pieces[0].dtype))
    return pieces[0] if len(pieces) == 1 else jnp.concatenate(pieces)


def _split(x, sizes):
    return (x,) if len(sizes) == 1 else tuple(jax.lax.split(x, sizes))


def _rows(a, index):
    return a.at[index].get(mode="promise_in_bounds")


def _gather(table: Table, w, a):
    """Sum slot by slot; the accumulator is all the memory that it takes.

    One slot an iteration: several at once compile to a slower loop on CPU, and compile longer.
    """
    weights = jnp.moveaxis(w.at[:, table.synapses].get(mode="fill", fill_value=0), 0, 2)

    def add(total, slot):
        sources, values = slot
        return total + _rows(a, sources) * values[:, :, None], None

    zero = jnp.zeros((table.sources.shape[1], *a.shape[1:]), jnp.result_type(a, w))
    return jax.lax.scan(add, zero, (table.sources, weights))[0]


def _segment(w, a, sources, targets, n_targets):
    messages = a[sources] * w.T[:, :, None]
    return jax.ops.segment_sum(messages, targets, num_segments=n_targets)
