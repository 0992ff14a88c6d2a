"""The forward and the backward pass, group by group: equations 5 and 6."""

import jax.numpy as jnp
from jaxtyping import Array

from .. import ops, rules
from ..compile import CompiledGraph, Group
from ..genome import Genome
from ..rules import Rule, States
from ._norms import inverse_norms
from ._parts import Parts, by_block, by_feedback_block, cached, into, total_of
from ._state import NetworkState


def forward_sweep(graph: CompiledGraph, genomes: list[Genome], network: NetworkState, x, rule: Rule) -> Parts:
    k = genomes[0].n_states
    weights = by_block(graph, network.forward)
    dtype = jnp.result_type(network.forward, x)
    scales = inverse_norms(graph, genomes, network, rule)[0] if rule.normalization_within_sums else None
    sent = cached(lambda g, p: rules.transmitted(states[g], genomes[p].neuron.nu, genomes[p].neuron.update))
    states: list[Array] = []
    for g, group in enumerate(graph.groups):
        size, batch = group.stop - group.start, x.shape[1]
        if group.role == "input":
            data = x[graph.column[group.start : group.stop]].astype(dtype)
            states.append(jnp.concatenate([data[:, None], jnp.zeros((size, k - 1, batch), dtype)], axis=1))
            continue
        received = []
        for w in into(graph.forward_wires, g):
            pieces = tuple(sent(s, w.population) for s in w.sources)
            received.append(ops.propagate(graph.forward_blocks[w.block], weights[w.block], pieces))
        u = total_of(received)
        gate = genomes[group.gate].neuron
        if group.bias:
            unit = gate.update * jnp.sum(gate.nu, axis=0)
            u = u + (network.bias[:, group.start : group.stop].T * unit[None])[:, :, None]
        u = jnp.broadcast_to(jnp.asarray(u, dtype), (size, k, batch))
        if scales is not None:
            u = u * scales[g][:, :, None]
        if network.neurons is not None:
            u = u + gate.keep * network.neurons[group.start : group.stop]
        u = rules.forward_normalized(rule, genomes[group.population].neuron, u)
        states.append(_activated(rule, group, u))
    return tuple(states)


def _activated(rule: Rule, group: Group, u: States) -> States:
    activation = _forward_activation(rule, group)
    return rules.with_derivative(activation, u) if rule.derivative_state else activation.value(u)


def _forward_activation(rule: Rule, group: Group) -> rules.Activation:
    if group.activation is not None:
        return rules.ACTIVATIONS[group.activation]
    return rule.output_activation if group.role == "output" else rule.forward_activation


def backward_sweep(
    graph: CompiledGraph, genomes: list[Genome], network: NetworkState, before: Parts, target, rule
) -> Parts:
    states = _fed_back(graph, before, target, rule)
    tied = network.forward if network.backward is None else network.backward
    weights = by_block(graph, tied)
    fed = by_feedback_block(graph, tied)
    scales = inverse_norms(graph, genomes, network, rule)[1] if rule.normalization_within_sums else None
    update = rule.backward_update

    def transform(g, p):
        neuron = genomes[p].neuron
        return rules.transmitted(states[g], neuron.mu, neuron.update if update.gated else None)

    sent = cached(transform)
    for g in reversed(range(len(graph.groups))):
        group = graph.groups[g]
        if group.role == "input" or (group.role == "output" and group.feeds_on == "none"):
            continue
        p = group.population
        received = [
            ops.propagate_T(graph.forward_blocks[w.block], weights[w.block], sent(w.target, p))[0]
            for w in graph.forward_wires[: graph.n_dense]
            if w.sources[0] == g
        ]
        received += [
            ops.propagate(graph.feedback_blocks[w.block], fed[w.block], tuple(sent(s, p) for s in w.sources))
            for w in into(graph.feedback_wires, g)
        ]
        v = jnp.broadcast_to(jnp.asarray(total_of(received), before[g].dtype), before[g].shape)
        if scales is not None:
            v = v * scales[g][:, :, None]
        states[g] = _received(rule, group, genomes[p], before[g], states[g], v, graph)
    return tuple(states)


def _received(rule: Rule, group: Group, genome: Genome, a, fed_back, v, graph: CompiledGraph) -> States:
    """A group's states after it received v on the way back; an output that feeds on keeps its feedback besides."""
    update, keep = rule.backward_update, genome.neuron.keep
    is_output = group.role == "output"
    old = fed_back if is_output and update.gated else a
    activation = rule.backward_activation or _forward_activation(rule, group)
    new = activation.value(rules.backward_normalized(rule, genome.neuron, update.combine(keep, old, v)))
    if is_output and not update.gated:
        new = jnp.concatenate([new[:, :1], new[:, 1:] + fed_back[:, 1:]], axis=1)
    if is_output and group.feeds_on == "some":
        new = jnp.where(graph.feeds_on[group.start : group.stop, None, None], new, fed_back)
    return new


def _fed_back(graph: CompiledGraph, states: Parts, target, rule: Rule) -> list[Array]:
    """The states with the outputs' second state replaced by the feedback, their further ones by 0."""
    after = list(states)
    outputs = [g for g, group in enumerate(graph.groups) if group.role == "output"]
    columns = jnp.concatenate([graph.column[graph.groups[g].start : graph.groups[g].stop] for g in outputs])
    first = jnp.concatenate([states[g][:, 0] for g in outputs])
    predicted = jnp.zeros_like(first).at[columns].set(first, unique_indices=True)
    signal = rule.feedback.signal(predicted, target.astype(first.dtype))
    for g in outputs:
        a, group = states[g], graph.groups[g]
        if a.shape[1] < 2:
            continue
        second = signal[graph.column[group.start : group.stop]]
        if rule.feedback.is_gradient and rule.derivative_state:
            second = second * a[:, 1]
        after[g] = jnp.concatenate([a[:, :1], second[:, None], jnp.zeros_like(a[:, 2:])], axis=1)
    return after
