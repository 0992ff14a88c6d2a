"""Each receiver fits a target along its synapses: a damped least-squares problem of its own, solved round by round.

(C_j + damping v_j I) x_j = g_j          C_j: covariance of what j's in-neighbours send, v_j: its mean diagonal

by conjugate gradients (Hestenes and Stiefel 1952), all receivers side by side. A round is one sum up the synapses and
one Hebbian sum, `C p = mean_b y_i sum_r y_r p_rj`, so that no matrix is formed and any wiring will do. Where g is the
Hebbian sum of an error, x is the direction by which each neuron itself would best change what it computes on the batch
("gradient descent on neurons", Benzing, ICML 2022).
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .. import ops
from ..compile import CompiledGraph
from ..rules import Neurons, Rule
from .arrangement import ByPart, ByStage, of_types


def fitted(
    net: CompiledGraph, rules: Sequence[Rule], neurons: Sequence[Neurons], target: ByPart, start: ByPart
) -> tuple[ByPart, ByStage]:
    """The solutions x after `Rule.n_fits` rounds, one number for each synapse, by part; and damping v_j, by stage.

    The unit neuron takes no part: what the others send has mean 0, so that its own x is g / (1 + damping v_j).

    Args:
        net, rules: the network.
        neurons: states by stage.
        target: g.
        start: where the search begins.
    """
    wiring = net.wiring
    y = tuple(rules[stage.rule].fit_by(of) for stage, of in zip(wiring.stages, neurons, strict=True))
    ones = tuple(jnp.ones_like(part) for part in target)
    count = tuple(jnp.maximum(n, 1) for n in ops.collect(ops.UP, wiring, ones))
    variances = ops.lay(ops.DOWN, wiring, tuple(jnp.mean(of**2, axis=2) for of in y))
    mean = tuple(v / n for v, n in zip(ops.collect(ops.UP, wiring, variances), count, strict=True))
    damped = tuple(_damped(net, rules, s, v) for s, v in enumerate(mean))
    ridge = _laid(net, damped)

    def product(p: ByPart) -> ByPart:
        received = ops.propagate(wiring, p, y)
        total = tuple(sum(parts[1:], start=parts[0]) / parts[0].shape[2] for parts in received)
        c_p = ops.edge_dot(1, wiring, y, tuple((t,) * len(rules) for t in total))
        return _each(lambda c, r, x: c + r * x, c_p, ridge, p)

    def inner(a: ByPart, b: ByPart) -> ByStage:
        return ops.collect(ops.UP, wiring, _each(jnp.multiply, a, b))

    # in units of the target's size, so that squares neither overflow nor vanish
    size = tuple(jnp.sqrt(g / n + 1e-18) for g, n in zip(inner(target, target), count, strict=True))
    unit = _laid(net, size)
    x = _each(jnp.divide, start, unit)
    residual = _each(lambda g, u, a: g / u - a, target, unit, product(x))
    square = inner(residual, residual)
    # what is solved stays solved: no residual is divided by one that is only rounding
    floor = tuple(jnp.finfo(s.dtype).eps * (s + 1) for s in square)
    p = residual
    for _ in range(rules[0].n_fits):
        c_p = product(p)
        # 1 where nothing is received, or nothing that varies
        below = [jnp.where(m > 0, c + m * f, 1) for c, m, f in zip(inner(p, c_p), mean, floor, strict=True)]
        rate = _laid(net, tuple(s / b for s, b in zip(square, below, strict=True)))
        x = _each(lambda x, r, p: x + r * p, x, rate, p)
        residual = _each(lambda r, a, c: r - a * c, residual, rate, c_p)
        before, square = square, inner(residual, residual)
        ratio = _laid(net, tuple(s / (b + f) for s, b, f in zip(square, before, floor, strict=True)))
        p = _each(lambda r, b, p: r + b * p, residual, ratio, p)
    return _each(jnp.multiply, x, unit), damped


def _damped(net: CompiledGraph, rules: Sequence[Rule], stage: int, mean: Array) -> Array:
    return of_types(net, stage, lambda type_: rules[type_.rule_below].damping * mean)


def _laid(net: CompiledGraph, values: ByStage) -> ByPart:
    return ops.lay(ops.UP, net.wiring, values)


def _each(function: Any, *parts: ByPart) -> ByPart:
    return jax.tree.map(function, *parts)
