"""Maximum over windows."""

from typing import NamedTuple

import numpy as np

from numnist.arrays import Array, Shape
from numnist.ops.windows import pooled_size, window_elements


class Cache(NamedTuple):
    """What `backward` needs: which element of its window each maximum came from, and the geometry."""

    winner: Array
    x_shape: Shape
    size: int
    stride: int


def forward(x: Array, size: int, stride: int | None = None) -> tuple[Array, Cache]:
    """Largest value in each window.

        y[n,c,i,j] = max over u,v in 0..size-1 of x[n, c, s*i+u, s*j+v]

    where s is the stride (default: the size, so that windows do not overlap). Rows and columns that do not
    fill a window are left out. A NaN in a window is its maximum, so that it cannot hide.

    Shapes: x (N, C, H, W) -> y (N, C, H', W'), H' = floor((H - size) / stride) + 1, W' likewise.
    Returns: (y, cache); hand the cache to `backward`.
    Raises: ValueError when x is not of rank 4 or the window is larger than the image.
    Source: Dumoulin & Visin 2016, arXiv:1603.07285, section 3.
    """
    stride = size if stride is None else stride
    rows, columns = pooled_size("max_pool2d", x, size, stride)
    elements = window_elements(x, size, stride, rows, columns)

    y = next(elements).copy()
    winner = np.zeros(y.shape, np.int32)
    for index, element in enumerate(elements, start=1):
        # Strictly greater, so that the first maximum wins a tie; but a NaN compares with nothing.
        winner[~(element <= y) & ~np.isnan(y)] = index
        np.maximum(y, element, out=y)
    return y, Cache(winner, x.shape, size, stride)


def backward(dy: Array, cache: Cache) -> Array:
    """Gradient of a loss through `forward`: each dy goes to the element that was its window's maximum.

        dx[n,c,a,b] = sum of dy[n,c,i,j] over all windows (i,j) whose first maximum is (a,b)

    Shapes: dy (N, C, H', W') -> dx (N, C, H, W).
    Source: Goodfellow, Bengio & Courville 2016, Deep Learning, section 6.5.6.
    """
    winner, x_shape, size, stride = cache
    rows, columns = dy.shape[2:]
    dx = np.zeros(x_shape, dy.dtype)
    for index, element in enumerate(window_elements(dx, size, stride, rows, columns)):
        element += np.where(winner == index, dy, 0)
    return dx
