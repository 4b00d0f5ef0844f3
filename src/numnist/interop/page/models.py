"""Models as plain values for the drawing page: what its JavaScript needs to run them."""

import base64
from dataclasses import fields
from typing import Any

import numpy as np

from numnist.errors import InputError
from numnist.nn import Conv2d, Layer, Model
from numnist.nn.description import LAYERS

CARRIED = frozenset(LAYERS) - {"Sequential"}
"""The types of layers that files/layers.js has; nested ones are shown in their place."""


def described(model: Model, name: str) -> dict[str, Any]:
    """A model as JSON can hold it.

    Each layer has its position ("3.1" for a nested one), its type, its hyperparameters, the shapes of a
    sample before and behind it, and where in the weights its tensors lie, [start, end). The weights are
    float32, little-endian, in base64.

    Raises: InputError naming the model and the layer that the page cannot carry; or that its images are not
            bytes.
    """
    preprocess = model.preprocess
    if not preprocess.takes_bytes:
        raise InputError(f"{name}: expected a model trained on bytes (0 to 255), as drawings are")
    layers, tensors, start = [], [], 0
    for position, layer, before, behind in model.network.leaves(preprocess.input_shape):
        if type(layer).__name__ not in CARRIED or type(layer) is not LAYERS[type(layer).__name__]:
            raise InputError(f"{name}: layer {position}, {type(layer).__name__}, cannot go into a page")
        places = {}
        for key, values in (layer.parameters | layer.buffers).items():
            places[key] = [start, start + values.size]
            tensors.append(np.ascontiguousarray(values, "<f4").reshape(-1))
            start += values.size
        layers.append(
            {
                "position": position,
                "type": type(layer).__name__,
                "fields": _fields(layer),
                "input": list(before),
                "output": list(behind),
                "tensors": places,
            }
        )
    weights = np.concatenate(tensors or [np.zeros(0, "<f4")])
    return {
        "name": name,
        "parameters": model.layout.size,
        "preprocess": preprocess.describe(),
        "temperature": float(model.temperature),
        "layers": layers,
        "weights": base64.b64encode(weights.tobytes()).decode(),
    }


def _fields(layer: Layer) -> dict[str, Any]:
    """The hyperparameters, with what is left open in them settled, under the names that the page uses."""
    values = {field.name: getattr(layer, field.name) for field in fields(layer) if field.init}
    if isinstance(layer, Conv2d):
        return {"kernel": layer.kernel_size, "stride": layer.stride, "padding": layer.zeros}
    if "size" in values:
        values["stride"] = values["stride"] or values["size"]
    return values
