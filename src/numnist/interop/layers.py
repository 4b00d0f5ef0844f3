"""What the doors that carry a network layer by layer have in common."""

from collections.abc import Iterator

from numnist import nn
from numnist.nn import Layer, Model

CARRIED = {
    nn.AvgPool2d,
    nn.BatchNorm,
    nn.Conv2d,
    nn.Flatten,
    nn.GlobalAvgPool2d,
    nn.LeakyReLU,
    nn.Linear,
    nn.LogSoftmax,
    nn.MaxPool2d,
    nn.ReLU,
    nn.Sigmoid,
    nn.Softmax,
    nn.Tanh,
}
"""What there are words for. One derived from these may do something else."""


def layers_in_evaluation(model: Model, door: str) -> Iterator[tuple[str, Layer]]:
    """Every layer that does something in evaluation, nested ones in their place: position ("3.1"), layer.

    Raises: ValueError naming a layer that the door has no words for.
    """
    for position, layer, _, _ in model.network.leaves(model.preprocess.input_shape):
        if type(layer) is nn.Dropout:
            continue
        if type(layer) not in CARRIED:
            raise cannot_carry(position, layer, door)
        yield position, layer


def cannot_carry(position: str, layer: Layer, door: str) -> ValueError:
    """The error for a layer that a door has no words for."""
    return ValueError(f"layer {position} ({type(layer).__name__}): {door} has no such layer")
