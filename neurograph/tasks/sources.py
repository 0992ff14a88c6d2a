"""Defines what batches are drawn from: stored examples or images, and views of them that copy nothing.

A view maps the numbers of its examples to rows of what is stored, so that an episode costs a few numbers, and a batch
one gather.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, UInt8


class Examples(NamedTuple):
    """Holds examples with their labels, one in each row, so that drawing a batch reads contiguous memory.

    Attributes:
        x: the inputs.
        labels: class numbers; or for a regression the values to predict.
    """

    x: Float[Array, "examples inputs"]
    labels: Int[Array, " examples"] | Float[Array, "examples outputs"]


class Images(NamedTuple):
    """Holds images of one byte a pixel, a quarter of the memory of float32; a drawn image is (pixel - shift) * scale.

    Attributes:
        pixels: 0 background ... 255 ink.
        labels: class numbers.
        shift, scale: of the type that drawn images have.
    """

    pixels: UInt8[Array, "examples inputs"]
    labels: Int[Array, " examples"]
    shift: Float[Array, ""]
    scale: Float[Array, ""]


class Chosen(NamedTuple):
    """Views some rows of stored images, with class numbers of their own."""

    source: Images
    rows: Int[Array, " examples"]
    labels: Int[Array, " examples"]


class Window(eqx.Module):
    """Views `size` examples that follow each other in a shuffled order of all, cyclically.

    Attributes:
        source: the stored `Examples` or `Images`.
        order: row numbers, shuffled.
        start: position of the first one in that order.
        size: how many.
    """

    source: Any
    order: Int[Array, " all"]
    start: Int[Array, ""]
    size: int = eqx.field(static=True)


def n_examples(source: Any) -> int | None:
    """Counts the examples; None where they are generated without end."""
    match source:
        case Examples():
            return source.x.shape[-2]
        case Images():
            return source.pixels.shape[-2]
        case Chosen():
            return source.rows.shape[-1]
        case Window():
            return source.size
    return None


def stored(source: Any) -> Any:
    """Gives the `Examples` or `Images` that lie behind a view."""
    return source.source if isinstance(source, Chosen | Window) else source


def n_inputs(source: Any) -> int:
    """Counts the numbers in an example."""
    held = stored(source)
    return (held.pixels if isinstance(held, Images) else held.x).shape[-1]


def dtype_of(source: Any) -> Any:
    """Gives the type of drawn examples."""
    held = stored(source)
    return (held.scale if isinstance(held, Images) else held.x).dtype


def labels_of(source: Any) -> Array:
    """Gives the labels of all examples, in order."""
    return source.source.labels[_rows(source, jnp.arange(source.size))] if isinstance(source, Window) else source.labels


def take(source: Any, numbers: Int[Array, " batch"], dtype: Any) -> Examples:
    """Takes examples by their numbers, 0 <= number < n_examples(source)."""
    match source:
        case Window():
            return take(source.source, _rows(source, numbers), dtype)
        case Chosen():
            pixels = source.source.pixels[source.rows[numbers]]
            return Examples(_shown(source.source, pixels, dtype), source.labels[numbers])
        case Images():
            return Examples(_shown(source, source.pixels[numbers], dtype), source.labels[numbers])
    return Examples(source.x[numbers].astype(dtype), source.labels[numbers])


def everything(source: Any) -> Examples:
    """Gives all examples, in order."""
    match source:
        case Examples():
            return source
        case Images():
            return Examples(_shown(source, source.pixels, dtype_of(source)), source.labels)
    return take(source, jnp.arange(n_examples(source)), dtype_of(source))


def draw(source: Any, key: Key[Array, ""], batch_size: int, dtype: Any) -> Examples:
    """Draws examples uniformly and with replacement: a batch costs one gather, however many there are."""
    n = n_examples(source)
    assert n is not None
    return take(source, jax.random.randint(key, (batch_size,), 0, n), dtype)


def _rows(window: Window, numbers: Array) -> Array:
    return window.order[(window.start + numbers) % window.order.shape[0]]


def _shown(images: Images, pixels: Array, dtype: Any) -> Array:
    return (pixels.astype(dtype) - images.shift) * images.scale
