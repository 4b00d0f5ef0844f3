"""Layers one after another."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, final

from numpy.random import Generator

from numnist.arrays import Array, Shape
from numnist.nn.initialisers import Initialiser
from numnist.nn.layer import Gradients, Layer

T = TypeVar("T")


@final
@dataclass(eq=False)
class Sequential(Layer):
    """Each layer's output is the next one's input; may itself hold Sequentials.

    Parameters and buffers carry the position of their layer and its own name, as in PyTorch: "0.weight",
    "3.1.running_mean".
    """

    layers: list[Layer]

    def forward(self, x: Array, training: bool, rng: Generator | None) -> tuple[Array, list[Any]]:
        caches = []
        for layer in self.layers:
            x, cache = layer.forward(x, training, rng)
            caches.append(cache)
        return x, caches

    def backward(self, dy: Array, cache: list[Any]) -> tuple[Array, Gradients]:
        gradients: Gradients = {}
        for position, layer, layer_cache in zip(
            reversed(range(len(self.layers))), reversed(self.layers), reversed(cache), strict=True
        ):
            dy, layer_gradients = layer.backward(dy, layer_cache)
            gradients |= {f"{position}.{name}": gradient for name, gradient in layer_gradients.items()}
        return dy, gradients

    def predict(self, x: Array) -> Array:
        """The output in evaluation mode; no cache outlives its layer."""
        for layer in self.layers:
            x = layer.predict(x) if isinstance(layer, Sequential) else layer.forward(x, False, None)[0]
        return x

    def output_shape(self, input_shape: Shape) -> Shape:
        shapes = [input_shape, *(shape for _, _, shape in self.walk(input_shape))]
        return shapes[-1]

    def walk(self, input_shape: Shape) -> Iterator[tuple[Layer, Shape, Shape]]:
        """Every layer in turn with the shapes of one sample before and behind it, for the shape given.

        Raises: ValueError naming the position of the layer that a sample does not fit.
        """
        for position, layer in enumerate(self.layers):
            try:
                output_shape = layer.output_shape(input_shape)
            except ValueError as error:
                raise ValueError(f"layer {position}: {error}") from error
            yield layer, input_shape, output_shape
            input_shape = output_shape

    def leaves(self, input_shape: Shape) -> Iterator[tuple[str, Layer, Shape, Shape]]:
        """Like `walk`, but through nested ones: position ("3.1"), layer, shapes before and behind it."""
        for position, (layer, before, behind) in enumerate(self.walk(input_shape)):
            if isinstance(layer, Sequential):
                for below, inner, *shapes in layer.leaves(before):
                    yield f"{position}.{below}", inner, shapes[0], shapes[1]
            else:
                yield str(position), layer, before, behind

    def parameter_shapes(self) -> dict[str, Shape]:
        return self._prefixed(lambda layer: layer.parameter_shapes())

    def buffer_shapes(self) -> dict[str, Shape]:
        return self._prefixed(lambda layer: layer.buffer_shapes())

    def decayed_parameters(self) -> frozenset[str]:
        return frozenset(self._prefixed(lambda layer: dict.fromkeys(layer.decayed_parameters())))

    def bind(self, parameters: Mapping[str, Array], buffers: Mapping[str, Array]) -> None:
        super().bind(parameters, buffers)
        for position, layer in enumerate(self.layers):
            layer.bind(_below(position, parameters), _below(position, buffers))

    def initialise(self, rng: Generator, weights: Initialiser) -> None:
        for layer in self.layers:
            layer.initialise(rng, weights)

    def multiply_adds(self, input_shape: Shape) -> int:
        return sum(layer.multiply_adds(before) for layer, before, _ in self.walk(input_shape))

    def describe(self) -> dict[str, Any]:
        return {"type": "Sequential", "layers": [layer.describe() for layer in self.layers]}

    def _prefixed(self, of: Callable[[Layer], Mapping[str, T]]) -> dict[str, T]:
        """What each layer has by name, by position and name."""
        return {
            f"{position}.{name}": value
            for position, layer in enumerate(self.layers)
            for name, value in of(layer).items()
        }


def _below(position: int, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays of the layer at `position`, under its own names."""
    prefix = f"{position}."
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
