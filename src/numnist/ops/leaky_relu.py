"""The leaky rectified linear unit."""

from typing import NamedTuple

import numpy as np

from numnist.arrays import Array


class Cache(NamedTuple):
    """What `backward` needs: where x was positive, and the slope elsewhere."""

    positive: Array
    slope: float


def forward(x: Array, slope: float = 0.01) -> tuple[Array, Cache]:
    """A small slope in place of every negative value's zero.

        y = x where x > 0, else slope * x

    Shapes: x of any shape -> y like x.
    Returns: (y, cache); hand the cache to `backward`.
    Source: Maas, Hannun & Ng 2013, Rectifier Nonlinearities Improve Acoustic Models, section 2.
    """
    positive, slope = x > 0, float(slope)
    return np.where(positive, x, slope * x), Cache(positive, slope)


def backward(dy: Array, cache: Cache) -> Array:
    """Gradient of a loss through `forward`; at x = 0, where there is none, it is taken as the slope.

        dx = dy where x > 0, else slope * dy

    Shapes: dy like x -> dx like x.
    Source: Maas, Hannun & Ng 2013, Rectifier Nonlinearities Improve Acoustic Models, section 2.
    """
    return np.where(cache.positive, dy, cache.slope * dy)
