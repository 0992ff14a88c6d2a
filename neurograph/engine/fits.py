"""Each receiver fits a target along its synapses: a damped least-squares problem of its own, solved round by round.

(C_j + damped(v_j) I) x_j = g_j          C_j: covariance of what j's in-neighbours send, v_j: its mean diagonal

by conjugate gradients (Hestenes and Stiefel 1952), all receivers side by side. A round is one sum up the synapses and
one Hebbian sum, `C p = mean_b y_i sum_r y_r p_rj`, so that no matrix is formed and any wiring will do. Where g is the
Hebbian sum of an error, x is the direction by which each neuron itself would best change what it computes on the batch
("gradient descent on neurons", Benzing, ICML 2022).
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array

from .. import ops
from ..compile import CompiledGraph
from ..rules import Neurons, Rule
from .arrangement import ByPart, ByStage, of_types


def fitted(
    net: CompiledGraph, rules: Sequence[Rule], neurons: Sequence[Neurons], target: ByPart, start: ByPart
) -> tuple[ByPart, ByStage]:
    """The solutions x after `Rule.n_fits` rounds, one number for each synapse, by part; and damped(v_j), by stage.

    The unit neuron takes no part: what the others send has mean 0, so that its own x is g / (1 + damped(v_j)).

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

    # all synapses as one array, `[1, synapses]`, so that a round is written once and not once for each matmul
    def laid(values: ByStage) -> Array:
        return net.join(ops.lay(ops.UP, wiring, values))

    def inner(a: Array, b: Array) -> ByStage:
        return ops.collect(ops.UP, wiring, net.split(a * b))

    ridge = laid(damped)

    def product(p: Array) -> Array:
        received = ops.propagate(wiring, net.split(p), y)
        total = tuple(sum(parts[1:], start=parts[0]) / parts[0].shape[2] for parts in received)
        return net.join(ops.edge_dot(1, wiring, y, tuple((t,) * len(rules) for t in total))) + ridge * p

    # in units of the target's size, so that squares neither overflow nor vanish
    goal = net.join(target)
    unit = laid(tuple(jnp.sqrt(g / n + 1e-18) for g, n in zip(inner(goal, goal), count, strict=True)))
    x = net.join(start) / unit
    residual = goal / unit - product(x)
    square = inner(residual, residual)
    # what is solved stays solved: no residual is divided by one that is only rounding
    floor = tuple(jnp.finfo(s.dtype).eps * (s + 1) for s in square)
    p = residual
    for _ in range(rules[0].n_fits):
        c_p = product(p)
        # 1 where nothing is received
        below = [jnp.where(d > 0, c + d * f, 1) for c, d, f in zip(inner(p, c_p), damped, floor, strict=True)]
        rate = laid(tuple(s / b for s, b in zip(square, below, strict=True)))
        x = x + rate * p
        residual = residual - rate * c_p
        before, square = square, inner(residual, residual)
        p = residual + laid(tuple(s / (b + f) for s, b, f in zip(square, before, floor, strict=True))) * p
    return net.split(x * unit), damped


def _damped(net: CompiledGraph, rules: Sequence[Rule], stage: int, mean: Array) -> Array:
    return of_types(net, stage, lambda type_: rules[type_.rule_below].damped(mean))
