"""Scores predictions: by accuracy for classes, by R^2 for real values."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from .encoding import Target


def accuracy(prediction: Float[Array, "outputs batch"], target: Target) -> Float[Array, ""]:
    """Computes the fraction of examples whose predicted class is the true one (dimensionless).

    The class is that of the largest output (the first of equal ones); with a single output, its sign (0 is wrong). An
    example with an output that is not finite is wrong.

    Args:
        prediction: `[outputs, batch]`.
        target: signs or one-hot vectors `[outputs, batch]`, or class numbers `[batch]`.

    >>> prediction = jnp.array([[0.9, 0.1], [0.2, 0.3]])
    >>> float(accuracy(prediction, jnp.array([[1.0, 1.0], [-1.0, -1.0]])))
    0.5
    >>> float(accuracy(prediction, jnp.array([0, 1])))
    1.0
    """
    if prediction.shape[0] == 1:
        right = jnp.where(target.reshape(-1) > 0, prediction[0] > 0, prediction[0] < 0)
    else:
        right = jnp.argmax(prediction, axis=0) == (target if target.ndim == 1 else jnp.argmax(target, axis=0))
    finite = jnp.all(jnp.isfinite(prediction), axis=0)
    return jnp.mean((right & finite).astype(prediction.dtype))


def r_squared(prediction: Float[Array, "outputs batch"], target: Float[Array, "outputs batch"]) -> Float[Array, ""]:
    """Computes `R^2 = 1 - sum_b (t - y)^2 / sum_b (t - mean_b t)^2`, averaged over outputs (dimensionless).

    It is 1 for perfect predictions, 0 for predicting the mean of the targets, and negative for anything worse. An
    output whose targets are all equal counts 1 where it is predicted exactly, and 0 otherwise. All outputs weigh the
    same. It is computed in float32 at least.

    >>> target = jnp.array([[1.0, 2.0, 3.0]])
    >>> float(r_squared(target, target)), float(r_squared(jnp.full((1, 3), 2.0), target))
    (1.0, 0.0)
    """
    wide = jnp.promote_types(prediction.dtype, jnp.float32)
    prediction, target = prediction.astype(wide), target.astype(wide)
    residual = jnp.sum((target - prediction) ** 2, axis=1)
    total = jnp.sum((target - jnp.mean(target, axis=1, keepdims=True)) ** 2, axis=1)
    varies = jnp.ptp(target, axis=1) > 0
    of_constant = jnp.where(residual > 0, 0.0, 1.0).astype(wide)
    return jnp.mean(jnp.where(varies, 1 - residual / jnp.where(varies, total, 1), of_constant))


def standard_error(accuracy: float | Float[Array, ""], n_examples: int) -> Float[Array, ""]:
    """Computes the standard error `sqrt(p (1 - p) / n)` of an accuracy on independent examples (dimensionless).

    >>> round(float(standard_error(0.9, 100)), 6)
    0.03
    """
    accuracy = jnp.asarray(accuracy)
    return jnp.sqrt(accuracy * (1 - accuracy) / n_examples)
