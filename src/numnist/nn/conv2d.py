"""The convolutional layer."""

from dataclasses import dataclass
from typing import ClassVar, Literal, final

from numpy.random import Generator

from numnist.arrays import Array, Shape
from numnist.nn.checks import require_integer
from numnist.nn.initialisers import Initialiser
from numnist.nn.layer import Gradients, Layer
from numnist.ops import conv2d
from numnist.ops.patches import output_size


@final
@dataclass(eq=False)
class Conv2d(Layer):
    """2-D cross-correlation with square kernels. See `ops.conv2d`.

    padding: rows and columns of zeros on every side, or "same" for as many as keep the image's size; that
    takes an odd kernel and stride 1.

    Parameters: weight (out_channels, in_channels, kernel_size, kernel_size), bias (out_channels,).
    """

    in_channels: int
    out_channels: int
    kernel_size: int
    stride: int = 1
    padding: int | Literal["same"] = 0

    decayed: ClassVar[frozenset[str]] = frozenset({"weight"})
    per_sample: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("in_channels", "out_channels", "kernel_size", "stride"):
            require_integer("Conv2d", name, getattr(self, name), 1)
        if self.padding == "same":
            if self.stride != 1 or self.kernel_size % 2 == 0:
                came = f"stride {self.stride} and kernel_size {self.kernel_size}"
                raise ValueError(f'Conv2d: padding "same" needs stride 1 and an odd kernel_size, got {came}')
        else:
            require_integer("Conv2d", "padding", self.padding, 0)

    @property
    def zeros(self) -> int:
        """Rows and columns of zeros on every side: what `padding` comes to."""
        return self.kernel_size // 2 if self.padding == "same" else self.padding

    def forward(self, x: Array, training: bool, rng: Generator | None) -> tuple[Array, conv2d.Cache]:
        weight, bias = self.parameters["weight"], self.parameters["bias"]
        return conv2d.forward(x, weight, bias, self.stride, self.zeros)

    def backward(self, dy: Array, cache: conv2d.Cache) -> tuple[Array, Gradients]:
        dx, dweight, dbias = conv2d.backward(dy, cache)
        return dx, {"weight": dweight, "bias": dbias}

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 3 or input_shape[0] != self.in_channels:
            raise self._expected(f"({self.in_channels}, H, W)", input_shape)
        rows, columns = (
            output_size(length, self.kernel_size, self.stride, self.zeros) for length in input_shape[1:]
        )
        if rows < 1 or columns < 1:
            least = self.kernel_size - 2 * self.zeros
            raise self._expected(f"({self.in_channels}, H, W) with H, W of at least {least}", input_shape)
        return (self.out_channels, rows, columns)

    def parameter_shapes(self) -> dict[str, Shape]:
        weight = (self.out_channels, self.in_channels, self.kernel_size, self.kernel_size)
        return {"weight": weight, "bias": (self.out_channels,)}

    def initialise(self, rng: Generator, weights: Initialiser) -> None:
        self.parameters["weight"][...] = weights(rng, self.parameters["weight"].shape)
        self.parameters["bias"][...] = 0

    def multiply_adds(self, input_shape: Shape) -> int:
        _, rows, columns = self.output_shape(input_shape)
        return self.out_channels * self.in_channels * self.kernel_size**2 * rows * columns

    @classmethod
    def inferred(cls, input_shape: Shape) -> dict[str, int]:
        return {"in_channels": input_shape[0]}
