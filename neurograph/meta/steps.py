"""Meta-steps: every rule of a population follows its gradient through an unroll, in one program (paper 3.3, C.4)."""

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from ..engine.devices import whole
from .objective import Objective, Problem, Score, mean_score, of_each
from .population import Population, best, reseeded

if TYPE_CHECKING:
    import optax


@dataclasses.dataclass(frozen=True)
class Curriculum:
    """The length of the unroll at each meta-step (paper C.4): `min(first + add * (step // every), last)` steps.

    Attributes:
        first: the length in the first stage.
        add: the number of steps that each further stage adds.
        every: the number of meta-steps in a stage.
        last: the largest length.
        shortest: where given, each meta-step draws its length uniformly between this and the length of its stage.
    """

    first: int = 10
    add: int = 0
    every: int = 10_000
    last: int = 10
    shortest: int | None = None

    def longest(self, step: Int[Array, ""]) -> Int[Array, ""]:
        """Computes the length in the stage of a meta-step."""
        return jnp.minimum(self.first + self.add * (step // self.every), self.last)

    def length(self, key: Key[Array, ""], step: Int[Array, ""]) -> Int[Array, ""]:
        """Draws the length of the unroll of a meta-step."""
        longest = self.longest(step)
        if self.shortest is None:
            return longest
        return jax.random.randint(key, (), jnp.minimum(self.shortest, longest), longest + 1)

    def ends(self, step: Int[Array, ""]) -> Bool[Array, ""]:
        """Says whether the meta-step is the last of a stage that a longer one follows."""
        return (self.longest(step) < self.last) & ((step + 1) % self.every == 0)


@dataclasses.dataclass(frozen=True)
class Method:
    """How rules follow their gradients. It is hashable: a static argument under `jit`.

    Attributes:
        optimizer: turns the gradient of one rule into the change of its numbers, learning rate, clipping and schedule
            included. It receives these numbers, too, so that weight decay works. A schedule counts the updates made.
        curriculum: the lengths of unrolls.
        synchronise_every: the number of meta-steps after which all rules become copies of the best, as they do at the
            end of each stage (paper C.4); None: they never do.
        noise: the relative size of the noise on those copies (see `perturbed`).
        patience: the number of failures in a row after which a rule is replaced by a copy of the best.
        memory: the weight of the past, in [0, 1), in the moving averages of losses and of rules.
        warm: the fraction of meta-steps that begin with a warm-up, whose length is drawn log-uniformly up to
            `Objective.warm_up`.
    """

    optimizer: "optax.GradientTransformation"
    curriculum: Curriculum = Curriculum()
    synchronise_every: int | None = None
    noise: float = 0.02
    patience: int = 20
    memory: float = 0.98
    warm: float = 0.5


class Report(NamedTuple):
    """What a meta-step reports for each rule.

    Attributes:
        loss, accuracy: the score of its unrolls.
        gradient: the norm of its gradient.
        finite: whether loss and gradient were finite; else its update was skipped.
        length: the number of steps in the unroll.
    """

    loss: Float[Array, " rules"]
    accuracy: Float[Array, " rules"]
    gradient: Float[Array, " rules"]
    finite: Bool[Array, " rules"]
    length: Int[Array, ""]


def meta_step(
    key: Key[Array, ""],
    population: Population,
    problems: tuple[Problem, ...],
    *,
    objective: Objective,
    method: Method,
) -> tuple[Population, Report]:
    """Takes one meta-step: each rule follows the gradient of its loss; rules that fail too often are replaced.

    All rules are judged by the same episodes, synapses and batches.

    Args:
        key: the key of the whole search; the index of the meta-step is folded in.
        population: the population before the step.
        problems: the compiled graphs and tasks; the loss is the mean over them.
        objective, method: how rules are judged, and how they follow their gradients.

    Returns:
        The population after the step, and a report on it.
    """
    import optax

    step = population.step
    score_key, length_key, warm_key, noise_key = jax.random.split(jax.random.fold_in(key, step), 4)
    length = method.curriculum.length(length_key, step)
    warm_up = _warm_up(warm_key, objective.warm_up, method.warm)

    def loss(rule: Any) -> tuple[Array, Score]:
        found = mean_score(score_key, rule, problems, length, warm_up, objective=objective)
        return found.loss, found

    judge = jax.value_and_grad(loss, has_aux=True)
    (_, scores), gradients = of_each(judge, population.rules, problems, objective, gradient=True)
    norms = jax.vmap(optax.tree.norm)(gradients)
    finite = jnp.isfinite(scores.loss) & jnp.isfinite(norms)

    def follow(rule, average, state, gradient, finite):
        safe = jax.tree.map(lambda g: jnp.where(finite, g, 0), gradient)
        change, moved = method.optimizer.update(safe, state, rule)
        after = jax.tree.map(lambda x, d: x + d.astype(x.dtype), rule, change)
        smooth = jax.tree.map(lambda a, x: method.memory * a + (1 - method.memory) * x, average, after)
        return jax.tree.map(
            lambda new, old: jnp.where(finite, new, old), (after, smooth, moved), (rule, average, state)
        )

    rules, averages, optimizer = jax.vmap(follow)(
        population.rules, population.averages, population.optimizer, gradients, finite
    )
    failures = jnp.where(finite, 0, population.failures + 1)
    lost = failures >= method.patience

    def smoothed(average, new):
        return jnp.where(finite, _smoothed(average, new, method.memory), average)

    after = Population(
        rules=rules,
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
    """Continues a moving average; the first finite loss starts it."""
    return jnp.where(~jnp.isfinite(average), loss, memory * average + (1 - memory) * loss)


def _warm_up(key: Array, most: int, share: float) -> Int[Array, ""]:
    """Draws a log-uniform length in 1 ... `most` with probability `share`, else 0."""
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
    """Takes `n_steps` meta-steps in one call; the number may be traced, so that any number runs the same program."""

    def one(_, population):
        return meta_step(key, population, problems, objective=objective, method=method)[0]

    return whole(jax.lax.fori_loop(0, n_steps, one, population))
