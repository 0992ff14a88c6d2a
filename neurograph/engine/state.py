"""What a network is between learning steps, and how it begins."""

import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, UInt32

from .._text import UserError
from ..compile import CompiledGraph
from ..rules import Rule, Rules, Synapses
from ..rules.checks import check
from .arrangement import ByPart, ByStage, arranged, of_types, over_synapses
from .initializers import Initializer, glorot_uniform


class NetworkState(eqx.Module):
    """What the next step needs, in compiled order; `neurograph.engine.views` translates to the user's order.

    Attributes:
        forward: forward synapses w_ij by part: one array for each matmul of the compiled graph, then one of all others.
        backward: backward synapses w_ji, on the same edge i -> j; None where they share the forward values.
        bias: synapses from the unit neuron.
        memory: what the rule keeps of synapses, by part, and of those from the unit neuron: two pytrees.
        neuron_memory: what the rule keeps of neurons, by stage.
        neurons: states, if the rule keeps them, else None.
        noise: the data of the key that neurons draw their noise by, if the rule has any, else None.
        step: index of the next step.
    """

    forward: ByPart
    backward: ByPart | None
    bias: Float[Array, "channels neurons"]
    memory: tuple[ByPart, Any]
    neuron_memory: tuple[Any, ...]
    neurons: Float[Array, "states neurons batch"] | None
    noise: UInt32[Array, " words"] | None
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
    """What a step saw on the way.

    Attributes:
        prediction: first states of the outputs, before the update, in the outputs' order.
        forward, backward: states by stage after the forward pass, and after feedback and backward pass.
    """

    prediction: Float[Array, "outputs batch"]
    forward: ByStage
    backward: ByStage


def init(
    key: Key[Array, ""],
    net: CompiledGraph,
    rule: Rules,
    *,
    dtype: Any = jnp.float32,
    initializer: Initializer = glorot_uniform,
    batch_size: int | None = None,
) -> NetworkState:
    """Freshly drawn synapses; those that came with the topology take their given values.

    They are drawn in the user's edge order, so that neither lowering nor padding changes them. Tied copies start equal.

    Args:
        key: JAX random key.
        net: the compiled graph.
        rule: decides what is stored; or a mapping of populations to rules.
        dtype: the type of synapses and states.
        initializer: see `neurograph.engine.initializers`.
        batch_size: needed only where the rule keeps states.

    Raises:
        RuleError: rules that do not fit the network, or each other; a method of a rule of one's own that gives another
            shape than `Rule` says.
        ValueError: weights of the topology with a number of channels that does not fit; kept states without batch size.
    """
    rules = arranged(net, rule, dtype)
    feed_on = any(t.role == "output" and t.feeds_on != "none" for s in net.output_stages for t in net.types(s))
    for each in rules:
        check(each, outputs_feed_on=feed_on, n_outputs=net.n_outputs)
    return _drawn(key, net, rules, jnp.dtype(dtype), initializer, batch_size)


@functools.partial(jax.jit, static_argnames=("dtype", "initializer", "batch_size"))
def _drawn(
    key: Key[Array, ""],
    net: CompiledGraph,
    rules: tuple[Rule, ...],
    dtype: Any,
    initializer: Initializer,
    batch_size: int | None,
) -> NetworkState:
    """As `init`, in one program: operation by operation some forty would be compiled."""
    some, channels = rules[0], rules[0].n_channels
    distinct = 1 if some.single_state else channels
    forward_key, backward_key, bias_key = jax.random.split(key, 3)

    def values(key, draw, given, fan_in, fan_out, what):
        shape = (channels, fan_in.shape[0])
        if given is None:
            return jnp.broadcast_to(draw(key, (distinct, shape[1]), fan_in, fan_out, dtype), shape)
        if given.shape[0] not in (1, channels):
            raise UserError(
                f"the topology's {what} have {given.shape[0]} channels; the rule stores {channels} for "
                f"{some.n_states} states. Give 1 channel, or {channels}."
            )
        return jnp.broadcast_to(given.astype(dtype), shape)

    draw, fans = initializer.synapses, (net.fan_in, net.fan_out)
    forward = values(forward_key, draw, net.weights, *fans, "weights")
    backward = forward
    if not some.symmetric or net.backward_weights is not None:
        backward = values(backward_key, draw, net.backward_weights, *fans, "backward weights")
    bias = values(bias_key, initializer.biases, net.biases, net.bias_fan[0], net.bias_fan[1], "biases")
    neurons = None
    if some.keep_states:
        if batch_size is None:
            raise UserError("the rule keeps states from step to step: give batch_size, which must then stay the same.")
        neurons = jnp.zeros((some.n_states, net.n_neurons, batch_size), dtype)
    parts = net.split(forward[:, net.synapse_order])
    none: ByPart = (None,) * len(parts)
    down = net.split(backward[:, net.synapse_order]) if some.stores_backward else none
    begun = over_synapses(net, rules, _begun, parts, down)
    has_bias = _has_bias(net, dtype)
    of_unit = _begun(some, bias[:, net.neuron_order] * has_bias, None)
    return NetworkState(
        forward=tuple(part.forward for part in begun),
        backward=tuple(part.backward for part in begun) if some.stores_backward else None,
        bias=of_unit.forward * has_bias,
        memory=(tuple(part.memory for part in begun), of_unit.memory),
        neuron_memory=tuple(
            rules[stage.rule].neuron_memory(jnp.zeros((some.n_states, stage.size, 1), dtype))
            for stage in net.wiring.stages
        ),
        neurons=neurons,
        noise=jax.random.key_data(jax.random.fold_in(key, 3)) if some.n_noise else None,
        step=jnp.zeros((), jnp.int32),
    )


def _begun(rule: Rule, forward: Array, backward: Array | None) -> Synapses:
    """Synapses as they begin, in the type of the values that were drawn."""
    drawn = Synapses(forward, backward, rule.synapse_memory(forward))
    return jax.tree.map(lambda new, old: new.astype(old.dtype), rule.begin(drawn), drawn)


def _has_bias(net: CompiledGraph, dtype) -> Array:
    return jnp.concatenate(
        [
            jnp.broadcast_to(of_types(net, s, lambda type_: jnp.full((1, 1), type_.bias, dtype)), (1, stage.size))
            for s, stage in enumerate(net.wiring.stages)
        ],
        axis=1,
    )
