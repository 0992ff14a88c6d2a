"""`Learner`, the common interface of the searches for rules; and `ByGradient`, the search by gradient."""

import functools
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._text import UserError
from ..engine.devices import everywhere, whole
from .objective import Objective, Problem, mean_score, of_each
from .population import Population, best, founded, member
from .steps import Method, advance

VALIDATION = 2**31 - 1
"""What is folded into the key of a validation: the index of no meta-step."""


class Standing(NamedTuple):
    """How well a population does; by gradient, moving averages over meta-steps, which lag behind a fresh validation.

    Attributes:
        best_loss, median_loss: the least loss and the median over rules; in evolution the loss is 1 - accuracy.
        best_accuracy, median_accuracy: the accuracy of the rule with the least loss, and the median over rules.
        skipped: the number of updates left out so far because they were not finite; in evolution, the number of rules
            that ranked last for this reason.
        replaced: the number of rules replaced so far by copies of the best; in evolution, the number of restarts.
        length: the number of steps in the unroll.
    """

    best_loss: float
    median_loss: float
    best_accuracy: float
    median_accuracy: float
    skipped: int
    replaced: int
    length: int


class Validation(NamedTuple):
    """The result of a validation by fresh unrolls: means over draws.

    Attributes:
        loss, accuracy: the score of the best candidate; in evolution the loss is 1 - accuracy.
        accuracies: the accuracy of every candidate.
    """

    loss: float
    accuracy: float
    accuracies: tuple[float, ...]


class Learner(Protocol):
    """A search for rules, which proceeds step by step and holds its own state."""

    start: Any

    @property
    def step(self) -> int: ...
    @property
    def final_length(self) -> int: ...
    def advance(self, n: int) -> None: ...
    def standing(self) -> Standing: ...
    def best(self) -> Any: ...
    def validate(self, draws: int) -> Validation: ...
    def arrays(self) -> dict[str, np.ndarray]: ...
    def restore(self, arrays: dict[str, np.ndarray]) -> None: ...


def median(values: np.ndarray) -> float:
    """Computes the median of the finite values; NaN where there are none."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float("nan")


class ByGradient:
    """Searches by gradient: an optimizer of optax, through the unroll, for every rule of a population.

    Attributes:
        start: the first of the rules that the search began with.
    """

    def __init__(
        self,
        key: Array,
        founders: Any,
        problems: tuple[Problem, ...],
        objective: Objective,
        method: Method,
        *,
        averaged: bool = False,
    ):
        self.start = member(founders, 0)
        self._key, self._problems, self._objective, self._method = key, problems, objective, method
        self._averaged = averaged
        self._population = everywhere(founded(founders, method.optimizer))
        self._chosen: int | None = None
        self._advance = jax.jit(
            functools.partial(advance, objective=objective, method=method), donate_argnames="population"
        )

    @property
    def step(self) -> int:
        return int(self._population.step)

    @property
    def final_length(self) -> int:
        return self._method.curriculum.last

    def advance(self, n: int) -> None:
        """Takes n meta-steps, in one call to the device."""
        self._chosen = None
        self._population = self._advance(self._key, self._population, self._problems, jnp.int32(n))

    def standing(self) -> Standing:
        population = self._population
        losses, accuracies = np.asarray(population.loss), np.asarray(population.accuracy)
        chosen = int(best(population))
        curriculum = self._method.curriculum
        stage = curriculum.first + curriculum.add * (max(self.step - 1, 0) // curriculum.every)
        return Standing(
            best_loss=float(losses[chosen]),
            median_loss=median(losses),
            best_accuracy=float(accuracies[chosen]),
            median_accuracy=median(accuracies),
            skipped=int(population.skipped),
            replaced=int(population.replaced),
            length=min(stage, curriculum.last),
        )

    def _candidates(self) -> Any:
        return self._population.averages if self._averaged else self._population.rules

    def best(self) -> Any:
        """Returns the rule with the least loss in the last validation, or else the least moving average."""
        chosen = int(best(self._population)) if self._chosen is None else self._chosen
        return member(self._candidates(), chosen)

    def validate(self, draws: int) -> Validation:
        """Judges every rule by fresh unrolls of the largest length, and remembers the best."""
        found = _validated(
            jax.random.fold_in(self._key, VALIDATION), self._candidates(), self._problems, self.final_length, draws,
            self._objective,
        )  # fmt: skip
        losses = np.where(np.isfinite(found.loss), found.loss, np.inf)
        self._chosen = int(np.argmin(losses))
        accuracies = tuple(np.asarray(found.accuracy).tolist())
        return Validation(float(losses[self._chosen]), accuracies[self._chosen], accuracies)

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns all that a checkpoint keeps."""
        return {name: np.asarray(leaf) for name, leaf in named(self._population).items()}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Restores the state that `arrays` returned.

        Raises:
            UserError: an array is missing, or has another shape or type.
        """
        self._population = everywhere(restored(self._population, arrays))


def named(population: Population) -> dict[str, Any]:
    """The arrays of a population, by name."""
    leaves = jax.tree_util.tree_leaves_with_path(population)
    return {jax.tree_util.keystr(path).strip("."): leaf for path, leaf in leaves}


def restored(population: Population, arrays: dict[str, np.ndarray]) -> Population:
    """A population of the same structure with other arrays.

    Raises:
        UserError: an array is missing, or has another shape or type.
    """
    for name, leaf in named(population).items():
        if name not in arrays or arrays[name].shape != leaf.shape or arrays[name].dtype != leaf.dtype:
            raise UserError(f"{name} is missing, or has another shape or type")
    leaves = [jnp.asarray(arrays[name]) for name in named(population)]
    return jax.tree.unflatten(jax.tree.structure(population), leaves)


@functools.partial(jax.jit, static_argnames=("draws", "objective"))
def _validated(key, rules, problems, length, draws: int, objective: Objective):
    """Averages the score of every rule over draws, one draw after the other."""

    def one(key):
        judge = functools.partial(mean_score, problems=problems, length=length, objective=objective)
        return of_each(lambda rule: judge(key, rule), rules, problems, objective)

    scores = jax.lax.map(one, jax.random.split(key, draws))
    return whole(jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), scores))
