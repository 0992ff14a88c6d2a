"""Running a compiled graph: `init`, `forward`, `backward`, `learn`, `step`, `unroll`. Pure functions, all usable under
`jit`, `vmap` and `grad`; `rule` is static.

Equations 5-8 of the paper on a DAG, level by level: forward goes up, backward goes down, within a level all at once.
The order of a step is the published code's; where that is silent, the decision stands in `docs/rules.md`.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from . import ops, rules
from .compile import CompiledGraph, Group
from .genome import Genome, GenomeError, Genomes, SynapseGenome, n_states_of
from .initializers import Initializer, glorot_uniform
from .rules import Rule

States = Float[Array, "neurons states batch"]
Parts = tuple[Array, ...]
"""One array for each group, or for each block."""


class NetworkState(eqx.Module):
    """What the next step needs. Compiled order; `neurograph.views` translates to the user's.

    Attributes:
        forward: forward synapses w_ij.
        backward: backward synapses w_ji, stored on the same edge i -> j; None where they share the forward values.
        bias: synapses from the unit neuron.
        neurons: states, if the rule keeps them, else None.
        step: index of the next step.
    """

    forward: Float[Array, "channels synapses"]
    backward: Float[Array, "channels synapses"] | None
    bias: Float[Array, "channels neurons"]
    neurons: States | None
    step: Int[Array, ""]


class StepInfo(NamedTuple):
    """What a plot needs of a step.

    Attributes:
        prediction: first states of the outputs, before the update, in the outputs' order.
        loss: the feedback's loss of that prediction, mean over the batch.
        forward_states, backward_states: all states after the forward pass, and after feedback and backward pass.
    """

    prediction: Float[Array, "outputs batch"]
    loss: Float[Array, ""]
    forward_states: States
    backward_states: States


# --- public ---------------------------------------------------------------------------------------------------------


def init(
    key: Key[Array, ""],
    graph: CompiledGraph,
    genome: Genomes,
    *,
    rule: Rule,
    dtype=jnp.float32,
    initializer: Initializer = glorot_uniform,
    batch_size: int | None = None,
) -> NetworkState:
    """Freshly drawn synapses; those that came with the topology take their given values.

    Drawn in the user's edge order, so neither lowering nor padding changes them. Tied copies start equal.

    Args:
        key: JAX random key.
        graph, genome: only the number of states is read from the genome.
        rule: decides which copies are stored.
        dtype: of synapses and states.
        initializer: see `neurograph.initializers`.
        batch_size: needed only where the rule keeps states.

    Raises:
        GenomeError: genomes of unequal k, or a population without one.
        ValueError: weights of the topology with a number of channels that does not fit; kept states without batch size.
    """
    n_states = n_states_of(genome)
    channels = rule.n_channels(n_states)
    distinct = 1 if rule.single_state else channels
    forward_key, backward_key, bias_key = jax.random.split(key, 3)

    def values(key, draw, given, fan_in, fan_out, what):
        shape = (channels, fan_in.shape[0])
        if given is None:
            return jnp.broadcast_to(draw(key, (distinct, shape[1]), fan_in, fan_out, dtype), shape)
        if given.shape[0] not in (1, channels):
            raise ValueError(
                f"the topology's {what} have {given.shape[0]} channels; the rule stores {channels} for a genome of "
                f"{n_states} states. Give 1 channel, or {channels}."
            )
        return jnp.broadcast_to(given.astype(dtype), shape)

    draw, fans = initializer.synapses, (graph.fan_in, graph.fan_out)
    forward = values(forward_key, draw, graph.weights, *fans, "weights")
    backward = forward
    if not rule.symmetric or graph.backward_weights is not None:
        backward = values(backward_key, draw, graph.backward_weights, *fans, "backward weights")
    bias = values(bias_key, initializer.biases, graph.biases, graph.bias_fan[0], graph.bias_fan[1], "biases")
    neurons = None
    if rule.keep_states:
        if batch_size is None:
            raise ValueError("the rule keeps states from step to step: give batch_size, which must then stay the same.")
        neurons = jnp.zeros((graph.n_neurons, n_states, batch_size), dtype)
    return NetworkState(
        forward=forward[:, graph.synapse_order],
        backward=backward[:, graph.synapse_order] if rule.stores_backward else None,
        bias=bias[:, graph.neuron_order] * _has_bias(graph, dtype),
        neurons=neurons,
        step=jnp.zeros((), jnp.int32),
    )


def forward(
    graph: CompiledGraph, genome: Genomes, network: NetworkState, x: Float[Array, "inputs batch"], *, rule: Rule
) -> States:
    """The forward pass, (5): `a_j^c <- sigma(f a_j^c + eta sum_{i in I(j), d} w_ij^c nu^cd a_i^d)`, level by level.

    Args:
        graph, genome, network: the network; unchanged.
        x: data, one row for each input in the user's order; becomes state 1 of the inputs, their other states are 0.
        rule: the rule.

    Returns:
        All states, in compiled order.
    """
    genomes = _genomes(graph, genome)
    network = _normalized(graph, genomes, network, rule)
    return jnp.concatenate(_forward(graph, genomes, network, x, rule))


def predict(
    graph: CompiledGraph, genome: Genomes, network: NetworkState, x: Float[Array, "inputs batch"], *, rule: Rule
) -> Float[Array, "outputs batch"]:
    """First states of the outputs after a forward pass, in the user's order."""
    return prediction(graph, forward(graph, genome, network, x, rule=rule))


def prediction(graph: CompiledGraph, states: States) -> Float[Array, "outputs batch"]:
    """First states of the outputs, in the user's order."""
    return states[graph.output_rows, 0]


def backward(
    graph: CompiledGraph,
    genome: Genomes,
    network: NetworkState,
    states: States,
    target: Float[Array, "outputs batch"],
    *,
    rule: Rule,
) -> States:
    """Feedback, then the backward pass, (6): `a_i^c <- sigma(f a_i^c + eta sum_{j in J(i), d} w_ji^c mu^cd a_j^d)`.

    Args:
        graph, genome, network: the network; unchanged.
        states: after the forward pass.
        target: +1 for the true class, -1 for the others, one row for each output in the user's order.
        rule: the rule.

    Returns:
        All states, in compiled order. Inputs are as they were, outputs as feedback left them unless they feed on.
    """
    genomes = _genomes(graph, genome)
    return jnp.concatenate(_backward(graph, genomes, network, _by_group(graph, states), target, rule))


def learn(
    graph: CompiledGraph,
    genome: Genomes,
    network: NetworkState,
    forward_states: States,
    backward_states: States,
    *,
    rule: Rule,
) -> NetworkState:
    """The synapse update, equations 7 and 8: `w_ij^c <- f~ w_ij^c + eta~ sum_{e,d} a_i^e nu~^ec mu~^cd a_j^d`.

    The backward synapse has j as its pre-synaptic and i as its post-synaptic neuron. Bias synapses have the unit
    neuron, whose states are all 1.

    Args:
        graph, genome, network: the network before the update.
        forward_states, backward_states: after the forward pass, and after the backward pass.
        rule: the rule; `use_forward_states` takes the lower neuron's state from the former.

    Returns:
        The network with new synapses; `step` as it was.
    """
    genomes = [g.synapse for g in _genomes(graph, genome)]
    upper = _by_group(graph, backward_states)
    lower = _by_group(graph, forward_states) if rule.use_forward_states else upper
    return _learn(graph, genomes, network, lower, upper, rule)


def step(
    graph: CompiledGraph,
    genome: Genomes,
    network: NetworkState,
    x: Float[Array, "inputs batch"],
    target: Float[Array, "outputs batch"],
    *,
    rule: Rule,
) -> tuple[NetworkState, StepInfo]:
    """One learning step: forward pass, feedback, backward pass, synapse update, in the published order.

    Args:
        graph, genome, network: the network before the step.
        x, target: a support batch (see `forward`, `backward`).
        rule: the rule.

    Returns:
        The network after the step, and what a plot needs.
    """
    genomes = _genomes(graph, genome)
    network = _normalized(graph, genomes, network, rule)
    states = _forward(graph, genomes, network, x, rule)
    if rule.forward_synapse_update:
        network = _learn(graph, [_forward_synapse(g) for g in genomes], network, states, states, rule)

    def supervised(network, states):
        after = _backward(graph, genomes, network, states, target, rule)
        lower = states if rule.use_forward_states else after
        return _learn(graph, [g.synapse for g in genomes], network, lower, after, rule), after

    if rule.supervised_every is None or rule.supervised_every == 1:
        network, after = supervised(network, states)
    else:
        turn = network.step % rule.supervised_every == 0
        network, after = jax.lax.cond(turn, supervised, lambda network, states: (network, states), network, states)
    whole, whole_after = jnp.concatenate(states), jnp.concatenate(after)
    output = prediction(graph, whole)
    network = eqx.tree_at(lambda n: n.step, network, network.step + 1)
    if rule.keep_states:
        network = eqx.tree_at(lambda n: n.neurons, network, whole_after)
    return network, StepInfo(output, rule.feedback.loss(output, target), whole, whole_after)


def unroll(
    graph: CompiledGraph,
    genome: Genomes,
    network: NetworkState,
    xs: Float[Array, "length inputs batch"],
    targets: Float[Array, "length outputs batch"],
    query: Float[Array, "inputs query_batch"],
    *,
    rule: Rule,
) -> tuple[NetworkState, Float[Array, "outputs query_batch"], StepInfo]:
    """`length` learning steps, each on its own support batch, then the forward pass of a query batch.

    By `lax.scan`; each step is rematerialised in reverse mode, so a gradient's memory is that of the synapses for each
    step plus one step's states.

    Args:
        graph, genome, network: where to start, usually from freshly drawn synapses.
        xs, targets: the support batches, along the first axis.
        query: data of a batch never learnt from.
        rule: the rule.

    Returns:
        The network after the last step; the query's prediction; the infos of all steps, stacked.
    """

    @jax.checkpoint
    def one(network, batch):
        return step(graph, genome, network, *batch, rule=rule)

    network, infos = jax.lax.scan(one, network, (xs, targets))
    if rule.keep_states and network.neurons is not None and network.neurons.shape[2] != query.shape[1]:
        raise ValueError(
            f"the rule keeps states, which have a batch of {network.neurons.shape[2]}; the query batch has "
            f"{query.shape[1]}. Make them equal."
        )
    return network, predict(graph, genome, network, query, rule=rule), infos


# --- forward --------------------------------------------------------------------------------------------------------


def _forward(graph: CompiledGraph, genomes: list[Genome], network: NetworkState, x, rule: Rule) -> Parts:
    k = genomes[0].n_states
    weights = _by_block(graph, network.forward)
    dtype = jnp.result_type(network.forward, x)
    scales = _forward_scales(graph, genomes, network, rule)
    sent = _cached(lambda g, p: rules.transmitted(states[g], genomes[p].neuron.nu, genomes[p].neuron.update))
    states: list[Array] = []
    for g, group in enumerate(graph.groups):
        size, batch = group.stop - group.start, x.shape[1]
        if group.role == "input":
            data = x[graph.column[group.start : group.stop]].astype(dtype)
            states.append(jnp.concatenate([data[:, None], jnp.zeros((size, k - 1, batch), dtype)], axis=1))
            continue
        received = []
        for w in _into(graph.forward_wires, g):
            pieces = tuple(sent(s, w.population) for s in w.sources)
            received.append(ops.propagate(graph.forward_blocks[w.block], weights[w.block], pieces))
        u = _sum(received)
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


# --- backward -------------------------------------------------------------------------------------------------------


def _backward(graph: CompiledGraph, genomes: list[Genome], network: NetworkState, before: Parts, target, rule) -> Parts:
    states = _fed_back(graph, before, target, rule)
    tied = network.forward if network.backward is None else network.backward
    weights = _by_block(graph, tied)
    fed = _by_feedback_block(graph, tied)
    scales = _backward_scales(graph, genomes, network, rule)
    update = rule.backward_update

    def transform(g, p):
        neuron = genomes[p].neuron
        return rules.transmitted(states[g], neuron.mu, neuron.update if update.gated else None)

    sent = _cached(transform)
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
            for w in _into(graph.feedback_wires, g)
        ]
        v = jnp.broadcast_to(jnp.asarray(_sum(received), before[g].dtype), before[g].shape)
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


# --- synapse update -------------------------------------------------------------------------------------------------


def _learn(
    graph: CompiledGraph, genomes: list[SynapseGenome], network: NetworkState, lower: Parts, upper: Parts, rule: Rule
) -> NetworkState:
    """Equations 7 and 8 block by block: `lower` states of senders, `upper` of receivers (the two are usually one)."""
    channels = network.forward.shape[0]
    distinct = 1 if rule.single_state else channels
    batch = upper[0].shape[2]
    scale = 1 / batch if rule.batch_mean else 1.0
    both = network.backward is not None
    p_lower = _cached(lambda g, p: rules.pre_synaptic(lower[g], genomes[p], distinct))
    q_lower = _cached(lambda g, p: rules.post_synaptic(lower[g], genomes[p], distinct))
    p_upper = _cached(lambda g, p: rules.pre_synaptic(upper[g], genomes[p], distinct))
    q_upper = _cached(lambda g, p: rules.post_synaptic(upper[g], genomes[p], distinct))
    forward, backward = _by_block(graph, network.forward), _by_block(graph, network.backward) if both else ()
    squares = _oja_squares(graph, network, genomes, lower, upper, rule, scale)

    def updated(p, w, d, s):
        d = jnp.broadcast_to(d * scale, w.shape)
        if s is not None and rule.oja is not None:
            d = d + rules.oja_term(rule.oja, genomes[p], w, s)
        return rule.synapse_update(genomes[p], w, d)

    new_forward, new_backward = [], []
    for w in graph.forward_wires:
        block, p, t = graph.forward_blocks[w.block], w.population, w.target
        d = ops.edge_dot(distinct, block, tuple(p_lower(s, p) for s in w.sources), q_upper(t, p))
        s = None if squares is None else ops.at_receivers(block, squares.upper(t, p))
        new_forward.append(updated(p, forward[w.block], d, s))
        if both:
            if not rule.symmetric:
                d = ops.edge_dot(distinct, block, tuple(q_lower(s, p) for s in w.sources), p_upper(t, p))
            s = None if squares is None else ops.at_senders(block, tuple(squares.lower(g, p) for g in w.sources))
            new_backward.append(updated(p, backward[w.block], d, s))
    new_bias = []
    for g, group in enumerate(graph.groups):
        w = network.bias[:, group.start : group.stop]
        if group.bias:
            unit = jnp.sum(genomes[group.gate].pre, axis=0)[:distinct, None]
            d = unit * jnp.sum(q_upper(g, group.gate), axis=2).T
            s = None if squares is None else squares.upper(g, group.gate).T
            w = updated(group.gate, w, d, s)
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
        forward, backward = _forward_squares(graph, network), _backward_squares(graph, network)
        return _OjaSquares(lambda g, p: forward[g], lambda g, p: backward[g])
    channels = network.forward.shape[0]

    def of(states):
        return _cached(lambda g, p: jnp.sum(rules.post_synaptic(states[g], genomes[p], channels) ** 2, axis=2) * scale)

    return _OjaSquares(of(upper), of(lower))


# --- norms of what a neuron receives --------------------------------------------------------------------------------


def _forward_squares(graph: CompiledGraph, network: NetworkState) -> list[Array]:
    """For each group `sum_{i in I(j) and bias} F_ij^2`, `[neurons, channels]`."""
    weights = _by_block(graph, network.forward)
    totals = [network.bias[:, g.start : g.stop].T ** 2 for g in graph.groups]
    for w in graph.forward_wires:
        block = graph.forward_blocks[w.block]
        ones = tuple(jnp.ones((size, network.forward.shape[0], 1), network.forward.dtype) for size in block.sizes)
        totals[w.target] = totals[w.target] + ops.propagate(block, weights[w.block] ** 2, ones)[:, :, 0]
    return totals


def _backward_squares(graph: CompiledGraph, network: NetworkState) -> list[Array]:
    """For each group `sum_{j in J(i)} R_ji^2`, `[neurons, channels]`."""
    values = network.forward if network.backward is None else network.backward
    weights = _by_block(graph, values)
    channels = values.shape[0]
    totals = [jnp.zeros((g.stop - g.start, channels), values.dtype) for g in graph.groups]
    for w in graph.forward_wires:
        block = graph.forward_blocks[w.block]
        ones = jnp.ones((block.n_targets, channels, 1), values.dtype)
        for g, part in zip(w.sources, ops.propagate_T(block, weights[w.block] ** 2, ones), strict=True):
            totals[g] = totals[g] + part[:, :, 0]
    return totals


def _rescale(rule: Rule, genome: Genome):
    option = rule.synapse_normalization
    return genome.synapse.rescale if option is not None and option.rescale else 1.0


def _forward_scales(graph: CompiledGraph, genomes, network: NetworkState, rule: Rule) -> list[Array] | None:
    """Factors on each receiver's forward sum: normalised synapses, without a normalised copy of them."""
    if rule.synapse_normalization is None or rule.synapse_normalization.persistent:
        return None
    squares = _forward_squares(graph, network)
    return [rules.inverse_norm(s) * _rescale(rule, genomes[g.gate]) for g, s in zip(graph.groups, squares, strict=True)]


def _backward_scales(graph: CompiledGraph, genomes, network: NetworkState, rule: Rule) -> list[Array] | None:
    if rule.synapse_normalization is None or rule.synapse_normalization.persistent:
        return None
    squares = _backward_squares(graph, network)
    return [
        rules.inverse_norm(s) * _rescale(rule, genomes[g.population])
        for g, s in zip(graph.groups, squares, strict=True)
    ]


def _normalized(graph: CompiledGraph, genomes: list[Genome], network: NetworkState, rule: Rule) -> NetworkState:
    """The network with its synapses normalised, where the rule does so persistently."""
    if not rule.persistent_normalization:
        return network
    assert network.backward is not None
    up = [
        rules.inverse_norm(s) * _rescale(rule, genomes[g.gate])
        for g, s in zip(graph.groups, _forward_squares(graph, network), strict=True)
    ]
    down = [
        rules.inverse_norm(s) * _rescale(rule, genomes[g.population])
        for g, s in zip(graph.groups, _backward_squares(graph, network), strict=True)
    ]
    new_forward, new_backward = [], []
    forward, backward = _by_block(graph, network.forward), _by_block(graph, network.backward)
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


# --- small things ---------------------------------------------------------------------------------------------------


def _genomes(graph: CompiledGraph, genome: Genomes) -> list[Genome]:
    """The genome of each population."""
    if not isinstance(genome, Mapping):
        return [genome] * len(graph.populations)
    n_states_of(genome)
    unknown = sorted(set(genome) - set(graph.populations) - {"*"})
    if unknown:
        raise GenomeError(
            f"there is a genome for population {unknown[0]!r}, which the topology does not have; it has "
            f"{', '.join(graph.populations)} ('*' stands for all others)."
        )
    absent = [name for name in graph.populations if name not in genome and "*" not in genome]
    if absent:
        raise GenomeError(f"population {absent[0]!r} has no genome; add one for it, or one named '*' for all others.")
    return [genome[name] if name in genome else genome["*"] for name in graph.populations]


def _forward_synapse(genome: Genome) -> SynapseGenome:
    """The published default: without a genome of its own, the forward synapse update takes the backward one's."""
    return genome.synapse if genome.forward_synapse is None else genome.forward_synapse


def _by_group(graph: CompiledGraph, states: States) -> Parts:
    return tuple(jax.lax.split(states, [g.stop - g.start for g in graph.groups]))


def _by_block(graph: CompiledGraph, synapses) -> Parts:
    return tuple(jax.lax.split(synapses, [b.n_synapses for b in graph.forward_blocks], axis=1))


def _by_feedback_block(graph: CompiledGraph, synapses) -> Parts:
    """The sparse synapses, ordered by backward receiver."""
    if not graph.feedback_blocks:
        return ()
    n = graph.feedback_order.shape[0]
    sparse = jax.lax.split(synapses, [synapses.shape[1] - n, n], axis=1)[1]
    ordered = ops.permute(sparse, graph.feedback_order, graph.feedback_rank)
    return tuple(jax.lax.split(ordered, [b.n_synapses for b in graph.feedback_blocks], axis=1))


def _into(wires, group: int):
    return [w for w in wires if w.target == group]


def _sum(terms):
    """Sum without a leading zero, so that a single term stays itself; nothing sums to 0."""
    total = None
    for term in terms:
        total = term if total is None else total + term
    return 0.0 if total is None else total


def _cached(function: Callable[[int, int], Array]) -> Callable[[int, int], Array]:
    """Each (group, population) once; the program is built once, so a dict will do."""
    known: dict[tuple[int, int], Array] = {}

    def lookup(g: int, p: int) -> Array:
        if (g, p) not in known:
            known[g, p] = function(g, p)
        return known[g, p]

    return lookup


def _has_bias(graph: CompiledGraph, dtype) -> Array:
    return jnp.concatenate([jnp.full((1, g.stop - g.start), g.bias, dtype) for g in graph.groups], axis=1)
