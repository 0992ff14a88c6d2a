"""A pass through all neurons in order: each receives, computes, sends on. One primitive for both directions.

    direction UP     r_j^l = sum_{i in I(j), line of i's family = l} w_ij t_i           (r: received, t: sent)
    direction DOWN   r_i   = sum_{j in J(i)} w_ij t_j^l,   l = line of i's family
    (out, t) = cell(r; theta)

Its derivative is again a pass, in the opposite direction, whose cell is the cell's vector-Jacobian product: what it
receives is the gradient with respect to what a neuron sent, what it sends is the gradient with respect to what the
neuron received. From both, the gradients of synapses (`edge_dot`) and of theta follow at once for all neurons. Memory
is that of the states, whatever the number of levels, and derivatives of any order are passes.
"""

import dataclasses
import functools
from collections.abc import Hashable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array

from . import _tables as tables
from ._derivatives import derive, differentiable
from ._sums import Lines, Weights, down_sum, edge_dot, n_lines, up_sums
from ._wiring import DOWN, UP, Wiring

Received = tuple[Array, ...]
Sent = tuple[Array, ...]


class Theta(NamedTuple):
    """What the cells of one stage need besides what they receive.

    Attributes:
        rows: tree of float arrays `[_, rows, _]`.
        shared: for each kind of the stage, a tree of float arrays.
    """

    rows: Any
    shared: tuple[Any, ...]


class Cell(Protocol):
    """What a neuron computes. Hashable; works row by row; all arrays to be differentiated come as arguments."""

    def __call__(self, kind: Hashable, received: Received, rows: Any, shared: Any) -> tuple[Any, Sent]:
        """What to keep (a tree of `[_, rows, _]`), and what to send: one array for each line (`UP`: one array)."""
        ...

    def receives(self, kind: Hashable) -> bool:
        """Whether it depends on what it receives."""
        ...

    def sends(self, kind: Hashable) -> bool:
        """Whether it sends anything but zeros."""
        ...


class Pass(NamedTuple):
    """What a pass leaves, by stage; None for what was not wanted.

    Attributes:
        out: what the cells keep.
        received, sent: tuples of arrays.
    """

    out: tuple[Any, ...] | None
    received: tuple[Received, ...] | None
    sent: tuple[Sent, ...] | None


@differentiable(0, 1, 2, 3, 4)
def sweep(
    cell: Cell,
    direction: str,
    lines: Lines,
    shape: tuple[int, int, Any],
    wants: tuple[bool, bool, bool],
    wiring: Wiring,
    weights: Weights,
    theta: tuple[Theta, ...],
) -> Pass:
    """Runs a pass.

    Args:
        cell: what a neuron computes.
        direction: `UP` or `DOWN`.
        lines: line of each family.
        shape: (channels, batch, dtype) of what is received.
        wants: which fields of `Pass` to return.
        wiring, weights: the synapses.
        theta: by stage.
    """
    return _select(wants, _run(cell, direction, lines, shape, wiring, weights, theta))


def _select(wants, whole: Pass) -> Pass:
    return Pass(*(field if wanted else None for field, wanted in zip(whole, wants, strict=True)))


def _run(cell: Cell, direction: str, lines: Lines, shape, wiring: Wiring, weights: Weights, theta) -> Pass:
    n = len(wiring.stages)
    out: list[Any] = [None] * n
    received: list[Any] = [None] * n
    sent: list[Any] = [None] * n
    for s in range(n) if direction == UP else reversed(range(n)):
        out[s], received[s], sent[s] = _stage(cell, direction, lines, shape, wiring, weights, theta[s], s, sent)
    return Pass(tuple(out), tuple(received), tuple(sent))


def _stage(cell: Cell, direction: str, lines: Lines, shape, wiring: Wiring, weights, theta: Theta, s: int, sent):
    stage = wiring.stages[s]
    channels, batch, dtype = shape
    listens = any(cell.receives(kind) for kind in stage.kinds)
    readable = [
        parts if parts is not None and any(map(cell.sends, wiring.stages[t].kinds)) else None
        for t, parts in enumerate(sent)
    ]
    gathers = wiring.up if direction == UP else wiring.down
    inner = next((g for g in gathers if g.stage == s and g.internal), None) if listens else None
    if direction == UP:
        single = [None if parts is None else parts[0] for parts in readable]
        base = up_sums(lines, wiring, weights, s, single, skip=inner) if listens else [None] * n_lines(lines)
    else:
        base = [down_sum(lines, wiring, weights, s, readable, skip=inner) if listens else None]
    if inner is None:
        nothing = jnp.zeros((channels, stage.size, batch), dtype)
        base = tuple(nothing if part is None else part.astype(dtype) for part in base)
        kept, sends = apply(cell, wiring, s, base, theta)
        return kept, base, sends

    line = lines[stage.family]
    # of several lines, the inner table is of this: on the way up it adds to its sum, on the way down it reads it
    into, read = (line, 0) if direction == UP else (0, line)
    # what pads a row without synapses reads row 0 of the pool, times 0: it must be a number before it is there
    blank = jnp.zeros((channels, stage.size, batch), dtype)
    pieces, own, n = [], 0, 0
    for t, pick in zip(inner.sources, inner.picks, strict=True):
        if t == s:
            own = n
            pieces.append(blank)
        else:
            parts = readable[t]
            zeros = jnp.zeros((channels, wiring.stages[t].size, batch), dtype)
            pieces.append(zeros if parts is None else parts[read])
        n += pieces[-1].shape[1] if pick is None else pick.shape[0]
    kinds = wiring.row_kinds[s]

    def compute(total, slicer):
        total = total.astype(dtype)
        parts = [jnp.zeros_like(total) if part is None else slicer(part).astype(dtype) for part in base]
        parts[into] = parts[into] + total
        rows = jax.tree.map(slicer, theta.rows)
        index = None if kinds is None else slicer(kinds[None, :, None])
        kept, sends = _of_kind(cell, stage.kinds, index, tuple(parts), rows, theta.shared)
        return sends[read], (kept, parts[into], sends[:read] + sends[read + 1 :])

    shape = jax.ShapeDtypeStruct(blank.shape, dtype)
    shapes = jax.eval_shape(lambda b, th: apply(cell, wiring, s, b, th), (shape,) * len(base), theta)
    kept, sends = jax.tree.map(lambda leaf: tables.empty(leaf.shape, leaf.dtype), shapes)
    pool = tables.pool_of(inner, pieces)
    start = (kept, blank, sends[:read] + sends[read + 1 :])
    pool, (kept, summed, others) = tables.sweep(inner, weights[-1], pool, own, start, compute)
    received = [jnp.zeros(blank.shape, dtype) if part is None else part.astype(dtype) for part in base]
    received[into] = summed
    mine = jax.lax.slice_in_dim(pool, own, own + stage.size, axis=1)
    return kept, tuple(received), (*others[:read], mine, *others[read:])


def apply(cell: Cell, wiring: Wiring, s: int, received: Received, theta: Theta):
    """The cell on a whole stage at once."""
    index = wiring.row_kinds[s]
    kind = None if index is None else index[None, :, None]
    return _of_kind(cell, wiring.stages[s].kinds, kind, received, theta.rows, theta.shared)


def _of_kind(cell: Cell, kinds, index, received, rows, shared):
    """Where there are several kinds, all are computed and each row takes its own."""
    results = [cell(kind, received, rows, part) for kind, part in zip(kinds, shared, strict=True)]
    result = results[0]
    for n, other in enumerate(results[1:], start=1):
        result = jax.tree.map(lambda a, b, n=n: jnp.where(jnp.asarray(index == n), b, a), result, other)
    return result


# --- derivative -----------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Reverse:
    """The cell of the derivative: receives the gradient of what was sent, sends that of what was received."""

    cell: Any

    def receives(self, kind: Hashable) -> bool:
        return self.cell.sends(kind)

    def sends(self, kind: Hashable) -> bool:
        return self.cell.receives(kind)

    def __call__(self, kind, received, rows, shared):
        sent = received
        if rows["sent"] is not None:
            sent = tuple(a + b for a, b in zip(received, rows["sent"], strict=True))
        (_, sends), pullback = jax.vjp(lambda r: self.cell(kind, r, rows["rows"], shared), rows["received"])
        sent = tuple(a.astype(b.dtype) for a, b in zip(sent, sends, strict=True))
        (gradient,) = pullback((rows["out"], sent))
        if rows["given"] is not None:
            gradient = tuple(a + b for a, b in zip(gradient, rows["given"], strict=True))
        return (), gradient


def _sweep_fwd(cell, direction, lines, shape, wants, wiring, weights, theta):
    # by `sweep` itself, so that a derivative of this derivative goes through its own, too
    done = sweep(cell, direction, lines, shape, (wants[0], True, wants[2]), wiring, weights, theta)
    return _select(wants, done), (wiring, weights, theta, done.received)


def _sweep_bwd(cell, direction, lines, shape, wants, residuals, cotangent: Pass):
    wiring, weights, theta, received = residuals
    n = len(wiring.stages)
    shapes = [jax.eval_shape(functools.partial(apply, cell, wiring, s), received[s], theta[s]) for s in range(n)]
    d_out = tuple(_given(cotangent.out, s, shapes[s][0]) for s in range(n))
    d_sent = d_received = None
    if jax.tree.leaves(cotangent.sent):
        d_sent = tuple(_given(cotangent.sent, s, shapes[s][1]) for s in range(n))
    if jax.tree.leaves(cotangent.received):
        d_received = tuple(_given(cotangent.received, s, received[s]) for s in range(n))
    back = tuple(
        Theta(
            {
                "out": d_out[s],
                "sent": None if d_sent is None else d_sent[s],
                "given": None if d_received is None else d_received[s],
                "received": received[s],
                "rows": theta[s].rows,
            },
            theta[s].shared,
        )
        for s in range(n)
    )
    some = shapes[0][1][0]
    _, arrived, adjoint = sweep(
        Reverse(cell),
        DOWN if direction == UP else UP,
        lines,
        (some.shape[0], some.shape[2], some.dtype),
        (False, True, True),
        wiring,
        weights,
        back,
    )
    assert arrived is not None
    assert adjoint is not None
    messages, d_theta = [], []
    for s in range(n):
        (_, sends), pullback = jax.vjp(lambda th, s=s: apply(cell, wiring, s, received[s], th), theta[s])
        d = arrived[s] if d_sent is None else tuple(a + b for a, b in zip(arrived[s], d_sent[s], strict=True))
        d_theta.append(pullback((d_out[s], tuple(a.astype(b.dtype) for a, b in zip(d, sends, strict=True))))[0])
        messages.append(sends)
    kinds = [stage.kinds for stage in wiring.stages]
    messages = [part if any(map(cell.sends, kinds[s])) else None for s, part in enumerate(messages)]
    adjoint = [part if any(map(cell.receives, kinds[s])) else None for s, part in enumerate(adjoint)]
    if not (any(part is not None for part in messages) and any(part is not None for part in adjoint)):
        return None, jax.tree.map(jnp.zeros_like, weights), tuple(d_theta)
    lower, upper = (messages, adjoint) if direction == UP else (adjoint, messages)
    lower = tuple(None if part is None else part[0] for part in lower)
    d_weights = edge_dot(lines, weights[-1].shape[0], wiring, lower, tuple(upper))
    d_weights = tuple(d.astype(w.dtype) for d, w in zip(d_weights, weights, strict=True))
    return None, d_weights, tuple(d_theta)


def _given(cotangent, s: int, shapes):
    """A stage's gradients, zeros where they are known to be 0 (None)."""
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    if cotangent is None:
        return zeros
    return jax.tree.map(lambda zero, leaf: zero if leaf is None else leaf, zeros, cotangent[s])


derive(sweep, _sweep_fwd, _sweep_bwd)
