"""Every layer against finite differences, and against what it says of itself."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numnist.arrays import Array, Shape
from numnist.nn import (
    INITIALISERS,
    LAYERS,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    Layout,
    LeakyReLU,
    Linear,
    LogSoftmax,
    MaxPool2d,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
    network_from,
)
from numnist.testing import check_gradients

CASES: list[tuple[Layer, Shape]] = [
    (Linear(5, 3), (5,)),
    (Conv2d(2, 3, 3, stride=2, padding=1), (2, 5, 6)),
    (Conv2d(2, 3, 3, padding="same"), (2, 4, 5)),
    (MaxPool2d(2), (2, 4, 5)),
    (MaxPool2d(3, stride=2), (2, 7, 5)),
    (AvgPool2d(2), (2, 4, 5)),
    (GlobalAvgPool2d(), (3, 4, 2)),
    (BatchNorm(3), (3,)),
    (BatchNorm(2), (2, 3, 3)),
    (ReLU(), (7,)),
    (LeakyReLU(0.2), (2, 3, 3)),
    (Sigmoid(), (4,)),
    (Tanh(), (4,)),
    (Softmax(), (4,)),
    (LogSoftmax(), (4,)),
    (Dropout(0.4), (2, 3, 3)),
    (Flatten(), (2, 3, 3)),
    (Sequential([Conv2d(1, 2, 2), Sequential([BatchNorm(2), Tanh()]), Flatten(), Linear(8, 2)]), (1, 3, 3)),
]
IDS = [f"{type(layer).__name__}-{'x'.join(map(str, shape))}" for layer, shape in CASES]


def bound(layer: Layer, seed: int = 0, dtype: Any = np.float64) -> Layer:
    """The layer with storage of its own, weights drawn."""
    parameters, buffers = Layout(layer.parameter_shapes()), Layout(layer.buffer_shapes())
    layer.bind(
        parameters.views(np.zeros(parameters.size, dtype)), buffers.views(np.zeros(buffers.size, dtype))
    )
    layer.initialise(np.random.default_rng(seed), INITIALISERS["xavier_normal"])
    return layer


def spread_out(rng: np.random.Generator, shape: Shape) -> Array:
    """Distinct values at least 0.01 apart and away from 0, so that no kink is near."""
    size = int(np.prod(shape))
    return (rng.permutation(size) - size / 2 + 0.25).reshape(shape) * (2 / size + 0.01)


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=IDS)
@pytest.mark.parametrize("training", [True, False])
def test_gradients_of_input_and_parameters(layer: Layer, shape: Shape, training: bool) -> None:
    bound(layer)
    names = list(layer.parameter_shapes())
    start = [layer.parameters[name].copy() for name in names]
    buffers = {name: buffer.copy() for name, buffer in layer.buffers.items()}

    def forward(x: Array, *values: Array) -> tuple[Array, Any]:
        for name, value in zip(names, values, strict=True):
            layer.parameters[name][...] = value
        for name, buffer in buffers.items():
            layer.buffers[name][...] = buffer
        return layer.forward(x, training, np.random.default_rng(1))

    def backward(dy: Array, cache: Any) -> tuple[Array, ...]:
        dx, gradients = layer.backward(dy, cache)
        assert set(gradients) == set(names)
        return (dx, *(gradients[name] for name in names))

    check_gradients(forward, backward, spread_out(np.random.default_rng(2), (3, *shape)), *start)


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=IDS)
@given(n=st.integers(2, 5))
def test_output_shape_is_the_shape_of_the_output(layer: Layer, shape: Shape, n: int) -> None:
    bound(layer, dtype=np.float32)
    x = np.random.default_rng(0).standard_normal((n, *shape), dtype=np.float32)
    for training in (True, False):
        y, cache = layer.forward(x, training, np.random.default_rng(1))
        assert y.shape == (n, *layer.output_shape(shape))
        assert y.dtype == np.float32
        dx, _ = layer.backward(y, cache)
        assert dx.shape == x.shape
        assert dx.dtype == np.float32


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=IDS)
def test_a_layer_is_rebuilt_from_its_description(layer: Layer, shape: Shape) -> None:
    rebuilt = network_from([layer.describe()], shape, 10).layers[0]
    assert type(rebuilt) is type(layer)
    assert rebuilt.describe() == layer.describe()


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=IDS)
def test_what_follows_from_the_input_may_be_left_out(layer: Layer, shape: Shape) -> None:
    follows = layer.inferred(shape)
    shortened = {name: value for name, value in layer.describe().items() if name not in follows}
    assert network_from([shortened], shape, 10).layers[0].describe() == layer.describe()


@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7])
def test_padding_same_keeps_the_size(kernel_size: int) -> None:
    same = Conv2d(1, 2, kernel_size, padding="same")
    assert same.output_shape((1, 9, 4)) == (2, 9, 4)
    assert same.zeros == Conv2d(1, 2, kernel_size, padding=kernel_size // 2).zeros


def test_every_layer_of_the_registry_is_tested_here() -> None:
    assert {type(layer) for layer, _ in CASES} == set(LAYERS.values())


@pytest.mark.parametrize(
    ("layer", "wrong", "message"),
    [
        (Linear(5, 3), (4,), r"Linear: expected samples of shape \(5,\), got \(4,\)"),
        (Linear(5, 3), (5, 1, 1), "Linear: expected samples"),
        (Conv2d(2, 3, 3), (1, 5, 5), r"Conv2d: expected samples of shape \(2, H, W\), got \(1, 5, 5\)"),
        (Conv2d(2, 3, 5), (2, 4, 9), "H, W of at least 5"),
        (Conv2d(2, 3, 5, padding=1), (2, 2, 9), "H, W of at least 3"),
        (MaxPool2d(2), (2, 1, 5), "MaxPool2d: expected samples"),
        (AvgPool2d(3), (9,), "AvgPool2d: expected samples"),
        (GlobalAvgPool2d(), (9,), "GlobalAvgPool2d: expected samples"),
        (BatchNorm(3), (2,), "BatchNorm: expected samples"),
        (BatchNorm(3), (3, 4), "BatchNorm: expected samples"),
        (Sequential([Flatten(), Linear(5, 3)]), (1, 2, 2), "layer 1: Linear: expected samples"),
    ],
)
def test_samples_that_do_not_fit(layer: Layer, wrong: Shape, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layer.output_shape(wrong)


@pytest.mark.parametrize(
    ("layer_type", "arguments", "message"),
    [
        (
            Linear,
            {"in_features": 0, "out_features": 1},
            "Linear: expected in_features to be an integer of at least 1",
        ),
        (Linear, {"in_features": 1, "out_features": 1.5}, "out_features"),
        (Conv2d, {"in_channels": 1, "out_channels": 1, "kernel_size": True}, "kernel_size"),
        (Conv2d, {"in_channels": 1, "out_channels": 1, "kernel_size": 1, "padding": -1}, "padding"),
        (Conv2d, {"in_channels": 1, "out_channels": 1, "kernel_size": 3, "padding": "samy"}, "padding"),
        (
            Conv2d,
            {"in_channels": 1, "out_channels": 1, "kernel_size": 4, "padding": "same"},
            'Conv2d: padding "same" needs stride 1 and an odd kernel_size, got stride 1 and kernel_size 4',
        ),
        (
            Conv2d,
            {"in_channels": 1, "out_channels": 1, "kernel_size": 3, "stride": 2, "padding": "same"},
            "got stride 2",
        ),
        (MaxPool2d, {"size": "2"}, "MaxPool2d: expected size"),
        (AvgPool2d, {"size": 2, "stride": 0}, "AvgPool2d: expected stride"),
        (Dropout, {"rate": 1.0}, "Dropout: expected rate to be a number with 0 <= rate < 1, got 1.0"),
        (LeakyReLU, {"slope": float("nan")}, "slope"),
        (BatchNorm, {"num_features": 2, "momentum": "0.1"}, "momentum"),
    ],
)
def test_hyperparameters_out_of_range(
    layer_type: type[Layer], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        layer_type(**arguments)


def test_dropout_needs_a_generator_in_training_and_none_in_evaluation() -> None:
    x = np.ones((2, 3))
    with pytest.raises(ValueError, match="Dropout: training needs a random generator"):
        Dropout(0.5).forward(x, True, None)
    y, _ = Dropout(0.5).forward(x, False, None)
    assert y is x


def test_multiply_adds_count_the_products_of_a_direct_evaluation() -> None:
    assert Linear(5, 3).multiply_adds((5,)) == 15
    assert Conv2d(2, 3, 3, stride=2, padding=1).multiply_adds((2, 5, 6)) == 3 * 3 * 3 * (2 * 3 * 3)
    assert ReLU().multiply_adds((4,)) == 0
    assert Sequential([Flatten(), Linear(4, 3), Linear(3, 2)]).multiply_adds((1, 2, 2)) == 18
