"""The three sums over a wiring's synapses, closed under differentiation; and numbers of neurons laid on synapses.

States are tuples of arrays, one for each stage, `[channels, rows, batch]`; synapses are tuples of arrays, see `Wiring`.
Either may be None where all are 0; the derivatives make use of it.
A synapse lives by the rule of its sender. Where there are several rules, what a neuron receives is summed for each rule
of its senders, and what it sends back to them may differ for each: both are tuples with one array for each rule.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ._arrays import UP, ByStage, accumulator
from ._derivatives import derive, differentiable
from ._wiring import Wiring
from .lowerings import Gather

Weights = tuple[Array, ...]
States = tuple[Array | None, ...]
RuleStates = tuple[tuple[Array | None, ...] | None, ...]


@differentiable()
def propagate(wiring: Wiring, weights: Weights, a: States) -> tuple[tuple[Array, ...], ...]:
    """Sum over in-neighbours: `y_j^c = sum_{i in I(j)} w_ij^c a_i^c`.

    Args:
        wiring: the synapses.
        weights: their values, as `Wiring` describes them; one channel serves all states.
        a: states of all neurons, by stage, `[states, rows, batch]`.

    Returns:
        For each stage a tuple with one array for each rule: the sums over the senders that have this rule.
    """
    some = _some(a)
    k, _, batch = some.shape
    sums, states = [], by_stage(wiring, a)
    for t, stage in enumerate(wiring.stages):
        parts = up_sums(wiring, weights, t, states)
        empty = jnp.zeros((k, stage.size, batch), jnp.result_type(*jax.tree.leaves(weights), some))
        sums.append(tuple(empty if part is None else part.astype(empty.dtype) for part in parts))
    return tuple(sums)


@differentiable()
def propagate_T(wiring: Wiring, weights: Weights, y: RuleStates) -> tuple[Array, ...]:
    """Sum over out-neighbours, the transpose: `x_i^c = sum_{j in J(i)} w_ij^c y_j^c`.

    Args:
        wiring, weights: as for `propagate`.
        y: for each stage a tuple with one array for each rule: what it sends to neurons that have this rule.

    Returns:
        The sums, by stage.
    """
    some = _some(y)
    k, _, batch = some.shape
    sums, states = [], [by_stage(wiring, _for_rule(y, rule)) for rule in range(wiring.n_rules)]
    for s, stage in enumerate(wiring.stages):
        part = down_sum(wiring, weights, s, states[stage.rule])
        empty = jnp.zeros((k, stage.size, batch), jnp.result_type(*jax.tree.leaves(weights), some))
        sums.append(empty if part is None else part.astype(empty.dtype))
    return tuple(sums)


@differentiable(0)
def edge_dot(n_channels: int, wiring: Wiring, a: States, y: RuleStates) -> Weights:
    """For each synapse, the inner product over the batch: `s_ij^c = sum_b a_i^c y_j^c`.

    Args:
        n_channels: the number of states, for a channel each; or 1 for their sum (the derivative of a shared channel).
        wiring: the synapses.
        a: states of the senders, by stage.
        y: states of the receivers: for each stage a tuple with one array for each rule of the senders.

    Returns:
        One number for each synapse and channel, in the parts that `Wiring` describes.
    """
    dtype = accumulator(jnp.result_type(_some(a), _some(y)))
    parts = []
    for m in wiring.matmuls:
        lower, upper = a[m.source], _for_rule(y, m.rule)[m.target]
        if lower is None or upper is None:
            parts.append(jnp.zeros((n_channels, *m.value_shape), dtype))
        else:
            parts.append(m.dots(n_channels, lower, upper).astype(dtype))
    sparse, states = [jnp.zeros((n_channels, 0), dtype)], by_stage(wiring, a)
    for g in wiring.up:
        upper = _for_rule(y, g.rule)[g.stage]
        if upper is None or all(a[s] is None for s in g.sources):
            sparse.append(jnp.zeros((n_channels, g.n_synapses), dtype))
        else:
            sparse.append(g.dots(n_channels, states, upper))
    return (*parts, jnp.concatenate(sparse, axis=1))


# --- sums into one stage ----------------------------------------------------------------------------------------------


def by_stage(wiring: Wiring, states: Sequence[Array | None], joined: Array | None = None) -> ByStage:
    """States as tables read them."""
    return ByStage([stage.size for stage in wiring.stages], states, joined)


def up_sums(
    wiring: Wiring, weights: Weights, t: int, states: ByStage, skip: Gather | None = None
) -> list[Array | None]:
    """For each rule, the sum into stage t over its in-neighbours; None where there is none.

    The sums are in float32 at least, whatever the states are stored in.
    """
    sums: list[Array | None] = [None] * wiring.n_rules
    sparse, a = weights[-1], states.parts

    def add(rule: int, term):
        sums[rule] = term if sums[rule] is None else sums[rule] + term

    for m, w in zip(wiring.matmuls, weights, strict=False):
        lower = a[m.source]
        if m.target == t and w is not None and lower is not None:
            add(m.rule, m.pull(w, lower))
    for g in wiring.up:
        if g.stage == t and g is not skip and sparse is not None and any(a[s] is not None for s in g.sources):
            add(g.rule, g.pull(sparse, states))
    return sums


def down_sum(wiring: Wiring, weights: Weights, s: int, states: ByStage, skip: Gather | None = None) -> Array | None:
    """The sum into stage s over its out-neighbours, of what they send to its rule; None where there is none."""
    total, sparse, mine = None, weights[-1], states.parts
    for m, w in zip(wiring.matmuls, weights, strict=False):
        upper = mine[m.target]
        if m.source == s and w is not None and upper is not None:
            total = m.add(wiring.stages[s].size, total, m.pull_T(w, upper))
    for g in wiring.down:
        if g.stage == s and g is not skip and sparse is not None and any(mine[t] is not None for t in g.sources):
            term = g.pull(sparse, states)
            total = term if total is None else total + term
    return total


def _some(arrays) -> Array:
    return jax.tree.leaves(arrays)[0]


def _for_rule(y, rule: int) -> list[Array | None]:
    return [None if part is None else part[rule] for part in y]


# --- derivatives: each primitive's is made of the other two ---------------------------------------------------------


def _none(gradients) -> bool:
    return not jax.tree.leaves(gradients)


def _like(old, new):
    """In the types of the old; None where the old is."""
    return tuple(None if o is None else n.astype(o.dtype) for o, n in zip(old, new, strict=True))


def _like_rules(old, new):
    return tuple(None if o is None else _like(o, n) for o, n in zip(old, new, strict=True))


def _propagate_fwd(wiring, weights, a):
    return propagate(wiring, weights, a), (wiring, weights, a)


def _propagate_bwd(residuals, dy):
    wiring, weights, a = residuals
    if _none(dy):
        return None, None, None
    dw = edge_dot(weights[-1].shape[0], wiring, a, dy)
    return None, _like(weights, dw), _like(a, propagate_T(wiring, weights, dy))


def _propagate_T_fwd(wiring, weights, y):
    return propagate_T(wiring, weights, y), (wiring, weights, y)


def _propagate_T_bwd(residuals, dx):
    wiring, weights, y = residuals
    if _none(dx):
        return None, None, None
    dw = edge_dot(weights[-1].shape[0], wiring, dx, y)
    dy = propagate(wiring, weights, dx)
    return None, _like(weights, dw), _like_rules(y, dy)


def _edge_dot_fwd(n_channels, wiring, a, y):
    return edge_dot(n_channels, wiring, a, y), (wiring, a, y)


def _edge_dot_bwd(n_channels, residuals, ds):
    wiring, a, y = residuals
    if _none(ds):
        return None, None, None
    da, dy = propagate_T(wiring, ds, y), propagate(wiring, ds, a)
    return None, _like(a, da), _like_rules(y, dy)


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
        laid = values[m.target][:, None] if direction == UP else m.rows(values[m.source])[:, :, None]
        parts.append(m.values(jnp.broadcast_to(laid, (laid.shape[0], *m.shape))))
    index = wiring.receivers if direction == UP else wiring.senders
    return (*parts, jnp.concatenate(values, axis=1)[:, index])


@differentiable(0)
def collect(direction: str, wiring: Wiring, weights: Weights) -> tuple[Array, ...]:
    """The sum of the synapses' numbers at each receiver (`UP`) or sender (`DOWN`), `[channels, rows]` by stage."""
    index = wiring.receivers if direction == UP else wiring.senders
    some = _some(weights)
    dtype = accumulator(some.dtype)
    sums = [jnp.zeros((some.shape[0], stage.size), dtype) for stage in wiring.stages]
    gathers = wiring.up if direction == UP else wiring.down
    if weights[-1] is not None and gathers and all(g.table.reads_all for g in gathers):
        # these add in a given order, where `segment_sum` on a GPU adds in any
        ones = by_stage(wiring, [jnp.ones((*s.shape, 1), dtype) for s in sums])
        for g in gathers:
            sums[g.stage] = sums[g.stage] + g.pull(weights[-1], ones)[:, :, 0]
    elif weights[-1] is not None:
        n = wiring.stages[-1].stop
        whole = jax.vmap(lambda w: jax.ops.segment_sum(w, index, n))(weights[-1].astype(dtype))
        sums = [whole[:, stage.start : stage.stop] for stage in wiring.stages]
    for m, w in zip(wiring.matmuls, weights, strict=False):
        if w is None:
            continue
        values = m.matrix(w).astype(dtype)
        if direction == UP:
            sums[m.target] = sums[m.target] + jnp.sum(values, axis=1)
        else:
            sums[m.source] = m.add(wiring.stages[m.source].size, sums[m.source], jnp.sum(values, axis=2))
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
    *parts, sparse = lay(direction, wiring, dv)
    parts = [m.without_gaps(part) for m, part in zip(wiring.matmuls, parts, strict=True)]
    return None, _like(weights, (*parts, sparse))


derive(lay, lambda direction, wiring, values: (lay(direction, wiring, values), (wiring, values)), _lay_bwd)
derive(
    collect, lambda direction, wiring, weights: (collect(direction, wiring, weights), (wiring, weights)), _collect_bwd
)
