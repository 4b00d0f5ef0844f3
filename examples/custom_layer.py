"""A layer of your own: its operation, the proof of its gradient, and a network that uses it.

    python examples/custom_layer.py

The layer is Swish, y = x * sigmoid(b x), with one trained b per channel (Ramachandran, Zoph & Le 2017,
arXiv:1710.05941). The engine does not know it and runs it through `forward` and `backward`, on all cores.
"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, final

import numpy as np

from numnist.data import synthetic_dataset
from numnist.nn import LAYERS, Layer, load_model, network_from
from numnist.testing import check_gradients
from numnist.train import RunFolder, prepare, resolve, train


def swish_forward(x, b):
    """y = x s with s = sigmoid(b x). Shapes: x (N, C, H, W), b (C,) -> y like x."""
    s = 1 / (1 + np.exp(-b[:, None, None] * x))
    return x * s, (x, b, s)


def swish_backward(dy, cache):
    """dx = dy (s + b x s (1 - s)),  db = sum of dy x² s (1 - s) per channel."""
    x, b, s = cache
    slope = x * s * (1 - s)
    return dy * (s + b[:, None, None] * slope), (dy * x * slope).sum(axis=(0, 2, 3))


@final
@dataclass(eq=False)
class Swish(Layer):
    """x * sigmoid(b x) of (C, H, W) samples, b trained. Parameters: b (C,)."""

    channels: int

    per_sample: ClassVar[bool] = True  # no sample looks at another, so a batch may be cut into shards

    def forward(self, x, training, rng):
        return swish_forward(x, self.parameters["b"])

    def backward(self, dy, cache):
        dx, db = swish_backward(dy, cache)
        return dx, {"b": db}

    def output_shape(self, input_shape):
        return input_shape

    def parameter_shapes(self):
        return {"b": (self.channels,)}

    def initialise(self, rng, weights):
        self.parameters["b"][...] = 1

    @classmethod
    def inferred(cls, input_shape):
        return {"channels": input_shape[0]}  # may be left out of a description


LAYERS["Swish"] = Swish  # now a description, a TOML file and a saved model may name it

rng = np.random.default_rng(0)
check_gradients(swish_forward, swish_backward, rng.normal(size=(2, 3, 4, 4)), rng.normal(size=3))
print("the gradient is right, by finite differences")

conv, pool = {"type": "Conv2d", "out_channels": 8, "kernel_size": 5}, {"type": "MaxPool2d", "size": 2}
last = {"type": "Linear", "out_features": "classes"}
network = network_from([conv, {"type": "Swish"}, pool, {"type": "Flatten"}, last], (1, 28, 28), 10)
recipe, settings = resolve({"epochs": 6})
with TemporaryDirectory() as folder:
    run = RunFolder(Path(folder), "swish", "swish")
    outcome = train(prepare(recipe, settings, synthetic_dataset(6000, 1000), network), run)
    b = load_model(run.file("model.safetensors")).named_parameters()["1.b"]
print(f"accuracy {outcome.test.accuracy:.2%}; what became of b: {np.round(b, 2)}")
