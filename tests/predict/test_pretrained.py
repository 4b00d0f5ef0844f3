"""The models that ship: small enough, with their history, and as good as their notes say."""

from pathlib import Path

import pytest

from numnist.data import load_mnist
from numnist.nn import load_model, load_notes
from numnist.predict import Predictor, pretrained, pretrained_models

RECIPES = ("cnn-best", "small", "record")


def test_they_are_those_of_the_recipes_and_one_for_pictures() -> None:
    assert pretrained_models() == sorted(f"pretrained:{name}" for name in ("cnn", *RECIPES))
    assert sum(pretrained(name).stat().st_size for name in pretrained_models()) <= 5_000_000


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_shipped_model_says_how_it_came_about(recipe: str) -> None:
    path = pretrained(f"pretrained:{recipe}")
    notes = load_notes(path)
    assert notes["recipe"] == recipe
    assert notes["changed"] == []
    assert notes["seed"] == 0
    assert notes["command"] == f"numnist train --recipe {recipe} --seed 0"
    assert notes["trained_on"] == {"images": 60_000, "validation": 0, "selection": "none"}
    assert notes["dataset"]["name"] == "mnist"
    assert len(notes["commit"]) == 12
    model = load_model(path)
    assert 1 < model.temperature < 2  # networks that are trained to the end are too sure of themselves
    if recipe == "small":
        assert model.layout.size < 10_000


@pytest.mark.mnist
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_shipped_model_is_as_good_as_it_says(recipe: str, mnist_directory: Path) -> None:
    test = load_mnist(mnist_directory, splits=("test",)).test
    assert test is not None
    path = pretrained(f"pretrained:{recipe}")
    right = Predictor.load(path).probabilities(test.images).argmax(axis=1) == test.labels
    # Another BLAS has other last bits, which may turn an image that is all but undecided.
    assert right.mean() == pytest.approx(load_notes(path)["test_accuracy"], abs=2e-4)
