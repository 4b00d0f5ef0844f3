"""Weights from and to PyTorch, against what PyTorch wrote and computed (tests/pytorch/record_interop.py)."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from numnist.arrays import Array
from numnist.errors import InputError
from numnist.interop.torch import load_state
from numnist.nn import Model, Reference, load_model, save_model

FOLDER = Path(__file__).parents[1] / "pytorch"
OURS, THEIRS = FOLDER / "ours.safetensors", FOLDER / "theirs.safetensors"
RECORDED = json.loads((FOLDER / "interop.json").read_text())


def images() -> Array:
    rng = np.random.default_rng(RECORDED["seed"])
    return rng.standard_normal((RECORDED["n"], 1, 10, 9), np.float32)


def require_close(model: Model, which: str) -> None:
    expected = np.array(RECORDED["logits"][which])
    found = Reference(model).predict(images())
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def blank() -> Model:
    """The network of the recordings, all zeros."""
    model = load_model(OURS)
    model.parameters[...], model.buffers[...] = 0, 0
    model.mark_changed()
    return model


def test_what_we_write_is_what_pytorch_has_read(tmp_path: Path) -> None:
    """PyTorch loaded ours.safetensors, every name fitting; we write the same tensors."""
    model = load_model(OURS)
    require_close(model, "ours")
    save_model(model, tmp_path / "again.safetensors")
    again, then = (safetensors.numpy.load_file(path) for path in (tmp_path / "again.safetensors", OURS))
    assert again.keys() == then.keys()
    for name, array in again.items():
        np.testing.assert_array_equal(array, then[name])
        assert array.dtype == np.float32


def test_what_pytorch_writes_is_what_we_read() -> None:
    model = blank()
    before = model.version
    load_state(model, THEIRS)
    require_close(model, "theirs")
    assert model.version > before
    state = safetensors.numpy.load_file(THEIRS)
    assert {name: list(array.shape) for name, array in state.items()} == RECORDED["state_dict"]
    assert sum("num_batches_tracked" in name for name in state) == 3
    other = blank()
    load_state(other, state)
    np.testing.assert_array_equal(other.parameters, model.parameters)
    np.testing.assert_array_equal(other.buffers, model.buffers)


@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_other_floats_become_float32(dtype: Any) -> None:
    state = {name: array.astype(dtype) for name, array in safetensors.numpy.load_file(THEIRS).items()}
    model = blank()
    load_state(model, state)
    np.testing.assert_array_equal(model.named_parameters()["0.weight"], np.float32(state["0.weight"]))


def replaced(name: str, array: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda state: state | {name: array}


def without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda state: {key: array for key, array in state.items() if key != name}


BROKEN: list[tuple[Callable[[dict[str, Any]], dict[str, Any]], str]] = [
    (without("4.1.running_var"), "tensor '4.1.running_var' is missing"),
    (
        replaced("module.bias", np.zeros(3)),
        "tensor 'module.bias' is not in the model, which has 0.weight, 0.bias",
    ),
    (
        replaced("8.bias", np.zeros(8)),
        "tensor '8.bias': expected floats of shape (7,), got float64 of shape (8,)",
    ),
    (
        replaced("8.bias", np.zeros(7, int)),
        "tensor '8.bias': expected floats of shape (7,), got int64 of shape (7,)",
    ),
    (replaced("8.bias", np.full(7, np.nan)), "tensor '8.bias' holds values that are not finite numbers"),
    (replaced("8.bias", np.full(7, 1e300)), "tensor '8.bias' holds values that are not finite numbers"),
]


@pytest.mark.parametrize(("broken", "words"), BROKEN)
def test_what_does_not_fit_is_named_and_changes_nothing(
    tmp_path: Path, broken: Callable[[dict[str, Any]], dict[str, Any]], words: str
) -> None:
    model = load_model(OURS)
    parameters, version = model.parameters.copy(), model.version
    state = broken(safetensors.numpy.load_file(THEIRS))
    with pytest.raises(ValueError, match=re.escape(words)):
        load_state(model, state)
    path = tmp_path / "state.safetensors"
    safetensors.numpy.save_file(state, path)
    with pytest.raises(InputError, match=re.escape(words)) as error:
        load_state(model, path)
    assert str(error.value).startswith(str(path))
    np.testing.assert_array_equal(model.parameters, parameters)
    assert model.version == version


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_bytes(b"PK\x03\x04 a pickle, perhaps")
    for name in ("state.pt", "none.safetensors"):
        with pytest.raises(InputError, match=re.escape(str(tmp_path / name))):
            load_state(blank(), tmp_path / name)
