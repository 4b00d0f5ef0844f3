"""The Predictor: probabilities of a model's own images, and of pictures as people have them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from numnist.arrays import Array
from numnist.data import NoInkError, load_mnist, synthetic_digits
from numnist.errors import InputError
from numnist.nn import Model, Preprocess, Reference, build, load_notes, save_model
from numnist.predict import Predictor, pretrained, pretrained_models, views
from numnist.predict.predictor import BATCH

LETTERS = Preprocess((12, 10), classes=("a", "b", "c"))


def small_model(seed: int = 0) -> Model:
    return Model(build("mlp:5", LETTERS.input_shape, 3), LETTERS).initialise(np.random.default_rng(seed))


def pictures(n: int) -> Array:
    return np.random.default_rng(1).integers(0, 256, (n, 12, 10), dtype=np.uint8)


def drawn(text: str, ink: int = 20, paper: int = 235) -> Array:
    """Text in Pillow's own font, dark on light unless told otherwise."""
    image = Image.new("L", (90 * len(text) + 60, 160), paper)
    ImageDraw.Draw(image).text((30, 20), text, fill=ink, font=ImageFont.load_default(100))
    return np.asarray(image)


@pytest.fixture(scope="module")
def shipped() -> Predictor:
    return Predictor.load(pretrained("pretrained:cnn"))


@pytest.mark.parametrize("n", [0, 1, BATCH, BATCH + 1])
def test_probabilities_are_the_softmax_of_the_logits_whatever_the_batches(n: int) -> None:
    model, images = small_model(), pictures(n)
    probabilities = Predictor(model).probabilities(images)
    assert probabilities.shape == (n, 3)
    if n:
        e = np.exp(Reference(model).predict(model.preprocess(images)).astype(np.float64))
        np.testing.assert_allclose(probabilities, e / e.sum(axis=1, keepdims=True), rtol=1e-4)


def softmax_of(model: Model, images: Array, temperature: float = 1.0) -> Array:
    e = np.exp(Reference(model).predict(model.preprocess(images)).astype(np.float64) / temperature)
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def test_a_models_temperature_is_what_its_logits_are_divided_by() -> None:
    model, images = small_model(), pictures(9)
    model.temperature = 2.5
    np.testing.assert_allclose(
        Predictor(model).probabilities(images), softmax_of(model, images, 2.5), rtol=1e-4
    )


def test_several_models_and_views_are_averaged() -> None:
    models, images = [small_model(seed) for seed in range(3)], pictures(9)
    models[1].temperature = 0.6
    together = np.mean([softmax_of(model, images, model.temperature) for model in models], axis=0)
    np.testing.assert_allclose(Predictor(*models).probabilities(images), together, rtol=1e-4)

    of_views = np.mean([softmax_of(model, view) for view in views(images) for model in models[::2]], axis=0)
    asked = Predictor(*models[::2], tta=True)
    np.testing.assert_allclose(asked.probabilities(images), of_views, rtol=1e-4)
    assert [len(asked.probabilities(images[:n])) for n in (0, 1)] == [0, 1]


def test_probabilities_that_float32_cannot_hold_still_have_logarithms() -> None:
    models = [small_model(seed) for seed in range(2)]
    for model in models:
        model.parameters *= 100
    logits = Predictor(*models).logits(pictures(20))
    assert np.isfinite(logits).all()
    assert logits.min() < -1000


def test_models_of_different_kinds_cannot_be_asked_together(tmp_path: Path) -> None:
    other = Preprocess((12, 10), classes=("a", "b", "d"))
    models = [small_model(), Model(build("mlp:5", LETTERS.input_shape, 3), other)]
    with pytest.raises(ValueError, match=r"got classes \('a', 'b', 'c'\) and \('a', 'b', 'd'\)"):
        Predictor(*models)
    paths = [tmp_path / "first", tmp_path / "second"]
    for model, path in zip(models, paths, strict=True):
        save_model(model, path)
    with pytest.raises(InputError, match=f"^{paths[1]}: beside {paths[0]}: expected models of one kind"):
        Predictor.load(*paths)
    with pytest.raises(ValueError, match="one model or more"):
        Predictor()


def test_what_a_model_is_not_sure_of_can_be_rejected() -> None:
    images = pictures(30)
    for prediction in Predictor(small_model(), reject=0.5).predict(images):
        assert prediction.rejected == (prediction.probability < 0.5)
    assert {p.rejected for p in Predictor(small_model(), reject=0.5).predict(images)} == {True, False}
    assert not any(p.rejected for p in Predictor(small_model()).predict(images))
    with pytest.raises(ValueError, match="expected reject from 0 to 1"):
        Predictor(small_model(), reject=1.5)


def test_views_are_the_image_and_its_neighbours() -> None:
    images = np.zeros((2, 9, 9), np.uint8)
    images[:, 4, 4] = 200
    images[:, 4, 7] = 100
    seen = np.array(list(views(images)))
    assert seen.shape == (7, 2, 9, 9)
    np.testing.assert_array_equal(seen[0], images)
    spots = [tuple(np.argwhere(view[0] == 200)[0]) for view in seen[:5]]
    assert spots == [(4, 4), (4, 5), (4, 3), (5, 4), (3, 4)]
    up, down = seen[5][0], seen[6][0]  # counter-clockwise lifts the right side
    rows = np.arange(9)[:, np.newaxis]
    assert (rows * up[:, 6:]).sum() / up[:, 6:].sum() < 4 < (rows * down[:, 6:]).sum() / down[:, 6:].sum()


def test_predictions_name_the_classes_and_rank_them() -> None:
    images = pictures(4)
    predictor = Predictor(small_model())
    for image, prediction in zip(images, predictor.predict(images), strict=True):
        np.testing.assert_array_equal(prediction.image, image)
        ranked = prediction.ranked()
        assert (prediction.label, prediction.probability) == ranked[0]
        assert sorted(name for name, _ in ranked) == ["a", "b", "c"]
        assert [share for _, share in ranked] == sorted((share for _, share in ranked), reverse=True)
        assert sum(share for _, share in ranked) == pytest.approx(1, abs=1e-6)


def test_a_loaded_predictor_is_the_saved_model(tmp_path: Path) -> None:
    save_model(small_model(), tmp_path / "m.safetensors")
    loaded = Predictor.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(
        loaded.probabilities(pictures(3)), Predictor(small_model()).probabilities(pictures(3))
    )


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected images of shape \(N, 12, 10\)"):
        Predictor(small_model()).predict(np.zeros((2, 28, 28)))


def test_a_picture_is_brought_to_the_models_own_size() -> None:
    assert Predictor(small_model()).read(drawn("4")).image.shape == (12, 10)


@pytest.mark.parametrize(("ink", "paper"), [(20, 235), (250, 5), (120, 180)])
def test_the_shipped_model_reads_print(shipped: Predictor, ink: int, paper: int) -> None:
    """All but the 6 of this font, whose loop is nearly all of it: to a network of handwriting it is a 0."""
    read = "".join(shipped.read(drawn(digit, ink, paper)).label for digit in "0123456789")
    assert read.replace("0", "6") == "6123456789"


def test_a_number_is_read_from_left_to_right(shipped: Predictor) -> None:
    assert "".join(digit.label for digit in shipped.read_number(drawn("30542"))) == "30542"


def test_a_blank_page_holds_no_ink(shipped: Predictor) -> None:
    for read in (shipped.read, shipped.read_number):
        with pytest.raises(NoInkError):
            read(np.full((50, 40), 200.0))


def test_the_shipped_model_says_how_it_was_made() -> None:
    notes = load_notes(pretrained("pretrained:cnn"))
    assert {"recipe", "seed", "command", "dataset", "trained_on", "commit"} <= set(notes)


def test_the_shipped_model_reads_the_built_in_digits(shipped: Predictor) -> None:
    split = synthetic_digits(500, seed=99)
    right = shipped.probabilities(split.images).argmax(axis=1) == split.labels
    assert right.mean() > 0.95


@pytest.mark.mnist
def test_the_shipped_model_reads_mnist(shipped: Predictor, mnist_directory: Path) -> None:
    test = load_mnist(mnist_directory, splits=("test",)).test
    assert test is not None
    right = shipped.probabilities(test.images[:2000]).argmax(axis=1) == test.labels[:2000]
    assert right.mean() > 0.98


def test_shipped_models_are_found_by_name() -> None:
    assert "pretrained:cnn" in pretrained_models()
    with pytest.raises(InputError, match="unknown model 'pretrained:cm': did you mean 'pretrained:cnn'"):
        pretrained("pretrained:cm")
