"""The inner loop, compiled: many learning steps on the device without a host round trip between them.

The batch of step s is a function of (key, s) alone, and the loop's body is compiled once for every number of steps, so
a run cut anywhere and resumed computes the same numbers, bit by bit.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from . import engine
from .compile import CompiledGraph
from .engine import NetworkState
from .genome import Genomes
from .rules import Rule
from .tasks import Task, accuracy

CAPACITY = 256
"""Most steps that one call can take: the length of the buffers for what each step reports."""


class Progress(NamedTuple):
    """What a call of `advance` reports; the first `n_steps` entries count.

    Attributes:
        loss, accuracy: of each step's support batch, before its update.
        finite: whether all synapses are finite at the end.
    """

    loss: Float[Array, " capacity"]
    accuracy: Float[Array, " capacity"]
    finite: Bool[Array, ""]


class Evaluation(NamedTuple):
    """Loss and accuracy on a task's query set."""

    loss: Float[Array, ""]
    accuracy: Float[Array, ""]


def advance(
    key: Key[Array, ""],
    graph: CompiledGraph,
    genome: Genomes,
    network: NetworkState,
    task: Task,
    n_steps: Int[Array, ""] | int,
    *,
    rule: Rule,
    batch_size: int,
) -> tuple[NetworkState, Progress]:
    """`n_steps` learning steps, at most `CAPACITY`, each on the support batch that its index addresses.

    Args:
        key: addresses all support batches of the run; batch s comes from `fold_in(key, s)`.
        graph, genome, network: where to start.
        task: draws the support batches.
        n_steps: how many; a traced number, so any number runs the same program.
        rule, batch_size: static.
    """

    def one(i, carry):
        network, losses, accuracies = carry
        x, target = task.support(jax.random.fold_in(key, network.step), batch_size)
        network, info = engine.step(graph, genome, network, x.astype(dtype), target.astype(dtype), rule=rule)
        right = accuracy(info.prediction, target.astype(dtype))
        return network, losses.at[i].set(info.loss), accuracies.at[i].set(right)

    dtype = network.dtype
    empty = jnp.full(CAPACITY, jnp.nan, dtype)
    network, losses, accuracies = jax.lax.fori_loop(0, n_steps, one, (network, empty, empty))
    finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(values)) for values in network.synapses]))
    return network, Progress(losses, accuracies, finite)


def evaluate(graph: CompiledGraph, genome: Genomes, network: NetworkState, task: Task, *, rule: Rule) -> Evaluation:
    """Loss and accuracy of a forward pass on the task's query set; learns nothing.

    Where the rule keeps states, the query starts from states of zero, since its batch is another.
    """
    x, target = task.query_set()
    dtype = network.dtype
    if network.neurons is not None:
        network = fresh_states(network, x.shape[1])
    prediction = engine.predict(graph, genome, network, x.astype(dtype), rule=rule)
    target = target.astype(dtype)
    return Evaluation(rule.feedback.loss(prediction, target), accuracy(prediction, target))


def fresh_states(network: NetworkState, batch_size: int) -> NetworkState:
    """The network with all kept states 0, for another batch size."""
    assert network.neurons is not None
    n_states, n_neurons, _ = network.neurons.shape
    zeros = jnp.zeros((n_states, n_neurons, batch_size), network.neurons.dtype)
    return NetworkState(network.forward, network.backward, network.bias, zeros, network.step)


class Compiled(NamedTuple):
    """`advance` and `evaluate`, compiled for one run's shapes: (network, n_steps) and (network).

    `advance` gives the memory of the network that it is called with to the one that it returns: the former's arrays
    are deleted, so that all synapses are held once. `jax.tree.map(jax.numpy.copy, network)` keeps them.
    """

    advance: Callable[[NetworkState, int], tuple[NetworkState, Progress]]
    evaluate: Callable[[NetworkState], Evaluation]


def compile_training(
    key: Key[Array, ""],
    graph: CompiledGraph,
    genome: Genomes,
    network: NetworkState,
    task: Task,
    *,
    rule: Rule,
    batch_size: int,
) -> Compiled:
    """Compiles both ahead of time, so that compilation can be timed apart from the steps."""
    steps = jax.jit(advance, static_argnames=("rule", "batch_size"), donate_argnames="network")
    steps = steps.lower(key, graph, genome, network, task, jnp.int32(1), rule=rule, batch_size=batch_size).compile()
    query = jax.jit(evaluate, static_argnames="rule").lower(graph, genome, network, task, rule=rule).compile()

    def checked(network: NetworkState, n: int) -> tuple[NetworkState, Progress]:
        if not 0 <= n <= CAPACITY:
            raise ValueError(f"{n} steps were asked of one call, which takes 0 to {CAPACITY}; call it again for more.")
        return steps(key, graph, genome, network, task, jnp.int32(n))

    return Compiled(
        checked,
        lambda network: query(graph, genome, network, task),
    )
