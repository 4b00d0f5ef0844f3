"""What a network consists of, as a table."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from numnist.arrays import Shape
from numnist.nn.layer import Layer
from numnist.nn.sequential import Sequential


@dataclass(frozen=True)
class SummaryRow:
    """One layer: its position, what it is, the shape of one sample behind it, and what it costs."""

    position: str
    layer: str
    output_shape: Shape
    parameters: int
    multiply_adds: int


def summarise(network: Sequential, input_shape: Shape) -> Iterator[SummaryRow]:
    """A row for every layer, nested ones in their place ("3.1"), for samples of the shape given."""
    for position, layer, before, behind in network.leaves(input_shape):
        parameters = sum(prod(shape) for shape in layer.parameter_shapes().values())
        yield SummaryRow(position, _words(layer), behind, parameters, layer.multiply_adds(before))


def _words(layer: Layer) -> str:
    """A layer's type and hyperparameters, as one would write it."""
    values = layer.describe()
    name = values.pop("type")
    return f"{name}({', '.join(f'{key}={value}' for key, value in values.items() if value is not None)})"
