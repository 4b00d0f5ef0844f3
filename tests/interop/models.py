"""Models for the doors, and how far what comes out of one may be from what we compute."""

from dataclasses import dataclass
from typing import final

import numpy as np
from hypothesis import assume
from numpy.random import Generator
from tests.engine.helpers import Network, twins

from numnist.arrays import Array, Shape
from numnist.data import synthetic_dataset
from numnist.nn import Conv2d, Flatten, Gradients, Layer, Linear, Model, Preprocess, Reference, Sequential

ZOO = ("linear", "mlp:30,20", "cnn", "cnn-plain", "cnn_deep", "cnn_small", "cnn_large")

TOLERANCE = 1e-5
"""Largest difference of a logit, relative to the largest logit."""


def digits(n: int) -> Array:
    """So many images of built-in digits."""
    train = synthetic_dataset(n, 1).train
    assert train is not None
    return train.images


def model_of(
    network: Network, image_size: tuple[int, int] = (28, 28), seed: int = 0, classes: int = 10
) -> Model:
    """A model with weights, running statistics and preprocessing as if it had been trained."""
    model = twins(network, image_size, seed, classes).model
    model.preprocess = Preprocess(image_size, 1 / 255, 0.125, 0.3, tuple(map(str, range(classes))))
    model.temperature = 1.5
    return model


def logits_of(model: Model, images: Array) -> Array:
    """The logits, op by op."""
    return Reference(model).predict(model.preprocess(images))


def fair_logits(model: Model, images: Array) -> Array:
    """The same; hypothesis draws anew where float32 has no digits to spare for them."""
    wide = Model(model.network, model.preprocess, np.float64)
    wide.parameters[...], wide.buffers[...] = model.parameters, model.buffers
    exact = Reference(wide).predict(model.preprocess(images, np.float64))
    model.network.bind(model.named_parameters(), model.named_buffers())
    logits = logits_of(model, images)
    assume(np.abs(logits - exact).max() <= TOLERANCE / 10 * np.abs(exact).max())
    return logits


def require_close(found: Array, expected: Array) -> None:
    """AssertionError unless logits (N, K) are within the tolerance."""
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= TOLERANCE * np.abs(expected).max()


@final
@dataclass(eq=False)
class Square(Layer):
    """A layer that no other software has."""

    def forward(self, x: Array, training: bool, rng: Generator | None) -> tuple[Array, Array]:
        return x * x, x

    def backward(self, dy: Array, cache: Array) -> tuple[Array, Gradients]:
        return 2 * cache * dy, {}

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


def with_a_square() -> Model:
    """A model with a layer of one's own, in a nested network."""
    inner = Sequential([Conv2d(1, 2, 3), Square()])
    return Model(Sequential([inner, Flatten(), Linear(72, 10)]), Preprocess((8, 8)))
