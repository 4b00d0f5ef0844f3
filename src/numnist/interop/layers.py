"""What the doors that carry a network layer by layer have in common."""

from collections.abc import Iterator

from numnist.nn import Dropout, Layer, Model


def layers_in_evaluation(model: Model) -> Iterator[tuple[str, Layer]]:
    """Every layer that does something in evaluation, nested ones in their place: position ("3.1"), layer."""
    for position, layer, _, _ in model.network.leaves(model.preprocess.input_shape):
        if not isinstance(layer, Dropout):
            yield position, layer


def cannot_carry(position: str, layer: Layer, door: str) -> ValueError:
    """The error for a layer that a door has no words for."""
    return ValueError(f"layer {position} ({type(layer).__name__}): {door} has no such layer")
