"""The zoo: networks by name, for any image size and any number of classes.

| name | what it is |
|---|---|
| `linear` | softmax regression: Flatten, Linear |
| `mlp`, `mlp:W1,W2,...` | fully connected with ReLU; hidden widths, 600 where none are given |
| `cnn` | Conv 16 5×5, BatchNorm, ReLU, MaxPool 2, Conv 32 5×5, BatchNorm, ReLU, MaxPool 2, Flatten, Linear |
| `cnn-plain` | the same without BatchNorm |
| `cnn_deep` | Conv 16 5×5, pool, Conv 32 3×3, pool, Conv 64 3×3, Linear; each conv with BatchNorm and ReLU |
| `cnn_small` | Conv 12, 12, pool, 16, 16, pool, 20, all 3×3, Linear: 9,354 parameters |
| `cnn_large` | Conv 32 5×5, 48 3×3, 48 3×3, pool, 96 3×3, 96 3×3, 128 3×3, Linear: 292,202 parameters |
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from numnist.arrays import Shape
from numnist.errors import unknown
from numnist.nn.description import CLASSES, network_from, network_from_toml
from numnist.nn.sequential import Sequential

Description = list[dict[str, Any]]

FLATTEN = {"type": "Flatten"}
RELU = {"type": "ReLU"}
POOL = {"type": "MaxPool2d", "size": 2}


def linear() -> Description:
    """Softmax regression. Source: Bishop 2006, Pattern Recognition and Machine Learning, section 4.3.4."""
    return [FLATTEN, _linear(CLASSES)]


def mlp(widths: tuple[int, ...] = (600,)) -> Description:
    """Fully connected layers with ReLU between them; 784-600-10 for MNIST unless told otherwise."""
    hidden = [layer for width in widths for layer in (_linear(width), RELU)]
    return [FLATTEN, *hidden, _linear(CLASSES)]


def cnn(batch_norm: bool = True) -> Description:
    """The original's best network: 18,474 trainable parameters for MNIST, 96 fewer without BatchNorm.

    Source: after LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition, figure 2.
    """
    return [
        *_convolution(16, 5, batch_norm),
        POOL,
        *_convolution(32, 5, batch_norm),
        POOL,
        FLATTEN,
        _linear(CLASSES),
    ]


def cnn_deep() -> Description:
    """The original's deeper network: three convolutions, 576 features for MNIST."""
    return [
        *_convolution(16, 5),
        POOL,
        *_convolution(32, 3),
        POOL,
        *_convolution(64, 3),
        FLATTEN,
        _linear(CLASSES),
    ]


def cnn_small() -> Description:
    """Five 3×3 convolutions, 80 features: half the parameters of `cnn` for MNIST, and fewer mistakes."""
    return [
        *_convolution(12, 3),
        *_convolution(12, 3),
        POOL,
        *_convolution(16, 3),
        *_convolution(16, 3),
        POOL,
        *_convolution(20, 3),
        FLATTEN,
        _linear(CLASSES),
    ]


def cnn_large() -> Description:
    """Six convolutions, 2,048 features for MNIST: the network of the recipe `record`."""
    return [
        *_convolution(32, 5),
        *_convolution(48, 3),
        *_convolution(48, 3),
        POOL,
        *_convolution(96, 3),
        *_convolution(96, 3),
        *_convolution(128, 3),
        FLATTEN,
        _linear(CLASSES),
    ]


def _linear(out_features: int | str) -> dict[str, Any]:
    return {"type": "Linear", "out_features": out_features}


def _convolution(out_channels: int, kernel_size: int, batch_norm: bool = True) -> Description:
    """Convolution and ReLU, with BatchNorm between them unless told otherwise."""
    conv = {"type": "Conv2d", "out_channels": out_channels, "kernel_size": kernel_size}
    return [conv, {"type": "BatchNorm"}, RELU] if batch_norm else [conv, RELU]


ARCHITECTURES: dict[str, Callable[[], Description]] = {
    "linear": linear,
    "mlp": mlp,
    "cnn": cnn,
    "cnn-plain": lambda: cnn(batch_norm=False),
    "cnn_deep": cnn_deep,
    "cnn_small": cnn_small,
    "cnn_large": cnn_large,
}
"""The zoo's descriptions by name."""


def build(name: str, input_shape: Shape, classes: int) -> Sequential:
    """A network from the zoo (`cnn`, `mlp:300,100`) or from a TOML description (`my.toml`).

    input_shape: shape of one sample, (1, H, W).
    Raises: ValueError naming the model, when there is none of this name or an image does not fit it;
            InputError for a file that cannot be used.
    """
    if name.endswith(".toml"):
        return network_from_toml(Path(name), input_shape, classes)
    kind, colon, widths = name.partition(":")
    if kind not in ARCHITECTURES:
        raise ValueError(unknown("model", name, [*ARCHITECTURES, "a file ending in .toml"]))
    if colon:
        if kind != "mlp" or not all(width.isdecimal() for width in widths.split(",")):
            raise ValueError(f"model {name!r}: expected widths after mlp alone, as in mlp:300,100")
        description = mlp(tuple(int(width) for width in widths.split(",")))
    else:
        description = ARCHITECTURES[kind]()
    try:
        return network_from(description, input_shape, classes)
    except ValueError as error:
        raise ValueError(f"model {name!r} on images of {input_shape[1]}x{input_shape[2]}: {error}") from error
