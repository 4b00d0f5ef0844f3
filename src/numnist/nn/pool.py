"""Pooling layers."""

from dataclasses import dataclass
from typing import ClassVar, final

from numpy.random import Generator

from numnist.arrays import Array, Shape
from numnist.nn.checks import require_integer
from numnist.nn.layer import Gradients, Layer
from numnist.ops import avg_pool2d, global_avg_pool2d, max_pool2d
from numnist.ops.patches import output_size


@dataclass(eq=False)
class _Windows(Layer):
    """What pooling over windows has in common: a size, a stride (default: the size), the output's shape."""

    size: int
    stride: int | None = None

    per_sample: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_integer(type(self).__name__, "size", self.size, 1)
        if self.stride is not None:
            require_integer(type(self).__name__, "stride", self.stride, 1)

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 3 or min(input_shape[1:]) < self.size:
            raise self._expected(f"(C, H, W) with H, W of at least {self.size}", input_shape)
        rows, columns = (
            output_size(length, self.size, self.stride or self.size) for length in input_shape[1:]
        )
        return (input_shape[0], rows, columns)


@final
@dataclass(eq=False)
class MaxPool2d(_Windows):
    """Largest value in each window. See `ops.max_pool2d`."""

    def forward(self, x: Array, training: bool, rng: Generator | None) -> tuple[Array, max_pool2d.Cache]:
        return max_pool2d.forward(x, self.size, self.stride)

    def backward(self, dy: Array, cache: max_pool2d.Cache) -> tuple[Array, Gradients]:
        return max_pool2d.backward(dy, cache), {}


@final
@dataclass(eq=False)
class AvgPool2d(_Windows):
    """Mean of each window. See `ops.avg_pool2d`."""

    def forward(self, x: Array, training: bool, rng: Generator | None) -> tuple[Array, avg_pool2d.Cache]:
        return avg_pool2d.forward(x, self.size, self.stride)

    def backward(self, dy: Array, cache: avg_pool2d.Cache) -> tuple[Array, Gradients]:
        return avg_pool2d.backward(dy, cache), {}


@final
@dataclass(eq=False)
class GlobalAvgPool2d(Layer):
    """Mean of every channel: (C, H, W) becomes (C,). See `ops.global_avg_pool2d`."""

    per_sample: ClassVar[bool] = True

    def forward(
        self, x: Array, training: bool, rng: Generator | None
    ) -> tuple[Array, global_avg_pool2d.Cache]:
        return global_avg_pool2d.forward(x)

    def backward(self, dy: Array, cache: global_avg_pool2d.Cache) -> tuple[Array, Gradients]:
        return global_avg_pool2d.backward(dy, cache), {}

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 3:
            raise self._expected("(C, H, W)", input_shape)
        return (input_shape[0],)
