"""Searches for a rule over a distribution: problems drawn anew for each meta-step, and its gradient, or an estimate."""

import dataclasses
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Key

from ..._text import UserError, nearest
from ...engine.initializers import Initializer, glorot_uniform
from ..learners import VALIDATION, Standing, Validation, named, restored
from ..population import LEAST_SIZE, Population, founded, member
from . import Distribution, Drawn
from .courses import Course, courses, steepest

if TYPE_CHECKING:
    import optax

LEAST_WARM_UP = 5
"""The fewest steps that precede an unroll, where any do."""


@dataclasses.dataclass(frozen=True)
class SearchOptions:
    """How a rule is improved over a distribution.

    Attributes:
        optimizer: one of optax, for the numbers of the rule, clipping and schedule included.
        per_step: the number of problems of a meta-step, each of another bucket while there are enough; the norm of the
            gradient of each is cut at 1, so that none outweighs the others.
        warm_up: most steps that precede an unroll in half of the meta-steps, of a number drawn log-uniformly from
            `LEAST_WARM_UP` on; 0: none, as with `pairs`.
        pairs: 0: the gradient through the unroll. Else its estimate by that many pairs of rules which differ from the
            current one by +-`sigma` times the size of each number, in unrolls of `horizon` steps (antithetic evolution
            strategies; Salimans et al. 2017).
        sigma, horizon: see `pairs`.
        fields: the names of the rule's fields that are improved, while the others stay; None: all. An estimate has less
            noise the fewer numbers it is of.
        memory: the weight of the past, in [0, 1), in the moving averages of losses and of the rule.
        query_size, initializer: see `courses.course`.

    Raises:
        UserError: there are both pairs and a warm-up, or it is shorter than any that is drawn.
    """

    optimizer: "optax.GradientTransformation"
    per_step: int = 3
    warm_up: int = 0
    pairs: int = 0
    sigma: float = 0.1
    horizon: int = 200
    fields: tuple[str, ...] | None = None
    memory: float = 0.98
    query_size: int = 256
    initializer: Initializer = glorot_uniform

    def __post_init__(self):
        if self.warm_up and self.pairs:
            raise UserError(
                f"warm_up is {self.warm_up}, but the unrolls by which the gradient is estimated (es) have no steps "
                "before them; leave it out, or take the gradient itself."
            )
        if 0 < self.warm_up < LEAST_WARM_UP:
            raise UserError(
                f"warm_up is {self.warm_up}, but over a distribution a warm-up has {LEAST_WARM_UP} steps or more; give "
                "as many, or leave it out."
            )


class DistributionSearch:
    """A rule that is improved on problems drawn anew; for the methods see `Learner`.

    Its losses are geometric means, of steps and problems, of query losses + `courses.FLOOR`.

    Attributes:
        start: the rule that the search began with.
    """

    def __init__(
        self, key: Key[Array, ""], start: Any, distribution: Distribution, how: SearchOptions, *, seed: int = 0
    ):
        self.start = start
        self._key, self._distribution, self._how, self._seed = key, distribution, how, seed
        self._population: Population = founded(jax.tree.map(lambda leaf: leaf[None], start), how.optimizer)
        self._vector, self._rule_of = ravel_pytree(start)
        self._moves = _moved(start, how.fields)

    @property
    def step(self) -> int:
        return int(self._population.step)

    @property
    def final_length(self) -> int:
        return self._how.horizon if self._how.pairs else max(bucket.steps for bucket in self._distribution.buckets)

    def advance(self, n: int) -> None:
        """Takes n meta-steps."""
        for _ in range(n):
            self._take()

    def _take(self) -> None:
        how, step = self._how, self.step
        random = np.random.default_rng([self._seed, step])
        n_buckets = len(self._distribution.buckets)
        order = np.arange(n_buckets)
        total: Any = None
        found: list[Course] = []
        skipped = 0
        for number in range(how.per_step):
            if number % n_buckets == 0:
                order = random.permutation(n_buckets)
            drawn = self._distribution.draw(random, int(order[number % n_buckets]))
            warm_up = 0
            if how.warm_up and random.random() < 0.5:
                warm_up = int(np.exp(random.uniform(np.log(LEAST_WARM_UP), np.log(how.warm_up + 1))))
            key = jax.random.fold_in(jax.random.fold_in(self._key, step), number)
            result, gradient = self._judged(key, drawn, warm_up)
            gradient = gradient * self._moves
            norm = float(jnp.linalg.norm(gradient))
            if not np.isfinite(norm) or not np.isfinite(float(result.loss)):
                skipped += 1
                continue
            found.append(result)
            part = gradient / max(norm, 1.0)
            total = part if total is None else total + part
        self._follow(total, found, skipped)

    def _judged(self, key: Key[Array, ""], drawn: Drawn, warm_up: int) -> tuple[Course, Array]:
        """The course on a problem, and the gradient as one vector."""
        bucket, how, rule = self._distribution.buckets[drawn.bucket], self._how, member(self._population.rules, 0)
        if how.pairs:
            return self._estimated(key, drawn, rule)
        result, gradient = steepest(
            key, rule, drawn.problem, jnp.int32(warm_up), steps=bucket.steps, batch_size=bucket.batch_size,
            query_size=how.query_size, initializer=how.initializer,
        )  # fmt: skip
        return result, ravel_pytree(gradient)[0]

    def _estimated(self, key: Key[Array, ""], drawn: Drawn, rule: Any) -> tuple[Course, Array]:
        bucket, how = self._distribution.buckets[drawn.bucket], self._how
        vector = ravel_pytree(rule)[0]
        noise_key, key = jax.random.split(key)
        noise = jax.random.normal(noise_key, (how.pairs, vector.size), vector.dtype)
        sizes = how.sigma * jnp.maximum(jnp.abs(vector), LEAST_SIZE)
        steps = (sizes * self._moves)[None] * jnp.concatenate([noise, -noise])
        rules = jax.vmap(self._rule_of)(vector[None] + steps)
        found = courses(
            key, rules, drawn.problem, steps=how.horizon, batch_size=bucket.batch_size, query_size=how.query_size,
            initializer=how.initializer,
        )  # fmt: skip
        differences = (found.loss[: how.pairs] - found.loss[how.pairs :]) / 2
        gradient = jnp.mean(differences[:, None] * noise, axis=0) / sizes
        return Course(*(jnp.mean(values) for values in found)), gradient

    def _follow(self, gradient: Array | None, found: list[Course], skipped: int) -> None:
        before = self._population
        rules, averages, optimizer = before.rules, before.averages, before.optimizer
        loss, accuracy = before.loss, before.accuracy
        if gradient is not None:
            rule, state = member(rules, 0), member(optimizer, 0)
            change, state = self._how.optimizer.update(self._rule_of(gradient), state, rule)
            # an optimizer may move numbers whose gradient is 0, as by weight decay
            change = self._rule_of(ravel_pytree(change)[0] * self._moves)
            rule = jax.tree.map(lambda x, d: x + d.astype(x.dtype), rule, change)
            # the first rules count no more than later ones
            memory = min(self._how.memory, 1 - 1 / (self.step + 2))
            rules, optimizer = (jax.tree.map(lambda leaf: leaf[None], tree) for tree in (rule, state))
            averages = jax.tree.map(lambda a, x: memory * a + (1 - memory) * x, averages, rules)
            new = [float(np.mean([getattr(one, name) for one in found])) for name in ("loss", "last")]
            loss, accuracy = (
                jnp.where(jnp.isfinite(old), memory * old + (1 - memory) * value, value).astype(old.dtype)
                for old, value in zip((loss, accuracy), new, strict=True)
            )
        self._population = dataclasses.replace(
            before, rules=rules, averages=averages, optimizer=optimizer, loss=loss, accuracy=accuracy,
            skipped=before.skipped + skipped, step=before.step + 1,
        )  # fmt: skip

    def standing(self) -> Standing:
        loss, accuracy = float(jnp.exp(self._population.loss[0])), float(self._population.accuracy[0])
        return Standing(loss, loss, accuracy, accuracy, int(self._population.skipped), 0, self.final_length)

    def best(self) -> Any:
        """Returns the moving average of the rule."""
        return member(self._population.averages, 0)

    def validate(self, draws: int) -> Validation:
        """Judges the rule on problems that no meta-step has drawn: `draws` of every bucket."""
        random, rules = np.random.default_rng([self._seed, VALIDATION]), self._population.averages
        losses, accuracies = [], []
        for index, bucket in enumerate(self._distribution.buckets):
            for number in range(draws):
                key = jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(self._key, VALIDATION), index), number)
                found = courses(
                    key, rules, self._distribution.draw(random, index).problem, steps=self.final_length,
                    batch_size=bucket.batch_size, query_size=self._how.query_size, initializer=self._how.initializer,
                )  # fmt: skip
                losses.append(float(found.loss[0]))
                accuracies.append(float(found.last[0]))
        accuracy = float(np.mean(accuracies))
        return Validation(float(np.exp(np.mean(losses))), accuracy, (accuracy,))

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns all that a checkpoint keeps."""
        return {name: np.asarray(leaf) for name, leaf in named(self._population).items()}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Restores the state that `arrays` returned.

        Raises:
            UserError: an array is missing, or has another shape or type.
        """
        self._population = restored(self._population, arrays)


def _moved(rule: Any, fields: tuple[str, ...] | None) -> Array:
    """1 for each number of the rule that is improved, else 0, in the order of its vector.

    Raises:
        UserError: it has no field of a name, or none is to be improved.
    """
    leaves = jax.tree_util.tree_leaves_with_path(rule)
    of_leaf = [(getattr(path[0], "name", str(path[0])), leaf) for path, leaf in leaves]
    known = list(dict.fromkeys(name for name, _ in of_leaf))
    for name in fields or ():
        if name not in known:
            raise UserError(f"the rule {type(rule).__name__} has no numbers called '{name}'; {nearest(name, known)}")
    if fields is not None and not fields:
        raise UserError("no field of the rule is to be improved; name one or more, or leave them out for all.")
    parts = [jnp.full(leaf.size, fields is None or name in fields, leaf.dtype) for name, leaf in of_leaf]
    return jnp.concatenate(parts)
