"""The logistic sigmoid."""

from typing import NamedTuple

import numpy as np

from numnist.arrays import Array


class Cache(NamedTuple):
    """What `backward` needs: the output."""

    y: Array


def forward(x: Array) -> tuple[Array, Cache]:
    """Squash every value into (0, 1).

        y = 1 / (1 + exp(-x))

    computed from exp(-|x|), which cannot overflow, and which keeps the tiny values of large negative x.

    Shapes: x of any shape -> y like x.
    Returns: (y, cache); hand the cache to `backward`.
    Source: Goodfellow, Bengio & Courville 2016, Deep Learning, section 3.10.
    """
    e = np.exp(-np.abs(x))
    y = np.where(x >= 0, 1, e) / (1 + e)
    return y, Cache(y)


def backward(dy: Array, cache: Cache) -> Array:
    """Gradient of a loss through `forward`.

        dx = dy * y * (1 - y)

    Shapes: dy like x -> dx like x.
    Source: Goodfellow, Bengio & Courville 2016, Deep Learning, section 3.10.
    """
    y = cache.y
    dx: Array = dy * y * (1 - y)
    return dx
