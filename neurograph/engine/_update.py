"""The synapse update, block by block: equations 7 and 8."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

from .. import ops, rules
from ..compile import CompiledGraph
from ..genome import SynapseGenome
from ..rules import Rule
from ._norms import backward_squares, forward_squares
from ._parts import Parts, by_block, cached
from ._state import NetworkState


def updated(
    graph: CompiledGraph, genomes: list[SynapseGenome], network: NetworkState, lower: Parts, upper: Parts, rule: Rule
) -> NetworkState:
    """Equations 7 and 8 block by block: `lower` states of senders, `upper` of receivers (the two are usually one)."""
    channels = network.forward.shape[0]
    distinct = 1 if rule.single_state else channels
    batch = upper[0].shape[2]
    scale = 1 / batch if rule.batch_mean else 1.0
    both = network.backward is not None
    p_lower = cached(lambda g, p: rules.pre_synaptic(lower[g], genomes[p], distinct))
    q_lower = cached(lambda g, p: rules.post_synaptic(lower[g], genomes[p], distinct))
    p_upper = cached(lambda g, p: rules.pre_synaptic(upper[g], genomes[p], distinct))
    q_upper = cached(lambda g, p: rules.post_synaptic(upper[g], genomes[p], distinct))
    forward, backward = by_block(graph, network.forward), by_block(graph, network.backward) if both else ()
    squares = _oja_squares(graph, network, genomes, lower, upper, rule, scale)

    def new(p, w, d, s):
        d = jnp.broadcast_to(d * scale, w.shape)
        if s is not None and rule.oja is not None:
            d = d + rules.oja_term(rule.oja, genomes[p], w, s)
        return rule.synapse_update(genomes[p], w, d)

    new_forward, new_backward = [], []
    for w in graph.forward_wires:
        block, p, t = graph.forward_blocks[w.block], w.population, w.target
        d = ops.edge_dot(distinct, block, tuple(p_lower(s, p) for s in w.sources), q_upper(t, p))
        s = None if squares is None else ops.at_receivers(block, squares.upper(t, p))
        new_forward.append(new(p, forward[w.block], d, s))
        if both:
            if not rule.symmetric:
                d = ops.edge_dot(distinct, block, tuple(q_lower(s, p) for s in w.sources), p_upper(t, p))
            s = None if squares is None else ops.at_senders(block, tuple(squares.lower(g, p) for g in w.sources))
            new_backward.append(new(p, backward[w.block], d, s))
    new_bias = []
    for g, group in enumerate(graph.groups):
        w = network.bias[:, group.start : group.stop]
        if group.bias:
            unit = jnp.sum(genomes[group.gate].pre, axis=0)[:distinct, None]
            d = unit * jnp.sum(q_upper(g, group.gate), axis=2).T
            s = None if squares is None else squares.upper(g, group.gate).T
            w = new(group.gate, w, d, s)
        new_bias.append(w)
    return NetworkState(
        forward=jnp.concatenate(new_forward, axis=1),
        backward=jnp.concatenate(new_backward, axis=1) if both else None,
        bias=jnp.concatenate(new_bias, axis=1),
        neurons=network.neurons,
        step=network.step,
    )


class _OjaSquares(NamedTuple):
    """S of equation 8: (group, governing population) -> `[neurons, channels]`, as forward and as backward receivers."""

    upper: Callable[[int, int], Array]
    lower: Callable[[int, int], Array]


def _oja_squares(graph, network, genomes, lower, upper, rule: Rule, scale) -> _OjaSquares | None:
    if rule.oja is None:
        return None
    if rule.oja.form == "weights":
        forward, backward = forward_squares(graph, network), backward_squares(graph, network)
        return _OjaSquares(lambda g, p: forward[g], lambda g, p: backward[g])
    channels = network.forward.shape[0]

    def of(states):
        return cached(lambda g, p: jnp.sum(rules.post_synaptic(states[g], genomes[p], channels) ** 2, axis=2) * scale)

    return _OjaSquares(of(upper), of(lower))
