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
    require_equal,
    twins,
)
from tests.engine.layers import FLATTEN, NORM, RELU, conv, linear, pool

from numnist.arrays import Array
from numnist.engine import Engine
from numnist.nn import ARCHITECTURES, Reference

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
    """The statistics are right. (Not so the gradients: every window is a tie, but for rounding.)"""
    pair = twins(network, (28, 28))
    x, y = constant(pair, values), np.arange(7)
    engine = Engine(pair.model, threads=1, shard_size=3)
    ours = Outcome.of(engine, pair.model, x, y, None)
    errors = ours.errors(Outcome.of(Reference(pair.wide), pair.wide, x, y, None))
    held = {name: errors[name] for name in ours.tensors if name != "loss"}
    assert not {name: value for name, value in held.items() if not value <= 1}
    assert np.isfinite(engine.gradient).all()


def test_values_that_are_no_numbers_cannot_hide() -> None:
    for bad in (np.nan, np.inf):
        pair = twins("cnn", (28, 28))
        x = noise(np.random.default_rng(0), 7, pair.model)
        x[4, 0, 9, 9] = bad
        with np.errstate(invalid="ignore"):
            result = Engine(pair.model, threads=2, shard_size=3).loss_and_grads(x, np.arange(7), None)
        assert np.isnan(result.loss)
