"""What the weights are before training: random, with a spread that keeps signals from fading or exploding.

Every rule has mean 0 and is told by its variance, with fan_in the number of inputs of a unit and fan_out the
number of units that one input reaches (both times the kernel's area in a convolution).
"""

from collections.abc import Callable
from functools import partial
from math import sqrt

import numpy as np
from numpy.random import Generator

from numnist.arrays import Array, Shape

Initialiser = Callable[[Generator, Shape], Array]
"""Draws a weight of shape (out, in) or (out, in, kh, kw)."""


def fans(shape: Shape) -> tuple[int, int]:
    """fan_in and fan_out of a weight.

    Shapes: (O, I) -> I, O; (O, C, KH, KW) -> C*KH*KW, O*KH*KW.
    Source: Glorot & Bengio 2010, section 4.2.1; as in PyTorch for convolutions.
    """
    area = int(np.prod(shape[2:]))
    return shape[1] * area, shape[0] * area


def xavier_variance(fan_in: int, fan_out: int) -> float:
    """2 / (fan_in + fan_out): between keeping the variance of signals and that of gradients.

    Source: Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward neural networks,
            equation 12.
    """
    return 2 / (fan_in + fan_out)


def he_variance(fan_in: int, fan_out: int) -> float:  # noqa: ARG001
    """2 / fan_in: keeps the variance of signals through ReLUs, which halve it.

    Source: He, Zhang, Ren & Sun 2015, arXiv:1502.01852, equation 10.
    """
    return 2 / fan_in


def lecun_variance(fan_in: int, fan_out: int) -> float:  # noqa: ARG001
    """1 / fan_in: keeps the variance of signals through linear and almost linear units.

    Source: LeCun, Bottou, Orr & Müller 1998, Efficient BackProp, section 4.6, equation 16.
    """
    return 1 / fan_in


def unit_variance(fan_in: int, fan_out: int) -> float:  # noqa: ARG001
    """1, whatever the fans: what the original used before Xavier, and the reason why it changed."""
    return 1.0


def draw_normal(rng: Generator, shape: Shape, *, variance: Callable[[int, int], float]) -> Array:
    """N(0, variance(fan_in, fan_out)). Shapes: any weight's."""
    return rng.standard_normal(shape) * sqrt(variance(*fans(shape)))


def draw_uniform(rng: Generator, shape: Shape, *, variance: Callable[[int, int], float]) -> Array:
    """U(-a, a) with a = sqrt(3 * variance(fan_in, fan_out)), which has just that variance."""
    limit = sqrt(3 * variance(*fans(shape)))
    return rng.uniform(-limit, limit, shape)


INITIALISERS: dict[str, Initialiser] = {
    "xavier_normal": partial(draw_normal, variance=xavier_variance),
    "xavier_uniform": partial(draw_uniform, variance=xavier_variance),
    "he_normal": partial(draw_normal, variance=he_variance),
    "he_uniform": partial(draw_uniform, variance=he_variance),
    "lecun_normal": partial(draw_normal, variance=lecun_variance),
    "lecun_uniform": partial(draw_uniform, variance=lecun_variance),
    "normal": partial(draw_normal, variance=unit_variance),
}
"""The rules by the name that a configuration gives them."""
