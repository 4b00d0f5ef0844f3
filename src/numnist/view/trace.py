"""One image on its way through a network, layer by layer."""

from collections.abc import Iterator
from dataclasses import dataclass

from numnist.arrays import Array
from numnist.nn import Layer, Model, Sequential


@dataclass(frozen=True, eq=False)
class Stop:
    """What comes out of a layer, for one image.

    position: of the layer, "3.1" for a nested one. values: (C, H, W) or (F,).
    """

    position: str
    layer: Layer
    values: Array


def trace(model: Model, image: Array) -> Iterator[Stop]:
    """Every layer's output in evaluation mode, nested ones in their place.

    Shapes: image (H, W) as the model was trained on.
    Raises: ValueError for an image of another size.
    """
    yield from _through(model.network, model.preprocess(image[None]), "")


def _through(network: Sequential, x: Array, prefix: str) -> Iterator[Stop]:
    for position, layer in enumerate(network.layers):
        if isinstance(layer, Sequential):
            for stop in _through(layer, x, f"{prefix}{position}."):
                yield stop
                x = stop.values[None]
        else:
            x, _ = layer.forward(x, False, None)
            yield Stop(f"{prefix}{position}", layer, x[0])


def flat_layers(network: Sequential) -> list[Layer]:
    """The layers that do something, nested ones in their place."""
    return [
        inner
        for layer in network.layers
        for inner in (flat_layers(layer) if isinstance(layer, Sequential) else [layer])
    ]
