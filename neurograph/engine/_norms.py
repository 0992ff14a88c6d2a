"""Norms of what a neuron receives, for normalised synapses and for Oja's term."""

import jax.numpy as jnp
from jaxtyping import Array

from .. import ops, rules
from ..compile import CompiledGraph
from ..genome import Genome
from ..rules import Rule
from ._parts import by_block
from ._state import NetworkState


def forward_squares(graph: CompiledGraph, network: NetworkState) -> list[Array]:
    """For each group `sum_{i in I(j) and bias} F_ij^2`, `[neurons, channels]`."""
    weights = by_block(graph, network.forward)
    totals = [network.bias[:, g.start : g.stop].T ** 2 for g in graph.groups]
    for w in graph.forward_wires:
        block = graph.forward_blocks[w.block]
        ones = tuple(jnp.ones((size, network.forward.shape[0], 1), network.forward.dtype) for size in block.sizes)
        totals[w.target] = totals[w.target] + ops.propagate(block, weights[w.block] ** 2, ones)[:, :, 0]
    return totals


def backward_squares(graph: CompiledGraph, network: NetworkState) -> list[Array]:
    """For each group `sum_{j in J(i)} R_ji^2`, `[neurons, channels]`."""
    values = network.forward if network.backward is None else network.backward
    weights = by_block(graph, values)
    channels = values.shape[0]
    totals = [jnp.zeros((g.stop - g.start, channels), values.dtype) for g in graph.groups]
    for w in graph.forward_wires:
        block = graph.forward_blocks[w.block]
        ones = jnp.ones((block.n_targets, channels, 1), values.dtype)
        for g, part in zip(w.sources, ops.propagate_T(block, weights[w.block] ** 2, ones), strict=True):
            totals[g] = totals[g] + part[:, :, 0]
    return totals


def inverse_norms(
    graph: CompiledGraph, genomes: list[Genome], network: NetworkState, rule: Rule
) -> tuple[list[Array], list[Array]]:
    """For each group, the factors that normalise what it receives on the way forward, and on the way back."""
    option = rule.synapse_normalization

    def factors(squares: list[Array], governing: list[int]) -> list[Array]:
        rescale = [genomes[p].synapse.rescale if option is not None and option.rescale else 1.0 for p in governing]
        return [rules.inverse_norm(s) * r for s, r in zip(squares, rescale, strict=True)]

    forward = factors(forward_squares(graph, network), [g.gate for g in graph.groups])
    return forward, factors(backward_squares(graph, network), [g.population for g in graph.groups])


def normalized(graph: CompiledGraph, genomes: list[Genome], network: NetworkState, rule: Rule) -> NetworkState:
    """The network with its synapses normalised, where the rule does so persistently."""
    if not rule.persistent_normalization:
        return network
    assert network.backward is not None
    up, down = inverse_norms(graph, genomes, network, rule)
    new_forward, new_backward = [], []
    forward, backward = by_block(graph, network.forward), by_block(graph, network.backward)
    for w in graph.forward_wires:
        block = graph.forward_blocks[w.block]
        new_forward.append(forward[w.block] * ops.at_receivers(block, up[w.target]))
        new_backward.append(backward[w.block] * ops.at_senders(block, tuple(down[g] for g in w.sources)))
    return NetworkState(
        forward=jnp.concatenate(new_forward, axis=1),
        backward=jnp.concatenate(new_backward, axis=1),
        bias=network.bias * jnp.concatenate(up).T,
        neurons=network.neurons,
        step=network.step,
    )
