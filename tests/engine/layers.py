"""Descriptions of layers, in short."""

from typing import Any

Description = dict[str, Any]

NORM: Description = {"type": "BatchNorm"}
OTHER_NORM: Description = {"type": "BatchNorm", "eps": 0.1, "momentum": 0.7}
RELU: Description = {"type": "ReLU"}
LEAKY: Description = {"type": "LeakyReLU", "slope": 0.2}
SIGMOID: Description = {"type": "Sigmoid"}
TANH: Description = {"type": "Tanh"}
DROPOUT: Description = {"type": "Dropout", "rate": 0.3}
FLATTEN: Description = {"type": "Flatten"}
GLOBAL: Description = {"type": "GlobalAvgPool2d"}


def conv(channels: int, kernel: int, padding: int = 0, stride: int = 1) -> Description:
    names = {"out_channels": channels, "kernel_size": kernel, "padding": padding, "stride": stride}
    return {"type": "Conv2d", **names}


def pool(size: int = 2, stride: int | None = None) -> Description:
    return {"type": "MaxPool2d", "size": size, "stride": stride}


def average(size: int = 2, stride: int | None = None) -> Description:
    return {"type": "AvgPool2d", "size": size, "stride": stride}


def linear(features: int = 10) -> Description:
    return {"type": "Linear", "out_features": features}


def nest(*layers: Description) -> Description:
    return {"type": "Sequential", "layers": list(layers)}
