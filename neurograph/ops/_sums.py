"""The three sums over a wiring's synapses, closed under differentiation; and numbers of neurons laid on synapses.

States are tuples of arrays, one for each stage, `[channels, rows, batch]`; synapses are tuples of arrays, see `Wiring`.
Either may be None where all are 0; the derivatives make use of it.
Where families have genomes of their own, a neuron that is read against the direction of the forward signals sends each
*line* of families something else: `lines` maps families to lines, and what goes to lines is a tuple of arrays.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array

from . import _tables as tables
from ._derivatives import derive, differentiable
from ._wiring import DOWN, UP, Gather, Matmul, Wiring

_einsum = functools.partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)

LARGE = 1 << 20
"""Places of a matrix from which on a CPU does not gain from transposing it before a matmul."""

Weights = tuple[Array, ...]
States = tuple[Array | None, ...]
LineStates = tuple[tuple[Array | None, ...] | None, ...]
Lines = tuple[int, ...]


def n_lines(lines: Lines) -> int:
    return max(lines) + 1


@differentiable(0)
def propagate(lines: Lines, wiring: Wiring, weights: Weights, a: States) -> tuple[tuple[Array, ...], ...]:
    """Sum over in-neighbours: `y_j^c = sum_{i in I(j)} w_ij^c a_i^c`.

    Args:
        lines: line of each family; `(0, ...)` where all share one genome.
        wiring: the synapses.
        weights: their values; one channel serves all states.
        a: states of all neurons, by stage.

    Returns:
        For each stage, the sums over the senders of each line.
    """
    some = _some(a)
    k, _, batch = some.shape
    sums = []
    for t, stage in enumerate(wiring.stages):
        parts = up_sums(lines, wiring, weights, t, a)
        empty = jnp.zeros((k, stage.size, batch), jnp.result_type(*jax.tree.leaves(weights), some))
        sums.append(tuple(empty if part is None else part.astype(empty.dtype) for part in parts))
    return tuple(sums)


@differentiable(0)
def propagate_T(lines: Lines, wiring: Wiring, weights: Weights, y: LineStates) -> tuple[Array, ...]:
    """Sum over out-neighbours, the transpose: `x_i^c = sum_{j in J(i)} w_ij^c y_j^c`.

    Args:
        lines, wiring, weights: as for `propagate`.
        y: for each stage, its states for each line.

    Returns:
        The sums, by stage.
    """
    some = _some(y)
    k, _, batch = some.shape
    sums = []
    for s, stage in enumerate(wiring.stages):
        part = down_sum(lines, wiring, weights, s, y)
        empty = jnp.zeros((k, stage.size, batch), jnp.result_type(*jax.tree.leaves(weights), some))
        sums.append(empty if part is None else part.astype(empty.dtype))
    return tuple(sums)


@differentiable(0, 1)
def edge_dot(lines: Lines, n_channels: int, wiring: Wiring, a: States, y: LineStates) -> Weights:
    """For each synapse, the inner product over the batch: `s_ij^c = sum_b a_i^c y_j^c`.

    Args:
        lines, wiring: as for `propagate`.
        n_channels: number of states for one channel each, or 1 for their sum (the derivative of a shared channel).
        a: states of the senders, by stage.
        y: for each stage, states of the receivers for each line.
    """
    kind = tables.accumulator(jnp.result_type(_some(a), _some(y)))
    pattern = "ksb,ktb->st" if n_channels == 1 else "ksb,ktb->kst"
    parts = []
    for m in wiring.matmuls:
        lower, upper = a[m.source], _of_line(y, lines[m.family])[m.target]
        if lower is None or upper is None:
            shape = m.shape if m.where is None else m.where.shape
            parts.append(jnp.zeros((n_channels, *shape), kind))
            continue
        d = _einsum(pattern, _rows(m, lower), upper).astype(kind)
        d = d[None] if n_channels == 1 else d
        parts.append(d if m.where is None else d.reshape(n_channels, -1)[:, m.where])
    sparse = [jnp.zeros((n_channels, 0), kind)]
    for g in wiring.up:
        upper = _of_line(y, lines[g.family])[g.stage]
        if upper is None or all(a[s] is None for s in g.sources):
            sparse.append(jnp.zeros((n_channels, g.n_synapses), kind))
        else:
            sparse.append(tables.dots(n_channels, g, tables.pool_of(g, _filled(wiring, g.sources, a)), upper))
    return (*parts, jnp.concatenate(sparse, axis=1))


# --- sums into one stage ----------------------------------------------------------------------------------------------


def up_sums(lines, wiring: Wiring, weights: Weights, t: int, a, skip: Gather | None = None) -> list[Array | None]:
    """For each line, the sum into stage t over its in-neighbours; None where there is none. `a[s]` may be None.

    In float32 at least, whatever the states are stored in.
    """
    sums: list[Array | None] = [None] * n_lines(lines)
    sparse = weights[-1]

    def add(line: int, term):
        sums[line] = term if sums[line] is None else sums[line] + term

    for m, w in zip(wiring.matmuls, weights, strict=False):
        if m.target == t and w is not None and a[m.source] is not None:
            add(lines[m.family], matmul(m, w, _rows(m, a[m.source])))
    for g in wiring.up:
        if g.stage == t and g is not skip and sparse is not None and any(a[s] is not None for s in g.sources):
            add(lines[g.family], tables.pull(g, sparse, tables.pool_of(g, _filled(wiring, g.sources, a))))
    return sums


def down_sum(lines, wiring: Wiring, weights: Weights, s: int, y, skip: Gather | None = None) -> Array | None:
    """The sum into stage s over its out-neighbours, None where there is none. `y[t]` may be None."""
    mine = _of_line(y, lines[wiring.stages[s].family])
    total, sparse = None, weights[-1]
    for m, w in zip(wiring.matmuls, weights, strict=False):
        upper = mine[m.target]
        if m.source == s and w is not None and upper is not None:
            total = _plus(m, wiring.stages[s].size, total, matmul_T(m, w, upper))
    for g in wiring.down:
        if g.stage == s and g is not skip and sparse is not None and any(mine[t] is not None for t in g.sources):
            term = tables.pull(g, sparse, tables.pool_of(g, _filled(wiring, g.sources, mine)))
            total = term if total is None else total + term
    return total


def _rows(m: Matmul, a: Array) -> Array:
    """The rows of the source stage that the matmul reads."""
    return a if m.shape[0] == a.shape[1] else jax.lax.slice_in_dim(a, m.begin, m.begin + m.shape[0], axis=1)


def _plus(m: Matmul, size: int, total: Array | None, term: Array) -> Array:
    """Adds what belongs to the rows of the source stage that the matmul reads."""
    if m.shape[0] == size:
        return term if total is None else total + term
    if total is None:
        return jnp.pad(term, ((0, 0), (m.begin, size - m.begin - m.shape[0]), *((0, 0),) * (term.ndim - 2)))
    return jax.lax.dynamic_update_slice_in_dim(total, _rows(m, total) + term.astype(total.dtype), m.begin, axis=1)


def _some(arrays) -> Array:
    return jax.tree.leaves(arrays)[0]


def _of_line(y, line: int) -> list[Array | None]:
    return [None if part is None else part[line] for part in y]


def _filled(wiring: Wiring, stages: Sequence[int], arrays) -> list[Array]:
    """The arrays of some stages; zeros stand in for what nobody sends."""
    some = next(arrays[s] for s in stages if arrays[s] is not None)
    k, _, batch = some.shape
    return [
        jnp.zeros((k, wiring.stages[s].size, batch), some.dtype) if arrays[s] is None else arrays[s] for s in stages
    ]


def matrix(m: Matmul, w: Array) -> Array:
    """`[channels, sources, targets]`; 0 where there is no synapse."""
    if m.places is None:
        return w
    return w.at[:, m.places].get(mode="fill", fill_value=0)


def matmul(m: Matmul, w: Array, a: Array) -> Array:
    # k: state (or channel), s: source, t: target, b: batch
    values = matrix(m, w)

    def transposed_first(values, a):
        # XLA's fast matmul contracts the last axis; it would move the transposition into the slow one again
        turned = jax.lax.optimization_barrier(jnp.swapaxes(values, 1, 2))
        return _product("ts,ksb->ktb", "kts,ksb->ktb", turned, a)

    def as_it_is(values, a):
        return _product("st,ksb->ktb", "kst,ksb->ktb", values, a)

    if min(m.shape) < 16 or m.shape[0] * m.shape[1] > LARGE:
        return as_it_is(values, a)
    return jax.lax.platform_dependent(values, a, cpu=transposed_first, default=as_it_is)


def matmul_T(m: Matmul, w: Array, y: Array) -> Array:
    return _product("st,ktb->ksb", "kst,ktb->ksb", matrix(m, w), y)


def _product(shared: str, each: str, values: Array, a: Array) -> Array:
    """With one channel for all states, or one for each; summed, and returned, in float32 at least."""
    kind = tables.accumulator(jnp.result_type(values, a))
    if values.shape[0] == 1:
        return _einsum(shared, values[0], a, preferred_element_type=kind)
    return _einsum(each, values, a, preferred_element_type=kind)


# --- derivatives: each primitive's is made of the other two ---------------------------------------------------------


def _none(gradients) -> bool:
    return not jax.tree.leaves(gradients)


def _like(old, new):
    """In the types of the old; None where the old is."""
    return tuple(None if o is None else n.astype(o.dtype) for o, n in zip(old, new, strict=True))


def _like_lines(old, new):
    return tuple(None if o is None else _like(o, n) for o, n in zip(old, new, strict=True))


def _propagate_fwd(lines, wiring, weights, a):
    return propagate(lines, wiring, weights, a), (wiring, weights, a)


def _propagate_bwd(lines, residuals, dy):
    wiring, weights, a = residuals
    if _none(dy):
        return None, None, None
    dw = edge_dot(lines, weights[-1].shape[0], wiring, a, dy)
    return None, _like(weights, dw), _like(a, propagate_T(lines, wiring, weights, dy))


def _propagate_T_fwd(lines, wiring, weights, y):
    return propagate_T(lines, wiring, weights, y), (wiring, weights, y)


def _propagate_T_bwd(lines, residuals, dx):
    wiring, weights, y = residuals
    if _none(dx):
        return None, None, None
    dw = edge_dot(lines, weights[-1].shape[0], wiring, dx, y)
    dy = propagate(lines, wiring, weights, dx)
    return None, _like(weights, dw), _like_lines(y, dy)


def _edge_dot_fwd(lines, n_channels, wiring, a, y):
    return edge_dot(lines, n_channels, wiring, a, y), (wiring, a, y)


def _edge_dot_bwd(lines, n_channels, residuals, ds):
    wiring, a, y = residuals
    if _none(ds):
        return None, None, None
    da, dy = propagate_T(lines, wiring, ds, y), propagate(lines, wiring, ds, a)
    return None, _like(a, da), _like_lines(y, dy)


derive(propagate, _propagate_fwd, _propagate_bwd)
derive(propagate_T, _propagate_T_fwd, _propagate_T_bwd)
derive(edge_dot, _edge_dot_fwd, _edge_dot_bwd)


# --- numbers of neurons laid on their synapses, and back --------------------------------------------------------------


@differentiable(0)
def lay(direction: str, wiring: Wiring, values: tuple[Array, ...]) -> Weights:
    """Each synapse gets the number of its receiver (`UP`) or of its sender (`DOWN`).

    Args:
        direction: `UP` or `DOWN`.
        wiring: the synapses.
        values: numbers of the neurons, by stage, `[channels, rows]`.
    """
    some = _some(values)
    zeros = [jnp.zeros((some.shape[0], stage.size), some.dtype) for stage in wiring.stages]
    values = tuple(zero if value is None else value for value, zero in zip(values, zeros, strict=True))
    parts = []
    for m in wiring.matmuls:
        laid = values[m.target][:, None] if direction == UP else _rows(m, values[m.source])[:, :, None]
        laid = jnp.broadcast_to(laid, (laid.shape[0], *m.shape))
        parts.append(laid if m.where is None else laid.reshape(laid.shape[0], -1)[:, m.where])
    index = wiring.receivers if direction == UP else wiring.senders
    return (*parts, jnp.concatenate(values, axis=1)[:, index])


@differentiable(0)
def collect(direction: str, wiring: Wiring, weights: Weights) -> tuple[Array, ...]:
    """The sum of the synapses' numbers at each receiver (`UP`) or sender (`DOWN`), `[channels, rows]` by stage."""
    index = wiring.receivers if direction == UP else wiring.senders
    some = _some(weights)
    kind = tables.accumulator(some.dtype)
    sums = [jnp.zeros((some.shape[0], stage.size), kind) for stage in wiring.stages]
    if weights[-1] is not None:
        n = wiring.stages[-1].stop
        whole = jax.vmap(lambda w: jax.ops.segment_sum(w, index, n))(weights[-1].astype(kind))
        sums = [whole[:, stage.start : stage.stop] for stage in wiring.stages]
    for m, w in zip(wiring.matmuls, weights, strict=False):
        if w is None:
            continue
        values = matrix(m, w).astype(kind)
        if direction == UP:
            sums[m.target] = sums[m.target] + jnp.sum(values, axis=1)
        else:
            sums[m.source] = _plus(m, wiring.stages[m.source].size, sums[m.source], jnp.sum(values, axis=2))
    return tuple(s.astype(some.dtype) for s in sums)


def _lay_bwd(direction, residuals, ds):
    wiring, values = residuals
    if _none(ds):
        return None, None
    return None, _like(values, collect(direction, wiring, ds))


def _collect_bwd(direction, residuals, dv):
    wiring, weights = residuals
    if _none(dv):
        return None, None
    return None, _like(weights, lay(direction, wiring, dv))


derive(lay, lambda direction, wiring, values: (lay(direction, wiring, values), (wiring, values)), _lay_bwd)
derive(
    collect, lambda direction, wiring, weights: (collect(direction, wiring, weights), (wiring, weights)), _collect_bwd
)

__all__ = ["DOWN", "UP", "collect", "edge_dot", "lay", "propagate", "propagate_T"]
