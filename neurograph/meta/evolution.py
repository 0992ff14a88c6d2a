"""Evolution of genomes by ask/tell optimizers, on accuracies, which have no gradient (paper 4.4). CMA-ES is pycma's."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import cma
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Key

from .. import engine
from ..genome import Genome
from ..tasks import accuracy
from .learners import VALIDATION, Standing, Validation
from .objective import Objective, Problem, fresh_network, of_each
from .population import LEAST, member

LAST = 2.0
"""Fitness of a genome whose prediction is not finite: behind every accuracy."""


class Optimizer(Protocol):
    """An ask/tell optimizer that minimises; pycma's and others have these methods."""

    def ask(self) -> Sequence[np.ndarray]: ...
    def tell(self, solutions: Sequence[np.ndarray], fitness: Sequence[float], /) -> Any: ...
    def stop(self) -> Any: ...


Maker = Callable[[np.ndarray, np.ndarray, float, int, int], Optimizer]
"""(start, size of each number, sigma, population, seed) -> optimizer; the same arguments give the same optimizer."""


def cma_es(start: np.ndarray, sizes: np.ndarray, sigma: float, population: int, seed: int) -> Optimizer:
    """CMA-ES (Hansen and Ostermeier 1996) of pycma; draws from a generator of its own, not from NumPy's global one."""
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
    """Of every genome of a generation.

    Attributes:
        accuracy: mean over the query batches.
        finite: whether all predictions were.
    """

    accuracy: Float[Array, " genomes"]
    finite: Bool[Array, " genomes"]


@functools.partial(jax.jit, static_argnames=("n_batches", "objective"))
def fitness(
    key: Key[Array, ""],
    genomes: Genome,
    problems: tuple[Problem, ...],
    length: int | Array,
    *,
    n_batches: int,
    objective: Objective,
) -> Fitness:
    """Accuracy on `n_batches` query batches after `length` support batches; all genomes learn from the same draws."""

    def one(genome: Genome) -> tuple[Array, Array]:
        found = []
        for problem, problem_key in zip(problems, jax.random.split(key, len(problems)), strict=True):
            keys = jax.random.split(problem_key, objective.replicas)
            found.append(jax.vmap(lambda k, p=problem: _one(k, genome, p, length, n_batches, objective))(keys))
        right, finite = (jnp.concatenate(values) for values in zip(*found, strict=True))
        return jnp.mean(right), jnp.all(finite)

    return Fitness(*of_each(one, genomes, problems, objective))


def _one(key, genome: Genome, problem: Problem, length, n_batches: int, objective: Objective):
    graph, rule = problem.graph, objective.rule
    episode_key, init_key, support_key, query_key = jax.random.split(key, 4)
    episode = problem.task.episode(episode_key)
    network = fresh_network(init_key, genome, problem, objective)

    def learn(i, network):
        x, target = episode.support(jax.random.fold_in(support_key, i), objective.batch_size)
        return engine.step(graph, genome, network, x, target, rule=rule)[0]

    network = jax.lax.fori_loop(0, length, learn, network)

    def judge(key):
        x, target = episode.query(key, objective.query_size)
        prediction = engine.predict(graph, genome, network, x, rule=rule)
        return accuracy(prediction, target), jnp.all(jnp.isfinite(prediction))

    right, finite = jax.lax.map(judge, jax.random.split(query_key, n_batches))
    return jnp.mean(right), jnp.all(finite)


class Evolution:
    """Evolves genomes. The first generation are the founders; the best of them is where the optimizer starts.

    An optimizer that stops (pycma's conditions) starts again from the best so far. A resumed run tells a new optimizer
    what the old one was told, generation by generation, and so comes to the same state.

    Attributes:
        start: the first founder.
    """

    def __init__(
        self,
        key: Array,
        founders: Genome,
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
        first, self._genome_of = ravel_pytree(self.start)
        self._dtype = np.asarray(first).dtype
        self._founders = np.stack(
            [np.asarray(ravel_pytree(member(founders, n))[0], np.float64) for n in range(len(founders.neuron.keep))]
        )
        self._begin()

    def _begin(self) -> None:
        self._told: list[np.ndarray] = []
        self._optimizer: Optimizer | None = None
        self._restarts = self._skipped = 0
        self._best: tuple[float, np.ndarray] = (np.inf, self._founders[0])
        nan = float("nan")
        self._last = Standing(nan, nan, nan, nan, 0, 0, self._length)
        self._chosen: np.ndarray | None = None

    @property
    def step(self) -> int:
        return len(self._told)

    @property
    def final_length(self) -> int:
        return self._length

    def advance(self, n: int) -> None:
        """n generations."""
        for _ in range(n):
            candidates = self._ask()
            found = fitness(
                jax.random.fold_in(self._key, self.step),
                self._genomes(candidates),
                self._problems,
                self._length,
                n_batches=self._n_batches,
                objective=self._objective,
            )
            self._tell(candidates, np.where(found.finite, 1 - np.asarray(found.accuracy, np.float64), LAST))

    def _genomes(self, vectors: Sequence[np.ndarray]) -> Genome:
        return jax.vmap(self._genome_of)(jnp.asarray(np.stack(vectors), self._dtype))

    def _ask(self) -> Sequence[np.ndarray]:
        return list(self._founders) if self._optimizer is None else self._optimizer.ask()

    def _tell(self, candidates: Sequence[np.ndarray], values: np.ndarray) -> None:
        self._chosen = None
        self._told.append(values)
        if self._optimizer is not None:
            self._optimizer.tell(candidates, values.tolist())
        leader = int(np.argmin(values))
        if values[leader] < self._best[0]:
            self._best = float(values[leader]), np.array(candidates[leader])
        ends = self._optimizer is not None and bool(self._optimizer.stop())
        if self._optimizer is None or ends:
            self._restarts += ends
            start = self._best[1]
            sizes = np.maximum(np.abs(start), LEAST)
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
        """Of the last generation."""
        return self._last

    def best(self) -> Genome:
        """The best of the last validation, else the best of any generation."""
        vector = self._best[1] if self._chosen is None else self._chosen
        return self._genome_of(jnp.asarray(vector, self._dtype))

    def _favourites(self) -> list[np.ndarray]:
        """The best so far, and the centre of the optimizer's distribution where it tells one."""
        centre = getattr(getattr(self._optimizer, "result", None), "xfavorite", None)
        return [self._best[1], *([] if centre is None else [np.asarray(centre)])]

    def validate(self, draws: int) -> Validation:
        """Judges the favourites by fresh draws, and remembers the better one: a best of many is partly luck.

        The loss is 1 - accuracy.
        """
        vectors = self._favourites()
        values = np.zeros(len(vectors))
        for key in jax.random.split(jax.random.fold_in(self._key, VALIDATION), draws):
            found = fitness(
                key, self._genomes(vectors), self._problems, self._length, n_batches=self._n_batches,
                objective=self._objective,
            )  # fmt: skip
            values += np.where(found.finite, np.asarray(found.accuracy, np.float64), 0) / draws
        self._chosen = vectors[int(np.argmax(values))]
        return Validation(1 - float(values.max()), float(values.max()), tuple(values.tolist()))

    def arrays(self) -> dict[str, np.ndarray]:
        """What the optimizer was told, and the last best, by which a resumed run can be checked."""
        told = np.stack(self._told) if self._told else np.zeros((0, len(self._founders)))
        return {"told": told, "best": self._best[1]}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Inverse of `arrays`.

        Raises:
            ValueError: an array is missing or has another shape; or the optimizer, told the same, asks for others.
        """
        if set(arrays) != {"told", "best"} or arrays["told"].shape[1:] != (len(self._founders),):
            raise ValueError("what the optimizer was told is missing, or of another population")
        self._begin()
        for values in arrays["told"]:
            self._tell(self._ask(), values)
        if not np.array_equal(self._best[1], arrays["best"]):
            raise ValueError("the optimizer goes another way than before, as another version of cma may")
