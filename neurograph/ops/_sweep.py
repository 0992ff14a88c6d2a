"""A pass through all neurons in order: each receives, computes, sends on. One primitive for both directions.

    direction UP     r_j^l = sum_{i in I(j), i's rule = l} w_ij t_i        (r: received, t: sent, l: number of a rule)
    direction DOWN   r_i   = sum_{j in J(i)} w_ij t_j^l,   l = i's rule
    (out, t) = cell(r; given)

Its derivative is again a pass, in the opposite direction, whose cell is the cell's vector-Jacobian product: what it
receives is the gradient with respect to what a neuron sent, what it sends is the gradient with respect to what the
neuron received. From both, the gradients of synapses (`edge_dot`) and of what is given follow at once for all neurons.
Memory is that of the states, whatever the number of levels, and derivatives of any order are passes.
"""

import dataclasses
import functools
from collections.abc import Hashable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array

from . import _arrays as arrays
from ._arrays import DOWN, UP
from ._derivatives import derive, differentiable
from ._sums import Weights, by_stage, down_sum, edge_dot, up_sums
from ._wiring import Wiring

Received = tuple[Array, ...]
Sent = tuple[Array, ...]


class Given(NamedTuple):
    """What the cells of one stage need besides what they receive.

    Attributes:
        rows: tree of float arrays `[_, rows, _]`.
        shared: for each type of neuron in the stage, a tree of float arrays.
    """

    rows: Any
    shared: tuple[Any, ...]


class Cell(Protocol):
    """What a neuron computes. Hashable; works row by row; all arrays to be differentiated come as arguments."""

    def __call__(self, neuron_type: Hashable, received: Received, rows: Any, shared: Any) -> tuple[Any, Sent]:
        """What to keep (a tree of `[_, rows, _]`), and what to send.

        In the direction `UP` a neuron receives a tuple with one array for each rule of its senders, and sends a tuple
        of one; in the direction `DOWN` it receives a tuple of one, and sends one array for each rule.
        """
        ...

    def receives(self, neuron_type: Hashable) -> bool:
        """Whether a neuron of this type depends on what it receives."""
        ...

    def sends(self, neuron_type: Hashable) -> bool:
        """Whether a neuron of this type sends anything but zeros."""
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


@differentiable(0, 1, 2, 3)
def sweep(
    cell: Cell,
    direction: str,
    shape: tuple[int, int, Any],
    wants: tuple[bool, bool, bool],
    wiring: Wiring,
    weights: Weights,
    given: tuple[Given, ...],
) -> Pass:
    """Runs a pass.

    Args:
        cell: what a neuron computes.
        direction: `UP` or `DOWN`.
        shape: (channels, batch, dtype) of what is received.
        wants: which fields of `Pass` to return.
        wiring, weights: the synapses.
        given: what the cells need besides what they receive, by stage.
    """
    return _select(wants, _run(cell, direction, shape, wiring, weights, given))


def _select(wants, whole: Pass) -> Pass:
    return Pass(*(field if wanted else None for field, wanted in zip(whole, wants, strict=True)))


def _run(cell: Cell, direction: str, shape, wiring: Wiring, weights: Weights, given) -> Pass:
    n = len(wiring.stages)
    out: list[Any] = [None] * n
    received: list[Any] = [None] * n
    sent: list[Any] = [None] * n
    joined: list[Any] = [None] * (1 if direction == UP else wiring.n_rules)
    if any(g.table.reads_all for g in (wiring.up if direction == UP else wiring.down)):
        channels, batch, dtype = shape
        joined = [jnp.zeros((channels, wiring.stages[-1].stop, batch), dtype) for _ in joined]
    for s in range(n) if direction == UP else reversed(range(n)):
        out[s], received[s], sent[s] = _stage(cell, direction, shape, wiring, weights, given[s], s, sent, joined)
        if any(map(cell.sends, wiring.stages[s].types)):
            begin = wiring.stages[s].start
            joined = [j if j is None else arrays.put(j, part, begin) for j, part in zip(joined, sent[s], strict=True)]
    return Pass(tuple(out), tuple(received), tuple(sent))


def _stage(cell: Cell, direction: str, shape, wiring: Wiring, weights, given: Given, s: int, sent, joined):
    stage = wiring.stages[s]
    channels, batch, dtype = shape
    listens = any(map(cell.receives, stage.types))
    readable = [
        parts if parts is not None and any(map(cell.sends, wiring.stages[t].types)) else None
        for t, parts in enumerate(sent)
    ]
    gathers = wiring.up if direction == UP else wiring.down
    inner = next((g for g in gathers if g.stage == s and g.internal), None) if listens else None
    # of several rules, the inner table belongs to this: on the way up it adds to its sum, on the way down it reads it
    into, read = (stage.rule, 0) if direction == UP else (0, stage.rule)
    states = [None if parts is None else parts[read] for parts in readable]
    states = by_stage(wiring, states, joined[read])
    if direction == UP:
        base = up_sums(wiring, weights, s, states, skip=inner) if listens else [None] * wiring.n_rules
    else:
        base = [down_sum(wiring, weights, s, states, skip=inner) if listens else None]
    if inner is None:
        nothing = jnp.zeros((channels, stage.size, batch), dtype)
        base = tuple(nothing if part is None else part.astype(dtype) for part in base)
        kept, sends = apply(cell, wiring, s, base, given)
        return kept, base, sends

    # what pads a row without synapses reads row 0 of the pool, times 0: it must be a number before it is there
    blank = jnp.zeros((channels, stage.size, batch), dtype)
    states = by_stage(wiring, [*states.parts[:s], blank, *states.parts[s + 1 :]], joined[read])
    row_types = wiring.row_types[s]

    def compute(total, slicer):
        total = total.astype(dtype)
        parts = [jnp.zeros_like(total) if part is None else slicer(part).astype(dtype) for part in base]
        parts[into] = parts[into] + total
        rows = jax.tree.map(slicer, given.rows)
        index = None if row_types is None else slicer(row_types[None, :, None])
        kept, sends = _of_types(cell, stage.types, index, tuple(parts), rows, given.shared)
        return sends[read], (kept, parts[into], sends[:read] + sends[read + 1 :])

    shape = jax.ShapeDtypeStruct(blank.shape, dtype)
    shapes = jax.eval_shape(lambda b, g: apply(cell, wiring, s, b, g), (shape,) * len(base), given)
    kept, sends = jax.tree.map(lambda leaf: arrays.empty(leaf.shape, leaf.dtype), shapes)
    start = (kept, blank, sends[:read] + sends[read + 1 :])
    mine, (kept, summed, others) = inner.sweep(weights[-1], states, start, compute)
    received = [jnp.zeros(blank.shape, dtype) if part is None else part.astype(dtype) for part in base]
    received[into] = summed
    return kept, tuple(received), (*others[:read], mine, *others[read:])


def apply(cell: Cell, wiring: Wiring, s: int, received: Received, given: Given):
    """The cell on a whole stage at once."""
    row_types = wiring.row_types[s]
    index = None if row_types is None else row_types[None, :, None]
    return _of_types(cell, wiring.stages[s].types, index, received, given.rows, given.shared)


def _of_types(cell: Cell, types, index, received, rows, shared):
    """Where there are several types, all are computed and each row takes its own."""
    results = [cell(one, received, rows, part) for one, part in zip(types, shared, strict=True)]
    result = results[0]
    for n, other in enumerate(results[1:], start=1):
        result = jax.tree.map(lambda a, b, n=n: jnp.where(jnp.asarray(index == n), b, a), result, other)
    return result


# --- derivative -----------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Reverse:
    """The cell of the derivative: receives the gradient of what was sent, sends that of what was received."""

    cell: Any

    def receives(self, neuron_type: Hashable) -> bool:
        return self.cell.sends(neuron_type)

    def sends(self, neuron_type: Hashable) -> bool:
        return self.cell.receives(neuron_type)

    def __call__(self, neuron_type, received, rows, shared):
        sent = received
        if rows["d_sent"] is not None:
            sent = tuple(a + b for a, b in zip(received, rows["d_sent"], strict=True))
        (_, sends), pullback = jax.vjp(lambda r: self.cell(neuron_type, r, rows["rows"], shared), rows["received"])
        sent = tuple(a.astype(b.dtype) for a, b in zip(sent, sends, strict=True))
        (gradient,) = pullback((rows["d_out"], sent))
        if rows["d_received"] is not None:
            gradient = tuple(a + b for a, b in zip(gradient, rows["d_received"], strict=True))
        return (), gradient


def _sweep_fwd(cell, direction, shape, wants, wiring, weights, given):
    # by `sweep` itself, so that a derivative of this derivative goes through its own, too
    done = sweep(cell, direction, shape, (wants[0], True, wants[2]), wiring, weights, given)
    return _select(wants, done), (wiring, weights, given, done.received)


def _sweep_bwd(cell, direction, shape, wants, residuals, cotangent: Pass):
    wiring, weights, given, received = residuals
    n = len(wiring.stages)
    shapes = [jax.eval_shape(functools.partial(apply, cell, wiring, s), received[s], given[s]) for s in range(n)]
    d_out = tuple(_filled(cotangent.out, s, shapes[s][0]) for s in range(n))
    d_sent = d_received = None
    if jax.tree.leaves(cotangent.sent):
        d_sent = tuple(_filled(cotangent.sent, s, shapes[s][1]) for s in range(n))
    if jax.tree.leaves(cotangent.received):
        d_received = tuple(_filled(cotangent.received, s, received[s]) for s in range(n))
    back = tuple(
        Given(
            {
                "d_out": d_out[s],
                "d_sent": None if d_sent is None else d_sent[s],
                "d_received": None if d_received is None else d_received[s],
                "received": received[s],
                "rows": given[s].rows,
            },
            given[s].shared,
        )
        for s in range(n)
    )
    some = shapes[0][1][0]
    _, arrived, adjoint = sweep(
        Reverse(cell),
        DOWN if direction == UP else UP,
        (some.shape[0], some.shape[2], some.dtype),
        (False, True, True),
        wiring,
        weights,
        back,
    )
    assert arrived is not None
    assert adjoint is not None
    messages, d_given = [], []
    for s in range(n):
        (_, sends), pullback = jax.vjp(lambda g, s=s: apply(cell, wiring, s, received[s], g), given[s])
        d = arrived[s] if d_sent is None else tuple(a + b for a, b in zip(arrived[s], d_sent[s], strict=True))
        d_given.append(pullback((d_out[s], tuple(a.astype(b.dtype) for a, b in zip(d, sends, strict=True))))[0])
        messages.append(sends)
    types = [stage.types for stage in wiring.stages]
    messages = [part if any(map(cell.sends, types[s])) else None for s, part in enumerate(messages)]
    adjoint = [part if any(map(cell.receives, types[s])) else None for s, part in enumerate(adjoint)]
    if not (any(part is not None for part in messages) and any(part is not None for part in adjoint)):
        return None, jax.tree.map(jnp.zeros_like, weights), tuple(d_given)
    lower, upper = (messages, adjoint) if direction == UP else (adjoint, messages)
    lower = tuple(None if part is None else part[0] for part in lower)
    d_weights = edge_dot(weights[-1].shape[0], wiring, lower, tuple(upper))
    d_weights = tuple(d.astype(w.dtype) for d, w in zip(d_weights, weights, strict=True))
    return None, d_weights, tuple(d_given)


def _filled(cotangent, s: int, shapes):
    """A stage's gradients, zeros where they are known to be 0 (None)."""
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    if cotangent is None:
        return zeros
    return jax.tree.map(lambda zero, leaf: zero if leaf is None else leaf, zeros, cotangent[s])


derive(sweep, _sweep_fwd, _sweep_bwd)
