"""The dropout layer."""

from dataclasses import dataclass
from typing import final

from numpy.random import Generator

from numnist.arrays import Array, Shape
from numnist.nn.checks import require_number
from numnist.nn.layer import Gradients, Layer
from numnist.ops import dropout


@final
@dataclass(eq=False)
class Dropout(Layer):
    """Zeroes values with probability `rate` in training; lets all pass in evaluation. See `ops.dropout`."""

    rate: float = 0.5

    def __post_init__(self) -> None:
        require_number("Dropout", "rate", self.rate, 0, 1)

    def forward(self, x: Array, training: bool, rng: Generator | None) -> tuple[Array, dropout.Cache | None]:
        if not training:
            return x, None
        if rng is None:
            raise ValueError("Dropout: training needs a random generator, got rng=None")
        return dropout.forward(x, self.rate, rng)

    def backward(self, dy: Array, cache: dropout.Cache | None) -> tuple[Array, Gradients]:
        return (dy if cache is None else dropout.backward(dy, cache)), {}

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape
