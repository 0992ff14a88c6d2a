"""The forward and the backward pass: what each neuron computes from what it receives, and what it sends on."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .. import ops
from ..compile import CompiledGraph, NeuronType
from ..ops import Given
from ..rules import ACTIVATIONS, Rule
from .arrangement import ByPart, ByStage, by_stage
from .norms import factors
from .state import NetworkState

OUT_ONLY = (True, False, False)
_ONCE = 2**32 - 1
"""What the key of numbers that are drawn once is folded with; steps have smaller numbers."""


def activation_of(rule: Rule, type_: NeuronType) -> Any:
    """The population's own activation, else the rule's."""
    own = type_.activation
    if own is None:
        return rule.default_activation(type_.role)
    return ACTIVATIONS[own] if isinstance(own, str) else own


# --- forward --------------------------------------------------------------------------------------------------------


class ForwardRows(NamedTuple):
    """What each neuron brings to the forward pass.

    Attributes:
        data: states of inputs.
        bias: `[channels, rows, 1]`, the synapse from the unit neuron.
        scale: `[channels, rows, 1]`, factor of all that is received.
        kept: states of the step before.
        noise: standard normal numbers, new ones and then those drawn once, `[noise + fixed, rows, batch]`.
    """

    data: Array | None = None
    bias: Array | None = None
    scale: Array | None = None
    kept: Array | None = None
    noise: Array | None = None


@dataclasses.dataclass(frozen=True)
class ForwardCell:
    """One neuron in the forward pass; its rules come as (the one of its in-neighbours, its own)."""

    def receives(self, neuron_type: Any) -> bool:
        return neuron_type.role != "input"

    def sends(self, neuron_type: Any) -> bool:
        return neuron_type.feeds_on != "none"

    def __call__(self, neuron_type: Any, received: tuple[Array, ...], rows: ForwardRows, shared: tuple[Rule, Rule]):
        below, own = shared
        if not self.receives(neuron_type):
            assert rows.data is not None
            a = rows.data
        else:
            u = sum(received[1:], start=received[0])
            if neuron_type.bias:
                assert rows.bias is not None
                # the unit neuron, all of whose states are 1, sends by the rule of the in-neighbours
                u = u + rows.bias * below.send_up(jnp.ones((below.n_states, 1, 1), u.dtype))
            if rows.scale is not None:
                u = u * rows.scale
            u = below.receive_up(u, rows.kept)
            if rows.noise is not None:
                u = jnp.concatenate([u, rows.noise.astype(u.dtype)])
            activate = own.activate_output if neuron_type.role == "output" else own.activate
            a = activate(u, activation_of(own, neuron_type)).astype(received[0].dtype)
        return a, (own.send_up(a).astype(a.dtype),)


def forward_pass(
    net: CompiledGraph, rules: Sequence[Rule], state: NetworkState, x: Array, *, quiet: bool = False
) -> ByStage:
    """All states after the forward pass, by stage; `quiet` takes 0 for the neurons' noise."""
    some, dtype, batch = rules[0], state.dtype, x.shape[1]
    scales = factors(net, rules, state)[0] if some.normalization == "within_sums" else None
    biases = by_stage(net, state.bias)
    has_noise = some.n_noise + some.n_fixed > 0
    noise = by_stage(net, _noise(net, some, state, batch, quiet=quiet)) if has_noise else None
    given = []
    for s, stage in enumerate(net.wiring.stages):
        types = net.types(s)
        if types[0].role == "input":
            data = x[net.column[stage.start : stage.stop]].astype(dtype)[None]
            data = rules[types[0].rule].present(data)
            rows = ForwardRows(data=data)
        else:
            rows = ForwardRows(
                bias=biases[s][:, :, None],
                scale=None if scales is None else scales[s][:, :, None],
                kept=None if state.neurons is None else state.neurons[:, stage.start : stage.stop],
                noise=None if noise is None else noise[s],
            )
        given.append(Given(rows, tuple((rules[t.rule_below], rules[t.rule]) for t in types)))
    shape = (channels(some, some.send_up), batch, jnp.dtype(dtype))
    done = ops.sweep(ForwardCell(), ops.UP, shape, OUT_ONLY, net.wiring, state.forward, tuple(given))
    assert done.out is not None
    return done.out


def _noise(net: CompiledGraph, rule: Rule, state: NetworkState, batch: int, *, quiet: bool) -> Array:
    """The noise of all neurons in this step, and then the numbers that they have drawn once.

    Both are drawn in the user's order, so that lowerings do not change them.
    """
    assert state.noise is not None
    key, n = jax.random.wrap_key_data(state.noise), net.n_neurons
    new = jnp.zeros((rule.n_noise, n, batch), state.dtype)
    if rule.n_noise and not quiet:
        new = jax.random.normal(jax.random.fold_in(key, state.step), new.shape, new.dtype)
    if not rule.n_fixed:
        return new[:, net.neuron_order]
    once = jax.random.normal(jax.random.fold_in(key, _ONCE), (rule.n_fixed, n, 1), state.dtype)
    return jnp.concatenate([new, jnp.broadcast_to(once, (rule.n_fixed, n, batch))])[:, net.neuron_order]


def channels(rule: Rule, send: Any) -> int:
    """How many channels a neuron's messages have."""
    return jax.eval_shape(send, jax.ShapeDtypeStruct((rule.n_states, 1, 1), jnp.float32)).shape[0]


def predicted(net: CompiledGraph, states: ByStage) -> Array:
    """First states of the outputs, in the user's order."""
    return _of_outputs(net, tuple(a[:1] for a in states))[0]


def _of_outputs(net: CompiledGraph, states: ByStage) -> Array:
    """States of the outputs, in the user's order."""
    return jnp.concatenate([states[s] for s in net.output_stages], axis=1)[:, net.output_places]


# --- backward -------------------------------------------------------------------------------------------------------


class BackwardRows(NamedTuple):
    """What each neuron brings to the backward pass.

    Attributes:
        before: states after the forward pass.
        fed: states after feedback, where there are outputs among the rows.
        feeds: `[1, rows, 1]`, 1 where a neuron has outgoing synapses, else 0; likewise.
        scale: `[channels, rows, 1]`, factor of all that is received.
    """

    before: Array
    fed: Array | None = None
    feeds: Array | None = None
    scale: Array | None = None


@dataclasses.dataclass(frozen=True)
class BackwardCell:
    """One neuron in the backward pass; it has (its own rule, all rules, by which it sends to each, what all are told).

    Inputs stay as they are unless `reads_inputs`; outputs keep their feedback unless they have out-neighbours.
    """

    reads_inputs: bool

    def receives(self, neuron_type: Any) -> bool:
        if neuron_type.role == "input":
            return self.reads_inputs
        return neuron_type.role == "hidden" or neuron_type.feeds_on != "none"

    def sends(self, neuron_type: Any) -> bool:
        return neuron_type.role != "input"

    def __call__(
        self,
        neuron_type: Any,
        received: tuple[Array, ...],
        rows: BackwardRows,
        shared: tuple[Rule, tuple[Rule, ...], Array | None],
    ):
        own, rules, told = shared
        is_output = neuron_type.role == "output"
        a = rows.before
        if is_output:
            assert rows.fed is not None
            a = rows.fed
        if self.receives(neuron_type):
            v = received[0] if rows.scale is None else received[0] * rows.scale
            if told is not None:
                v = jnp.concatenate([v, jnp.broadcast_to(told, (len(told), *v.shape[1:]))])
            fed = a if is_output else None
            new = own.receive_down(v, rows.before, fed, activation_of(own, neuron_type)).astype(rows.before.dtype)
            if neuron_type.feeds_on == "some":
                assert rows.feeds is not None
                new = jnp.where(rows.feeds > 0, new, a)
            a = new
        return a, tuple(rule.send_down(a).astype(a.dtype) for rule in rules)


def backward_pass(
    net: CompiledGraph, rules: Sequence[Rule], state: NetworkState, before: ByStage, target: Array
) -> ByStage:
    """All states after feedback and the backward pass, by stage."""
    some = rules[0]
    outputs, target = _of_outputs(net, before), _as_states(target, before)
    fed = _fed_back(net, rules, outputs, target)
    told = [None if t is None else t.astype(outputs.dtype) for t in (rule.broadcast(outputs, target) for rule in rules)]
    weights = _read_by_backward_pass(net, rules, state.forward if state.backward is None else state.backward)
    scales = factors(net, rules, state)[1] if some.normalization == "within_sums" else None
    first = some.first_channel_down
    if first and weights[-1].shape[0] > 1:
        weights = tuple(w[first:] for w in weights)
    given = []
    for s, stage in enumerate(net.wiring.stages):
        feeds = scale = None
        if s in fed:
            feeds = net.feeds_on[None, stage.start : stage.stop, None].astype(before[s].dtype)
        if scales is not None:
            scale = scales[s][first:] if scales[s].shape[0] > 1 else scales[s]
            scale = scale[:, :, None]
        rows = BackwardRows(before[s], fed.get(s), feeds, scale)
        given.append(Given(rows, tuple((rules[t.rule], tuple(rules), told[t.rule]) for t in net.types(s))))
    shape = (channels(some, some.send_down), target.shape[-1], before[0].dtype)
    cell = BackwardCell(some.reads_input_states)
    done = ops.sweep(cell, ops.DOWN, shape, OUT_ONLY, net.wiring, weights, tuple(given))
    assert done.out is not None
    return done.out


def _read_by_backward_pass(net: CompiledGraph, rules: Sequence[Rule], synapses: ByPart) -> ByPart:
    """The synapses; those from inputs without a gradient where nobody reads what they carry down: a gradient known to
    be 0 is never computed, nor are, in an unroll, their updates."""
    if rules[0].reads_input_states:
        return synapses
    inputs = [all(type_.role == "input" for type_ in net.types(s)) for s in range(len(net.wiring.stages))]
    parts = zip(net.wiring.matmuls, synapses, strict=False)
    return (*(jax.lax.stop_gradient(w) if inputs[m.source] else w for m, w in parts), synapses[-1])


def _as_states(target: Array, states: ByStage) -> Array:
    """Targets that are no classes, in the type of the states."""
    return target.astype(states[0].dtype) if jnp.issubdtype(target.dtype, jnp.floating) else target


def _fed_back(net: CompiledGraph, rules: Sequence[Rule], outputs: Array, target: Array) -> dict[int, Array]:
    """The states of output stages after feedback, by the rule of each."""
    fed: dict[int, Array] = {}
    of_rule: dict[int, Array] = {}
    for s in net.output_stages:
        stage, rule = net.wiring.stages[s], net.wiring.stages[s].rule
        if rule not in of_rule:
            of_rule[rule] = rules[rule].feedback(outputs, target).astype(outputs.dtype)
        fed[s] = of_rule[rule][:, net.column[stage.start : stage.stop]]
    return fed
