"""Encodes targets in the form that a loss takes."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ..rules import losses

SIGNS, ONE_HOT, INDICES, VALUES = "signs", "one_hot", "indices", "values"
FORMS = (SIGNS, ONE_HOT, INDICES, VALUES)
"""The first three are for classes, the last is for regression; see `encode`."""

Target = Float[Array, "outputs batch"] | Int[Array, " batch"]


@cache
def _taken() -> Mapping[losses.Loss, str]:
    """Maps each known loss to the form of class targets that it takes."""
    from optax import losses as optax_losses

    return {
        losses.softmax_cross_entropy: SIGNS,
        optax_losses.softmax_cross_entropy: ONE_HOT,
        optax_losses.safe_softmax_cross_entropy: ONE_HOT,
        optax_losses.softmax_cross_entropy_with_integer_labels: INDICES,
        optax_losses.sigmoid_binary_cross_entropy: ONE_HOT,
        optax_losses.sigmoid_focal_loss: ONE_HOT,
        optax_losses.hinge_loss: SIGNS,
        optax_losses.multiclass_hinge_loss: INDICES,
        optax_losses.multiclass_perceptron_loss: INDICES,
    }


def form_for(loss: losses.Loss) -> str | None:
    """Gives the form of class targets that a known loss takes, also as a `functools.partial`; None for other losses."""
    return _taken().get(getattr(loss, "func", loss))


def encode(labels: Array, form: str, n_outputs: int, dtype: Any = jnp.float32) -> Target:
    """Gives targets in the form that the loss takes, with the batch as last axis.

    Args:
        labels: class numbers `[batch]`, or for the form "values" real numbers `[batch, outputs]`.
        form: "signs" gives +1 for the true class and -1 for the others, `[outputs, batch]`, and with one output +1
            for class 1 and -1 for class 0; "one_hot" the same with 0 in place of -1; "indices" the class numbers
            themselves, `[batch]`; "values" the real numbers, `[outputs, batch]`.
        n_outputs: number of outputs.
        dtype: the type of all targets but class numbers.

    >>> encode(jnp.array([0, 2]), "signs", 3).T.tolist()
    [[1.0, -1.0, -1.0], [-1.0, -1.0, 1.0]]
    >>> encode(jnp.array([0, 1]), "one_hot", 1).tolist()
    [[0.0, 1.0]]
    """
    if form == VALUES:
        return labels.T.astype(dtype)
    if form == INDICES:
        return labels
    classes = jnp.ones((1,), labels.dtype) if n_outputs == 1 else jnp.arange(n_outputs, dtype=labels.dtype)
    others = -jnp.ones((), dtype) if form == SIGNS else jnp.zeros((), dtype)
    return jnp.where(labels[None, :] == classes[:, None], jnp.ones((), dtype), others)
