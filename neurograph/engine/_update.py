"""The synapse update: equations 7 and 8."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .. import ops, rules
from ..compile import CompiledGraph
from ..genome import SynapseGenome
from ..rules import Rule
from ._norms import backward_squares, forward_squares
from ._parts import ByStage, Lineage, Synapses, by_stage, for_kinds
from ._state import NetworkState

ByLine = tuple[tuple[Array, ...], ...]
"""For each stage, one array for each line."""


def updated(
    graph: CompiledGraph,
    lineage: Lineage,
    genomes: Sequence[SynapseGenome],
    network: NetworkState,
    lower: ByStage,
    upper: ByStage,
    rule: Rule,
) -> NetworkState:
    """Equations 7 and 8: `lower` states of senders, `upper` of receivers (the two are usually one).

    Args:
        genomes: of each population.
    """
    wiring, stages, lines = graph.wiring, graph.wiring.stages, lineage.lines
    distinct = 1 if rule.single_state else network.n_channels
    scale = 1 / upper[0].shape[2] if rule.batch_mean else 1.0
    of_family = [genomes[family[0]] for family in graph.families]
    of_line = [of_family[lines.index(line)] for line in range(len(lineage.of_line))]
    own = [of_family[stage.family] for stage in stages]

    def to_lines(term, states: ByStage) -> ByLine:
        # eta~ is multiplied into the states of the receivers, which are fewer than the synapses
        return tuple(tuple(term(a, genome, distinct, scale * genome.update) for genome in of_line) for a in states)

    def as_sender(term, states: ByStage) -> ByStage:
        return tuple(term(a, genome, distinct) for a, genome in zip(states, own, strict=True))

    squares = _oja_squares(graph, lines, of_line, own, network, lower, upper, rule, scale)
    received = to_lines(rules.post_synaptic, upper)
    change = ops.edge_dot(lines, distinct, wiring, as_sender(rules.pre_synaptic, lower), received)

    def new(genome, w, change, s):
        change = jnp.broadcast_to(change, w.shape)
        if s is not None and rule.oja is not None:
            change = change + rules.oja_term(rule.oja, genome, w, s)
        return rule.synapse_update(genome, w, change).astype(w.dtype)

    at_receivers, at_senders, of_rows = squares or (None, None, None)
    backward = network.backward
    if backward is not None:
        change_backward = change
        if not rule.symmetric:
            sent = to_lines(rules.pre_synaptic, upper)
            change_backward = ops.edge_dot(lines, distinct, wiring, as_sender(rules.post_synaptic, lower), sent)
        backward = _each(graph, lines, of_line, new, backward, change_backward, at_senders)

    bias = []
    for s, w in enumerate(by_stage(graph, network.bias)):

        def of_kind(kind, s=s, w=w):
            if not kind.bias:
                return w
            genome = genomes[kind.gate]
            line = lines[next(n for n, family in enumerate(graph.families) if kind.gate in family)]
            unit = jnp.sum(genome.pre, axis=0)[:distinct, None]
            square = None if of_rows is None else of_rows[s][line]
            return new(genome, w, unit * jnp.sum(received[s][line], axis=2), square)

        bias.append(for_kinds(graph, s, of_kind))
    return NetworkState(
        forward=_each(graph, lines, of_line, new, network.forward, change, at_receivers),
        backward=backward,
        bias=jnp.concatenate(bias, axis=1),
        neurons=network.neurons,
        step=network.step,
    )


def _each(graph: CompiledGraph, lines, of_line, new, weights: Synapses, changes, squares) -> Synapses:
    """The new values of each part, by the genome of its senders; `squares`: for each line, Oja's, by part."""
    wiring = graph.wiring
    changed = []
    for n, (w, change) in enumerate(zip(weights, changes, strict=True)):
        mine = None if squares is None else [laid[n] for laid in squares]
        if n < len(wiring.matmuls) or len(of_line) == 1:
            line = lines[wiring.matmuls[n].family] if n < len(wiring.matmuls) else 0
            changed.append(new(of_line[line], w, change, None if mine is None else mine[line]))
            continue
        parts, sizes = [], [g.n_synapses for g in wiring.up]
        for m, g in enumerate(wiring.up):
            line = lines[g.family]
            s = None if mine is None else jax.lax.split(mine[line], sizes, axis=1)[m]
            parts.append(new(of_line[line], *(jax.lax.split(values, sizes, axis=1)[m] for values in (w, change)), s))
        changed.append(jnp.concatenate(parts, axis=1) if parts else w)
    return tuple(changed)


def _oja_squares(graph: CompiledGraph, lines, of_line, own, network, lower, upper, rule: Rule, scale):
    """S of equation 8: for each line, at receivers and at senders, by part; and for each stage and line, by row."""
    if rule.oja is None:
        return None
    if rule.oja.form == "weights":
        up, down = forward_squares(graph, network), backward_squares(graph, network)
        rows = [(square,) * len(of_line) for square in up]
    else:
        channels = network.n_channels

        def of(a, genome):
            return jnp.sum(rules.post_synaptic(a, genome, channels) ** 2, axis=2) * scale

        rows = [tuple(of(a, genome) for genome in of_line) for a in upper]
        down = tuple(of(a, genome) for a, genome in zip(lower, own, strict=True))
    n = range(len(of_line))
    at_receivers = [ops.lay(ops.UP, graph.wiring, tuple(row[line] for row in rows)) for line in n]
    at_senders = ops.lay(ops.DOWN, graph.wiring, down)
    return at_receivers, [at_senders for _ in n], rows
