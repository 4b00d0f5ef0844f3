"""Activation layers: the shape stays."""

from dataclasses import dataclass
from typing import ClassVar, final

from numpy.random import Generator

from numnist.arrays import Array, Shape
from numnist.nn.checks import require_number
from numnist.nn.layer import Gradients, Layer
from numnist.ops import leaky_relu, log_softmax, relu, sigmoid, softmax, tanh


@dataclass(eq=False)
class _SameShape(Layer):
    """What all layers that keep the shape have in common."""

    per_sample: ClassVar[bool] = True

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


@final
@dataclass(eq=False)
class ReLU(_SameShape):
    """max(x, 0). See `ops.relu`."""

    def forward(self, x: Array, training: bool, rng: Generator | None) -> tuple[Array, relu.Cache]:
        return relu.forward(x)

    def backward(self, dy: Array, cache: relu.Cache) -> tuple[Array, Gradients]:
        return relu.backward(dy, cache), {}


@final
@dataclass(eq=False)
class LeakyReLU(_SameShape):
    """x where x > 0, else slope * x. See `ops.leaky_relu`."""

    slope: float = 0.01

    def __post_init__(self) -> None:
        require_number("LeakyReLU", "slope", self.slope, 0, 1)

    def forward(self, x: Array, training: bool, rng: Generator | None) -> tuple[Array, leaky_relu.Cache]:
        return leaky_relu.forward(x, self.slope)

    def backward(self, dy: Array, cache: leaky_relu.Cache) -> tuple[Array, Gradients]:
        return leaky_relu.backward(dy, cache), {}


@final
@dataclass(eq=False)
class Sigmoid(_SameShape):
    """1 / (1 + exp(-x)). See `ops.sigmoid`."""

    def forward(self, x: Array, training: bool, rng: Generator | None) -> tuple[Array, sigmoid.Cache]:
        return sigmoid.forward(x)

    def backward(self, dy: Array, cache: sigmoid.Cache) -> tuple[Array, Gradients]:
        return sigmoid.backward(dy, cache), {}


@final
@dataclass(eq=False)
class Tanh(_SameShape):
    """The hyperbolic tangent. See `ops.tanh`."""

    def forward(self, x: Array, training: bool, rng: Generator | None) -> tuple[Array, tanh.Cache]:
        return tanh.forward(x)

    def backward(self, dy: Array, cache: tanh.Cache) -> tuple[Array, Gradients]:
        return tanh.backward(dy, cache), {}


@final
@dataclass(eq=False)
class Softmax(_SameShape):
    """Probabilities along the last axis. Not for the end of a model: the loss takes logits."""

    def forward(self, x: Array, training: bool, rng: Generator | None) -> tuple[Array, softmax.Cache]:
        return softmax.forward(x)

    def backward(self, dy: Array, cache: softmax.Cache) -> tuple[Array, Gradients]:
        return softmax.backward(dy, cache), {}


@final
@dataclass(eq=False)
class LogSoftmax(_SameShape):
    """Log-probabilities along the last axis. See `ops.log_softmax`."""

    def forward(self, x: Array, training: bool, rng: Generator | None) -> tuple[Array, log_softmax.Cache]:
        return log_softmax.forward(x)

    def backward(self, dy: Array, cache: log_softmax.Cache) -> tuple[Array, Gradients]:
        return log_softmax.backward(dy, cache), {}
