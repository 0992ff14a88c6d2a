"""Evolves rules by ask/tell optimizers, on accuracies, which have no gradient (paper 4.4). CMA-ES is that of pycma."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Key

from .. import engine
from .._text import UserError
from ..engine import devices
from .learners import VALIDATION, Standing, Validation
from .objective import Objective, Problem, fresh_network, of_each
from .population import LEAST_SIZE, member, size_of

LAST = 2.0
"""The loss of a rule whose predictions are not finite: it ranks behind every accuracy."""


class Optimizer(Protocol):
    """An ask/tell optimizer that minimises; pycma's and others have these methods."""

    def ask(self) -> Sequence[np.ndarray]: ...
    def tell(self, solutions: Sequence[np.ndarray], fitness: Sequence[float], /) -> Any: ...
    def stop(self) -> Any: ...


Maker = Callable[[np.ndarray, np.ndarray, float, int, int], Optimizer]
"""(start, size of each number, sigma, population size, seed) -> optimizer. Equal arguments give equal optimizers."""


def cma_es(start: np.ndarray, sizes: np.ndarray, sigma: float, population: int, seed: int) -> Optimizer:
    """Makes CMA-ES (Hansen and Ostermeier 1996) of pycma, with a generator of its own instead of NumPy's global one.

    Args:
        start: the numbers of the rule to start from, as one vector.
        sizes: the size of each number, to which the initial deviation is proportional.
        sigma: the initial deviation, relative to the sizes.
        population: the number of candidates in a generation.
        seed: the seed of the generator.
    """
    import cma

    draws = np.random.default_rng(seed)
    options = {
        "popsize": population,
        "CMA_stds": sizes,
        "randn": lambda *shape: draws.standard_normal(shape),
        "seed": np.nan,
        "maxiter": np.inf,
        "verbose": -9,
        "verb_log": 0,
        "verb_disp": 0,
    }
    return cma.CMAEvolutionStrategy(start, sigma, options)


class Fitness(NamedTuple):
    """How well every rule of a generation does.

    Attributes:
        accuracy: the mean over the query batches.
        finite: whether all predictions were finite.
    """

    accuracy: Float[Array, " rules"]
    finite: Bool[Array, " rules"]


@functools.partial(jax.jit, static_argnames=("n_batches", "objective"))
def fitness(
    key: Key[Array, ""],
    rules: Any,
    problems: tuple[Problem, ...],
    length: int | Array,
    *,
    n_batches: int,
    objective: Objective,
) -> Fitness:
    """Computes the accuracy on `n_batches` query batches after `length` support batches; all rules share the draws."""

    def one(rule: Any) -> tuple[Array, Array]:
        found = []
        for problem, problem_key in zip(problems, jax.random.split(key, len(problems)), strict=True):
            keys = jax.random.split(problem_key, objective.replicas)
            found.append(jax.vmap(lambda k, p=problem: _one(k, rule, p, length, n_batches, objective))(keys))
        right, finite = (jnp.concatenate(values) for values in zip(*found, strict=True))
        return jnp.mean(right), jnp.all(finite)

    return Fitness(*of_each(one, rules, problems, objective))


def _one(key, rule: Any, problem: Problem, length, n_batches: int, objective: Objective):
    net = problem.net
    episode_key, init_key, support_key, query_key = jax.random.split(key, 4)
    episode = problem.task.episode(episode_key)
    state = fresh_network(init_key, rule, problem, objective)
    state, _ = engine.learn(support_key, net, rule, state, episode, steps=length, batch_size=objective.batch_size)

    def judge(key):
        x, target = episode.query(key, objective.query_size)
        prediction = engine.predict(net, rule, state, x)
        return episode.score(prediction, target), jnp.all(jnp.isfinite(prediction))

    right, finite = jax.lax.map(judge, jax.random.split(query_key, n_batches))
    return jnp.mean(right), jnp.all(finite)


class Evolution:
    """Searches by evolution. The founders are the first generation; the optimizer starts from the best of them.

    An optimizer that stops (by the conditions of pycma) starts again from the best rule so far. To resume a search, the
    losses of all generations are passed to a new optimizer, one by one, which so comes to the same state.

    Attributes:
        start: the first of the founders.
    """

    def __init__(
        self,
        key: Array,
        founders: Any,
        problems: tuple[Problem, ...],
        objective: Objective,
        *,
        length: int,
        n_batches: int,
        sigma: float,
        seed: int,
        maker: Maker = cma_es,
    ):
        self.start = member(founders, 0)
        self._key, self._problems, self._objective = key, problems, objective
        self._length, self._n_batches, self._sigma, self._seed, self._maker = length, n_batches, sigma, seed, maker
        first, self._rule_of = ravel_pytree(self.start)
        self._dtype = np.asarray(first).dtype
        self._founders = np.stack(
            [np.asarray(ravel_pytree(member(founders, n))[0], np.float64) for n in range(size_of(founders))]
        )
        self._begin()

    def _begin(self) -> None:
        self._losses: list[np.ndarray] = []
        self._optimizer: Optimizer | None = None
        self._restarts = self._skipped = 0
        self._best: tuple[float, np.ndarray] = (np.inf, self._founders[0])
        nan = float("nan")
        self._last = Standing(nan, nan, nan, nan, 0, 0, self._length)
        self._chosen: np.ndarray | None = None

    @property
    def step(self) -> int:
        return len(self._losses)

    @property
    def final_length(self) -> int:
        return self._length

    def advance(self, n: int) -> None:
        """Evolves n generations."""
        for _ in range(n):
            candidates = self._ask()
            found = fitness(
                jax.random.fold_in(self._key, self.step),
                self._rules(candidates),
                self._problems,
                self._length,
                n_batches=self._n_batches,
                objective=self._objective,
            )
            self._tell(candidates, np.where(found.finite, 1 - np.asarray(found.accuracy, np.float64), LAST))

    def _rules(self, vectors: Sequence[np.ndarray]) -> Any:
        return jax.vmap(self._rule_of)(jnp.asarray(np.stack(vectors), self._dtype))

    def _ask(self) -> Sequence[np.ndarray]:
        asked = list(self._founders) if self._optimizer is None else self._optimizer.ask()
        return asked if devices.alone() else list(devices.first_of_all(np.stack(asked)))

    def _tell(self, candidates: Sequence[np.ndarray], values: np.ndarray) -> None:
        self._chosen = None
        self._losses.append(values)
        if self._optimizer is not None:
            self._optimizer.tell(candidates, values.tolist())
        leader = int(np.argmin(values))
        if values[leader] < self._best[0]:
            self._best = float(values[leader]), np.array(candidates[leader])
        ends = self._optimizer is not None and bool(self._optimizer.stop())
        if self._optimizer is None or ends:
            self._restarts += ends
            start = self._best[1]
            sizes = np.maximum(np.abs(start), LEAST_SIZE)
            self._optimizer = self._maker(
                start, sizes, self._sigma, len(self._founders), self._seed + 1 + self._restarts
            )
        self._skipped += int(np.sum(values == LAST))
        self._last = Standing(
            best_loss=float(values[leader]),
            median_loss=float(np.median(values)),
            best_accuracy=max(0.0, 1 - float(values[leader])),
            median_accuracy=max(0.0, 1 - float(np.median(values))),
            skipped=self._skipped,
            replaced=self._restarts,
            length=self._length,
        )

    def standing(self) -> Standing:
        """Reports on the last generation."""
        return self._last

    def best(self) -> Any:
        """Returns the best rule of the last validation, or else the best of any generation."""
        vector = self._best[1] if self._chosen is None else self._chosen
        return self._rule_of(jnp.asarray(vector, self._dtype))

    def _candidates(self) -> list[np.ndarray]:
        """Lists the best so far, and the centre of the optimizer's distribution where it has one."""
        centre = getattr(getattr(self._optimizer, "result", None), "xfavorite", None)
        return [self._best[1], *([] if centre is None else [np.asarray(centre)])]

    def validate(self, draws: int) -> Validation:
        """Judges the best rule and the centre by fresh draws, since a best of many is partly luck; keeps the better.

        The loss is 1 - accuracy; it is infinite where no prediction of either was finite.
        """
        vectors = self._candidates()
        values, ever_finite = np.zeros(len(vectors)), np.zeros(len(vectors), bool)
        for key in jax.random.split(jax.random.fold_in(self._key, VALIDATION), draws):
            found = fitness(
                key, self._rules(vectors), self._problems, self._length, n_batches=self._n_batches,
                objective=self._objective,
            )  # fmt: skip
            values += np.where(found.finite, np.asarray(found.accuracy, np.float64), 0) / draws
            ever_finite |= np.asarray(found.finite)
        best = int(np.argmax(np.where(ever_finite, values, -np.inf)))
        self._chosen = vectors[best]
        loss = 1 - float(values[best]) if ever_finite[best] else float("inf")
        return Validation(loss, float(values[best]), tuple(values.tolist()))

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns the losses that the optimizer received, and the best rule, by which a resumed search is checked."""
        losses = np.stack(self._losses) if self._losses else np.zeros((0, len(self._founders)))
        return {"losses": losses, "best": self._best[1]}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Restores the state that `arrays` returned.

        Raises:
            UserError: an array is missing or has another shape; or the optimizer does not come to the same best rule.
        """
        if set(arrays) != {"losses", "best"} or arrays["losses"].shape[1:] != (len(self._founders),):
            raise UserError("the losses that the optimizer received are missing, or belong to another population")
        self._begin()
        for values in arrays["losses"]:
            self._tell(self._ask(), values)
        if not np.array_equal(self._best[1], arrays["best"]):
            raise UserError("the optimizer does not repeat its earlier search; another version of cma may be installed")
