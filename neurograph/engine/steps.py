"""The engine's functions: forward pass, backward pass, update, and the learning step that they make up.

All are pure, and go through `jit`, `vmap` and `grad`; `rule` is one rule, or a mapping of populations to rules.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..compile import CompiledGraph
from ..rules import Neurons, Rule, Rules
from . import arguments, norms, passes, synapses
from .arrangement import ByStage, whole
from .state import NetworkState, StepInfo


def forward(
    net: CompiledGraph, rule: Rules, state: NetworkState, x: Float[Array, "inputs batch"]
) -> tuple[NetworkState, ByStage]:
    """The forward pass, (5): `a_j^c <- sigma(f a_j^c + eta sum_{i in I(j), d} w_ij^c nu^dc a_i^d)`, level by level.

    Args:
        net, rule, state: the network.
        x: data, one row for each input in the user's order; becomes state 1 of the inputs, their other states are 0.

    Returns:
        The network, changed only where the rule normalises synapses persistently or has an early update; and all
        states by stage, in compiled order.

    Raises:
        ValueError: the state is one of another network or rule; the data have another shape.
    """
    rules = arguments.rules_of(net, rule, state)
    x = arguments.data(net, x)
    arguments.check_batch(state, x)
    state = norms.normalized(net, rules, state)
    a = passes.forward_pass(net, rules, state, x)
    early = [r.early for r in rules]
    if early[0] is not None:
        assert all(r is not None for r in early)
        state = synapses.updated(net, early, state, a, a)  # pyright: ignore[reportArgumentType]
    return state, a


def backward(
    net: CompiledGraph, rule: Rules, state: NetworkState, a: ByStage, target: Float[Array, "outputs batch"]
) -> ByStage:
    """Feedback, then the backward pass, (6): `a_i^c <- sigma(f a_i^c + eta sum_{j in J(i), d} w_ji^c mu^dc a_j^d)`.

    Args:
        net, rule: the network.
        state: as `forward` returned it.
        a: states after the forward pass.
        target: what the rule's feedback reads: by default +1 for the true class, -1 for the others, one row for each
            output in the user's order.

    Returns:
        All states by stage. Inputs are as they were, outputs as feedback left them unless they have out-neighbours.
        In a step that is not supervised (`Rule.supervised_every`) all states are as they were.

    Raises:
        ValueError: the targets are not those of the batch, or not as the rule's signal needs them.
    """
    rules = arguments.rules_of(net, rule, state)
    target = arguments.targets(target, a)
    return _when_supervised(rules[0], state, lambda: passes.backward_pass(net, rules, state, a, target), lambda: a)


def update(net: CompiledGraph, rule: Rules, state: NetworkState, a: ByStage, b: ByStage) -> NetworkState:
    """The synapse update, (7) and (8): `w_ij^c <- f~ w_ij^c + eta~ sum_b p_i^c q_j^c`.

    The backward synapse has j as its pre-synaptic and i as its post-synaptic neuron. Bias synapses have the unit
    neuron, whose states are all 1.

    Args:
        net, rule: the network.
        state: as `forward` returned it.
        a, b: states by stage after the forward pass, and after the backward pass.

    Returns:
        The network with new synapses and memory, and the index of the next step.

    Raises:
        ValueError: the state is one of another network or rule.
    """
    rules = arguments.rules_of(net, rule, state)
    arguments.check_memory(rules[0], state)

    def learnt() -> NetworkState:
        memory = tuple(
            rules[stage.rule].remember(Neurons(*values))
            for stage, *values in zip(net.wiring.stages, a, b, state.neuron_memory, strict=True)
        )
        new = synapses.updated(net, rules, state, a, b)
        memory = jax.tree.map(lambda old, kept: kept.astype(old.dtype), state.neuron_memory, memory)
        return dataclasses.replace(new, neuron_memory=memory)

    state = _when_supervised(rules[0], state, learnt, lambda: state)
    neurons = whole(b) if rules[0].keep_states else None
    return dataclasses.replace(state, neurons=neurons, step=state.step + 1)


def step(
    net: CompiledGraph,
    rule: Rules,
    state: NetworkState,
    x: Float[Array, "inputs batch"],
    target: Float[Array, "outputs batch"],
) -> tuple[NetworkState, StepInfo]:
    """One learning step: `forward`, then `backward`, then `update`.

    Args:
        net, rule, state: the network before the step.
        x, target: a support batch (see `forward`, `backward`).

    Returns:
        The network after the step, and what it saw on the way.

    Raises:
        ValueError: the arguments do not fit each other (see `forward`, `backward`).
    """
    state, a = forward(net, rule, state, x)
    b = backward(net, rule, state, a, target)
    return update(net, rule, state, a, b), StepInfo(passes.predicted(net, a), a, b)


def predict(
    net: CompiledGraph, rule: Rules, state: NetworkState, x: Float[Array, "inputs batch"]
) -> Float[Array, "outputs batch"]:
    """First states of the outputs after a forward pass, in the user's order; nothing is learnt.

    Where the rule keeps states, and those kept are of a batch of another size, the pass starts from states of zero.
    """
    rules = arguments.rules_of(net, rule, state)
    x = arguments.data(net, x)
    if state.neurons is not None and state.neurons.shape[2] != x.shape[1]:
        zeros = jnp.zeros((*state.neurons.shape[:2], x.shape[1]), state.dtype)
        state = dataclasses.replace(state, neurons=zeros)
    return passes.predicted(net, passes.forward_pass(net, rules, norms.normalized(net, rules, state), x, quiet=True))


def normalized(net: CompiledGraph, rule: Rules, state: NetworkState) -> NetworkState:
    """The network as the forward pass finds it: with its synapses normalised where the rule does so persistently.

    `forward`, `step` and `predict` do this themselves; it is for what learns in another way.
    """
    return norms.normalized(net, arguments.rules_of(net, rule, state), state)


def _when_supervised(rule: Rule, state: NetworkState, yes: Any, no: Any) -> Any:
    if rule.supervised_every == 1:
        return yes()
    return jax.lax.cond(state.step % rule.supervised_every == 0, yes, no)
