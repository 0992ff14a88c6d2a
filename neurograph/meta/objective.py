"""What a genome is judged by: an unroll from fresh synapses on fresh batches, then a query batch (paper 3.3).

`docs/unroll.md` explains it in words and with a drawing.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from .. import engine, rules
from ..compile import CompiledGraph
from ..costs import platform
from ..engine import NetworkState
from ..genome import Genome, Genomes
from ..initializers import Initializer, glorot_uniform
from ..rules import Rule
from ..tasks import Task, accuracy

IN_TURN = 2**17
"""Numbers in the states of one genome's unrolls, from which a CPU judges genomes in turn."""

Result = TypeVar("Result")

Loss = Callable[[Float[Array, "outputs batch"], Float[Array, "outputs batch"]], Float[Array, ""]]
"""(prediction, target) -> scalar, mean over the batch."""


class Problem(eqx.Module):
    """A wiring, and a task to learn on it.

    Attributes:
        graph: the compiled wiring.
        task: what is learnt; an unroll learns one of its episodes.
    """

    graph: CompiledGraph
    task: Task


@dataclasses.dataclass(frozen=True)
class Objective:
    """How a genome is judged. Hashable: a static argument under `jit`.

    Attributes:
        rule, initializer: how networks learn, and how their synapses are drawn.
        capacity: most steps of an unroll; shorter ones run the same program.
        batch_size, query_size: examples of a support batch, and of the query batch.
        replicas: unrolls for each problem and meta-step, each with its own synapses and batches.
        loss: of a prediction; softmax cross-entropy, or squared error for single outputs.
        online: share in [0, 1) of the mean loss of the support batches before they are learnt from. Each is fresh, so
            it judges all earlier steps, where the query judges the last.
        warm_up: most steps that may be taken before the unroll, without a gradient; so that an unroll may begin from
            synapses that have learnt already.
    """

    rule: Rule
    initializer: Initializer = glorot_uniform
    capacity: int = 10
    batch_size: int = 128
    query_size: int = 128
    replicas: int = 1
    loss: Loss = rules.softmax_cross_entropy.loss
    online: float = 0.0
    warm_up: int = 0


class Score(NamedTuple):
    """Of an unroll, or the mean of several.

    Attributes:
        loss: what is minimised.
        accuracy: of the query batch.
    """

    loss: Float[Array, ""]
    accuracy: Float[Array, ""]


def score(
    key: Key[Array, ""],
    genome: Genomes,
    problem: Problem,
    length: Int[Array, ""] | int,
    warm_up: Int[Array, ""] | int = 0,
    *,
    objective: Objective,
) -> Score:
    """The mean score of `objective.replicas` unrolls.

    `L(G) = loss(query prediction after `length` steps)`, for `online` = 0 (paper 3.3). Differentiable in the genome.

    Args:
        key: addresses episode, synapses and batches. Genomes that are compared get the same key.
        genome: to be judged.
        problem: wiring and task.
        length: steps of the unroll, at most `objective.capacity`; may be traced.
        warm_up: steps before it that carry no gradient; may be traced.
        objective: how.
    """
    keys = jax.random.split(key, objective.replicas)
    scores = jax.vmap(lambda key: _one(key, genome, problem, length, warm_up, objective))(keys)
    return Score(*(jnp.mean(values) for values in scores))


def mean_score(
    key: Key[Array, ""],
    genome: Genomes,
    problems: tuple[Problem, ...],
    length: Int[Array, ""] | int,
    warm_up: Int[Array, ""] | int = 0,
    *,
    objective: Objective,
) -> Score:
    """The mean of `score` over several problems, each with a key of its own."""
    keys = jax.random.split(key, len(problems))
    scores = [
        score(key, genome, problem, length, warm_up, objective=objective)
        for key, problem in zip(keys, problems, strict=True)
    ]
    return Score(*(jnp.mean(jnp.stack(values)) for values in zip(*scores, strict=True)))


def of_each(
    judge: Callable[[Genome], Result], genomes: Genome, problems: tuple[Problem, ...], objective: Objective
) -> Result:
    """What `judge` says of every genome of a stack, stacked, in one program.

    Side by side, so that small arrays are worth a call; but in turn on a CPU where one genome's states fill a core's
    cache by themselves, which is faster and needs the memory of one.
    """
    n_neurons = max((problem.graph.n_neurons for problem in problems), default=0)
    n_states = genomes.neuron.nu.shape[-1]
    if platform() == "cpu" and n_neurons * n_states * objective.batch_size * objective.replicas >= IN_TURN:
        return jax.lax.map(judge, genomes)
    return jax.vmap(judge)(genomes)


def fresh_network(key: Key[Array, ""], genome: Genomes, problem: Problem, objective: Objective) -> NetworkState:
    """A network of the problem's wiring whose synapses are drawn."""
    return engine.init(
        key,
        problem.graph,
        genome,
        rule=objective.rule,
        dtype=problem.task.dtype,
        initializer=objective.initializer,
        batch_size=objective.batch_size,
    )


def _one(key, genome, problem: Problem, length, warm_up, objective: Objective) -> Score:
    graph, rule = problem.graph, objective.rule
    episode_key, init_key, support_key, query_key, early_key = jax.random.split(key, 5)
    episode = problem.task.episode(episode_key)
    network = fresh_network(init_key, genome, problem, objective)

    def batch(key, i):
        return episode.support(jax.random.fold_in(key, i), objective.batch_size)

    if objective.warm_up:
        network = _warmed_up(early_key, genome, problem, network, batch, warm_up, objective)

    @jax.checkpoint
    def learn(network: NetworkState, total, x, target):
        network, info = engine.step(graph, genome, network, x, target, rule=rule)
        return network, total + objective.loss(info.prediction, target)

    def turn(carry, i):
        # drawn outside of the branch: a typed key cannot be what a branch keeps for reverse mode
        x, target = batch(support_key, i)
        return jax.lax.cond(i < length, learn, lambda network, total, x, target: (network, total), *carry, x, target)

    start = (network, jnp.zeros((), network.dtype))
    (network, total), _ = jax.lax.scan(lambda c, i: (turn(c, i), None), start, jnp.arange(objective.capacity))
    x, target = episode.query(query_key, objective.query_size)
    prediction = engine.predict(graph, genome, network, x, rule=rule)
    loss = objective.loss(prediction, target)
    if objective.online:
        loss = (1 - objective.online) * loss + objective.online * total / length
    return Score(loss, accuracy(prediction, target))


def _warmed_up(key, genome, problem, network, batch, n_steps, objective: Objective) -> NetworkState:
    """After some steps that no gradient passes through."""
    fixed = jax.lax.stop_gradient(genome)

    def learn(i, network):
        x, target = batch(key, i)
        return engine.step(problem.graph, fixed, network, x, target, rule=objective.rule)[0]

    return jax.lax.stop_gradient(jax.lax.fori_loop(0, n_steps, learn, network))
