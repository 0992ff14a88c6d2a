"""Defines `Task`: what is to be learnt, as a pytree, so that it can be an argument of a jitted function."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from .._text import UserError, nearest
from ..rules import losses
from .encoding import FORMS, INDICES, SIGNS, VALUES, Target, encode, form_for
from .errors import TaskError
from .scores import accuracy, r_squared
from .sources import Examples, dtype_of, everything, labels_of, n_examples, n_inputs

Sampler = Callable[[Any, Key[Array, ""], int, Any], Any]
"""Maps (source, key, batch_size, dtype) to `Examples`, or to a pair (x `[batch, inputs]`, labels). It is static under
`jax.jit`: define it once, at the top of a module or of a notebook's cell."""
Maker = Callable[["Task", Key[Array, ""]], "Task"]
"""Maps (task, key) to another task. It is static, too, and pure, so that `jax.jit` and `jax.vmap` take it."""


class Task(eqx.Module):
    """Gives key-addressed support and query batches of a classification or a regression, and a fixed query set.

    Most tasks are best made by `load`, `from_arrays` or `generated`.

    Attributes:
        support_source, query_source: what batches are drawn from: stored examples (see `sources`), or the parameters
            of a generated task.
        test: the fixed query set, stored examples.
        sampler: draws a batch from a source.
        name: what messages and tables call it.
        class_names: name of class 0, 1, ...; empty for a regression.
        n_outputs: one per class; or 1 for a task of two classes, positive for class 1; or the numbers to predict.
        pool: what episodes and trials are made from, beside the support source.
        episode_of, trial_of: make them; None: there are no episodes, and the task itself is its trial.
        loss: the loss of one example, (prediction `[outputs]`, target) -> a number, or numbers that are summed; by
            default `losses.softmax_cross_entropy` for several outputs of a classification, else `losses.squared_error`.
        targets: the form of targets: "signs" (the default for classes), "one_hot", "indices" or "values" (real
            numbers, the only form for a regression); see `encode`.

    Raises:
        TaskError: the loss or the form of targets does not fit.
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
    loss: losses.Loss = eqx.field(static=True, default=None)  # pyright: ignore[reportAssignmentType]
    targets: str = eqx.field(static=True, default="")

    def __post_init__(self) -> None:
        if self.loss is None:
            several = bool(self.class_names) and self.n_outputs > 1
            self.loss = losses.softmax_cross_entropy if several else losses.squared_error
        self.targets = self.targets or (SIGNS if self.class_names else VALUES)
        if self.targets not in FORMS:
            raise TaskError(
                f"task '{self.name}': there is no form of targets '{self.targets}'; {nearest(self.targets, FORMS)}"
            )
        if (self.targets == VALUES) == bool(self.class_names):
            what, fit = ("classes", FORMS[:-1]) if self.class_names else ("real values", FORMS[-1:])
            raise TaskError(
                f"task '{self.name}' is of {what}, whose targets cannot be given as '{self.targets}'; give targets as "
                f"{' or '.join(fit)}."
            )
        if self.loss is losses.softmax_cross_entropy and self.n_outputs == 1:
            raise TaskError(
                f"task '{self.name}' has a single output, whose softmax is always 1; use a loss other "
                "than softmax_cross_entropy, such as mean_squared_error, or one output for each class."
            )

    @property
    def is_regression(self) -> bool:
        """Says whether the targets are real values."""
        return not self.class_names

    @property
    def n_inputs(self) -> int:
        return n_inputs(self.test)

    @property
    def dtype(self) -> Any:
        """The type of examples, and of all targets but class numbers."""
        return dtype_of(self.test)

    @property
    def n_classes(self) -> int:
        """The number of classes; 0 for a regression."""
        return len(self.class_names)

    @property
    def n_query(self) -> int:
        """The size of the fixed query set."""
        size = n_examples(self.test)
        assert size is not None
        return size

    @property
    def n_support(self) -> int | None:
        """The number of support examples; None where they are generated without end."""
        return n_examples(self.support_source)

    @property
    def score_name(self) -> str:
        """The name of what `score` gives: "accuracy" or "R2"."""
        return "R2" if self.is_regression else "accuracy"

    def support(self, key: Key[Array, ""], batch_size: int) -> tuple[Float[Array, "inputs {batch_size}"], Target]:
        """Draws a batch to learn from: a pure function of the key, examples drawn independently (with replacement).

        Args:
            key: addresses the batch; `jax.random.fold_in(key, step)` gives that of a step.
            batch_size: number of examples.

        Returns:
            (x, target): x is `[inputs, batch]`; target `[outputs, batch]`, or class numbers `[batch]` for "indices".
        """
        return self._batch(self.support_source, key, batch_size)

    def query(self, key: Key[Array, ""], batch_size: int) -> tuple[Float[Array, "inputs {batch_size}"], Target]:
        """Draws a batch of examples that `support` never gives, as `support` does.

        For a generated task they come from the same distribution: independent keys make them fresh examples.
        """
        return self._batch(self.query_source, key, batch_size)

    def query_set(self) -> tuple[Float[Array, "inputs queries"], Target]:
        """Gives the fixed query set, (x `[inputs, queries]`, target with the queries as last axis), each once."""
        return _encoded(everything(self.test), self.targets, self.n_outputs)

    def mean_loss(self, prediction: Float[Array, "outputs batch"], target: Target) -> Float[Array, ""]:
        """Averages the loss over a batch (see `losses.mean`)."""
        return losses.mean(self.loss, prediction, target)

    def score(self, prediction: Float[Array, "outputs batch"], target: Target) -> Float[Array, ""]:
        """Computes the accuracy of a classification or the R^2 of a regression: at most 1, the larger the better."""
        return r_squared(prediction, target) if self.is_regression else accuracy(prediction, target)

    def with_loss(self, loss: losses.Loss | str, targets: str | None = None) -> "Task":
        """Gives the same task with another loss, and with targets as the loss takes them.

        Args:
            loss: a function of one example, or its name in `losses.NAMES`. A loss is static under `jax.jit`, so that
                a lambda that is written again is compiled again.
            targets: the form of targets. Default: the one that the loss takes, where it is one of `losses` or a loss
                of optax for classes; for any other loss the form stays.

        Raises:
            TaskError: an unknown name or form, or a loss that cannot take such targets.

        >>> import optax
        >>> from neurograph import tasks
        >>> task = tasks.load("blobs").with_loss(optax.losses.softmax_cross_entropy_with_integer_labels)
        >>> task.targets, task.query_set()[1].shape
        ('indices', (1000,))
        """
        if isinstance(loss, str):
            try:
                loss = losses.named(loss)
            except UserError as error:
                raise TaskError(f"task '{self.name}': {error}") from error
        form = targets or (None if self.is_regression else form_for(loss)) or self.targets
        task = dataclasses.replace(self, loss=loss, targets=form)
        shape = (1,) if form == INDICES else (self.n_outputs, 1)
        given = jax.ShapeDtypeStruct(shape, jnp.int32 if form == INDICES else self.dtype)
        try:
            jax.eval_shape(task.mean_loss, jax.ShapeDtypeStruct((self.n_outputs, 1), self.dtype), given)
        except Exception as error:
            name = getattr(loss, "__name__", repr(loss))
            raise TaskError(
                f"task '{self.name}': the loss {name} fails on one example, a prediction of shape ({self.n_outputs},) "
                f"and a target of shape {shape[:-1]} given as '{form}' ({type(error).__name__}: {error}); give a "
                "function of these two, or targets in another form."
            ) from error
        return task

    def episode(self, key: Key[Array, ""]) -> "Task":
        """Makes a task to *meta-learn* on, from the support part alone: its `query` never shows the test set.

        Stored examples: a fifth of the support examples, drawn from the key, becomes the query set, and the others the
        support set. Nothing is copied. Generated tasks: parameters and query set are drawn from the key. Omniglot: the
        key draws ten of the characters for meta-learning.

        A pure function of the key; `jax.vmap` over keys gives a batch of episodes. Draw from them within the mapped
        function: one that returns episodes returns the stored examples once for each.

        Raises:
            TaskError: this is an episode, or was made without any.
        """
        if self.episode_of is None:
            raise TaskError(f"task '{self.name}' has no episodes; make them from the task that was loaded.")
        return self.episode_of(self, key)

    def trial(self, key: Key[Array, ""]) -> "Task":
        """Makes a task to *evaluate* on what was meta-learnt: the task itself, with its test set as query set.

        Omniglot: the key draws ten of the characters for evaluation, which no episode shows.
        """
        return self if self.trial_of is None else self.trial_of(self, key)

    def _batch(self, source: Any, key: Key[Array, ""], batch_size: int) -> tuple[Array, Target]:
        return _batch(self.sampler, source, key, batch_size, self.dtype, self.targets, self.n_outputs)


@functools.partial(jax.jit, static_argnames=("sampler", "batch_size", "dtype", "targets", "n_outputs"))
def _batch(
    sampler: Sampler, source: Any, key: Key[Array, ""], batch_size: int, dtype: Any, targets: str, n_outputs: int
) -> tuple[Array, Target]:
    """Draws a batch in one program: operation by operation a dozen would be compiled."""
    return _encoded(sampler(source, key, batch_size, dtype), targets, n_outputs)


def _encoded(drawn: Any, targets: str, n_outputs: int) -> tuple[Array, Target]:
    examples = Examples(*drawn)
    return examples.x.T, encode(examples.labels, targets, n_outputs, examples.x.dtype)


def drawn_from(task: Task, support: Any, query: Any) -> Task:
    """Makes a task like another one, of other examples and without episodes of its own.

    Args:
        task: gives the sampler, the classes, the loss and the form of targets.
        support: what support batches are drawn from.
        query: what query batches are drawn from, and the fixed query set.
    """
    return dataclasses.replace(
        task, support_source=support, query_source=query, test=query, pool=None, episode_of=None, trial_of=None
    )


def class_fractions(task: Task) -> np.ndarray:
    """Computes the fraction of each class in the query set, float64 `[classes]`; guessing reaches the largest."""
    labels = np.asarray(jax.device_get(labels_of(task.test)))
    return np.bincount(labels, minlength=task.n_classes) / task.n_query


def describe(task: Task) -> str:
    """Describes a task in one line: its sizes, and the score of guessing the most frequent class, or the mean."""
    support = "generated support" if task.n_support is None else f"{task.n_support:,} support"
    outputs = f"{task.n_outputs} output{'' if task.n_outputs == 1 else 's'}"
    if task.is_regression:
        what, guess = f"{outputs} of real values", "R2 0 by guessing the mean"
    else:
        what, guess = f"{task.n_classes} classes, {outputs}", f"{class_fractions(task).max():.3f} by guessing"
    return f"{task.name}: {task.n_inputs} inputs, {what}, {support} and {task.n_query:,} query examples, {guess}"


def check_outputs(name: str, n_classes: int, n_outputs: int | None, default: int) -> int:
    """Gives the number of outputs of a classification.

    Raises:
        TaskError: it is neither one per class nor, for two classes, 1.
    """
    n_outputs = default if n_outputs is None else n_outputs
    if n_outputs == n_classes or (n_outputs == 1 and n_classes == 2):
        return n_outputs
    allowed = "1 or 2 outputs" if n_classes == 2 else f"{n_classes} outputs, one per class"
    raise TaskError(f"task '{name}': {n_outputs} outputs do not fit its {n_classes} classes; give it {allowed}.")


def check_values(name: str, n_values: int, n_outputs: int | None) -> int:
    """Gives the number of outputs of a regression.

    Raises:
        TaskError: it is not the number of values to predict.
    """
    if n_outputs in (None, n_values):
        return n_values
    values = "one value" if n_values == 1 else f"{n_values} values"
    raise TaskError(
        f"task '{name}': {n_outputs} outputs do not fit a regression that predicts {values}; give it {n_values}."
    )
