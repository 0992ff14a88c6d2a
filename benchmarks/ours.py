"""All uses that the benchmarks make of neurograph, in one place.

Programs are loop bodies for `_timing.looped`: `body(carry, i, *data) -> carry`.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from neurograph import CompiledGraph, Population, Topology, engine, ops, rules
from neurograph.compile import compile_topology
from neurograph.compile import padding as padding
from neurograph.engine import views
from neurograph.meta import Curriculum, Method, meta_step, objective, population
from neurograph.tasks import Task
from neurograph.tasks.sources import Examples
from neurograph.topology import build, generators, levels
from neurograph.topology import from_arrays as from_arrays

from . import _descent
from ._contest import Entrant
from ._meta import CLIP, LEARNING_RATE, MetaProblem, examples, stacked
from ._problem import Numbers, Problem, Synapses, Wiring, changes, descend, flat, loss
from ._timing import looped, summed

NAME = "neurograph"

mlp, random_dag, scale_free = generators.mlp, generators.random_dag, generators.scale_free


def layered_dag(n_levels: int, width: int, in_degree: int, seed: int) -> Topology:
    """Narrow and deep: each neuron receives from `in_degree` neurons of the level before, and sends to as many."""
    rng = np.random.default_rng(seed)
    senders, receivers = [], []
    for level in range(1, n_levels):
        shifts = rng.permutation(width)[:in_degree]
        places = rng.permutation(width)[(np.arange(width)[:, None] + shifts) % width]
        senders.append(((level - 1) * width + places).ravel())
        receivers.append(np.repeat(level * width + np.arange(width), in_degree))
    hidden = (n_levels - 2) * width
    parts = [("input", width), *([("hidden", hidden)] if hidden else []), ("output", width)]
    populations = [(Population(role, role), size) for role, size in parts]
    return build(np.concatenate(senders), np.concatenate(receivers), populations, name="deep")


def wiring(topology: Topology) -> Wiring:
    """The topology as plain arrays."""
    return Wiring(topology.senders, topology.receivers, levels(topology), topology.inputs, topology.outputs)


class Ready(NamedTuple):
    """A compiled graph, and the problem's synapses in its order."""

    problem: Problem
    graph: CompiledGraph
    network: engine.NetworkState


def ready(topology: Topology, problem: Problem) -> Ready:
    """Compiles the topology and takes over the problem's synapses."""
    graph = compile_topology(topology, n_states=problem.n_states, batch_size=problem.batch)
    dtype = problem.xs.dtype
    network = engine.init(jax.random.key(0), graph, rule(problem.numbers), dtype=dtype)
    return Ready(problem, graph, views.with_synapses(graph, network, **problem.synapses._asdict()))


def compiled(topology: Topology) -> CompiledGraph:
    """Compiles the topology, with all its tables on the device."""
    return jax.block_until_ready(compile_topology(topology))


def rule(numbers: Numbers, **options: Any) -> rules.Blur:
    """The numbers as a rule of neurograph's."""
    hebbian = rules.Hebbian(numbers.pre, numbers.post, numbers.synapse_keep, numbers.synapse_update)
    return rules.Blur(numbers.nu, numbers.mu, hebbian, numbers.keep, numbers.update, **options)


def synapses(graph: CompiledGraph, network: engine.NetworkState) -> Synapses:
    """The network's synapses in the user's order; of several networks, along a first axis."""
    assert network.backward is not None
    several = network.bias.ndim == 3
    synapses, neurons = functools.partial(views.synapses, graph), functools.partial(views.neurons, graph)
    if several:
        synapses, neurons = jax.vmap(synapses), jax.vmap(neurons)
    return Synapses(*map(np.asarray, (synapses(network.forward), synapses(network.backward), neurons(network.bias))))


def _zeros(function: Callable[..., Any], *arguments: Any) -> Any:
    """What the function would return, all of it 0; without running it."""
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(function, *arguments))


# --- a learning step --------------------------------------------------------------------------------------------------


def steps(ready: Ready) -> Entrant:
    """A full learning step: forward, backward, update."""

    def read(network):
        return changes(ready.problem.synapses, synapses(ready.graph, network))

    return Entrant(NAME, looped(_step, ready.network, ready.graph, *_data(ready.problem)), read)


def _step(network, i, graph, numbers, xs, targets):
    b = i % xs.shape[0]
    return engine.step(graph, rule(numbers), network, xs[b], targets[b])[0]


def _data(problem: Problem) -> tuple[Numbers, Any, Any]:
    return jax.tree.map(jnp.asarray, (problem.numbers, problem.xs, problem.targets))


def populations(ready: Ready, n: int) -> Entrant:
    """A full learning step of n genomes, each with synapses of its own, all on the same data."""
    numbers, xs, targets = _data(ready.problem)
    network, numbers = jax.tree.map(lambda leaf: jnp.stack([leaf] * n), (ready.network, numbers))

    def body(networks, i, graph, numbers, xs, targets):
        return jax.vmap(lambda network, each: _step(network, i, graph, each, xs, targets))(networks, numbers)

    def read(networks):
        return changes(ready.problem.synapses, synapses(ready.graph, networks))

    return Entrant(NAME, looped(body, network, ready.graph, numbers, xs, targets), read)


DESCENT = {
    "sgd": functools.partial(rules.backprop, _descent.LEARNING_RATE),
    "momentum": functools.partial(rules.backprop, _descent.LEARNING_RATE, momentum=_descent.MOMENTUM),
    "rmsprop": functools.partial(rules.rmsprop, _descent.LEARNING_RATE, _descent.DECAY),
    "adam": functools.partial(rules.adam, _descent.LEARNING_RATE, epsilon=_descent.ADAM_EPSILON),
}


def descents(topology: Topology, problem: Problem, name: str) -> Entrant:
    """A training step by a rule of gradient descent, by name."""
    mine = rules.as_arrays(DESCENT[name](), problem.xs.dtype)
    graph = compile_topology(topology, n_states=mine.n_states, batch_size=problem.batch)
    network = engine.init(jax.random.key(0), graph, mine, dtype=problem.xs.dtype)
    given = problem.synapses
    network = views.with_synapses(graph, network, forward=given.forward, bias=given.bias)

    def body(network, i, graph, mine, xs, targets):
        b = i % xs.shape[0]
        return engine.step(graph, mine, network, xs[b], targets[b])[0]

    def read(network):
        forward, bias = views.synapses(graph, network.forward), views.neurons(graph, network.bias)
        return {"forward": np.asarray(forward) - given.forward, "bias": np.asarray(bias) - given.bias}

    return Entrant(NAME, looped(body, network, graph, mine, *_data(problem)[1:]), read)


# --- its parts --------------------------------------------------------------------------------------------------------


def forwards(ready: Ready) -> Entrant:
    """The forward pass."""
    numbers, xs, _ = _data(ready.problem)

    def body(_, i, network, graph, numbers, xs):
        return engine.forward(graph, rule(numbers), network, xs[i % xs.shape[0]])[1]

    start = _zeros(body, None, 0, ready.network, ready.graph, numbers, xs)

    def read(states):
        return {"prediction": np.asarray(views.neurons(ready.graph, states))[0, ready.problem.wiring.outputs]}

    return Entrant(NAME, looped(body, start, ready.network, ready.graph, numbers, xs), read)


def gradients(ready: Ready) -> Entrant:
    """The gradient of an unroll's loss with respect to the genome, and a small step down it.

    The unroll learns from all batches of the problem but the last, which is the query.
    """

    def objective(numbers, graph, network, xs, targets):
        mine, batches = rule(numbers), _Batches(xs, targets)
        after, _ = engine.learn(
            jax.random.key(0), graph, mine, network, batches, steps=len(xs) - 1, differentiable=True, step=batches.step
        )
        return loss(engine.predict(graph, mine, after, xs[-1]), targets[-1])

    numbers, xs, targets = _data(ready.problem)
    carry, body = descend(objective, numbers)
    return Entrant(NAME, looped(body, carry, ready.graph, ready.network, xs, targets), lambda c: flat(c[1]))


class _Batches(NamedTuple):
    """Given batches as a task of `engine.learn`: step i learns from batch i, and nothing is drawn."""

    xs: Any
    targets: Any

    def support(self, key: Any, batch_size: int) -> tuple[Any, Any]:
        return self.xs[0], self.targets[0]

    def step(self, net, rule, state, x, target):
        return engine.step(net, rule, state, self.xs[state.step], self.targets[state.step])


# --- a meta-step ------------------------------------------------------------------------------------------------------


def meta_steps(topology: Topology, given: MetaProblem) -> Entrant:
    """A meta-step of genomes side by side, none of them ever made a copy of the best."""
    graph = compile_topology(topology, n_states=given.n_states, batch_size=given.batch * len(given.founders.nu))
    problems = (objective.Problem(graph, _task(given.means)),)
    judged = objective.Objective(
        capacity=given.length,
        batch_size=given.batch,
        query_size=given.batch,
    )
    method = Method(
        optimizer=optax.chain(optax.clip_by_global_norm(CLIP), optax.adam(LEARNING_RATE)),
        curriculum=Curriculum(first=given.length, last=given.length),
    )

    def body(population, _, key, problems):
        return meta_step(key, population, problems, objective=judged, method=method)[0]

    def read(after):
        moments = after.optimizer[1][0].mu
        hebbian = moments.hebbian
        return stacked(
            Numbers(
                *(moments.nu, moments.mu, moments.f, moments.eta),
                *(hebbian.pre, hebbian.post, hebbian.f, hebbian.eta),
            )
        )

    founders = jax.vmap(lambda each: rule(each, forward_activation=jnp.tanh))(jax.tree.map(jnp.asarray, given.founders))
    start = population.founded(founders, method.optimizer)
    return Entrant(NAME, looped(body, start, jax.random.key(given.seed), problems), read)


def _task(means: np.ndarray) -> Task:
    """One task, of which every episode is made anew by the keys of its batches."""
    test = Examples(jnp.asarray(means), jnp.arange(len(means), dtype=jnp.int32))
    names = tuple(map(str, range(len(means))))
    return Task(jnp.asarray(means), jnp.asarray(means), test, _sampled, "clouds", names, len(names), None, _itself)


def _sampled(means: Any, key: Any, batch_size: int, dtype: Any) -> Examples:
    return Examples(*examples(means, key, batch_size))


def _itself(task: Task, key: Any) -> Task:
    return task


# --- the sums alone ---------------------------------------------------------------------------------------------------


def sums(ready: Ready, states: np.ndarray) -> Entrant:
    """`y_j^c = sum_i w_ij^c a_i^c` for all neurons that receive, from given states of all.

    Args:
        ready: the graph and its synapses.
        states: `[states, neurons, batch]`, in the user's order.
    """
    graph = ready.graph
    compiled = views.from_neurons(graph, jnp.asarray(states))
    native = tuple(jax.lax.split(compiled, [stage.size for stage in graph.wiring.stages], axis=1))
    receiving = np.unique(ready.problem.wiring.receivers)

    def read(found):
        whole = np.asarray(views.neurons(graph, jnp.concatenate(found, axis=1)))
        return {"sums": whole[:, receiving]}

    return Entrant(NAME, summed(propagate, native, graph, ready.network), read)


def transposed_sums(ready: Ready, states: np.ndarray) -> Entrant:
    """`x_i^c = sum_j w_ij^c y_j^c` for all neurons, from given states of all; arguments as for `sums`."""
    graph = ready.graph
    compiled = views.from_neurons(graph, jnp.asarray(states))
    native = tuple(jax.lax.split(compiled, [stage.size for stage in graph.wiring.stages], axis=1))

    def transposed(states, graph, network):
        return ops.propagate_T(graph.wiring, network.forward, tuple((part,) for part in states))

    def read(found):
        return {"sums": np.asarray(views.neurons(graph, jnp.concatenate(found, axis=1)))}

    return Entrant(NAME, summed(transposed, native, graph, ready.network), read)


def propagate(states: tuple[Any, ...], graph: CompiledGraph, network: engine.NetworkState) -> tuple[Any, ...]:
    """The linear sums of the whole graph; states and sums by stage."""
    return tuple(jax.tree.leaves(ops.propagate(graph.wiring, network.forward, states)))
