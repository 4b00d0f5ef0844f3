"""The fully connected layer."""

from dataclasses import dataclass
from typing import ClassVar, final

from numpy.random import Generator

from numnist.arrays import Array, Shape
from numnist.nn.checks import require_integer
from numnist.nn.initialisers import Initialiser
from numnist.nn.layer import Gradients, Layer
from numnist.ops import linear


@final
@dataclass(eq=False)
class Linear(Layer):
    """y = x Wᵀ + b; weight (out_features, in_features), bias (out_features,). See `ops.linear`."""

    in_features: int
    out_features: int

    decayed: ClassVar[frozenset[str]] = frozenset({"weight"})
    per_sample: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_integer("Linear", "in_features", self.in_features, 1)
        require_integer("Linear", "out_features", self.out_features, 1)

    def forward(self, x: Array, training: bool, rng: Generator | None) -> tuple[Array, linear.Cache]:
        return linear.forward(x, self.parameters["weight"], self.parameters["bias"])

    def backward(self, dy: Array, cache: linear.Cache) -> tuple[Array, Gradients]:
        dx, dweight, dbias = linear.backward(dy, cache)
        return dx, {"weight": dweight, "bias": dbias}

    def output_shape(self, input_shape: Shape) -> Shape:
        if input_shape != (self.in_features,):
            raise self._expected(f"({self.in_features},)", input_shape)
        return (self.out_features,)

    def parameter_shapes(self) -> dict[str, Shape]:
        return {"weight": (self.out_features, self.in_features), "bias": (self.out_features,)}

    def initialise(self, rng: Generator, weights: Initialiser) -> None:
        self.parameters["weight"][...] = weights(rng, self.parameters["weight"].shape)
        self.parameters["bias"][...] = 0

    def multiply_adds(self, input_shape: Shape) -> int:
        return self.in_features * self.out_features

    @classmethod
    def inferred(cls, input_shape: Shape) -> dict[str, int]:
        return {"in_features": input_shape[0]} if len(input_shape) == 1 else {}
