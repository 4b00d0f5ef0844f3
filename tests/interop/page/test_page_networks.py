"""The page's own forward and backward pass against NumPy's."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page
from tests.engine.layers import Description
from tests.engine.networks import CLASSES, networks
from tests.interop.page.conftest import SHIPPED, run_logits

from numnist.arrays import Array
from numnist.data import load_mnist, synthetic_digits
from numnist.interop.page.models import CARRIED, described
from numnist.nn import ARCHITECTURES, Model, Preprocess, Reference, build, load_model, network_from
from numnist.predict import Predictor, pretrained
from numnist.train import Stream, generator
from numnist.view.saliency import grad_cam, gradient


@pytest.fixture(scope="module")
def page(browser: Browser, written: Path) -> Iterator[Page]:
    """One page for all of these tests: they leave nothing on it that another would see."""
    opened = browser.new_page()
    opened.goto(written.as_uri())
    yield opened
    opened.close()


MAKE = "globalThis.made = new numnist.Network(JSON.parse(text))"


def settled(network: Any, preprocess: Preprocess, seed: int = 0) -> Model:
    """A model with weights drawn at random, whose running statistics are not those that they begin with."""
    model = Model(network, preprocess).initialise(generator(seed, Stream.INITIALISATION))
    rng = np.random.default_rng(seed)
    for name, values in model.named_arrays():
        if name.endswith("running_var"):
            values[...] = rng.uniform(0.5, 2, values.shape)
        elif name.endswith(("running_mean", "bias")):
            values[...] = rng.normal(0, 0.3, values.shape)
    model.mark_changed()
    model.temperature = 1.3
    return model


def logits(page: Page, model: Model, images: Array) -> Array:
    """The page's logits of a model that it was not written with."""
    page.evaluate(f"(text) => {{ {MAKE} }}", json.dumps(described(model, "made")))
    return run_logits(page, "made", images)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(SHIPPED)))
def test_a_thousand_digits_have_the_predictors_logits(page: Page, shipped: list[Model], number: int) -> None:
    """Of the predictor that runs the ops: the engine, whose sums take short cuts, is 1e-4 from them."""
    check(page, shipped[number], f"numnist.networks[{number}]", synthetic_digits(1000, seed=7).images)


@pytest.mark.slow
@pytest.mark.mnist
@pytest.mark.parametrize("number", range(len(SHIPPED)))
def test_a_thousand_digits_of_mnist_too(
    page: Page, shipped: list[Model], number: int, mnist_directory: Path
) -> None:
    test = load_mnist(mnist_directory).test
    assert test is not None
    check(page, shipped[number], f"numnist.networks[{number}]", test.images[:1000])


def check(page: Page, model: Model, network: str, images: Array) -> None:
    expected = Predictor(model, executor=Reference).logits(images)
    np.testing.assert_allclose(run_logits(page, network, images), expected, atol=3e-5, rtol=0)


@pytest.mark.parametrize("name", [*ARCHITECTURES, "mlp:30,20", "record"])
def test_every_network_of_the_zoo(page: Page, name: str) -> None:
    images = synthetic_digits(20, seed=3).images
    if name == "record":
        model = load_model(pretrained("pretrained:record"))
    else:
        model = settled(build(name, (1, 28, 28), 10), Preprocess(mean=0.13, std=0.31))
    expected = Predictor(model, executor=Reference).logits(images)
    np.testing.assert_allclose(logits(page, model, images), expected, atol=1e-4, rtol=0)


EVERY_LAYER: list[Description] = [
    {"type": "Conv2d", "out_channels": 5, "kernel_size": 3, "padding": "same"},
    {"type": "LeakyReLU", "slope": 0.2},
    {"type": "Sequential", "layers": [
        {"type": "AvgPool2d", "size": 3, "stride": 1},
        {"type": "Sequential", "layers": [{"type": "BatchNorm", "eps": 0.01}, {"type": "Softmax"}]},
    ]},
    {"type": "Conv2d", "out_channels": 6, "kernel_size": 4, "stride": 2, "padding": 2},
    {"type": "Tanh"},
    {"type": "MaxPool2d", "size": 2},
    {"type": "LogSoftmax"},
    {"type": "Dropout", "rate": 0.5},
    {"type": "GlobalAvgPool2d"},
    {"type": "Linear", "out_features": 9},
    {"type": "BatchNorm"},
    {"type": "Sigmoid"},
    {"type": "Linear", "out_features": 7},
    {"type": "ReLU"},
    {"type": "Flatten"},
    {"type": "Linear", "out_features": "classes"},
]  # fmt: skip


def test_every_layer_that_a_description_may_hold(page: Page) -> None:
    model = settled(
        network_from(EVERY_LAYER, (1, 17, 21), 3), Preprocess((17, 21), mean=0.2, classes=("a", "b", "c"))
    )
    inside = {type(layer).__name__ for _, layer, _, _ in model.network.leaves((1, 17, 21))}
    assert inside == CARRIED
    images = np.random.default_rng(0).integers(0, 256, (8, 17, 21), np.uint8)
    expected = Predictor(model, executor=Reference).logits(images)
    np.testing.assert_allclose(logits(page, model, images), expected, atol=1e-5, rtol=1e-5)


@settings(max_examples=60)
@given(network=networks(), seed=st.integers(0, 2**32 - 1))
def test_any_network(page: Page, network: tuple[list[Description], tuple[int, int]], seed: int) -> None:
    layers, size = network
    preprocess = Preprocess(size, mean=0.1, std=0.4, classes=tuple("abcdefgh"[:CLASSES]))
    model = settled(network_from(layers, (1, *size), CLASSES), preprocess, seed)
    images = np.random.default_rng(seed).integers(0, 256, (3, *size), np.uint8)
    expected = Predictor(model, executor=Reference).logits(images)
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(logits(page, model, images), expected, atol=2e-5 * scale, rtol=0)


@pytest.mark.parametrize(("name", "method"), [("Grad-CAM", grad_cam), ("gradient", gradient)])
@pytest.mark.parametrize("number", range(len(SHIPPED)))
def test_the_heat_maps_are_those_of_numpy(
    page: Page, shipped: list[Model], number: int, name: str, method: Any
) -> None:
    images = synthetic_digits(10, seed=5).images
    network = f"numnist.networks[{number}]"
    for k, image in enumerate(images):
        for about in (k, (k + 3) % 10):
            expected = method(shipped[number], image, about)
            found = page.evaluate(
                f"([pixels, k, name]) => ({network}.logits(pixels), [...{network}.heat(k, name)])",
                [image.reshape(-1).tolist(), about, name],
            )
            scale = max(1e-3, float(np.abs(expected).max()))
            np.testing.assert_allclose(np.array(found).reshape(28, 28), expected, atol=1e-4 * scale, rtol=0)


def test_a_model_without_convolution_is_explained_by_its_gradient(page: Page) -> None:
    model = settled(build("mlp:30,20", (1, 28, 28), 10), Preprocess(mean=0.13, std=0.31))
    [image] = synthetic_digits(1, seed=5).images
    logits(page, model, image[None])
    assert page.evaluate("made.methods") == ["gradient"]
    expected = gradient(model, image, 4)
    found = np.array(page.evaluate("[...made.heat(4, 'gradient')]")).reshape(28, 28)
    np.testing.assert_allclose(found, expected, atol=1e-5 * float(np.abs(expected).max()), rtol=0)
