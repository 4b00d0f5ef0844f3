"""The softmax."""

from typing import NamedTuple

import numpy as np

from numnist.arrays import Array


class Cache(NamedTuple):
    """What `backward` needs: the output."""

    y: Array


def forward(x: Array) -> tuple[Array, Cache]:
    """Probabilities from scores, along the last axis.

        y[n,k] = exp(x[n,k]) / sum over j of exp(x[n,j])

    The row's maximum is subtracted first, which changes nothing but keeps every exp at most 1.

    Shapes: x (..., K) -> y like x; no value is negative, every row sums to 1.
    Returns: (y, cache); hand the cache to `backward`.
    Source: Goodfellow, Bengio & Courville 2016, Deep Learning, section 6.2.2.3, equation 6.29.
    """
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    y = e / e.sum(axis=-1, keepdims=True)
    return y, Cache(y)


def backward(dy: Array, cache: Cache) -> Array:
    """Gradient of a loss through `forward`.

        dx[n,k] = y[n,k] * (dy[n,k] - sum over j of dy[n,j] * y[n,j])

    Shapes: dy like x -> dx like x.
    Source: Goodfellow, Bengio & Courville 2016, Deep Learning, section 6.2.2.3.
    """
    y = cache.y
    dx: Array = y * (dy - (dy * y).sum(axis=-1, keepdims=True))
    return dx
