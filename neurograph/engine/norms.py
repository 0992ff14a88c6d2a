"""Norms of what a neuron receives, for normalised synapses."""

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp

from .. import ops
from ..compile import CompiledGraph
from ..rules import Rule
from .arrangement import ByStage, by_stage, of_types
from .state import NetworkState


def factors(net: CompiledGraph, rules: Sequence[Rule], state: NetworkState) -> tuple[ByStage, ByStage]:
    """For each stage `[channels, rows]`, the rule's factor of what it receives on the way up, and on the way down.

    They follow from `sum_{i in I(j) and bias} w_ij^2` and from `sum_{j in J(i)} w_ji^2`.
    """
    backward = state.forward if state.backward is None else state.backward
    up = ops.collect(ops.UP, net.wiring, tuple(w**2 for w in state.forward))
    up = tuple(total + b**2 for total, b in zip(up, by_stage(net, state.bias), strict=True))
    down = ops.collect(ops.DOWN, net.wiring, tuple(w**2 for w in backward))
    return (
        tuple(
            of_types(net, s, lambda type_, square=square: rules[type_.rule_below].norm_factor(square))
            for s, square in enumerate(up)
        ),
        tuple(
            of_types(net, s, lambda type_, square=square: rules[type_.rule].norm_factor(square))
            for s, square in enumerate(down)
        ),
    )


def normalized(net: CompiledGraph, rules: Sequence[Rule], state: NetworkState) -> NetworkState:
    """The network with its synapses normalised, where the rule does so persistently."""
    if rules[0].normalization != "persistent":
        return state
    assert state.backward is not None
    up, down = factors(net, rules, state)
    at_receivers, at_senders = ops.lay(ops.UP, net.wiring, up), ops.lay(ops.DOWN, net.wiring, down)
    return dataclasses.replace(
        state,
        forward=tuple((w * f).astype(w.dtype) for w, f in zip(state.forward, at_receivers, strict=True)),
        backward=tuple((w * f).astype(w.dtype) for w, f in zip(state.backward, at_senders, strict=True)),
        bias=(state.bias * jnp.concatenate(up, axis=1)).astype(state.dtype),
    )
