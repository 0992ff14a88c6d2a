"""`Task`: a classification task as a pytree, so that it can be an argument of a jitted function."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from .sources import Examples, dtype_of, everything, labels_of, n_examples, n_inputs


class TaskError(ValueError):
    """A task, its file or an option of it breaks a rule; the message names place, value, rule and mend."""


Sampler = Callable[[Any, Key[Array, ""], int, Any], Examples]
"""(source, key, batch_size, dtype) -> examples. A module-level function: it is static under `jax.jit`."""
Maker = Callable[["Task", Key[Array, ""]], "Task"]
"""(task, key) -> another task. A module-level function, too; pure, so that `jax.jit` and `jax.vmap` take it."""


class Task(eqx.Module):
    """A classification task: key-addressed support and query batches, and a fixed query set for the final number.

    Attributes:
        support_source, query_source: what batches are drawn from: stored examples (see `sources`), or the parameters
            of a generated task.
        test: the fixed query set, stored examples.
        sampler: draws a batch from a source.
        name: what messages and tables call it.
        class_names: name of class 0, 1, ...
        n_outputs: one per class; or 1 for a task of two classes, positive for class 1.
        pool: what episodes and trials are made from, beside the support source.
        episode_of, trial_of: make them; None: there are no episodes, and the task itself is its trial.
    """

    support_source: Any
    query_source: Any
    test: Any
    sampler: Sampler = eqx.field(static=True)
    name: str = eqx.field(static=True)
    class_names: tuple[str, ...] = eqx.field(static=True)
    n_outputs: int = eqx.field(static=True)
    pool: Any = None
    episode_of: Maker | None = eqx.field(static=True, default=None)
    trial_of: Maker | None = eqx.field(static=True, default=None)

    @property
    def n_inputs(self) -> int:
        return n_inputs(self.test)

    @property
    def dtype(self) -> Any:
        """Type of examples and targets."""
        return dtype_of(self.test)

    @property
    def n_classes(self) -> int:
        return len(self.class_names)

    @property
    def n_query(self) -> int:
        """Size of the fixed query set."""
        size = n_examples(self.test)
        assert size is not None
        return size

    @property
    def n_support(self) -> int | None:
        """Number of support examples; None where they are generated without end."""
        return n_examples(self.support_source)

    def support(
        self, key: Key[Array, ""], batch_size: int
    ) -> tuple[Float[Array, "inputs {batch_size}"], Float[Array, "{self.n_outputs} {batch_size}"]]:
        """Draws a batch to learn from: a pure function of the key, examples drawn independently (with replacement).

        Args:
            key: addresses the batch; `jax.random.fold_in(key, step)` gives that of a step.
            batch_size: number of examples.

        Returns:
            (x, target): x is `[inputs, batch]`; target `[outputs, batch]`, +1 for the true class and -1 for the others.
        """
        return self._batch(self.sampler(self.support_source, key, batch_size, self.dtype))

    def query(
        self, key: Key[Array, ""], batch_size: int
    ) -> tuple[Float[Array, "inputs {batch_size}"], Float[Array, "{self.n_outputs} {batch_size}"]]:
        """Draws a batch of examples that `support` never gives, as `support` does.

        For a generated task they come from the same distribution: independent keys make them fresh examples.
        """
        return self._batch(self.sampler(self.query_source, key, batch_size, self.dtype))

    def query_set(self) -> tuple[Float[Array, "inputs queries"], Float[Array, "{self.n_outputs} queries"]]:
        """The fixed query set, (x `[inputs, queries]`, target `[outputs, queries]`), each example once."""
        return self._batch(everything(self.test))

    def episode(self, key: Key[Array, ""]) -> "Task":
        """A task to *meta-learn* on, made from the support part alone: its `query` never shows the test set.

        Stored examples: a fifth of the support examples, which ones the key says, becomes the query set, and the others
        the support set. Nothing is copied. Toys: parameters and query set are drawn anew. Omniglot: ten characters of
        those for meta-learning.

        A pure function of the key; `jax.vmap` over keys gives a batch of episodes. Draw from them within the mapped
        function: one that returns episodes returns the stored examples once for each.

        Raises:
            TaskError: this is an episode, or was made without any.
        """
        if self.episode_of is None:
            raise TaskError(f"task '{self.name}' has no episodes; make them from the task that was loaded.")
        return self.episode_of(self, key)

    def trial(self, key: Key[Array, ""]) -> "Task":
        """A task to *evaluate* on what was meta-learnt: the task itself, with its test set as query set.

        Omniglot: ten characters of those for evaluation, which no episode shows.
        """
        return self if self.trial_of is None else self.trial_of(self, key)

    def _batch(self, examples: Examples) -> tuple[Array, Array]:
        return examples.x.T, targets(examples.labels, self.n_outputs, examples.x.dtype)


def targets(labels: Int[Array, " batch"], n_outputs: int, dtype: Any = jnp.float32) -> Float[Array, "outputs batch"]:
    """Encodes class numbers as +1 for the true class and -1 for the others; with one output, +1 for class 1.

    >>> targets(jnp.array([0, 2]), 3).T.tolist()
    [[1.0, -1.0, -1.0], [-1.0, -1.0, 1.0]]
    >>> targets(jnp.array([0, 1]), 1).tolist()
    [[-1.0, 1.0]]
    """
    classes = jnp.ones((1,), labels.dtype) if n_outputs == 1 else jnp.arange(n_outputs, dtype=labels.dtype)
    return jnp.where(labels[None, :] == classes[:, None], jnp.ones((), dtype), -jnp.ones((), dtype))


def accuracy(prediction: Float[Array, "outputs batch"], target: Float[Array, "outputs batch"]) -> Float[Array, ""]:
    """Fraction of examples whose predicted class is the true one (dimensionless).

    The class is that of the largest output (the first of equal ones); with a single output, its sign (0 is wrong). An
    example with an output that is not finite is wrong.

    >>> float(accuracy(jnp.array([[0.9, 0.1], [0.2, 0.3]]), jnp.array([[1.0, 1.0], [-1.0, -1.0]])))
    0.5
    """
    if prediction.shape[0] == 1:
        right = prediction[0] * target[0] > 0
    else:
        right = jnp.argmax(prediction, axis=0) == jnp.argmax(target, axis=0)
    finite = jnp.all(jnp.isfinite(prediction), axis=0)
    return jnp.mean((right & finite).astype(prediction.dtype))


def standard_error(accuracy: float | Float[Array, ""], n_examples: int) -> Float[Array, ""]:
    """Standard error of an accuracy measured on independent examples, sqrt(p (1 - p) / n) (dimensionless).

    >>> round(float(standard_error(0.9, 100)), 6)
    0.03
    """
    accuracy = jnp.asarray(accuracy)
    return jnp.sqrt(accuracy * (1 - accuracy) / n_examples)


def class_fractions(task: Task) -> np.ndarray:
    """Fraction of each class in the query set, float64 `[classes]`. Its largest is what constant guessing reaches."""
    labels = np.asarray(jax.device_get(labels_of(task.test)))
    return np.bincount(labels, minlength=task.n_classes) / task.n_query


def describe(task: Task) -> str:
    """One line on the task: its sizes, and the accuracy of guessing the most frequent class."""
    support = "generated support" if task.n_support is None else f"{task.n_support:,} support"
    return (
        f"{task.name}: {task.n_inputs} inputs, {task.n_classes} classes, {task.n_outputs} output"
        f"{'' if task.n_outputs == 1 else 's'}, {support} and {task.n_query:,} query examples, "
        f"{class_fractions(task).max():.3f} by guessing"
    )


def check_outputs(name: str, n_classes: int, n_outputs: int | None, default: int) -> int:
    """The number of outputs that a task has.

    Raises:
        TaskError: it is neither one per class nor, for two classes, 1.
    """
    n_outputs = default if n_outputs is None else n_outputs
    if n_outputs == n_classes or (n_outputs == 1 and n_classes == 2):
        return n_outputs
    allowed = "1 or 2 outputs" if n_classes == 2 else f"{n_classes} outputs, one per class"
    raise TaskError(f"task '{name}': {n_outputs} outputs do not fit its {n_classes} classes; give it {allowed}.")
