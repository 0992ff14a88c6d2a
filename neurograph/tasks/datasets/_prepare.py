"""Resizes images by area-weighted means, exactly, in integers.

Pixel (i, j) of the result is the mean of the image over the rectangle that the pixel covers,

    out = W X W^T / (h w),   W[i, r] = overlap of [i h, (i + 1) h) with [r n, (r + 1) n),

with h rows made n; whole numbers until the division, which rounds halves up.
"""

import numpy as np

CENTRAL = 20
"""The number of rows and columns to which 28 x 28 images are cropped before they become 10 x 10 (paper, 4.2)."""

_CHUNK = 4096


def prepared(images: np.ndarray, size: int) -> np.ndarray:
    """Resizes images to `size` x `size`, one in each row of the result.

    Args:
        images: uint8 `[n, rows, columns]`, not smaller than the result. 28 x 28 becomes 10 x 10 through the central
            20 x 20, any other size from the whole image.

    Returns:
        uint8 `[n, size * size]`, in row-major order.

    >>> prepared(np.array([[[0, 4, 8, 8], [4, 8, 8, 8], [1, 0, 0, 0], [0, 1, 0, 2]]], np.uint8), 2)
    array([[4, 8, 1, 1]], dtype=uint8)
    """
    if images.shape[1:] == (28, 28) and size == 10:
        margin = (28 - CENTRAL) // 2
        images = images[:, margin : margin + CENTRAL, margin : margin + CENTRAL]
    n, rows, columns = images.shape
    out = np.empty((n, size * size), np.uint8)
    if (rows, columns) == (size, size):
        out.reshape(images.shape)[:] = images
        return out
    down, across = overlaps(rows, size), overlaps(columns, size)
    area = rows * columns
    for start in range(0, n, _CHUNK):
        # sums of at most 255 * 105 * 105 are exact in float32
        sums = down @ images[start : start + _CHUNK].astype(np.float32) @ across.T
        means = (2 * sums.astype(np.int64) + area) // (2 * area)
        out[start : start + _CHUNK] = means.reshape(-1, size * size)
    return out


def overlaps(length: int, size: int) -> np.ndarray:
    """Gives W of the module: how much of each of `length` old pixels a new one covers, in units of 1 / size.

    >>> overlaps(3, 2)
    array([[2., 1., 0.],
           [0., 1., 2.]], dtype=float32)
    """
    new, old = np.arange(size)[:, None] * length, np.arange(length)[None, :] * size
    return np.clip(np.minimum(new + length, old + size) - np.maximum(new, old), 0, None).astype(np.float32)
