"""The scikit-learn door: scikit-learn's own checks, and what they do not look at."""

import copy
import io
import pickle
import re
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from numnist.arrays import Array
from numnist.interop import sklearn as door
from numnist.interop.sklearn import NumnistClassifier
from numnist.nn import load_model, save_model
from numnist.predict import Predictor
from numnist.train import DivergenceError

EXPECTED_TO_FAIL = {  # docs/interop.md says why
    "check_sample_weight_equivalence_on_dense_data": "the same loss, but not the same steps",
    "check_methods_sample_order_invariance": "the last bit of a float32 depends on a sample's place in X",
}


def run_check(estimator: NumnistClassifier, check: Callable[[NumnistClassifier], None]) -> None:
    check(estimator)


test_the_checks_of_scikit_learn = parametrize_with_checks(
    [NumnistClassifier()], expected_failed_checks=lambda estimator: EXPECTED_TO_FAIL
)(run_check)


def digits(n: int = 300) -> tuple[Array, Array]:
    """Images of 8x8 as bytes, and labels."""
    X, y = load_digits(return_X_y=True)
    return (X[:n] * 15.9).astype(np.uint8).reshape(-1, 8, 8), y[:n]


def small(**parameters: Any) -> NumnistClassifier:
    return NumnistClassifier(**{"model": "mlp:16", "epochs": 3, "random_state": 0, **parameters})


def same(first: NumnistClassifier, second: NumnistClassifier) -> bool:
    """Whether two have learned the same, to the last bit."""
    return np.array_equal(first.model_.parameters, second.model_.parameters)


def test_it_learns_flowers_and_digits() -> None:
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    pipeline = make_pipeline(StandardScaler(), NumnistClassifier(random_state=0))
    assert cross_val_score(pipeline, X, names, cv=3).mean() > 0.9
    images, labels = digits(1000)
    assert (
        NumnistClassifier(random_state=0).fit(images[:700], labels[:700]).score(images[700:], labels[700:])
        > 0.85
    )


def test_images_flat_or_not_bytes_or_not_are_the_same() -> None:
    images, labels = digits()
    first = small().fit(images, labels)
    assert (first.n_features_in_, first.model_.preprocess.image_size) == (64, (8, 8))
    flat = images.reshape(-1, 64)
    assert same(first, small().fit(flat, labels))
    expected = first.predict_proba(images)
    np.testing.assert_array_equal(first.predict_proba(flat), expected)
    np.testing.assert_array_equal(first.predict_proba(images.astype(float)), expected)
    with pytest.raises(ValueError, match=re.escape("X: expected images of shape (8, 8), got (4, 16)")):
        first.predict(images.reshape(-1, 4, 16))


def test_convolutions_and_augmentation() -> None:
    images, labels = digits(120)
    layers = [
        {"type": "Conv2d", "out_channels": 4, "kernel_size": 3},
        {"type": "BatchNorm"},
        {"type": "ReLU"},
        {"type": "Flatten"},
        {"type": "Linear", "out_features": "classes"},
    ]
    wide = images.reshape(-1, 4, 16)
    first = small(model=layers).fit(wide, labels)
    assert same(first, small(model=layers, image_shape=(4, 16)).fit(wide.reshape(-1, 64), labels))
    assert not same(first, small(model=layers).fit(wide.reshape(-1, 64), labels))  # taken for 8x8
    augmented = small(model=layers, augment={"translation": 1}).fit(wide, labels)
    assert not same(first, augmented)
    assert same(augmented, clone(augmented).fit(wide, labels))


def test_one_seed_gives_the_same_bits() -> None:
    X, y = digits()
    first = small().fit(X, y)
    assert same(first, small().fit(X, y))
    assert same(first, small(threads=2).fit(X, y))
    assert not same(first, small(random_state=1).fit(X, y))
    assert not same(first, small(init="he_normal").fit(X, y))
    state = np.random.RandomState(0)
    one, two = small(random_state=state).fit(X, y), small(random_state=state).fit(X, y)
    assert not same(one, two)  # it has moved on


def test_a_weight_of_zero_leaves_a_sample_out() -> None:
    X, y = digits(200)
    weights = np.tile([0, 1.5, 3, 0, 1], 40)
    other = np.where(weights[:, None, None] > 0, X, 255).astype(np.uint8)
    first = small().fit(other, y, sample_weight=weights)
    assert same(first, small().fit(X[weights > 0], y[weights > 0], weights[weights > 0]))
    assert not same(first, small().fit(X[weights > 0], y[weights > 0]))
    assert same(first, small().fit(other, y, sample_weight=weights * 7))


def test_a_weight_of_two_is_a_sample_twice() -> None:
    """To rounding, where a batch has them all."""
    X, y = digits(90)
    weights = np.tile([1, 2, 3], 30)
    whole = {"model": "linear", "batch_size": 1000, "epochs": 20}
    weighted = small(**whole).fit(X, y, weights)
    repeated = small(**whole)
    repeated._begin(weighted._samples(X, y, None, reset=True), weighted.classes_)  # the same preprocessing
    repeated.warm_start = True
    repeated.fit(np.repeat(X, weights, axis=0), np.repeat(y, weights))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-4)
    assert np.abs(weighted.predict_proba(X) - small(**whole).fit(X, y).predict_proba(X)).max() > 1e-2


def test_warm_start_goes_on_from_the_weights_that_are_there() -> None:
    X, y = digits()
    cold, warm = small(), small(warm_start=True)
    for _ in range(3):
        cold.fit(X, y)
        warm.fit(X, y)
    assert (len(cold.loss_curve_), len(warm.loss_curve_)) == (3, 9)
    assert warm.loss_curve_[-1] < 0.7 * cold.loss_curve_[-1]
    with pytest.raises(ValueError, match="warm_start: expected the classes"):
        warm.fit(X, y + 1)
    with pytest.raises(ValueError, match="X has 60 features"):
        warm.fit(X.reshape(-1, 64)[:, :60], y)


def test_partial_fit_goes_on_with_the_same_optimizer() -> None:
    X, y = digits(200)
    parts = [slice(0, 120), slice(120, 200)]
    labels = np.array(list("abcdefghij"))[y]
    first = small(optimizer="adam")
    for part in parts:
        assert first.partial_fit(X[part], labels[part], classes=list("jihgfedcba")) is first
    assert first.classes_.tolist() == list("abcdefghij")
    assert len(first.loss_curve_) == 2
    assert first._optimizer_state is not None
    assert first._optimizer_state.step == 4 + 3
    before = first.score(X, labels)
    for _ in range(15):
        first.partial_fit(X, labels)
    assert first.score(X, labels) > max(before, 0.9)


def test_partial_fit_has_to_know_the_classes() -> None:
    X, y = digits(50)
    with pytest.raises(ValueError, match="classes: must be passed on the first call"):
        small().partial_fit(X, y)
    begun = small().partial_fit(X[y < 5], y[y < 5], classes=range(9))
    with pytest.raises(ValueError, match=re.escape("y: expected labels among [0 1 2 3 4 5 6 7 8], got [9]")):
        begun.partial_fit(X, y)
    with pytest.raises(ValueError, match="classes: expected those of before"):
        begun.partial_fit(X, y, classes=range(10))
    assert begun.predict_proba(X).shape == (50, 9)


def through_joblib(estimator: NumnistClassifier) -> NumnistClassifier:
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    loaded: NumnistClassifier = joblib.load(file)
    return loaded


@pytest.mark.parametrize(
    "copied", [lambda estimator: pickle.loads(pickle.dumps(estimator)), copy.deepcopy, through_joblib]
)
def test_a_copy_predicts_and_goes_on_as_the_original(
    copied: Callable[[NumnistClassifier], NumnistClassifier],
) -> None:
    X, y = digits(100)
    first = small().partial_fit(X, y, classes=range(10))
    second = copied(first)
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    for _ in range(2):
        first.partial_fit(X, y)
        second.partial_fit(X, y)
    assert same(first, second)
    assert not np.shares_memory(first.model_.parameters, second.model_.parameters)
    assert copied(small()).get_params() == small().get_params()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_grid_search_in_several_processes(threads: int) -> None:
    X, y = digits(120)
    grid = {"batch_size": np.array([16, 60]), "learning_rate": np.array([0.01, 1e-5])}
    search = GridSearchCV(small(threads=threads, epochs=5), grid, cv=2, n_jobs=2)
    search.fit(X, y)
    assert search.best_params_["learning_rate"] == 0.01
    assert same(search.best_estimator_, small(epochs=5, **search.best_params_).fit(X, y))


def test_its_model_is_one_of_ours(tmp_path: Path) -> None:
    X, y = digits(100)
    labels = np.array([f"digit {label}" for label in y])
    fitted = small().fit(X, labels)
    save_model(fitted.model_, tmp_path / "model.safetensors")
    predictor = Predictor(load_model(tmp_path / "model.safetensors"))
    np.testing.assert_array_equal(predictor.probabilities(X), fitted.predict_proba(X))
    assert [each.label for each in predictor.predict(X)] == fitted.predict(X).tolist()
    np.testing.assert_allclose(np.exp(fitted.predict_log_proba(X)), fitted.predict_proba(X), rtol=1e-5)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"epochs": 0}, "epochs: expected at least 1, got 0"),
        ({"batch_size": "many"}, "batch_size: expected an integer, got 'many'"),
        ({"learning_rate": -1}, "learning_rate: expected more than 0, got -1"),
        ({"optimizer": "adamm"}, "optimizer: unknown kind 'adamm': did you mean 'adam'?"),
        ({"optimizer": {"kind": "sgd", "beta1": 1}}, "optimizer: unknown setting 'beta1'"),
        ({"optimizer": 3}, "optimizer: expected"),
        ({"schedule": "cosinus"}, "schedule: unknown kind 'cosinus': did you mean 'cosine'?"),
        ({"init": "he"}, "init: expected 'xavier_normal', "),
        ({"augment": {"turn": 3}}, "augment: unknown setting 'turn'"),
        ({"model": "mpl"}, "model: unknown model 'mpl': did you mean 'mlp'?"),
        ({"model": "cnn_deep"}, "model: model 'cnn_deep' on images of 8x8: layer 4: "),
        (
            {"model": [{"type": "Flatten"}, {"type": "Softmax"}]},
            "model: Model: expected the network to end in",
        ),
        (
            {"image_shape": (7, 9)},
            "image_shape: expected two numbers whose product is 64, as X has it, got (7, 9)",
        ),
        ({"image_shape": (-8, -8)}, "image_shape: expected two numbers whose product is 64, as X has it"),
        ({"image_shape": 28}, "image_shape: expected two numbers whose product is 64, as X has it, got 28"),
        ({"model": 100}, "model: expected a list of layers, got int"),
        ({"threads": 0}, "threads: expected at least 1, or None for all cores, got 0"),
        ({"threads": "2"}, "threads: expected at least 1, or None for all cores, got '2'"),
        (
            {
                "model": [{"type": "Flatten"}, {"type": "BatchNorm"}, {"type": "Linear", "out_features": 10}],
                "batch_size": 1,
            },
            "batch_size: 1 leaves a batch of one of the 40 images",
        ),
    ],
)
def test_what_is_wrong_is_named_as_the_parameter(parameters: dict[str, Any], words: str) -> None:
    X, y = digits(40)
    with pytest.raises(ValueError, match="^" + re.escape(words)) as error:
        small(**parameters).fit(X.reshape(-1, 64), y)
    assert "\n" not in str(error.value)


def test_the_shape_of_images_is_their_own() -> None:
    X, y = digits(40)
    assert small(image_shape=[8, 8]).fit(X, y).model_.preprocess.image_size == (8, 8)
    with pytest.raises(ValueError, match=r"image_shape: expected \(8, 8\), as X has it, got \(4, 16\)"):
        small(image_shape=(4, 16)).fit(X, y)


def test_several_threads_may_ask_one_estimator() -> None:
    X, y = digits(200)
    fitted = small(epochs=1).fit(X, y)
    expected = fitted.predict_proba(X)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda start: fitted.predict_proba(X[start:]), [*range(50)] * 4))
    for start, probabilities in zip([*range(50)] * 4, found, strict=True):
        np.testing.assert_allclose(probabilities, expected[start:], atol=1e-5)


def test_weights_that_cannot_be_are_refused() -> None:
    X, y = digits(40)
    with pytest.raises(ValueError, match=r"^sample_weight: expected no weight below zero"):
        small().fit(X, y, np.full(40, -1))
    with pytest.raises(ValueError, match="zero"):  # newer versions of scikit-learn have words of their own
        small().fit(X, y, np.zeros(40))


def test_a_loss_that_is_no_number_says_what_to_try() -> None:
    X, y = digits(100)
    diverged = small(optimizer="sgd", learning_rate=1e30)
    with pytest.raises(DivergenceError, match="try a smaller learning_rate"):
        diverged.fit(X, y)
    at_once = small(epochs=1, batch_size=100, optimizer="sgd", schedule="constant", learning_rate=1e300)
    with pytest.raises(
        DivergenceError, match="the last step left weights that are not finite: try a smaller"
    ):
        at_once.fit(X, y)
    assert same(diverged.set_params(learning_rate=0.1).fit(X, y), clone(diverged).fit(X, y))


def test_ctrl_c_reaches_whoever_called(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = digits(100)

    def press(*_: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(door._Losses, "on_epoch_end", press)
    with pytest.raises(KeyboardInterrupt):
        small().fit(X, y)


def test_it_speaks_only_if_asked_to(capsys: pytest.CaptureFixture[str]) -> None:
    X, y = digits(100)
    small().fit(X, y)
    assert capsys.readouterr().out == ""
    fitted = small(verbose=True).fit(X, y)
    lines = [f"epoch {epoch}  loss {loss:.4f}" for epoch, loss in enumerate(fitted.loss_curve_, 1)]
    assert capsys.readouterr().out.splitlines() == lines


@pytest.mark.parametrize(("name", "extra"), [("sklearn", "sklearn"), ("onnx", "onnx")])
def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, name: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    for loaded in [each for each in sys.modules if each.startswith(f"{name}.")]:
        monkeypatch.setitem(sys.modules, loaded, None)
    monkeypatch.delitem(sys.modules, f"numnist.interop.{name}", raising=False)
    with pytest.raises(ImportError, match=re.escape(f'pip install "numnist[{extra}]"')):
        __import__(f"numnist.interop.{name}")
