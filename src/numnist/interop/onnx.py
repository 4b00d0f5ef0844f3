"""Models as ONNX files, for onnxruntime and all else that reads them. Needs the extra `onnx`."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from numnist import __version__
from numnist.arrays import Array
from numnist.files import write_atomic
from numnist.interop.layers import cannot_carry, layers_in_evaluation
from numnist.nn import (
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    LeakyReLU,
    Linear,
    LogSoftmax,
    MaxPool2d,
    Model,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as error:
    raise ImportError('numnist.interop.onnx needs onnx: pip install "numnist[onnx]"') from error

OPSET = 20
IR_VERSION = 10
INPUT, LOGITS, PROBABILITIES = "images", "logits", "probabilities"

ARRAYS = {
    Linear: ("weight", "bias"),
    Conv2d: ("weight", "bias"),
    BatchNorm: ("weight", "bias", "running_mean", "running_var"),
}
"""What a layer's node takes besides its input, in ONNX's order."""


def write_onnx(model: Model, path: Path, preprocess: bool = False, softmax: bool = False) -> None:
    """Write what `to_onnx` makes of a model.

    Raises: ValueError as there; OSError when the file cannot be written; an older file is then untouched.
    """
    write_atomic(path, to_onnx(model, preprocess, softmax).SerializeToString(deterministic=True))


def to_onnx(model: Model, preprocess: bool = False, softmax: bool = False) -> onnx.ModelProto:
    """The model in evaluation mode as an ONNX graph, opset 20, IR version 10, for batches of any size.

    The input is `images`, the output `logits`. Weights keep their names ("0.weight"), Dropout leaves nothing,
    and nested Sequentials become one row of nodes. The metadata has the names of the classes,
    the preprocessing and the temperature, as JSON.

    preprocess: have scaling and standardisation inside. The images are then as they were before, see
                `Preprocess`: uint8 from 0 to 255 where the model was trained on bytes, else float32.
    softmax: have the softmax of logits / temperature inside (see `Model.temperature`); the output is then
             `probabilities`.
    Shapes: images (N, 1, H, W) float32, or (N, H, W) with `preprocess` -> logits or probabilities (N, K),
            float32.
    Raises: ValueError naming a layer that ONNX does not have.
    Source: ONNX operator schemas, github.com/onnx/onnx, docs/Operators.md.
    """
    graph = _Graph(INPUT)
    H, W = model.preprocess.image_size
    if preprocess:
        kind = TensorProto.UINT8 if model.preprocess.takes_bytes else TensorProto.FLOAT
        given = helper.make_tensor_value_info(INPUT, kind, ["N", H, W])
        _preprocess(graph, model)
    else:
        given = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", 1, H, W])
    for position, layer in layers_in_evaluation(model, "ONNX"):
        _layer(graph, position, layer)
    output = LOGITS
    graph.rename_last(output)
    if softmax:
        output = PROBABILITIES
        graph.add("Div", "temperature", {"temperature": np.float32(model.temperature)})
        graph.add("Softmax", "softmax", axis=-1)
        graph.rename_last(output)
    classes = model.preprocess.classes
    made = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "numnist",
            [given],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", len(classes)])],
            graph.arrays,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="numnist",
        producer_version=__version__,
    )
    words = {
        "classes": classes,
        "preprocess": model.preprocess.describe(),
        "temperature": float(model.temperature),
    }
    helper.set_model_props(made, {name: json.dumps(value) for name, value in words.items()})
    return made


class _Graph:
    """A row of nodes, each of which takes what the one before gives."""

    def __init__(self, value: str) -> None:
        """value: name of the graph's input."""
        self.nodes: list[onnx.NodeProto] = []
        self.arrays: list[onnx.TensorProto] = []
        self._value = value

    def add(self, kind: str, name: str, arrays: dict[str, Any] | None = None, **attributes: Any) -> None:
        """Append a node of this kind. arrays: what it takes besides the last value, by name, in order."""
        arrays = arrays or {}
        self.arrays += [numpy_helper.from_array(np.asarray(values), key) for key, values in arrays.items()]
        output = f"{name}.{kind.lower()}"
        self.nodes.append(helper.make_node(kind, [self._value, *arrays], [output], name=output, **attributes))
        self._value = output

    def rename_last(self, value: str) -> None:
        """Give the last node's output another name."""
        self.nodes[-1].output[0] = self._value = value


def _preprocess(graph: _Graph, model: Model) -> None:
    """The nodes of `Preprocess.__call__`."""
    preprocess = model.preprocess
    graph.add("Cast", "preprocess", to=TensorProto.FLOAT)
    for kind, name in (("Mul", "scale"), ("Sub", "mean"), ("Div", "std")):
        graph.add(kind, "preprocess", {f"preprocess.{name}": np.float32(getattr(preprocess, name))})
    graph.add("Unsqueeze", "preprocess", {"preprocess.axis": np.array([1])})


def _layer(graph: _Graph, position: str, layer: Layer) -> None:
    """The nodes of one layer."""
    arrays: dict[str, Array] = {
        f"{position}.{name}": (layer.parameters | layer.buffers)[name].astype(np.float32)
        for name in ARRAYS.get(type(layer), ())
    }
    match layer:
        case Linear():
            graph.add("Gemm", position, arrays, transB=1)
        case Conv2d():
            size, strides, pads = [layer.kernel_size] * 2, [layer.stride] * 2, [layer.zeros] * 4
            graph.add("Conv", position, arrays, kernel_shape=size, strides=strides, pads=pads)
        case BatchNorm():
            graph.add("BatchNormalization", position, arrays, epsilon=float(layer.eps))
        case MaxPool2d() | AvgPool2d():
            kind = "MaxPool" if isinstance(layer, MaxPool2d) else "AveragePool"
            strides = [layer.stride or layer.size] * 2
            graph.add(kind, position, kernel_shape=[layer.size] * 2, strides=strides)
        case GlobalAvgPool2d():
            graph.add("GlobalAveragePool", position)
            graph.add("Flatten", position)
        case Flatten():
            graph.add("Flatten", position)
        case ReLU() | Sigmoid() | Tanh():
            graph.add("Relu" if isinstance(layer, ReLU) else type(layer).__name__, position)
        case LeakyReLU():
            graph.add("LeakyRelu", position, alpha=float(layer.slope))
        case Softmax() | LogSoftmax():
            graph.add(type(layer).__name__, position, axis=-1)
        case _:
            raise cannot_carry(position, layer, "ONNX")
