"""Losses: plain functions of one example, and their mean over a batch.

A loss is any callable `(prediction [outputs], target) -> number`, or numbers, which are summed. The losses of optax
are such callables: give them as they are.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._text import UserError, nearest, shown

Loss = Callable[[Any, Any], Any]
"""(prediction `[outputs]`, target of one example) -> a number, or numbers that are summed."""


def softmax_cross_entropy(prediction: Float[Array, " outputs"], target: Float[Array, " outputs"]) -> Float[Array, ""]:
    """Computes `-sum_o p_o log softmax(y)_o` in nats, with `p = (t + 1) / 2`, normalised to sum 1.

    Args:
        prediction: y, one output for each class.
        target: t, +1 for the true class and -1 for the others.

    Returns:
        The loss of the example; 0 where no class is true. Its gradient with respect to y is `softmax(y) - p`.

    Raises:
        ValueError: there is a single output, whose softmax is always 1; or not one target for each output.

    >>> round(float(softmax_cross_entropy(jnp.zeros(2), jnp.array([1.0, -1.0]))), 6)  # log 2
    0.693147
    """
    if jnp.shape(prediction) == (1,):
        raise UserError(
            "softmax_cross_entropy is given a single output, whose softmax is always 1, so that nothing can be learnt "
            "from it; take rules.squared_error or, with targets of 0 and 1, optax.losses.sigmoid_binary_cross_entropy "
            "as the loss, or give the network an output for each class."
        )
    check_alike("softmax_cross_entropy", prediction, target)
    positive = (target + 1) / 2
    total = jnp.sum(positive)
    return -jnp.sum(positive / jnp.where(total == 0, 1, total) * jax.nn.log_softmax(prediction))


def squared_error(prediction: Float[Array, " outputs"], target: Float[Array, " outputs"]) -> Float[Array, ""]:
    """Computes `1/2 sum_o (y_o - t_o)^2`, whose gradient with respect to y is `y - t`.

    Raises:
        ValueError: there is not one target for each output.

    >>> float(squared_error(jnp.array([3.0, 1.0]), jnp.array([1.0, 0.0])))
    2.5
    """
    check_alike("squared_error", prediction, target)
    return 0.5 * jnp.sum((prediction - target) ** 2)


def check_alike(name: str, prediction: Any, target: Any) -> None:
    """Raises a `ValueError` where targets have another shape than predictions: they would be broadcast in silence."""
    if jnp.shape(prediction) != jnp.shape(target):
        raise UserError(
            f"{name} is given targets of the shape {jnp.shape(target)} for predictions of the shape "
            f"{jnp.shape(prediction)}; it needs one number for each output of each example. For class numbers take "
            "jax.nn.one_hot(labels, n_classes, axis=0) * 2 - 1, or "
            "optax.losses.softmax_cross_entropy_with_integer_labels as the loss."
        )


def mean(loss: Loss, prediction: Float[Array, "outputs batch"], target: Any) -> Float[Array, ""]:
    """Averages a loss over the examples of a batch, computed in float32 at least.

    Args:
        loss: the loss of one example; the numbers that it gives are summed.
        prediction: `[outputs, batch]`.
        target: an array whose last axis is the batch, such as `[outputs, batch]`, or class numbers `[batch]`.

    Returns:
        The mean over the batch, a scalar.

    >>> import optax
    >>> y, labels = jnp.zeros((4, 3)), jnp.array([0, 1, 3])
    >>> round(float(mean(optax.losses.softmax_cross_entropy_with_integer_labels, y, labels)), 6)  # log 4
    1.386294
    """
    wide = jnp.promote_types(prediction.dtype, jnp.float32)
    return jnp.mean(each(loss, prediction.astype(wide), target).astype(wide))


def each(loss: Loss, prediction: Float[Array, "outputs batch"], target: Any) -> Float[Array, " batch"]:
    """The loss of each example.

    Raises:
        ValueError: the loss is a name or something else that cannot be called.
    """
    if not callable(loss):
        raise UserError(f"the loss is {shown(loss)}; give a function, such as rules.losses.softmax_cross_entropy.")
    return jax.vmap(lambda y, t: jnp.sum(loss(y, t)), in_axes=-1)(prediction, target)


def slope(loss: Loss, prediction: Float[Array, "outputs batch"], target: Any) -> Float[Array, "outputs batch"]:
    """The gradient of each example's own loss with respect to its prediction."""
    return jax.grad(lambda y: jnp.sum(each(loss, y, target)))(prediction)


LOSSES: dict[str, Loss] = {"softmax_cross_entropy": softmax_cross_entropy, "mean_squared_error": squared_error}
"""The losses of our own, by the names that files and commands know; those of `optax.losses` go by their own names."""


def named(name: str) -> Loss:
    """The loss of that name.

    Raises:
        ValueError: there is none.
    """
    if name in LOSSES:
        return LOSSES[name]
    import optax

    function = None if name.startswith("_") else getattr(optax.losses, name, None)
    if not callable(function):
        known = [*LOSSES, *(one for one in dir(optax.losses) if not one.startswith("_"))]
        raise UserError(f"there is no loss {shown(name)}; {nearest(name, known)}")
    return function
