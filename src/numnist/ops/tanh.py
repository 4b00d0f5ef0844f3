"""The hyperbolic tangent."""

from typing import NamedTuple

import numpy as np

from numnist.arrays import Array


class Cache(NamedTuple):
    """What `backward` needs: the output."""

    y: Array


def forward(x: Array) -> tuple[Array, Cache]:
    """Squash every value into (-1, 1).

        y = tanh(x) = (exp(x) - exp(-x)) / (exp(x) + exp(-x))

    Shapes: x of any shape -> y like x.
    Returns: (y, cache); hand the cache to `backward`.
    Source: LeCun, Bottou, Orr & Müller 1998, Efficient BackProp, section 4.4.
    """
    y = np.tanh(x)
    return y, Cache(y)


def backward(dy: Array, cache: Cache) -> Array:
    """Gradient of a loss through `forward`.

        dx = dy * (1 - y²)

    Shapes: dy like x -> dx like x.
    Source: LeCun, Bottou, Orr & Müller 1998, Efficient BackProp, section 4.4.
    """
    dx: Array = dy * (1 - cache.y**2)
    return dx
