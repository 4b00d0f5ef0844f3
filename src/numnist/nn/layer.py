"""What a layer is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from numpy.random import Generator

from numnist.arrays import Array, Shape
from numnist.nn.initialisers import Initialiser

Gradients = dict[str, Array]


@dataclass(eq=False)
class Layer(ABC):
    """One step of a network: hyperparameters, named views of the parameters, and a call of an op.

    A layer is a dataclass whose fields are its hyperparameters. It states which parameters and buffers it
    needs; a `Model` owns their storage and binds views of it. Nothing is remembered between calls: what
    `backward` needs is in the cache that `forward` returns.

    Subclasses are final. They write `forward`, `backward` and `output_shape`, and, where they have
    parameters, `parameter_shapes` and `initialise`.
    """

    parameters: dict[str, Array] = field(init=False, repr=False, default_factory=dict)
    buffers: dict[str, Array] = field(init=False, repr=False, default_factory=dict)

    decayed: ClassVar[frozenset[str]] = frozenset()
    """Names of the parameters that weight decay acts on: no biases, no normalisation."""

    per_sample: ClassVar[bool] = False
    """Whether every sample's output depends on that sample and the parameters alone, in training too.

    A batch may then be cut into parts. Not so for batch statistics, nor for random numbers, which are drawn
    for a whole batch at once.
    """

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: a layer's arrays are its model's, which binds them anew (see `Model`)."""
        return {**self.__dict__, "parameters": {}, "buffers": {}}

    @abstractmethod
    def forward(self, x: Array, training: bool, rng: Generator | None) -> tuple[Array, Any]:
        """The layer's output and the cache for `backward`. Only dropout draws from `rng`, in training."""

    @abstractmethod
    def backward(self, dy: Array, cache: Any) -> tuple[Array, Gradients]:
        """Gradient of the input, and the gradient of every parameter by name."""

    @abstractmethod
    def output_shape(self, input_shape: Shape) -> Shape:
        """Shape of one sample behind the layer, from that before it; ValueError where it does not fit."""

    def parameter_shapes(self) -> dict[str, Shape]:
        """Name and shape of every parameter, in the order in which they are stored."""
        return {}

    def buffer_shapes(self) -> dict[str, Shape]:
        """Name and shape of every buffer: state that is saved but not trained."""
        return {}

    def decayed_parameters(self) -> frozenset[str]:
        """Names of the parameters that weight decay acts on."""
        return self.decayed

    def bind(self, parameters: Mapping[str, Array], buffers: Mapping[str, Array]) -> None:
        """Use these arrays, views of a model's storage, from now on."""
        self.parameters = dict(parameters)
        self.buffers = dict(buffers)

    def initialise(self, rng: Generator, weights: Initialiser) -> None:  # noqa: B027
        """Fill the bound parameters and buffers with what training starts from."""

    def multiply_adds(self, input_shape: Shape) -> int:
        """Multiply-adds for one sample: matrix products alone, as the field counts them."""
        return 0

    @classmethod
    def inferred(cls, input_shape: Shape) -> dict[str, int]:
        """Hyperparameters that follow from the input's shape, and may be left out of a description."""
        return {}

    def describe(self) -> dict[str, Any]:
        """Type and hyperparameters, as plain values that `network_from` makes an equal layer of."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.init}
        return {"type": type(self).__name__, **values}

    def _expected(self, expected: str, shape: Shape) -> ValueError:
        """The error for a sample of the wrong shape."""
        return ValueError(f"{type(self).__name__}: expected samples of shape {expected}, got {shape}")
