"""The zoo against PyTorch's numbers: names, logits in both modes, loss, gradients, running statistics."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numnist.arrays import Array
from numnist.nn import Model, Preprocess, Reference, build

RECORDED = json.loads((Path(__file__).parents[1] / "pytorch" / "models.json").read_text())


def model_and_batch(name: str) -> tuple[Model, Array, Array]:
    """The model with the very weights that were recorded, in float64, and its batch."""
    rng = np.random.default_rng(RECORDED["seed"])
    model = Model(build(name, (1, 28, 28), 10), Preprocess(), dtype=np.float64)
    model.initialise(np.random.default_rng(0))
    for parameter in model.named_parameters().values():
        parameter[...] = rng.normal(0, 0.1, parameter.shape)
    n = RECORDED["n"]
    return model, rng.standard_normal((n, 1, 28, 28)), rng.integers(0, 10, n)


@pytest.mark.parametrize("name", RECORDED["networks"])
def test_a_training_step_and_an_evaluation(name: str) -> None:
    expected: dict[str, Any] = RECORDED["networks"][name]
    model, x, y = model_and_batch(name)
    executor = Reference(model, RECORDED["label_smoothing"])
    result = executor.loss_and_grads(x, y, None)

    assert result.loss == pytest.approx(expected["loss"], rel=1e-12)
    logits = np.array(expected["training_logits"])
    assert result.correct == int((logits.argmax(axis=1) == y).sum())
    for parameter, gradient in model.layout.views(executor.gradient).items():
        digest = expected["gradients"][parameter]
        scale = max(digest["norm"], 1e-3)  # the bias before a BatchNorm has no gradient but rounding
        assert gradient.sum() == pytest.approx(digest["sum"], abs=1e-9 * scale * np.sqrt(gradient.size))
        assert np.linalg.norm(gradient) == pytest.approx(digest["norm"], rel=1e-9, abs=1e-9 * scale)
        np.testing.assert_allclose(gradient.ravel()[:5], digest["first"], rtol=1e-8, atol=1e-9 * scale)
    for buffer, values in model.named_buffers().items():
        np.testing.assert_allclose(values, expected["buffers"][buffer], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(executor.predict(x), expected["evaluation_logits"], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", RECORDED["networks"])
def test_names_and_order_are_those_of_a_state_dict(name: str) -> None:
    model, _, _ = model_and_batch(name)
    assert {name for name, _ in model.named_arrays()} == set(RECORDED["networks"][name]["state_dict"])
    weights = [name for name in RECORDED["networks"][name]["state_dict"] if "running" not in name]
    assert list(model.named_parameters()) == weights


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("linear", 7_850),
        ("mlp", 477_010),
        ("cnn", 18_474),
        ("cnn-plain", 18_378),
        ("cnn_small", 9_354),
        ("cnn_large", 292_202),
    ],
)
def test_number_of_trainable_parameters(name: str, parameters: int) -> None:
    assert Model(build(name, (1, 28, 28), 10), Preprocess()).layout.size == parameters
