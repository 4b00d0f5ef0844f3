"""The layer between images and rows."""

from dataclasses import dataclass
from math import prod
from typing import ClassVar, final

from numpy.random import Generator

from numnist.arrays import Array, Shape
from numnist.nn.layer import Gradients, Layer
from numnist.ops import flatten


@final
@dataclass(eq=False)
class Flatten(Layer):
    """(C, H, W) becomes (C*H*W,). See `ops.flatten`."""

    per_sample: ClassVar[bool] = True

    def forward(self, x: Array, training: bool, rng: Generator | None) -> tuple[Array, flatten.Cache]:
        return flatten.forward(x)

    def backward(self, dy: Array, cache: flatten.Cache) -> tuple[Array, Gradients]:
        return flatten.backward(dy, cache), {}

    def output_shape(self, input_shape: Shape) -> Shape:
        return (prod(input_shape),)
