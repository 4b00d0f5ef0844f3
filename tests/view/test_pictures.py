"""Pictures of models of every kind: they are drawn, say what they show, and are the same each time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from numnist.arrays import Array
from numnist.data import Augmentation
from numnist.nn import Model, Preprocess, build, network_from
from numnist.view import (
    draw_activations,
    draw_augmentations,
    draw_embedding,
    draw_filters,
    draw_saliency,
    principal_components,
    save_figure,
)

MODELS = {
    "cnn": ("cnn", (28, 28), 10),
    "mlp": ("mlp:12", (8, 8), 10),
    "fifty classes": ("cnn", (64, 40), 50),
    "linear": ("linear", (8, 8), 3),
}


def model(name: str) -> Model:
    network, size, classes = MODELS[name]
    preprocess = Preprocess(size, classes=tuple(f"{k}" for k in range(classes)))
    return Model(build(network, (1, *size), classes), preprocess).initialise(np.random.default_rng(0))


def images(of: Model, n: int = 6) -> Array:
    return np.random.default_rng(1).integers(0, 256, (n, *of.preprocess.image_size), np.uint8)


def labels(of: Model, n: int = 6) -> Array:
    return np.arange(n) % len(of.preprocess.classes)


DRAWINGS: dict[str, Callable[[Model], Figure]] = {
    "filters": draw_filters,
    "activations": lambda m: draw_activations(m, images(m)[0]),
    "saliency": lambda m: draw_saliency(m, images(m, 2), labels(m, 2)),
    "embedding": lambda m: draw_embedding(m, images(m), labels(m)),
    "augmentations": lambda m: draw_augmentations(
        Augmentation(rotation=(-20, 20)), images(m), labels(m), m.preprocess.classes
    ),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("drawing", DRAWINGS)
def test_every_kind_of_model_is_drawn_and_the_same_each_time(tmp_path: Path, name: str, drawing: str) -> None:
    if drawing == "filters" and "cnn" not in MODELS[name][0]:
        with pytest.raises(ValueError, match="draw_filters: expected a model with a convolution"):
            draw_filters(model(name))
        return
    paths = [tmp_path / "first.png", tmp_path / "second.png"]
    for path in paths:
        save_figure(DRAWINGS[drawing](model(name)), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with Image.open(paths[0]) as image:
        assert np.asarray(image.convert("L")).std() > 5
        assert max(image.size) < 3000


HEADLESS = [
    {"type": "Conv2d", "out_channels": 3, "kernel_size": 8},
    {"type": "Flatten"},
]


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_a_network_that_ends_in_a_convolution_with_classes_that_look_like_formulas(
    tmp_path: Path, drawing: str
) -> None:
    preprocess = Preprocess((8, 8), classes=("a$b$", "$\\frac$", "_c"))
    shown = Model(network_from(HEADLESS, (1, 8, 8), 3), preprocess).initialise(np.random.default_rng(0))
    save_figure(DRAWINGS[drawing](shown), tmp_path / "a.png")


def test_a_picture_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_text("old")

    def fails(self: Figure, file: Any, **settings: Any) -> None:
        file.write(b"half")
        raise RuntimeError

    monkeypatch.setattr(Figure, "savefig", fails)
    with pytest.raises(RuntimeError):
        save_figure(Figure(), path)
    assert path.read_text() == "old"


def test_filters_are_where_their_numbers_say() -> None:
    shown = model("cnn")
    weight = shown.named_parameters()["4.weight"]
    axes = draw_filters(shown).axes[1]
    shown_values = axes.images[0].get_array()
    assert shown_values is not None
    mosaic = np.ma.filled(shown_values, np.nan)
    assert axes.get_title(loc="left") == "convolution 2: 32 filters of 5×5 on 16 channels"
    x, y = axes.get_xticks()[7], axes.get_yticks()[3]
    np.testing.assert_array_equal(mosaic[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3], weight[7, 3])
    assert axes.get_xticklabels()[7].get_text() == "7"


def test_activations_name_every_layer_but_flatten() -> None:
    shown = model("cnn")
    figure = draw_activations(shown, images(shown)[0])
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    named = [text for text in texts if " " in text and "×" not in text]
    assert named[0] == "0 Conv2d"
    assert named[-1] == "9 Linear"
    assert len(named) == 9
    assert {"28 × 28", "16 × 24 × 24", "32 × 4 × 4", "10"} <= set(texts)


@pytest.mark.parametrize(("n", "features"), [(40, 5), (3, 7), (1, 4), (9, 1)])
def test_principal_components_are_those_of_the_covariance(n: int, features: int) -> None:
    X = np.random.default_rng(0).normal(size=(n, features)) * np.arange(1, features + 1)
    scores, shares = principal_components(X)
    assert scores.shape == (n, 2)
    variances = np.sort(np.linalg.eigvalsh(np.cov(X.T, bias=True).reshape(features, features)))[::-1]
    for i, variance in enumerate(variances[:2]):
        assert scores[:, i].var() == pytest.approx(variance, abs=1e-9)
        assert shares[i] == pytest.approx(variance / max(variances.sum(), 1e-300), abs=1e-9)
    if n > 2 and features > 1:
        assert scores[:, 0] @ scores[:, 1] == pytest.approx(0, abs=1e-9)
    again, _ = principal_components(X.astype(np.float32))
    np.testing.assert_allclose(again, scores, atol=1e-4)  # the signs too


def test_a_saliency_picture_says_which_colour_is_for() -> None:
    figure = draw_saliency(model("cnn"), images(model("cnn"), 2), np.array([3, 4]))
    titles = [axes.get_title() for axes in figure.axes[:5]]
    assert titles == ["image", "gradient", "integrated gradients", "Grad-CAM", "occlusion"]
    assert figure.axes[5].get_ylabel() == "why 4?"
    shown = figure.axes[4].images[0]
    high, low = shown.cmap(1.0), shown.cmap(0.0)
    assert high[2] > high[1]  # purple, for positive values
    assert low[0] > low[2]  # orange
