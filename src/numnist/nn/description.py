"""Networks as plain data: what a model file stores, what a TOML file says, what the zoo is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from numnist.arrays import Shape
from numnist.errors import InputError, unknown
from numnist.files import read_toml
from numnist.nn.activation import LeakyReLU, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from numnist.nn.conv2d import Conv2d
from numnist.nn.dropout import Dropout
from numnist.nn.flatten import Flatten
from numnist.nn.layer import Layer
from numnist.nn.linear import Linear
from numnist.nn.norm import BatchNorm
from numnist.nn.pool import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from numnist.nn.sequential import Sequential

LAYERS: dict[str, type[Layer]] = {
    layer.__name__: layer
    for layer in (
        Linear,
        Conv2d,
        MaxPool2d,
        AvgPool2d,
        GlobalAvgPool2d,
        BatchNorm,
        ReLU,
        LeakyReLU,
        Sigmoid,
        Tanh,
        Softmax,
        LogSoftmax,
        Dropout,
        Flatten,
        Sequential,
    )
}
"""The layers by the name that a description gives them; add your own to describe, save and load it."""

CLASSES = "classes"
"""In a description, stands for the number of classes: `out_features = "classes"`."""

DEEPEST = 20
"""How many Sequentials may be nested; a description may come from a stranger."""


def network_from(layers: Sequence[Any], input_shape: Shape, classes: int, depth: int = 0) -> Sequential:
    """Build a network from the descriptions of its layers.

    Each description is a mapping with a `type` (a key of `LAYERS`) and that layer's hyperparameters. Those
    that follow from the shape of its input (in_channels, in_features, num_features) may be left out, and
    "classes" stands for the number of classes.

    input_shape: shape of one sample, (1, H, W).
    Raises: ValueError naming the layer, and what is missing, unknown, or does not fit.
    """
    if not isinstance(layers, Sequence) or isinstance(layers, str):
        raise ValueError(f"expected a list of layers, got {type(layers).__name__}")
    if depth > DEEPEST:
        raise ValueError(f"layers are nested more than {DEEPEST} deep")
    built: list[Layer] = []
    for position, description in enumerate(layers):
        try:
            layer = _layer_from(description, input_shape, classes, depth)
            input_shape = layer.output_shape(input_shape)
        except ValueError as error:
            raise ValueError(f"layer {position}: {error}") from error
        built.append(layer)
    return Sequential(built)


def _layer_from(description: Any, input_shape: Shape, classes: int, depth: int) -> Layer:
    """One layer from its description."""
    if not isinstance(description, Mapping) or not isinstance(description.get("type"), str):
        raise ValueError(f"expected a table with a type, got {description!r:.80}")
    values = {name: value for name, value in description.items() if name != "type"}
    name = description["type"]
    if name not in LAYERS:
        raise ValueError(unknown("layer type", name, LAYERS))
    layer_type = LAYERS[name]

    known = {field.name: field for field in fields(layer_type) if field.init}
    for key in values:
        if key not in known:
            raise ValueError(
                f"{name}: {unknown('field', key, known)}" if known else f"{name} takes no {key!r}"
            )
    if layer_type is Sequential:
        return network_from(values.get("layers", []), input_shape, classes, depth + 1)
    values = {key: classes if value == CLASSES else value for key, value in values.items()}
    values = layer_type.inferred(input_shape) | values
    for key, field in known.items():
        if key not in values and field.default is MISSING:
            raise ValueError(f"{name}: {key} is missing")
    return layer_type(**values)


def network_from_toml(path: Path, input_shape: Shape, classes: int) -> Sequential:
    """Build a network from a TOML file that holds an array of tables, `[[layers]]`.

    Raises: InputError, one line that names the file and the layer.
    """
    description = read_toml(path, "a TOML description of a model")
    if set(description) != {"layers"}:
        raise InputError(
            f"{path}: expected [[layers]] alone at the top, got {', '.join(description) or 'nothing'}"
        )
    try:
        return network_from(description["layers"], input_shape, classes)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
