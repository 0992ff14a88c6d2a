"""The synapse update: Hebbian sums, what is summed at each neuron, and the rule's formula for every synapse."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .. import ops
from ..compile import CompiledGraph
from ..rules import Neurons, Place, Rule, Seen, Synapses
from .arrangement import ByPart, ByStage, by_stage, of_types, over_synapses
from .fits import fitted
from .state import NetworkState


def updated(
    net: CompiledGraph, rules: Sequence[Rule], state: NetworkState, forward: ByStage, backward: ByStage
) -> NetworkState:
    """The network with new synapses and their new memory.

    A synapse i -> j, its backward one included, follows the rule of i. The unit neuron's synapse to j follows that of
    j's in-neighbours where these have one in common, else j's own.

    Args:
        net, rules, state: before the update.
        forward, backward: states by stage after the forward and the backward pass.
    """
    wiring, numbers = net.wiring, range(len(rules))
    neurons = [Neurons(*values) for values in zip(forward, backward, state.neuron_memory, strict=True)]
    unit = [_unit(rule, state.dtype) for rule in rules]

    # features: of the lower end by its own rule; of the upper end by that of every rule below it
    pre = [rules[stage.rule].pre(of) for stage, of in zip(wiring.stages, neurons, strict=True)]
    post = [[rule.post(of) for rule in rules] for of in neurons]
    sums: list[ByPart] = [
        ops.edge_dot(
            rules[0].n_sum_channels,
            wiring,
            tuple(features[m] for features in pre),
            tuple(tuple(of_rule[m] for of_rule in features) for features in post),
        )
        for m in range(len(pre[0]))
    ]
    by_part: ByPart = tuple(zip(*sums, strict=True)) if sums else ((),) * len(state.forward)
    of_bias = [
        [_bias_sums(rules[r].pre(unit[r]), features[r], rules[r].n_sum_channels) for r in numbers] for features in post
    ]

    none: ByPart = (None,) * len(state.forward)
    held: ByPart = tuple(
        Synapses(*values) for values in zip(state.forward, state.backward or none, state.memory[0], strict=True)
    )
    bias_memory = _by_stage(net, state.memory[1])
    bias = [Synapses(w, None, memory) for w, memory in zip(by_stage(net, state.bias), bias_memory, strict=True)]
    if rules[0].n_fits:
        aim = over_synapses(net, rules, lambda rule, synapses, d: rule.fit(synapses, d, state.step), held, by_part)
        found, ridge = fitted(net, rules, neurons, tuple(part[0] for part in aim), tuple(part[1] for part in aim))
        by_part = tuple((*d, x) for d, x in zip(by_part, found, strict=True))
        for s, of_rules in enumerate(of_bias):
            for r, d in enumerate(of_rules):
                of_rules[r] = (*d, rules[r].fit(bias[s], d, state.step)[0] / (1 + ridge[s]))

    # statistics of neurons, laid on their synapses
    lower = [rules[stage.rule].statistics(of)[0] for stage, of in zip(wiring.stages, neurons, strict=True)]
    upper = [[rule.statistics(of)[1] for rule in rules] for of in neurons]
    lower_laid = _laid(net, ops.DOWN, lower)
    upper_laid = [_laid(net, ops.UP, [of[r] for of in upper]) for r in numbers]

    # totals over the synapses of each neuron
    totals = over_synapses(net, rules, lambda rule, synapses, d: rule.totals(synapses, d), held, by_part)
    into = _collected(net, ops.UP, [part[0] for part in totals])
    out_of = _collected(net, ops.DOWN, [part[1] for part in totals])

    def total_of_unit(s: int, type_: Any) -> Any:
        total = rules[type_.rule_below].totals(bias[s], of_bias[s][type_.rule_below])[0]
        return total if type_.bias else jax.tree.map(jnp.zeros_like, total)

    into = [_sum_trees(total, _of_types(net, s, lambda t, s=s: total_of_unit(s, t))) for s, total in enumerate(into)]

    # what the receiver makes of its total, by the rule of the synapses
    below = _collected(net, ops.UP, lower_laid)

    depth, path_length = net.depth.astype(state.dtype), net.path_length.astype(state.dtype)

    def place(s: int, type_: Any) -> Place:
        rows = slice(wiring.stages[s].start, wiring.stages[s].stop)
        return Place(type_.role, depth[0, rows], depth[1, rows], path_length[rows])

    def adapted(r: int) -> list[Any]:
        adapt = rules[r].adapt
        return [
            _of_types(net, s, lambda t, s=s: adapt(into[s], below[s], upper[s][r], place(s, t), state.step))
            for s in range(len(into))
        ]

    into_of = [adapted(r) for r in numbers]
    into_laid = [_laid(net, ops.UP, of_rule) for of_rule in into_of]

    def learn(rule: Rule, synapses: Synapses, d, low, high, summed, left) -> Synapses:
        return _like(synapses, rule.update(synapses, Seen(d, low, high, summed, left, state.step)))

    new = over_synapses(
        net, rules, learn, held, by_part, lower_laid, lambda r: upper_laid[r],
        lambda r: into_laid[r], _laid(net, ops.DOWN, out_of),
    )  # fmt: skip

    def of_unit(s: int, type_: Any) -> Synapses:
        if not type_.bias:
            return bias[s]
        r = type_.rule_below
        own = rules[r].statistics(unit[r])[0]
        seen = Seen(of_bias[s][r], own, upper[s][r], into_of[r][s], None, state.step)
        return _like(bias[s], rules[r].update(bias[s], seen))

    new_bias = [_of_types(net, s, lambda t, s=s: of_unit(s, t)) for s in range(len(bias))]
    joined = jax.tree.map(lambda *leaves: jnp.concatenate(leaves, axis=1), *new_bias)
    return dataclasses.replace(
        state,
        forward=tuple(part.forward for part in new),
        backward=None if state.backward is None else tuple(part.backward for part in new),
        bias=joined.forward,
        memory=(tuple(part.memory for part in new), joined.memory),
    )


def _unit(rule: Rule, dtype: Any) -> Neurons:
    """The unit neuron, all of whose states are 1."""
    ones = jnp.ones((rule.n_states, 1, 1), dtype)
    return Neurons(ones, ones, rule.neuron_memory(ones))


def _bias_sums(pre: tuple[Array, ...], post: tuple[Array, ...], n_channels: int) -> tuple[Array, ...]:
    """Hebbian sums with the unit neuron, `[channels, rows]`."""
    found = []
    for p, q in zip(pre, post, strict=True):
        d = p[:, :, 0] * jnp.sum(q, axis=2)
        found.append(jnp.sum(d, axis=0, keepdims=True) if n_channels == 1 else d)
    return tuple(found)


def _laid(net: CompiledGraph, direction: str, values: Sequence[Any]) -> ByPart:
    """Pytrees of `[_, rows]` by stage, each number at the synapses of its neuron; by part."""
    n_parts = len(net.wiring.matmuls) + 1
    leaves, tree = zip(*(jax.tree.flatten(value) for value in values), strict=True)
    laid = [ops.lay(direction, net.wiring, column) for column in zip(*leaves, strict=True)]
    return tuple(jax.tree.unflatten(tree[0], [whole[n] for whole in laid]) for n in range(n_parts))


def _collected(net: CompiledGraph, direction: str, values: Sequence[Any]) -> list[Any]:
    """Pytrees of `[channels, ...]` by part, summed at receivers (`UP`) or senders; by stage."""
    leaves, tree = zip(*(jax.tree.flatten(value) for value in values), strict=True)
    sums = [ops.collect(direction, net.wiring, column) for column in zip(*leaves, strict=True)]
    return [jax.tree.unflatten(tree[0], [whole[s] for whole in sums]) for s in range(len(net.wiring.stages))]


def _of_types(net: CompiledGraph, stage: int, value: Any) -> Any:
    """As `of_types`, of pytrees."""
    trees = {type_: value(type_) for type_ in net.types(stage)}
    return jax.tree.map(
        lambda *leaves: of_types(net, stage, lambda t: dict(zip(trees, leaves, strict=True))[t]), *trees.values()
    )


def _by_stage(net: CompiledGraph, tree: Any) -> list[Any]:
    leaves, structure = jax.tree.flatten(tree)
    parts = [by_stage(net, leaf) for leaf in leaves]
    return [jax.tree.unflatten(structure, [part[s] for part in parts]) for s in range(len(net.wiring.stages))]


def _sum_trees(one: Any, other: Any) -> Any:
    return jax.tree.map(lambda a, b: a + b, one, other)


def _like(old: Synapses, new: Synapses) -> Synapses:
    """In the types of the old values."""
    return jax.tree.map(lambda a, b: jnp.asarray(b).astype(a.dtype), old, new)
