"""What went wrong at the doors before it was found: failed fits, derived layers, odd numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from safetensors.numpy import save_file
from tests.interop.models import model_of

from numnist.arrays import Array
from numnist.interop.onnx import to_onnx
from numnist.interop.python import to_python, write_python
from numnist.interop.sklearn import NumnistClassifier
from numnist.interop.torch import load_state
from numnist.nn import Flatten, Linear, Model, Preprocess, ReLU, Sequential
from numnist.train import DivergenceError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 64)).astype(np.float32)
Y = RNG.integers(0, 3, 60)
LAYERS: list[dict[str, Any]] = [{"type": "Flatten"}, {"type": "Linear", "out_features": "classes"}]


def fitted(**parameters: Any) -> NumnistClassifier:
    return NumnistClassifier("mlp:5", epochs=1, random_state=0, **parameters).fit(X, Y)


@pytest.mark.parametrize(
    ("parameters", "wider"),
    [({"epochs": 0}, 128), ({"batch_size": 0}, 64), ({"learning_rate": 1e30, "epochs": 3}, 64)],
)
def test_a_fit_that_fails_leaves_what_was_fitted_before(parameters: dict[str, Any], wider: int) -> None:
    estimator = fitted()
    before = estimator.predict_proba(X)
    estimator.set_params(**parameters)
    with pytest.raises((ValueError, DivergenceError)):
        estimator.fit(np.ones((60, wider), np.float32) * RNG.normal(size=(60, wider)), Y)
    assert estimator.n_features_in_ == 64
    np.testing.assert_array_equal(estimator.predict_proba(X), before)


def test_a_first_fit_that_fails_leaves_nothing_fitted() -> None:
    estimator = NumnistClassifier("mlp:5", epochs=3, learning_rate=1e30, random_state=0)
    with pytest.raises(DivergenceError):
        estimator.fit(X, Y)
    assert not hasattr(estimator, "model_")
    assert not hasattr(estimator, "n_features_in_")


def test_what_diverges_in_going_on_leaves_the_weights_that_were_there() -> None:
    estimator = fitted(warm_start=True)
    before = estimator.predict_proba(X)
    estimator.set_params(learning_rate=1e30, epochs=3)
    with pytest.raises(DivergenceError):
        estimator.fit(X, Y)
    np.testing.assert_array_equal(estimator.predict_proba(X), before)
    assert len(estimator.loss_curve_) == 1


def test_a_warm_start_with_another_network_is_refused() -> None:
    with pytest.raises(ValueError, match="warm_start: expected the model 'mlp:5', got 'mlp:50'"):
        fitted(warm_start=True).set_params(model="mlp:50").fit(X, Y)


def test_weights_as_large_as_numbers_go_are_weights() -> None:
    large = NumnistClassifier("mlp:5", epochs=1, random_state=0).fit(X, Y, sample_weight=np.full(60, 1e307))
    np.testing.assert_array_equal(large.predict_proba(X), fitted().predict_proba(X))


def test_the_shape_of_images_may_be_an_array_and_no_image_is_told() -> None:
    shape: Any = np.array([4, 16])
    estimator = NumnistClassifier("mlp:5", epochs=1, image_shape=shape).fit(X, Y)
    assert estimator.model_.preprocess.image_size == (4, 16)
    with pytest.raises(ValueError, match="0 sample"):
        estimator.predict(np.zeros((0, 4, 16)))


@pytest.mark.parametrize("layer", [{"type": "LeakyReLU", "slope": 0}, {"type": "BatchNorm", "eps": 0}])
def test_whole_numbers_where_others_are_meant(layer: dict[str, Any]) -> None:
    model = model_of([LAYERS[0], {"type": "Linear", "out_features": 5}, layer, LAYERS[1]], (4, 4), 0, 3)
    onnx.checker.check_model(to_onnx(model), full_check=True)
    compile(to_python(model), "digit.py", "exec")


def test_a_model_of_other_floats_becomes_one_of_float32() -> None:
    model = Model(Sequential([Flatten(), Linear(16, 10)]), Preprocess((4, 4)), dtype=np.float64)
    onnx.checker.check_model(to_onnx(model.initialise(RNG, "he_normal")), full_check=True)


class Doubled(ReLU):  # type: ignore[misc]  # final, for good reasons
    """What is derived from a layer may do something else."""

    def forward(self, x: Array, training: bool, rng: Any) -> tuple[Array, Any]:
        y, cache = super().forward(x, training, rng)
        return 2 * y, cache


@pytest.mark.parametrize("door", [to_onnx, to_python])
def test_a_layer_derived_from_one_of_ours_is_named(door: Any) -> None:
    model = Model(Sequential([Flatten(), Linear(16, 10), Doubled()]), Preprocess((4, 4)))
    with pytest.raises(ValueError, match=r"layer 2 \(Doubled\)"):
        door(model.initialise(RNG, "he_normal"))


def test_a_program_that_cannot_be_written_leaves_the_weights_of_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "digit.py").mkdir()
    (tmp_path / "digit.npz").write_bytes(b"of another network")
    with pytest.raises(IsADirectoryError, match=r"digit\.py"):
        write_python(model_of(LAYERS, (4, 4), 0, 3), tmp_path / "digit.py")
    assert (tmp_path / "digit.npz").read_bytes() == b"of another network"


class Tracked:
    """What a tensor that has to be detached first says."""

    def __array__(self, *given: Any, **more: Any) -> Array:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad")


def test_a_tensor_that_is_no_array_is_named(tmp_path: Path) -> None:
    model = model_of(LAYERS, (4, 4), 0, 3)
    state: dict[str, Any] = {name: array.copy() for name, array in model.named_arrays()}
    save_file(state, tmp_path / "state.safetensors")
    load_state(model, str(tmp_path / "state.safetensors"))
    state["1.bias"] = Tracked()
    with pytest.raises(ValueError, match=r"tensor '1\.bias' is no array .*requires grad"):
        load_state(model, state)
