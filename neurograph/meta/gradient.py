"""Gradient meta-learning: Adam through the unroll, a population in one compiled call (paper 3.3, C.1, C.4)."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, Key

from ..genome import Genome
from .objective import Objective, Problem, Score, mean_score, of_each
from .population import Population, best, reseeded


@dataclasses.dataclass(frozen=True)
class Curriculum:
    """Unroll lengths over meta-steps (paper C.4): `min(first + add * (step // every), last)`.

    Attributes:
        first: steps of the first stage.
        add: more steps in each next stage.
        every: meta-steps of a stage.
        last: most steps.
        shortest: where given, each meta-step draws its length uniformly from here to its stage's.
    """

    first: int = 10
    add: int = 0
    every: int = 10_000
    last: int = 10
    shortest: int | None = None

    def longest(self, step: Int[Array, ""]) -> Int[Array, ""]:
        """Of the meta-step's stage."""
        return jnp.minimum(self.first + self.add * (step // self.every), self.last)

    def length(self, key: Key[Array, ""], step: Int[Array, ""]) -> Int[Array, ""]:
        """Steps of the unroll of a meta-step."""
        longest = self.longest(step)
        if self.shortest is None:
            return longest
        return jax.random.randint(key, (), jnp.minimum(self.shortest, longest), longest + 1)

    def ends(self, step: Int[Array, ""]) -> Bool[Array, ""]:
        """Whether the meta-step is the last of a stage that a longer one follows."""
        return (self.longest(step) < self.last) & ((step + 1) % self.every == 0)


@dataclasses.dataclass(frozen=True)
class Method:
    """How genomes follow their gradients. Hashable: a static argument under `jit`.

    Attributes:
        learning_rate: Adam's step over meta-steps.
        clip: largest norm of a genome's gradient; longer ones are scaled down, each genome's by itself.
        curriculum: unroll lengths.
        synchronise_every: meta-steps after which all become copies of the best, as at each end of a stage (paper C.4);
            None: never.
        noise: on those copies, relative (see `perturbed`).
        patience: failures in a row after which a genome is replaced by a copy of the best.
        memory: of the moving average of losses, and of genomes: weight of the past, in [0, 1).
        warm: share of meta-steps that begin with a warm-up, of a length drawn log-uniformly up to the objective's.
    """

    learning_rate: optax.Schedule
    clip: float = 10.0
    curriculum: Curriculum = Curriculum()
    synchronise_every: int | None = None
    noise: float = 0.02
    patience: int = 20
    memory: float = 0.98
    warm: float = 0.5

    def optimizer(self) -> optax.GradientTransformation:
        """Clipping and Adam's scaling; the learning rate is applied by the meta-step's number."""
        return optax.chain(optax.clip_by_global_norm(self.clip), optax.scale_by_adam())


class Report(NamedTuple):
    """What a meta-step tells of each genome.

    Attributes:
        loss, accuracy: of its unrolls.
        gradient: norm of its gradient before clipping.
        finite: whether loss and gradient were; else its update was skipped.
        length: steps of the unroll.
    """

    loss: Float[Array, " genomes"]
    accuracy: Float[Array, " genomes"]
    gradient: Float[Array, " genomes"]
    finite: Bool[Array, " genomes"]
    length: Int[Array, ""]


def meta_step(
    key: Key[Array, ""],
    population: Population,
    problems: tuple[Problem, ...],
    *,
    objective: Objective,
    method: Method,
) -> tuple[Population, Report]:
    """One meta-step: every genome's loss and gradient on the same unrolls, clipping, Adam; then the population's care.

    Args:
        key: of the whole run; the meta-step's number is folded in.
        population: before.
        problems: wirings and tasks; the loss is their mean.
        objective, method: how genomes are judged, and how they follow.

    Returns:
        The population after the step, and what happened.
    """
    step = population.step
    score_key, length_key, warm_key, noise_key = jax.random.split(jax.random.fold_in(key, step), 4)
    length = method.curriculum.length(length_key, step)
    warm_up = _warm_up(warm_key, objective.warm_up, method.warm)

    def loss(genome: Genome) -> tuple[Array, Score]:
        found = mean_score(score_key, genome, problems, length, warm_up, objective=objective)
        return found.loss, found

    judge = jax.value_and_grad(loss, has_aux=True)
    (_, scores), gradients = of_each(judge, population.genomes, problems, objective)
    norms = jax.vmap(optax.tree.norm)(gradients)
    finite = jnp.isfinite(scores.loss) & jnp.isfinite(norms)
    rate = jnp.asarray(method.learning_rate(step))

    def follow(genome, average, state, gradient, finite):
        safe = jax.tree.map(lambda g: jnp.where(finite, g, 0), gradient)
        direction, moved = method.optimizer().update(safe, state)
        after = jax.tree.map(lambda x, d: x - rate.astype(x.dtype) * d, genome, direction)
        smooth = jax.tree.map(lambda a, x: method.memory * a + (1 - method.memory) * x, average, after)
        return jax.tree.map(
            lambda new, old: jnp.where(finite, new, old), (after, smooth, moved), (genome, average, state)
        )

    genomes, averages, optimizer = jax.vmap(follow)(
        population.genomes, population.averages, population.optimizer, gradients, finite
    )
    failures = jnp.where(finite, 0, population.failures + 1)
    lost = failures >= method.patience

    def smoothed(average, new):
        return jnp.where(finite, _smoothed(average, new, method.memory), average)

    after = Population(
        genomes=genomes,
        averages=averages,
        optimizer=optimizer,
        loss=jnp.where(lost, jnp.nan, smoothed(population.loss, scores.loss)),  # what is lost cannot be the best
        accuracy=smoothed(population.accuracy, scores.accuracy),
        failures=failures,
        skipped=population.skipped + jnp.sum(~finite, dtype=jnp.int32),
        replaced=population.replaced,
        step=step + 1,
    )
    which = lost & (jnp.arange(population.size) != best(after))  # where all are lost, one stays
    after = dataclasses.replace(after, replaced=after.replaced + jnp.sum(which, dtype=jnp.int32))
    if method.synchronise_every is not None:
        which = which | ((step + 1) % method.synchronise_every == 0) | method.curriculum.ends(step)
    after = jax.lax.cond(jnp.any(which), lambda p: reseeded(noise_key, p, which, method.noise), lambda p: p, after)
    return after, Report(scores.loss, scores.accuracy, norms, finite, length)


def _smoothed(average: Array, loss: Array, memory: float) -> Array:
    """The moving average; the first finite loss starts it."""
    return jnp.where(jnp.isnan(average), loss, memory * average + (1 - memory) * loss)


def _warm_up(key: Array, most: int, share: float) -> Int[Array, ""]:
    """Log-uniform in 1 ... most in a share of meta-steps, else none."""
    if not most:
        return jnp.zeros((), jnp.int32)
    turn_key, length_key = jax.random.split(key)
    drawn = jnp.floor(jnp.exp(jax.random.uniform(length_key) * jnp.log(most + 1.0))).astype(jnp.int32)
    return jnp.where(jax.random.uniform(turn_key) < share, drawn, 0)


def advance(
    key: Key[Array, ""],
    population: Population,
    problems: tuple[Problem, ...],
    n_steps: Int[Array, ""] | int,
    *,
    objective: Objective,
    method: Method,
) -> Population:
    """`n_steps` meta-steps in one call; a traced number, so any number runs the same program."""

    def one(_, population):
        return meta_step(key, population, problems, objective=objective, method=method)[0]

    return jax.lax.fori_loop(0, n_steps, one, population)
