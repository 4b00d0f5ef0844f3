"""From images to rows."""

from math import prod
from typing import NamedTuple

from numnist.arrays import Array, Shape


class Cache(NamedTuple):
    """What `backward` needs: the input's shape."""

    x_shape: Shape


def forward(x: Array) -> tuple[Array, Cache]:
    """Put the values of each sample into one row, channel by channel, each row by row.

        y[n, (c*H + i)*W + j] = x[n,c,i,j]

    Shapes: x (N, ...) -> y (N, product of the rest).
    Returns: (y, cache); y is a view of x where its memory allows; hand the cache to `backward`.
    """
    return x.reshape(x.shape[0], prod(x.shape[1:])), Cache(x.shape)


def backward(dy: Array, cache: Cache) -> Array:
    """Gradient of a loss through `forward`: the same values in their old places.

    Shapes: dy (N, product of the rest) -> dx (N, ...).
    """
    return dy.reshape(cache.x_shape)
