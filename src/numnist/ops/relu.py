"""The rectified linear unit."""

from typing import NamedTuple

import numpy as np

from numnist.arrays import Array


class Cache(NamedTuple):
    """What `backward` needs: where x was positive."""

    positive: Array


def forward(x: Array) -> tuple[Array, Cache]:
    """Zero in place of every negative value.

        y = max(x, 0)

    Shapes: x of any shape -> y like x.
    Returns: (y, cache); hand the cache to `backward`.
    Source: Nair & Hinton 2010, Rectified Linear Units Improve Restricted Boltzmann Machines, section 2.
    """
    return np.maximum(x, 0), Cache(x > 0)


def backward(dy: Array, cache: Cache) -> Array:
    """Gradient of a loss through `forward`; at x = 0, where there is none, it is taken as 0.

        dx = dy * [x > 0]        [...] is 1 where it holds, else 0

    Shapes: dy like x -> dx like x.
    Source: Glorot, Bordes & Bengio 2011, Deep Sparse Rectifier Neural Networks, section 3.
    """
    return dy * cache.positive
