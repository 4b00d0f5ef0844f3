"""Logarithm of the softmax."""

from typing import NamedTuple

import numpy as np

from numnist.arrays import Array


class Cache(NamedTuple):
    """What `backward` needs: the output."""

    y: Array


def forward(x: Array) -> tuple[Array, Cache]:
    """Logarithm of the softmax along the last axis.

        y[n,k] = x[n,k] - log sum over j of exp(x[n,j])

    The row's maximum is subtracted first, which changes nothing but keeps every exp at most 1.

    Shapes: x (..., K) -> y like x.
    Returns: (y, cache); hand the cache to `backward`.
    Source: Goodfellow, Bengio & Courville 2016, Deep Learning, section 6.2.2.3, equation 6.30.
    """
    shifted = x - x.max(axis=-1, keepdims=True)
    y = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return y, Cache(y)


def backward(dy: Array, cache: Cache) -> Array:
    """Gradient of a loss through `forward`.

        dx[n,k] = dy[n,k] - exp(y[n,k]) * sum over j of dy[n,j]

    Shapes: dy like x -> dx like x.
    Source: Goodfellow, Bengio & Courville 2016, Deep Learning, section 6.2.2.3.
    """
    dx: Array = dy - np.exp(cache.y) * dy.sum(axis=-1, keepdims=True)
    return dx
