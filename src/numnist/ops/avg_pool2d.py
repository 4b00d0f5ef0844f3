"""Mean over windows."""

from typing import NamedTuple

import numpy as np

from numnist.arrays import Array, Shape
from numnist.ops.windows import pooled_size, window_elements


class Cache(NamedTuple):
    """What `backward` needs: the geometry."""

    x_shape: Shape
    size: int
    stride: int


def forward(x: Array, size: int, stride: int | None = None) -> tuple[Array, Cache]:
    """Mean of each window.

        y[n,c,i,j] = 1/size² * sum over u,v in 0..size-1 of x[n, c, s*i+u, s*j+v]

    where s is the stride (default: the size, so that windows do not overlap). Rows and columns that do not
    fill a window are left out.

    Shapes: x (N, C, H, W) -> y (N, C, H', W'), H' = floor((H - size) / stride) + 1, W' likewise.
    Returns: (y, cache); hand the cache to `backward`.
    Raises: ValueError when x is not of rank 4 or the window is larger than the image.
    Source: Dumoulin & Visin 2016, arXiv:1603.07285, section 3; LeCun et al. 1998, section II.B (subsampling).
    """
    stride = size if stride is None else stride
    rows, columns = pooled_size("avg_pool2d", x, size, stride)
    elements = window_elements(x, size, stride, rows, columns)

    y = next(elements).copy()
    for element in elements:
        y += element
    y /= size * size
    return y, Cache(x.shape, size, stride)


def backward(dy: Array, cache: Cache) -> Array:
    """Gradient of a loss through `forward`: each dy is shared equally by the elements of its window.

        dx[n,c,a,b] = 1/size² * sum of dy[n,c,i,j] over all windows (i,j) that contain (a,b)

    Shapes: dy (N, C, H', W') -> dx (N, C, H, W).
    Source: Goodfellow, Bengio & Courville 2016, Deep Learning, section 6.5.6.
    """
    x_shape, size, stride = cache
    rows, columns = dy.shape[2:]
    dx = np.zeros(x_shape, dy.dtype)
    share = dy / (size * size)
    for element in window_elements(dx, size, stride, rows, columns):
        element += share
    return dx
