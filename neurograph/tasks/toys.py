"""Makes generated tasks of two inputs: the toy data sets of the paper's section 4.1, which a plot can show.

The regions are those of the published code's `func2d`; examples are drawn uniformly from the square [-1, 1]^2 unless
said otherwise. A toy's own parameters (a circle's centre, the blobs' centres ...) are drawn once from the task's key
and are leaves of the task, so that a batch of tasks comes by `jax.vmap`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from .generated import N_QUERY, generated, no_parameters
from .sources import Examples
from .task import Sampler, Task

N_BLOBS = 5

Parameters = dict[str, Array]
Points = Float[Array, "batch 2"]


class Toy(NamedTuple):
    """Describes a distribution of labelled points.

    Attributes:
        sampler: draws examples, given the parameters.
        parameters: draws the parameters from (key, dtype).
        class_names: name of class 0, 1, ...
    """

    sampler: Sampler
    parameters: Callable[[Array, Any], Parameters]
    class_names: tuple[str, ...]


class _Region(NamedTuple):
    """Draws uniform points of [-1, 1]^2; those inside a region are of class 1. Equal where the region is."""

    inside: Callable[[Points, Parameters], Bool[Array, " batch"]]

    def __call__(self, source: Parameters, key: Array, batch_size: int, dtype: Any) -> Examples:
        x = jax.random.uniform(key, (batch_size, 2), dtype, -1, 1)
        return Examples(x, self.inside(x, source).astype(jnp.int32))


def _region(
    inside: Callable[[Points, Parameters], Bool[Array, " batch"]],
    parameters: Callable[[Array, Any], Parameters] = no_parameters,
) -> Toy:
    return Toy(_Region(inside), parameters, ("outside", "inside"))


# --- regions --------------------------------------------------------------------------------------------------------


def _positive_product(x: Points, _: Parameters) -> Bool[Array, " batch"]:
    return x[:, 0] * x[:, 1] > 0


def _negative_product(x: Points, _: Parameters) -> Bool[Array, " batch"]:
    return x[:, 0] * x[:, 1] < 0


def _and(x: Points, _: Parameters) -> Bool[Array, " batch"]:
    return (x[:, 0] > 0) & (x[:, 1] > 0)


def _or(x: Points, _: Parameters) -> Bool[Array, " batch"]:
    return (x[:, 0] > 0) | (x[:, 1] > 0)


def _not_x_and_y(x: Points, _: Parameters) -> Bool[Array, " batch"]:
    return (x[:, 0] < 0) & (x[:, 1] > 0)


def _circle_parameters(key: Array, dtype: Any) -> Parameters:
    centre_key, radius_key = jax.random.split(key)
    return {
        "centre": jax.random.uniform(centre_key, (2,), dtype, -1, 1),
        "radius": jax.random.uniform(radius_key, (), dtype, 0.2, 0.7),
    }


def _circle(x: Points, circle: Parameters) -> Bool[Array, " batch"]:
    return jnp.sum((x - circle["centre"][None]) ** 2, axis=1) < circle["radius"] ** 2


def _square(x: Points, _: Parameters) -> Bool[Array, " batch"]:
    return jnp.max(jnp.abs(x), axis=1) < 0.2


def _cross(x: Points, _: Parameters) -> Bool[Array, " batch"]:
    return jnp.min(jnp.abs(x), axis=1) < 0.3


def _triangle(x: Points, _: Parameters) -> Bool[Array, " batch"]:
    return (x[:, 0] + x[:, 1] < 1) & (x[:, 1] - x[:, 0] < 1) & (x[:, 1] > -0.5)


def _angular_slice(x: Points, _: Parameters) -> Bool[Array, " batch"]:
    return jnp.abs(jnp.arctan2(x[:, 1], x[:, 0])) <= 0.78


def _random_xor_parameters(key: Array, dtype: Any) -> Parameters:
    projection_key, bias_key = jax.random.split(key)
    return {
        "projection": jax.random.uniform(projection_key, (2, 2), dtype, -1, 1),
        "bias": jax.random.uniform(bias_key, (2,), dtype, -0.5, 0.5),
    }


def _random_xor(x: Points, parameters: Parameters) -> Bool[Array, " batch"]:
    # b = batch, i = input, p = projected axis
    projected = (
        jnp.einsum("bi,ip->bp", x, parameters["projection"], precision=jax.lax.Precision.HIGHEST)
        + parameters["bias"][None]
    )
    return projected[:, 0] * projected[:, 1] > 0


# --- noisy curves and clusters --------------------------------------------------------------------------------------


def _two_moons(_: Parameters, key: Array, batch_size: int, dtype: Any) -> Examples:
    """Draws two interleaved half circles with noise 0.1, as scikit-learn's `make_moons`, scaled to about [-1, 1]^2."""
    label_key, angle_key, noise_key = jax.random.split(key, 3)
    labels = jax.random.bernoulli(label_key, shape=(batch_size,)).astype(jnp.int32)
    angle = jax.random.uniform(angle_key, (batch_size,), dtype, 0, jnp.pi)
    upper = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)
    lower = jnp.asarray([[1, 0.5]], dtype) - upper
    moons = jnp.where(labels[:, None] == 0, upper, lower) + 0.1 * jax.random.normal(noise_key, (batch_size, 2), dtype)
    # the noiseless moons span [-1, 2] x [-0.5, 1]
    low, span = jnp.asarray([[-1, -0.5]], dtype), jnp.asarray([[3, 1.5]], dtype)
    return Examples((moons - low) * 2 / span - 1, labels)


RING_RADII = (0.2, 0.1, 1.0, 0.5)
RING_NOISE = (0.02, 0.02, 0.1, 0.1)


def _concentric_circles(_: Parameters, key: Array, batch_size: int, dtype: Any) -> Examples:
    """Draws four noisy rings, one a class. The published ones are 5 times as large: ours lie in about [-1, 1]^2."""
    label_key, angle_key, noise_key = jax.random.split(key, 3)
    labels = jax.random.randint(label_key, (batch_size,), 0, len(RING_RADII), jnp.int32)
    angle = jax.random.uniform(angle_key, (batch_size,), dtype, 0, 2 * jnp.pi)
    radius, noise = jnp.asarray(RING_RADII, dtype)[labels], jnp.asarray(RING_NOISE, dtype)[labels]
    ring = radius[:, None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)
    return Examples(ring + noise[:, None] * jax.random.normal(noise_key, (batch_size, 2), dtype), labels)


def _blobs_parameters(key: Array, dtype: Any) -> Parameters:
    return {"centres": jax.random.uniform(key, (N_BLOBS, 2), dtype, -1, 1)}


def _blobs(blobs: Parameters, key: Array, batch_size: int, dtype: Any) -> Examples:
    """Draws five Gaussian clusters of deviation 0.1, one a class; their centres are drawn from the task's key."""
    label_key, noise_key = jax.random.split(key)
    labels = jax.random.randint(label_key, (batch_size,), 0, N_BLOBS, jnp.int32)
    return Examples(blobs["centres"][labels] + 0.1 * jax.random.normal(noise_key, (batch_size, 2), dtype), labels)


TOYS: dict[str, Toy] = {
    "and": _region(_and),
    "or": _region(_or),
    "xor": _region(_positive_product),
    "nxor": _region(_negative_product),
    "not_x_and_y": _region(_not_x_and_y),
    "random_xor": _region(_random_xor, _random_xor_parameters),
    "circle": _region(_circle, _circle_parameters),
    "square": _region(_square),
    "cross": _region(_cross),
    "triangle": _region(_triangle),
    "angular_slice": _region(_angular_slice),
    "two_moons": Toy(_two_moons, no_parameters, ("upper", "lower")),
    "concentric_circles": Toy(_concentric_circles, no_parameters, tuple(f"radius {r:g}" for r in RING_RADII)),
    "blobs": Toy(_blobs, _blobs_parameters, tuple(f"blob {i}" for i in range(N_BLOBS))),
}
"""Maps names to toys. `xor` is the sign of x y: positive where both have the same sign, as in the published code."""


def toy(
    key: Key[Array, ""],
    name: str,
    *,
    n_outputs: int | None = None,
    dtype: Any = jnp.float32,
    query_size: int = N_QUERY,
) -> Task:
    """Makes a generated task of two inputs.

    Args:
        key: draws the toy's own parameters and its fixed query set.
        name: one of `TOYS`.
        n_outputs: two classes: 1 (the default: +1 for class 1, -1 for class 0) or 2; more classes: one per class.
        dtype: the type of the examples and targets.
        query_size: size of the fixed query set.

    Returns:
        The task. Batches are fresh examples, drawn from their own keys.

    Raises:
        TaskError: a number of outputs or a query size that does not fit.

    >>> task = toy(jax.random.key(0), "xor")
    >>> x, target = task.support(jax.random.key(1), 16)
    >>> bool(jnp.all(jnp.sign(x[0] * x[1]) == target[0]))
    True
    """
    sampler, parameters, class_names = TOYS[name]
    return generated(
        key,
        sampler,
        parameters=parameters,
        class_names=class_names,
        n_outputs=n_outputs,
        name=name,
        dtype=dtype,
        query_size=query_size,
    )
