"""Saliency maps against their definitions, by finite differences and by hand."""

import numpy as np
import pytest

from numnist.arrays import Array
from numnist.nn import Model, Preprocess, build, network_from
from numnist.view import flat_layers, last_features, methods_for, saliency, trace

SMOOTH = [
    {"type": "Conv2d", "out_channels": 3, "kernel_size": 3},
    {"type": "BatchNorm"},
    {"type": "Tanh"},
    {"type": "Sequential", "layers": [{"type": "AvgPool2d", "size": 2}, {"type": "Flatten"}]},
    {"type": "Linear", "out_features": 4},
]


def a_model(dtype: type = np.float64) -> Model:
    preprocess = Preprocess((9, 8), mean=0.2, std=0.6, classes=("a", "b", "c", "d"))
    model = Model(network_from(SMOOTH, preprocess.input_shape, 4), preprocess, dtype)
    model.initialise(np.random.default_rng(0))
    rng = np.random.default_rng(1)
    model.buffers[...] = rng.uniform(0.5, 1.5, model.buffers.size)
    model.parameters += rng.normal(0, 0.3, model.parameters.size)
    return model


def image() -> Array:
    return np.random.default_rng(2).uniform(0, 255, (9, 8))


def logit(model: Model, x: Array, k: int) -> float:
    return float(model.network.predict(model.preprocess(x[None], np.float64))[0, k])


def test_the_gradient_is_that_of_finite_differences() -> None:
    model, x, k, h = a_model(), image(), 2, 1e-3
    found = saliency.gradient(model, x, k)
    assert found.shape == (9, 8)
    for i, j in np.ndindex(9, 8):
        up, down = x.copy(), x.copy()
        up[i, j] += h
        down[i, j] -= h
        expected = (logit(model, up, k) - logit(model, down, k)) / (2 * h)
        assert found[i, j] == pytest.approx(expected, rel=2e-4, abs=1e-6)


def test_integrated_gradients_sum_to_what_sets_the_image_apart() -> None:
    model, x = a_model(), image()
    for k in range(4):
        found = saliency.integrated_gradients(model, x, k, steps=256)
        apart = logit(model, x, k) - logit(model, np.zeros((9, 8)), k)
        assert found.sum() == pytest.approx(apart, rel=1e-3)


def test_grad_cam_of_a_network_whose_answer_is_known() -> None:
    """Two filters copy the image; class 0 likes the first map and class 1 dislikes it."""
    preprocess = Preprocess((5, 7), classes=("a", "b"))
    layers = [{"type": "Conv2d", "out_channels": 1, "kernel_size": 1}, {"type": "GlobalAvgPool2d"}]
    model = Model(network_from([*layers, {"type": "Linear", "out_features": 2}], (1, 5, 7), 2), preprocess)
    named = model.named_parameters()
    named["0.weight"][...] = 1
    named["2.weight"][...] = [[3], [-2]]
    x = np.random.default_rng(0).integers(0, 256, (5, 7)).astype(np.uint8)
    likes = saliency.grad_cam(model, x, 0)
    np.testing.assert_allclose(likes, 3 / 35 * x / 255, rtol=1e-5, atol=1e-7)
    assert not saliency.grad_cam(model, x, 1).any()


def test_grad_cam_is_brought_to_the_size_of_the_image() -> None:
    model = a_model(np.float32)
    assert saliency.grad_cam(model, image(), 1).shape == (9, 8)
    rising = np.add.outer(np.arange(3.0), 10 * np.arange(2.0))
    enlarged = saliency._enlarged(rising, (5, 4))
    np.testing.assert_allclose(enlarged[[0, -1]][:, [0, -1]], rising[[0, -1]][:, [0, -1]], rtol=1e-6)
    np.testing.assert_allclose(np.diff(enlarged, axis=0), 0.5, rtol=1e-5)


def test_what_is_normalised_away_does_not_count_in_grad_cam() -> None:
    model, x = a_model(), image()
    before = saliency.grad_cam(model, x, 1)
    model.named_parameters()["0.bias"][...] += 5
    model.named_buffers()["1.running_mean"][...] += 5
    np.testing.assert_allclose(saliency.grad_cam(model, x, 1), before, rtol=1e-6, atol=1e-9)


def test_occlusion_is_the_fall_of_the_logit() -> None:
    model, x, k = a_model(), image(), 3
    found = saliency.occlusion(model, x, k, side=3)
    for i, j in [(0, 0), (4, 3), (8, 7), (0, 5)]:
        hidden = x.copy()
        hidden[max(0, i - 1) : i + 2, max(0, j - 1) : j + 2] = 0
        assert found[i, j] == pytest.approx(logit(model, x, k) - logit(model, hidden, k), rel=1e-3, abs=1e-5)


def test_what_needs_a_convolution_is_left_out_without_one() -> None:
    model = Model(build("mlp:5", (1, 8, 8), 10), Preprocess((8, 8))).initialise(np.random.default_rng(0))
    assert "Grad-CAM" not in methods_for(model)
    for method in methods_for(model).values():
        assert method(model, np.full((8, 8), 9, np.uint8), 3).shape == (8, 8)
    with pytest.raises(ValueError, match="expected a model with a convolution"):
        saliency.grad_cam(model, np.zeros((8, 8), np.uint8), 3)
    assert set(methods_for(a_model())) == set(saliency.METHODS)


def test_a_trace_ends_in_the_logits_and_names_nested_layers() -> None:
    model, x = a_model(), image()
    stops = list(trace(model, x))
    assert [stop.position for stop in stops] == ["0", "1", "2", "3.0", "3.1", "4"]
    np.testing.assert_allclose(
        stops[-1].values, model.network.predict(model.preprocess(x[None]))[0], rtol=1e-5
    )
    assert [stop.layer for stop in stops] == flat_layers(model.network)


def test_the_last_features_make_the_logits() -> None:
    model, x = a_model(np.float32), np.stack([image(), image()[::-1]])
    features = last_features(model, x, batch=1)
    linear = flat_layers(model.network)[-1]
    logits = features @ linear.parameters["weight"].T + linear.parameters["bias"]
    np.testing.assert_allclose(logits, model.network.predict(model.preprocess(x)), rtol=1e-4)
