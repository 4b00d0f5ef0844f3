"""Mean over the whole image, one number per channel."""

from typing import NamedTuple

import numpy as np

from numnist.arrays import Array, Shape


class Cache(NamedTuple):
    """What `backward` needs: the input's shape."""

    x_shape: Shape


def forward(x: Array) -> tuple[Array, Cache]:
    """Mean of every channel of every image.

        y[n,c] = 1/(H*W) * sum over i,j of x[n,c,i,j]

    Shapes: x (N, C, H, W) -> y (N, C).
    Returns: (y, cache); hand the cache to `backward`.
    Raises: ValueError when x is not of rank 4.
    Source: Lin, Chen & Yan 2014, arXiv:1312.4400, section 3.2.
    """
    if x.ndim != 4:
        raise ValueError(f"global_avg_pool2d: expected x of shape (N, C, H, W), got {x.shape}")
    return x.mean(axis=(2, 3)), Cache(x.shape)


def backward(dy: Array, cache: Cache) -> Array:
    """Gradient of a loss through `forward`.

        dx[n,c,i,j] = dy[n,c] / (H*W)

    Shapes: dy (N, C) -> dx (N, C, H, W).
    Source: Lin, Chen & Yan 2014, arXiv:1312.4400, section 3.2.
    """
    H, W = cache.x_shape[2:]
    return np.broadcast_to((dy / (H * W))[:, :, np.newaxis, np.newaxis], cache.x_shape).copy()
