"""Models as a Python file that needs NumPy alone: for robots, kiosks and textbooks."""

import errno
import io
import os
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from numnist import __version__
from numnist.files import write_atomic
from numnist.interop.layers import cannot_carry, layers_in_evaluation
from numnist.interop.python_parts import HEAD, OPERATIONS, TAIL
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

WIDTH = 88
"""Columns of a line: what Python's formatters take unless told otherwise."""

PLAIN: dict[type[Layer], str] = {
    GlobalAvgPool2d: "global_avg_pool2d",
    LogSoftmax: "log_softmax",
    ReLU: "relu",
    Sigmoid: "sigmoid",
    Softmax: "softmax",
    Tanh: "tanh",
}
"""The operation of each layer that has nothing to be told."""

WEIGHTED = re.compile(r"(linear|conv2d|batch_norm)\(")
"""What a call of an operation with weights begins with."""

LINE = "    x = {}"


def write_python(model: Model, path: Path) -> None:
    """Write what `to_python` makes of a model to `path`, and the weights beside it, with the suffix .npz.

    Raises: ValueError as there, or where `path` has another suffix than .py; OSError when a file cannot be
            written.
    """
    if path.suffix != ".py":
        raise ValueError(f"expected a file ending in .py, got {path}")
    for each in (path, path.with_suffix(".npz")):  # or a program would be left with another one's weights
        if each.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(each))
    text, arrays = to_python(model), io.BytesIO()
    np.savez(arrays, allow_pickle=False, **dict(model.named_arrays()))
    write_atomic(path.with_suffix(".npz"), arrays.getvalue())
    write_atomic(path, text)


def to_python(model: Model) -> str:
    """A program that computes a model's probabilities with NumPy, from the weights in an .npz beside it.

    It holds the operations that this model needs and no others, each with its formula. Whatever a model file
    says is written as numbers and quoted strings.

    Raises: ValueError naming a layer that is not among them.
    """
    needed = {"softmax"}
    lines: list[str] = []
    for position, layer in layers_in_evaluation(model, "the Python file"):
        name, call = _call(position, layer)
        together = f"{name}({lines[-1]})" if lines and type(layer) in PLAIN else ""
        if together and WEIGHTED.match(lines[-1]) and len(LINE.format(together)) <= WIDTH:
            lines[-1] = together  # an activation stands on the line of what it follows
        else:
            lines.append(call)
        needed.add(name)
    if needed & {"conv2d", "max_pool2d", "avg_pool2d"}:
        needed.add("patches")
    preprocess = model.preprocess
    H, W = preprocess.image_size
    values = {
        "version": __version__,
        "H": H,
        "W": W,
        "K": len(preprocess.classes),
        "grey": "from 0 to 255" if preprocess.takes_bytes else "as the model was trained on",
        "classes": _assigned("CLASSES", map(_quoted, preprocess.classes)),
        "scale": float(preprocess.scale),
        "mean": float(preprocess.mean),
        "std": float(preprocess.std),
        "temperature": "" if model.temperature == 1 else f" / {float(model.temperature)!r}",
        "network": "\n".join(map(LINE.format, lines)),
    }
    operations = "".join(text for name, text in OPERATIONS.items() if name in needed)
    return HEAD.format(**values) + operations + TAIL.format(**values)


def _call(position: str, layer: Layer) -> tuple[str, str]:
    """The operation that a layer needs, "" for none, and what becomes of x."""
    weights = f'**W["{position}"]'
    match layer:
        case Flatten():
            return "", "x.reshape(len(x), -1)  # one row for each image"
        case Linear():
            return "linear", f"linear(x, {weights})"
        case Conv2d():
            told = "" if layer.stride == 1 else f", stride={layer.stride}"
            told += "" if layer.zeros == 0 else f", padding={layer.zeros}"
            return "conv2d", f"conv2d(x, {weights}{told})"
        case BatchNorm():
            return "batch_norm", f"batch_norm(x, {weights}, eps={float(layer.eps)!r})"
        case MaxPool2d() | AvgPool2d():
            name = "max_pool2d" if isinstance(layer, MaxPool2d) else "avg_pool2d"
            return name, f"{name}(x, size={layer.size}, stride={layer.stride or layer.size})"
        case LeakyReLU():
            return "leaky_relu", f"leaky_relu(x, slope={float(layer.slope)!r})"
        case _ if type(layer) in PLAIN:
            return PLAIN[type(layer)], f"{PLAIN[type(layer)]}(x)"
    raise cannot_carry(position, layer, "the Python file")


def _quoted(text: str) -> str:
    """A string as Python reads it, in ASCII; in double quotes, unless single ones need fewer backslashes."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    inner = text.encode("unicode_escape").decode("ascii").replace(quote, "\\" + quote)
    return f"{quote}{inner}{quote}"


def _assigned(name: str, values: Iterable[str]) -> str:
    """A list, on one line if it fits."""
    values = list(values)
    line = f"{name} = [{', '.join(values)}]"
    return (
        line if len(line) <= WIDTH else f"{name} = [\n" + "".join(f"    {each},\n" for each in values) + "]"
    )
