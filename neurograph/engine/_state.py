"""What a network is between steps, and how it begins."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from ..compile import CompiledGraph
from ..genome import Genomes, n_states_of
from ..initializers import Initializer, glorot_uniform
from ..rules import Rule, States
from ._parts import Synapses, for_kinds, lineage_of


class NetworkState(eqx.Module):
    """What the next step needs. Compiled order; `neurograph.views` translates to the user's.

    Attributes:
        forward: forward synapses w_ij: one array for each matmul of the compiled graph, then one of all others.
        backward: backward synapses w_ji, stored on the same edge i -> j; None where they share the forward values.
        bias: synapses from the unit neuron.
        neurons: states, if the rule keeps them, else None.
        step: index of the next step.
    """

    forward: Synapses
    backward: Synapses | None
    bias: Float[Array, "channels neurons"]
    neurons: States | None
    step: Int[Array, ""]

    @property
    def n_channels(self) -> int:
        return self.bias.shape[0]

    @property
    def dtype(self):
        return self.bias.dtype

    @property
    def synapses(self) -> list[Array]:
        """All arrays of synapses."""
        return [*self.forward, *(self.backward or ()), self.bias]


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
        GenomeError: genomes of unequal k, or a population without one, or unknown; or several where the wiring was
            compiled for one.
        ValueError: weights of the topology with a number of channels that does not fit; kept states without batch size.
    """
    lineage_of(graph, genome)
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
        neurons = jnp.zeros((n_states, graph.n_neurons, batch_size), dtype)
    return NetworkState(
        forward=graph.split(forward[:, graph.synapse_order]),
        backward=graph.split(backward[:, graph.synapse_order]) if rule.stores_backward else None,
        bias=bias[:, graph.neuron_order] * _has_bias(graph, dtype),
        neurons=neurons,
        step=jnp.zeros((), jnp.int32),
    )


def _has_bias(graph: CompiledGraph, dtype) -> Array:
    return jnp.concatenate(
        [
            jnp.broadcast_to(for_kinds(graph, s, lambda kind: jnp.full((1, 1), kind.bias, dtype)), (1, stage.size))
            for s, stage in enumerate(graph.wiring.stages)
        ],
        axis=1,
    )
