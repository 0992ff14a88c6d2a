"""The forward and the backward pass: what neurons bring to them, and back as states by stage."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .. import ops
from ..compile import CompiledGraph
from ..ops import Theta
from ..rules import Rule
from ._cells import BackwardCell, BackwardGenes, BackwardRows, ForwardCell, ForwardGenes, ForwardRows
from ._norms import inverse_norms
from ._parts import ByStage, Lineage, Synapses, by_stage
from ._state import NetworkState

OUT_ONLY = (True, False, False)


def forward_pass(graph: CompiledGraph, lineage: Lineage, network: NetworkState, x, rule: Rule) -> ByStage:
    """All states after the forward pass; of inputs the first alone, the others are 0."""
    k = lineage.of_line[0].n_states
    dtype, batch = network.dtype, x.shape[1]
    scales = inverse_norms(graph, lineage, network, rule)[0] if rule.normalization_within_sums else None
    biases = by_stage(graph, network.bias)
    theta = []
    for s, stage in enumerate(graph.wiring.stages):
        kinds = graph.kinds(s)
        if kinds[0].role == "input":
            rows = ForwardRows(data=x[graph.column[stage.start : stage.stop]].astype(dtype)[None])
        else:
            rows = ForwardRows(
                bias=biases[s][:, :, None],
                scale=None if scales is None else scales[s][:, :, None],
                kept=None if network.neurons is None else network.neurons[:, stage.start : stage.stop],
            )
        genes = lineage.genomes
        shared = tuple(ForwardGenes(genes[kind.gate].neuron, genes[kind.population].neuron) for kind in kinds)
        theta.append(Theta(rows, shared))
    shape = (k, batch, jnp.dtype(dtype))
    done = ops.sweep(
        ForwardCell(rule), ops.UP, lineage.lines, shape, OUT_ONLY, graph.wiring, network.forward, tuple(theta)
    )
    assert done.out is not None
    return done.out


def backward_pass(
    graph: CompiledGraph, lineage: Lineage, network: NetworkState, before: ByStage, target, rule: Rule
) -> ByStage:
    """All states after feedback and the backward pass."""
    fed = _fed_back(graph, before, target, rule)
    tied = _read_by_backward_pass(graph, network.forward if network.backward is None else network.backward)
    scales = inverse_norms(graph, lineage, network, rule)[1] if rule.normalization_within_sums else None
    first = rule.backward_update.first
    k, batch = lineage.of_line[0].n_states, target.shape[1]
    if first and tied[-1].shape[0] > 1:
        tied = tuple(w[first:] for w in tied)
    theta = []
    for s, stage in enumerate(graph.wiring.stages):
        feeds = scale = None
        if s in fed:
            feeds = graph.feeds_on[None, stage.start : stage.stop, None].astype(before[s].dtype)
        if scales is not None:
            scale = scales[s][first:] if scales[s].shape[0] > 1 else scales[s]
            scale = scale[:, :, None]
        rows = BackwardRows(before[s], fed.get(s), feeds, scale)
        lines = tuple(genome.neuron for genome in lineage.of_line)
        shared = tuple(BackwardGenes(lineage.genomes[kind.population].neuron, lines) for kind in graph.kinds(s))
        theta.append(Theta(rows, shared))
    shape = (k - first, batch, before[0].dtype)
    done = ops.sweep(BackwardCell(rule), ops.DOWN, lineage.lines, shape, OUT_ONLY, graph.wiring, tied, tuple(theta))
    assert done.out is not None
    return done.out


def _read_by_backward_pass(graph: CompiledGraph, synapses: Synapses) -> Synapses:
    """The synapses, those into inputs without a gradient: nobody reads them, and a gradient known to be 0 is never
    computed, nor are, in an unroll, their updates."""
    inputs = [all(kind.role == "input" for kind in graph.kinds(s)) for s in range(len(graph.wiring.stages))]
    parts = zip(graph.wiring.matmuls, synapses, strict=False)
    return (*(jax.lax.stop_gradient(w) if inputs[m.source] else w for m, w in parts), synapses[-1])


def _fed_back(graph: CompiledGraph, states: ByStage, target, rule: Rule) -> dict[int, Array]:
    """Output stages with the second state replaced by the feedback, further ones by 0."""
    signal = rule.feedback.signal(predicted(graph, states), target.astype(states[0].dtype))
    fed = {}
    for s in graph.output_stages:
        a, stage = states[s], graph.wiring.stages[s]
        fed[s] = a
        if a.shape[0] < 2:
            continue
        second = signal[graph.column[stage.start : stage.stop]][None]
        if rule.feedback.is_gradient and rule.derivative_state:
            second = second * a[1:2]
        fed[s] = jnp.concatenate([a[:1], second, jnp.zeros_like(a[2:])])
    return fed


def predicted(graph: CompiledGraph, states: ByStage) -> Array:
    """First states of the outputs, in the user's order."""
    return jnp.concatenate([states[s][0] for s in graph.output_stages])[graph.output_places]
