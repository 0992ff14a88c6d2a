"""What a neuron computes in the forward and in the backward pass: equations 5 and 6, with every option of the rule."""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

from .. import rules
from ..compile import Kind
from ..genome import NeuronGenome
from ..rules import Rule, States


def forward_activation(rule: Rule, kind: Kind) -> rules.Activation:
    if kind.activation is not None:
        return rules.ACTIVATIONS[kind.activation]
    return rule.output_activation if kind.role == "output" else rule.forward_activation


class ForwardRows(NamedTuple):
    """What each neuron brings to the forward pass.

    Attributes:
        data: states of inputs.
        bias: `[channels, rows, 1]`, the synapse from the unit neuron.
        scale: `[channels, rows, 1]`, factor of all that is received.
        kept: states of the step before.
    """

    data: States | None = None
    bias: Array | None = None
    scale: Array | None = None
    kept: States | None = None


class ForwardGenes(NamedTuple):
    """The genome that gates a neuron, and its own, by which it sends."""

    gate: NeuronGenome
    own: NeuronGenome


@dataclasses.dataclass(frozen=True)
class ForwardCell:
    """(5): `a <- sigma(f a + eta sum w nu a)`."""

    rule: Rule

    def receives(self, kind: Any) -> bool:
        return kind.role != "input"

    def sends(self, kind: Any) -> bool:
        return kind.feeds_on != "none"

    def __call__(self, kind: Any, received: tuple[Array, ...], rows: ForwardRows, shared: ForwardGenes):
        gate, own = shared
        if not self.receives(kind):
            assert rows.data is not None
            a = rows.data
        else:
            u = sum(received[1:], start=received[0])
            if kind.bias:
                assert rows.bias is not None
                u = u + rows.bias * (gate.update * jnp.sum(gate.nu, axis=0))[:, None, None].astype(u.dtype)
            if rows.scale is not None:
                u = u * rows.scale
            if rows.kept is not None:
                u = u + gate.keep * rows.kept
            u = rules.forward_normalized(self.rule, own, u)
            activation = forward_activation(self.rule, kind)
            a = rules.with_derivative(activation, u) if self.rule.derivative_state else activation.value(u)
            a = a.astype(received[0].dtype)
        return a, (rules.transmitted(a, own.nu, own.update).astype(a.dtype),)


class BackwardRows(NamedTuple):
    """What each neuron brings to the backward pass.

    Attributes:
        before: states after the forward pass.
        fed: states after feedback, where there are outputs among the rows.
        feeds: `[1, rows, 1]`, 1 where a neuron has outgoing synapses, else 0; likewise.
        scale: `[channels, rows, 1]`, factor of all that is received.
    """

    before: States
    fed: States | None = None
    feeds: Array | None = None
    scale: Array | None = None


class BackwardGenes(NamedTuple):
    """A neuron's own genome, and those of all lines, by which it sends to each."""

    own: NeuronGenome
    lines: tuple[NeuronGenome, ...]


@dataclasses.dataclass(frozen=True)
class BackwardCell:
    """(6): `a <- sigma(f a + eta sum w mu a)`. Inputs stay; outputs keep their feedback unless they feed on."""

    rule: Rule

    def receives(self, kind: Any) -> bool:
        return kind.role == "hidden" or (kind.role == "output" and kind.feeds_on != "none")

    def sends(self, kind: Any) -> bool:
        return kind.role != "input"

    def __call__(self, kind: Any, received: tuple[Array, ...], rows: BackwardRows, shared: BackwardGenes):
        update = self.rule.backward_update
        if self.receives(kind):
            a = self._changed(kind, received[0], rows, shared.own)
        elif kind.role == "output":
            assert rows.fed is not None
            a = rows.fed
        else:
            a = rows.before
        sent = tuple(
            rules.transmitted(a, line.mu[:, update.first :], line.update if update.gated else None).astype(a.dtype)
            for line in shared.lines
        )
        return a, sent

    def _changed(self, kind: Kind, v: Array, rows: BackwardRows, genome: NeuronGenome) -> States:
        update, before, fed = self.rule.backward_update, rows.before, rows.fed
        is_output = kind.role == "output"
        if rows.scale is not None:
            v = v * rows.scale
        old = before
        if is_output and update.gated:
            assert fed is not None
            old = fed
        activation = self.rule.backward_activation or forward_activation(self.rule, kind)
        new = activation.value(rules.backward_normalized(self.rule, genome, update.combine(genome.keep, old, v)))
        if is_output:
            assert fed is not None
            if not update.gated:
                new = jnp.concatenate([new[:1], new[1:] + fed[1:]])
            if kind.feeds_on == "some":
                assert rows.feeds is not None
                new = jnp.where(rows.feeds > 0, new, fed)
        return new.astype(before.dtype)
