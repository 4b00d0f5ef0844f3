"""Dropout."""

from typing import NamedTuple

import numpy as np

from numnist.arrays import Array, Shape


class Cache(NamedTuple):
    """What `backward` needs: 0 for what was dropped, 1 / (1 - rate) for what was kept."""

    m: Array


def forward(x: Array, rate: float, rng: np.random.Generator) -> tuple[Array, Cache]:
    """Set each value to zero with probability `rate`, and scale the rest so that the mean stays.

        y = x * m,        m = 0 with probability rate, else 1 / (1 - rate)

    In evaluation there is nothing to do: the layer does not call this op.

    Shapes: x of any shape -> y like x.
    Returns: (y, cache); hand the cache to `backward`.
    Raises: ValueError unless 0 <= rate < 1.
    Source: Srivastava et al. 2014, Dropout, JMLR 15(56), section 10.
    """
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: expected 0 <= rate < 1, got {rate}")
    shape: Shape = x.shape
    drawn = rng.random(shape, dtype=np.float32)
    m = (drawn >= rate).astype(x.dtype) / (1 - float(rate))
    return x * m, Cache(m)


def backward(dy: Array, cache: Cache) -> Array:
    """Gradient of a loss through `forward`.

        dx = dy * m

    Shapes: dy like x -> dx like x.
    Source: Srivastava et al. 2014, Dropout, JMLR 15(56), section 5.1.
    """
    return dy * cache.m
