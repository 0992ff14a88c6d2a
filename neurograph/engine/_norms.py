"""Norms of what a neuron receives, for normalised synapses and for Oja's term."""

import jax.numpy as jnp

from .. import ops, rules
from ..compile import CompiledGraph
from ..rules import Rule
from ._parts import ByStage, Lineage, by_stage, for_kinds
from ._state import NetworkState


def forward_squares(graph: CompiledGraph, network: NetworkState) -> ByStage:
    """For each stage `sum_{i in I(j) and bias} F_ij^2`, `[channels, rows]`."""
    totals = ops.collect(ops.UP, graph.wiring, tuple(w**2 for w in network.forward))
    return tuple(t + b**2 for t, b in zip(totals, by_stage(graph, network.bias), strict=True))


def backward_squares(graph: CompiledGraph, network: NetworkState) -> ByStage:
    """For each stage `sum_{j in J(i)} R_ji^2`, `[channels, rows]`."""
    values = network.forward if network.backward is None else network.backward
    return ops.collect(ops.DOWN, graph.wiring, tuple(w**2 for w in values))


def inverse_norms(graph: CompiledGraph, lineage: Lineage, network: NetworkState, rule: Rule) -> tuple[ByStage, ByStage]:
    """For each stage, the factors that normalise what it receives on the way forward, and on the way back."""
    option = rule.synapse_normalization

    def factors(squares: ByStage, governing: str) -> ByStage:
        found = []
        for s, square in enumerate(squares):
            factor = rules.inverse_norm(square)
            if option is not None and option.rescale:
                factor = factor * for_kinds(
                    graph,
                    s,
                    lambda kind: lineage.genomes[getattr(kind, governing)].synapse.rescale[None, None],
                )
            found.append(factor)
        return tuple(found)

    return factors(forward_squares(graph, network), "gate"), factors(backward_squares(graph, network), "population")


def normalized(graph: CompiledGraph, lineage: Lineage, network: NetworkState, rule: Rule) -> NetworkState:
    """The network with its synapses normalised, where the rule does so persistently."""
    if not rule.persistent_normalization:
        return network
    assert network.backward is not None
    up, down = inverse_norms(graph, lineage, network, rule)
    at_receivers, at_senders = ops.lay(ops.UP, graph.wiring, up), ops.lay(ops.DOWN, graph.wiring, down)
    return NetworkState(
        forward=tuple(w * f for w, f in zip(network.forward, at_receivers, strict=True)),
        backward=tuple(w * f for w, f in zip(network.backward, at_senders, strict=True)),
        bias=network.bias * jnp.concatenate(up, axis=1),
        neurons=network.neurons,
        step=network.step,
    )
