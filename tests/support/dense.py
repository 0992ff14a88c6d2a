"""The sums of `neurograph.ops` as dense matrices, in the user's order, from the lists of synapses alone.

States are `[channels, neurons, batch]`, what goes to rules `[rules, channels, neurons, batch]`, synapses
`[channels, synapses]`. `Parts` translates to the order and the parts of a compiled wiring, and back.
"""

import functools
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from neurograph import CompiledGraph, Topology, ops


def matrix(topology: Topology, w: Array) -> Array:
    """`[channels, neurons, neurons]`, sender first."""
    n = topology.n_neurons
    return jnp.zeros((w.shape[0], n, n), w.dtype).at[:, topology.senders, topology.receivers].set(w)


def _einsum(pattern: str, *operands: Array) -> Array:
    return jnp.einsum(pattern, *operands, precision=jax.lax.Precision.HIGHEST)


def propagate(topology: Topology, rule_of: np.ndarray, w: Array, a: Array) -> Array:
    """For each rule, what each neuron receives from its in-neighbours that have it.

    Args:
        topology: the wiring.
        rule_of: number of each neuron's rule.
        w, a: synapses and states; one channel serves all states.
    """
    whole = jnp.broadcast_to(matrix(topology, w), (a.shape[0], *(topology.n_neurons,) * 2))
    # k: state, s: sender, r: receiver, b: batch
    return jnp.stack(
        [_einsum("ksr,ksb->krb", whole, a * (rule_of == rule)[None, :, None]) for rule in range(max(rule_of) + 1)]
    )


def propagate_T(topology: Topology, rule_of: np.ndarray, w: Array, y: Array) -> Array:
    """What each neuron receives from its out-neighbours, which send to its rule."""
    whole = jnp.broadcast_to(matrix(topology, w), (y.shape[1], *(topology.n_neurons,) * 2))
    return jnp.sum(
        jnp.stack(
            [_einsum("ksr,krb->ksb", whole, part) * (rule_of == rule)[None, :, None] for rule, part in enumerate(y)]
        ),
        axis=0,
    )


def edge_dot(topology: Topology, rule_of: np.ndarray, n_channels: int, a: Array, y: Array) -> Array:
    """For each synapse the inner product over the batch; summed over states where there is one channel."""
    products = _einsum("ksb,lkrb->lksr", a, y)
    dots = products[rule_of[topology.senders], :, topology.senders, topology.receivers].T
    return jnp.sum(dots, axis=0, keepdims=True) if n_channels == 1 else dots


def sweep(
    topology: Topology,
    cell: ops.Cell,
    types: Sequence[Hashable],
    direction: str,
    rule_of: np.ndarray,
    w: Array,
    rows: Any,
    shared: Sequence[Any],
) -> tuple[Any, Array, Array]:
    """A pass: all neurons compute again and again until the deepest has received all it is to receive.

    Args:
        topology, cell, direction, rule_of, w: as above.
        types, shared: of each population.
        rows: tree of `[_, neurons, _]`.

    Returns:
        What the cells keep, received (0 where a type does not) and sent, each of the last two with its rules first.
    """
    up = direction == ops.UP
    n_rules, k, batch = int(max(rule_of)) + 1, rows["data"].shape[0], rows["data"].shape[2]
    receives = np.array([cell.receives(one) for one in types])[topology.population_of][None, :, None]

    def compute(received):
        results = [cell(one, tuple(received), rows, part) for one, part in zip(types, shared, strict=True)]
        whole = results[0]
        for p, result in enumerate(results):
            mine = (topology.population_of == p)[None, :, None]
            whole = jax.tree.map(functools.partial(jnp.where, mine), result, whole)
        kept, sent = whole
        return kept, jnp.stack(sent)

    def again(sent, _):
        received = propagate(topology, rule_of, w, sent[0]) if up else propagate_T(topology, rule_of, w, sent)[None]
        received = received * receives[None]
        kept, sent = compute(received)
        return sent, (kept, received)

    start = jnp.zeros((1 if up else n_rules, k, topology.n_neurons, batch), w.dtype)
    sent, history = jax.lax.scan(again, start, length=topology.n_neurons)
    kept, received = jax.tree.map(lambda leaf: leaf[-1], history)
    return kept, received, sent


class Parts(NamedTuple):
    """A compiled wiring, and how its arrays lie."""

    graph: CompiledGraph

    def rows(self, values: Array) -> tuple[Array, ...]:
        """An array of all neurons, along its second axis, by stage."""
        compiled = values[:, self.graph.neuron_order]
        return tuple(compiled[:, stage.start : stage.stop] for stage in self.graph.wiring.stages)

    def neurons(self, parts: Sequence[Array]) -> Array:
        return jnp.concatenate(parts, axis=1)[:, self.graph.neuron_rank]

    def weights(self, w: Array) -> tuple[Array, ...]:
        return self.graph.split(w[:, self.graph.synapse_order])

    def synapses(self, parts: Sequence[Array]) -> Array:
        return self.graph.join(tuple(parts))[:, self.graph.synapse_rank]

    def to_rules(self, y: Array) -> tuple[tuple[Array, ...], ...]:
        """For each stage, its states for each rule."""
        return tuple(zip(*(self.rows(part) for part in y), strict=True))

    def of_rules(self, parts: Sequence[Sequence[Array]]) -> Array:
        return jnp.stack([self.neurons(part) for part in zip(*parts, strict=True)])
