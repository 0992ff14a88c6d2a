"""What the functions of the engine are given, checked by type and shape: once for each trace, never in what runs."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._text import UserError, count
from ..compile import CompiledGraph
from ..rules import Rule, Rules
from . import passes
from .arrangement import arranged
from .kinds import check_net
from .state import NetworkState


def rules_of(net: CompiledGraph, rule: Rules, state: NetworkState) -> tuple[Rule, ...]:
    """The rule of each rule number of the compiled graph, as `arranged` gives them, at the age of the network.

    Raises:
        RuleError: rules that do not fit the graph, or each other.
        ValueError: an argument is of another kind, or the state is one of another network or rule.
    """
    check_net(net)
    if not isinstance(state, NetworkState):
        raise UserError(
            f"state is an object of the class {type(state).__name__}; give the state that ng.init draws for a network "
            "and a rule. The arguments are net, rule and state, in this order."
        )
    rules = arranged(net, rule, state.dtype)
    _check_state(net, rules[0], state)
    return tuple(rule.at(state.step) for rule in rules)


def _check_state(net: CompiledGraph, rule: Rule, state: NetworkState) -> None:
    again = "draw one for this network and this rule with ng.init(key, net, rule)"
    channels, neurons = state.bias.shape
    if neurons != net.n_neurons:
        raise UserError(
            f"state belongs to another network: it has {neurons:,} neurons, but net has {net.n_neurons:,}; {again}."
        )
    matmuls = net.wiring.matmuls
    shapes = [*(tuple(m.value_shape) for m in matmuls), (net.wiring.n_sparse,)]
    found = [w.shape[1:] for w in state.forward]
    if found != shapes:
        raise UserError(
            f"state belongs to another network: its synapses are in parts of the shapes {found}, but those of "
            f"net are in parts of the shapes {shapes}; {again}."
        )
    # the channels of a synapse that the rule ties may be kept apart (`views.with_synapses`)
    if channels != rule.n_channels and (rule.n_channels > 1 or channels != passes.channels(rule, rule.send_up)):
        raise UserError(
            f"state belongs to another rule: it stores {count(channels, 'channel')} of synapses, but the rule stores "
            f"{rule.n_channels}; {again}."
        )
    for lacks, what in (
        (rule.stores_backward and state.backward is None, "backward synapses of their own"),
        (rule.keep_states and state.neurons is None, "states from step to step"),
        (rule.n_noise + rule.n_fixed > 0 and state.noise is None, "a key of the neurons' random numbers"),
    ):
        if lacks:
            raise UserError(f"state belongs to another rule: it does not keep {what}, but the rule does; {again}.")


def check_memory(rule: Rule, state: NetworkState) -> None:
    """Raises a `ValueError` where the synapses' memory is not what the rule keeps."""
    wanted = jax.tree.structure(jax.eval_shape(rule.synapse_memory, state.bias))
    found = jax.tree.structure(state.memory[1])
    if found != wanted:
        kept, asked = count(found.num_leaves, "array"), count(wanted.num_leaves, "array")
        raise UserError(
            f"state belongs to another rule: it remembers {kept} of its synapses, but the rule remembers {asked}"
            f"{' in another arrangement' if kept == asked else ''}; draw one for this rule with "
            "ng.init(key, net, rule)."
        )


def check_batch(state: NetworkState, x: Array) -> None:
    """Raises a `ValueError` where the states that the rule keeps are those of a batch of another size."""
    if state.neurons is not None and state.neurons.shape[2] != x.shape[1]:
        raise UserError(
            f"x holds {x.shape[1]:,} examples, but the rule keeps the states of a batch of {state.neurons.shape[2]:,}; "
            "give batches of that size, or draw a state with ng.init(key, net, rule, batch_size=...)."
        )


def data(net: CompiledGraph, x: Any) -> Float[Array, "inputs batch"]:
    """The data as an array.

    Raises:
        ValueError: it has not one row for each input and one column for each example.
    """
    x, n = jnp.asarray(x), net.n_inputs
    if x.ndim == 2 and x.shape[0] == n:
        return x
    fix = ""
    if x.ndim == 2 and x.shape[1] == n:
        fix = "; give x.T"
    elif x.shape == (n,):
        fix = "; give x[:, None] for a single example"
    inputs = "the only input" if n == 1 else f"each of the {n:,} inputs"
    raise UserError(
        f"x has shape {x.shape}; it needs one row for {inputs} and one column for each example, ({n}, batch){fix}."
    )


def targets(target: Any, a: Sequence[Array]) -> Array:
    """The targets as an array.

    Raises:
        ValueError: their last axis is not as long as the batch of the states.
    """
    if target is None:
        raise UserError("target is None; a step needs targets, an array whose last axis is the batch.")
    target, batch = jnp.asarray(target), a[0].shape[-1]
    if target.ndim and target.shape[-1] == batch:
        return target
    fix = "; give target.T" if target.ndim == 2 and target.shape[0] == batch else ""
    raise UserError(
        f"target has shape {target.shape}, but x holds {batch:,} example{'' if batch == 1 else 's'}; the last axis "
        f"of the targets is the batch, such as (outputs, {batch}){fix}."
    )
