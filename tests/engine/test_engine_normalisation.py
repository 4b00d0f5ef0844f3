"""Batch normalisation where it is fused: scales that are negative or zero, images that are constant."""

from typing import Any

import numpy as np
import pytest
from tests.engine.helpers import (
    Outcome,
    Twins,
    distributions,
    drawn_off_kinks,
    noise,
    norm,
    require_equal,
    twins,
)
from tests.engine.layers import FLATTEN, NORM, RELU, conv, linear, pool

from numnist.arrays import Array
from numnist.engine import Engine
from numnist.nn import ARCHITECTURES, BatchNorm, Reference

BEHIND = {
    "norm": [NORM],
    "norm, relu": [NORM, RELU],
    "norm, pool": [NORM, pool()],
    "norm, relu, pool": [NORM, RELU, pool()],
    "norm, pool, relu": [NORM, pool(), RELU],
}
SCALES = {
    "negative": [-1.5, -0.5, -2, -1],
    "zero": [0, 0, 0, 0],
    "some of each": [-1.5, 0, 2, 0],
    "negative zero": [-0.0, 1, -0.0, -1],
}


@pytest.mark.parametrize("behind", BEHIND.values(), ids=BEHIND.keys())
@pytest.mark.parametrize("scales", SCALES.values(), ids=SCALES.keys())
@pytest.mark.parametrize("front", [[], [conv(3, 3), RELU]], ids=["first", "hidden"])
def test_scales(front: list[Any], scales: list[float], behind: list[Any]) -> None:
    """Where it is 0 all values of a window are equal, and the first one counts: dweight tells which."""
    pair = twins([*front, conv(4, 3), *behind, FLATTEN, linear()], (12, 10))
    pair.set(f"{len(front) + 1}.weight", scales)
    y = distributions(np.random.default_rng(0), 7)
    require_equal(pair, drawn_off_kinks(pair, 7), y)


CONSTANTS = {
    "zero": np.zeros(7),
    "one constant": np.full(7, 0.7),
    "each its own": np.linspace(-1, 2, 7),
}


def constant(pair: Twins, values: Array) -> Array:
    x = np.empty((7, *pair.model.preprocess.input_shape), np.float32)
    x[...] = values[:, np.newaxis, np.newaxis, np.newaxis]
    return x


@pytest.mark.parametrize("behind", BEHIND.values(), ids=BEHIND.keys())
@pytest.mark.parametrize("values", CONSTANTS.values(), ids=CONSTANTS.keys())
def test_constant_images(values: Array, behind: list[Any]) -> None:
    """Their variance is 0, not what is left of it where E[x²] - E[x]² cancels."""
    pair = twins([conv(4, 3), *behind, FLATTEN, linear()], (12, 10))
    require_equal(pair, constant(pair, values), distributions(np.random.default_rng(0), 7))


@pytest.mark.parametrize("behind", BEHIND.values(), ids=BEHIND.keys())
def test_images_with_little_contrast(behind: list[Any]) -> None:
    pair = twins([conv(4, 3), *behind, FLATTEN, linear()], (12, 10))
    x = drawn_off_kinks(pair, 7, mean=100)
    require_equal(pair, x, distributions(np.random.default_rng(0), 7))


def test_a_hidden_channel_with_little_contrast() -> None:
    """Of numbers around 300 the variance, 1, must not be what is left of a difference of squares."""
    pair = twins([conv(3, 3), conv(4, 3), {**NORM, "momentum": 0.99}, FLATTEN, linear()], (28, 28))
    x, y = noise(np.random.default_rng(0), 7, pair.model) + np.float32(300), np.arange(7)
    ours = Outcome.of(Engine(pair.model, threads=1, shard_size=3), pair.model, x, y, None)
    errors = ours.errors(Outcome.of(Reference(pair.wide), pair.wide, x, y, None))
    assert max(errors["2.running_mean"], errors["2.running_var"]) <= 1


@pytest.mark.parametrize("network", ARCHITECTURES)
@pytest.mark.parametrize("values", CONSTANTS.values(), ids=CONSTANTS.keys())
def test_constant_images_through_many_layers(network: str, values: Array) -> None:
    """Loss and gradients too are right, as far as float32 has an answer at all.

    Gradients that are 0 but for rounding are magnified by 1/√eps in every layer: there the engine may be ten
    times as far off as the reference is in float32, for any order of the images and in any of the layer's
    tensors: by chance it has an exact 0 here or there.
    """
    pair = twins(network, (28, 28))
    x, y = constant(pair, values), np.arange(7)
    orders = [np.random.default_rng(seed).permutation(7) for seed in range(5)]
    wide = Outcome.of(Reference(pair.wide), pair.wide, x, y, None)
    narrow = [Outcome.of(Reference(pair.model), pair.model, x[o], y[o], None) for o in orders]
    ours = Outcome.of(Engine(pair.model, threads=1, shard_size=3), pair.model, x, y, None)
    errors = ours.errors(wide)

    def off(outcome: Outcome, name: str) -> float:
        return norm(outcome.gradients[name] - wide.gradients[name])

    def is_possible(name: str) -> bool:
        layer, _, _ = name.rpartition(".")
        of_layer = [other for other in wide.gradients if other.startswith(f"{layer}.")]
        return off(ours, name) <= 10 * max(off(each, other) for each in narrow for other in of_layer)

    assert not {name: error for name, error in errors.items() if not (error <= 1 or is_possible(name))}
    norms = {name: norm(gradient) for name, gradient in wide.gradients.items()}
    # In float64 as well: a bias in front of a BatchNorm has no gradient, so what it has is rounding.
    layers = [layer for _, layer, _, _ in pair.wide.network.leaves((1, 28, 28))]
    useless = [f"{i}.bias" for i, behind in enumerate(layers[1:]) if isinstance(behind, BatchNorm)]
    rounding = max((norms[name] for name in useless), default=0.0)
    least = max(1e-6 * norm(*wide.gradients.values()), 100 * rounding)
    assert max(errors[name] for name in ["loss", *(n for n in norms if norms[n] > least)]) <= 1


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("padding", "behind"), [(0, [pool()]), (1, [])], ids=["pooled", "padded"])
def test_hidden_channels_that_are_constant(padding: int, behind: list[Any], threads: int) -> None:
    """As they are behind a normalisation whose scale is 0."""
    front = [conv(3, 3), NORM, RELU]
    pair = twins([*front, conv(4, 3, padding), NORM, RELU, *behind, FLATTEN, linear()], (13, 12))
    pair.set("1.weight", [0, 0, 0])
    pair.set("1.bias", [3, 1, 2])
    require_equal(pair, noise(np.random.default_rng(0), 7, pair.model), np.arange(7), threads=threads)


def smooth(pair: Twins, n: int) -> Array:
    """Images that are all but linear in both directions."""
    height, width = pair.model.preprocess.image_size
    rng = np.random.default_rng(0)
    slopes, phase = rng.uniform(-1, 1, (2, n, 1, 1, 1)), rng.uniform(0, 6, (n, 1, 1, 1))
    h, w = np.arange(height)[:, None] / height, np.arange(width) / width
    x: Array = slopes[0] * h + slopes[1] * w + 0.1 * np.sin(2 * h + 3 * w + phase)
    return x.astype(np.float32)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [3, 5])
def test_filters_that_are_all_but_blind_to_the_images(size: int, threads: int) -> None:
    """A second difference of smooth images: its variance is a millionth of what the pixels' would make."""
    pair = twins([conv(2, size), NORM, FLATTEN, linear()], (28, 28))
    weight = np.zeros((2, 1, size, size), np.float32)
    weight[0, 0, 1, :3] = weight[1, 0, :3, 1] = [1, -2, 1]
    pair.set("0.weight", weight)
    require_equal(pair, smooth(pair, 7), np.arange(7), threads=threads)


@pytest.mark.parametrize("place", [0, 300, 7 * 784 - 1])
def test_one_bright_pixel_over_faint_noise(place: int) -> None:
    pair = twins([conv(4, 3), NORM, FLATTEN, linear()], (28, 28))
    x = np.float32(0.01) * noise(np.random.default_rng(0), 7, pair.model)
    x.reshape(-1)[place] = 10
    require_equal(pair, x, np.arange(7))


def test_values_that_are_no_numbers_cannot_hide() -> None:
    for bad in (np.nan, np.inf):
        pair = twins("cnn", (28, 28))
        x = noise(np.random.default_rng(0), 7, pair.model)
        x[4, 0, 9, 9] = bad
        with np.errstate(invalid="ignore"):
            result = Engine(pair.model, threads=2, shard_size=3).loss_and_grads(x, np.arange(7), None)
        assert np.isnan(result.loss)
