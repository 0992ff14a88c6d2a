"""The engine's public functions: the passes, the update, a step and an unroll."""

import equinox as eqx
import jax
from jaxtyping import Array, Float

from ..compile import CompiledGraph
from ..genome import Genome, Genomes, SynapseGenome
from ..rules import Rule, States
from ._norms import normalized
from ._parts import by_stage, lineage_of, whole
from ._passes import backward_pass, forward_pass, predicted
from ._state import NetworkState, StepInfo
from ._update import updated


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
    lineage = lineage_of(graph, genome)
    network = normalized(graph, lineage, network, rule)
    return whole(forward_pass(graph, lineage, network, x, rule))


def predict(
    graph: CompiledGraph, genome: Genomes, network: NetworkState, x: Float[Array, "inputs batch"], *, rule: Rule
) -> Float[Array, "outputs batch"]:
    """First states of the outputs after a forward pass, in the user's order."""
    lineage = lineage_of(graph, genome)
    network = normalized(graph, lineage, network, rule)
    return predicted(graph, forward_pass(graph, lineage, network, x, rule))


def prediction(graph: CompiledGraph, states: States) -> Float[Array, "outputs batch"]:
    """First states of the outputs, in the user's order."""
    return states[0, graph.output_rows]


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
    lineage = lineage_of(graph, genome)
    return whole(backward_pass(graph, lineage, network, by_stage(graph, states), target, rule))


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
    lineage = lineage_of(graph, genome)
    upper = by_stage(graph, backward_states)
    lower = by_stage(graph, forward_states) if rule.use_forward_states else upper
    return updated(graph, lineage, [g.synapse for g in lineage.genomes], network, lower, upper, rule)


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
    lineage = lineage_of(graph, genome)
    network = normalized(graph, lineage, network, rule)
    states = forward_pass(graph, lineage, network, x, rule)
    if rule.forward_synapse_update:
        genomes = [forward_synapse_of(g) for g in lineage.genomes]
        network = updated(graph, lineage, genomes, network, states, states, rule)

    def supervised(network, states):
        after = backward_pass(graph, lineage, network, states, target, rule)
        lower = states if rule.use_forward_states else after
        genomes = [g.synapse for g in lineage.genomes]
        return updated(graph, lineage, genomes, network, lower, after, rule), after

    if rule.supervised_every is None or rule.supervised_every == 1:
        network, after = supervised(network, states)
    else:
        turn = network.step % rule.supervised_every == 0
        network, after = jax.lax.cond(turn, supervised, lambda network, states: (network, states), network, states)
    output = predicted(graph, states)
    network = eqx.tree_at(lambda n: n.step, network, network.step + 1)
    if rule.keep_states:
        network = eqx.tree_at(lambda n: n.neurons, network, whole(after))
    loss = rule.feedback.loss(output, target.astype(output.dtype))
    return network, StepInfo(output, loss, whole(states), whole(after))


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


def forward_synapse_of(genome: Genome) -> SynapseGenome:
    """The published default: without a genome of its own, the forward synapse update takes the backward one's."""
    return genome.synapse if genome.forward_synapse is None else genome.forward_synapse
