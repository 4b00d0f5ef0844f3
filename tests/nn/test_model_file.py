"""Saved models: nothing lost on the way, nothing let in."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from numnist.errors import InputError
from numnist.nn import Model, Preprocess, Reference, build, load_model, load_notes, save_model

PREPROCESS = Preprocess((20, 22), 0.5, 1.5, 2.5, ("a", "b", "c"))


def some_model(name: str = "cnn") -> Model:
    model = Model(build(name, PREPROCESS.input_shape, 3), PREPROCESS).initialise(np.random.default_rng(0))
    model.buffers[...] = np.random.default_rng(1).random(model.buffers.size)
    return model


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_model(some_model(), path, {"seed": 3})
    return path


def rewrite(path: Path, change: Any = None, tensors: Any = None) -> None:
    """Save the file again with another description, other tensors, or both."""
    with safetensors.safe_open(path, framework="np") as file:
        metadata = json.loads(file.metadata()["numnist"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- not a mapping
    if change:
        metadata = change(metadata)
    if tensors:
        arrays = tensors(arrays)
    path.write_bytes(safetensors.numpy.save(arrays, {"numnist": json.dumps(metadata)}))


@pytest.mark.parametrize("name", ["linear", "mlp:7,5", "cnn", "cnn-plain", "cnn_deep"])
def test_a_loaded_model_is_the_saved_one(tmp_path: Path, name: str) -> None:
    model, path = some_model(name), tmp_path / "m.safetensors"
    save_model(model, path)
    loaded = load_model(path)
    np.testing.assert_array_equal(loaded.parameters, model.parameters)
    np.testing.assert_array_equal(loaded.buffers, model.buffers)
    assert loaded.preprocess == model.preprocess
    assert loaded.network.describe() == model.network.describe()
    images = np.random.default_rng(2).integers(0, 256, (4, 20, 22), dtype=np.uint8)
    x = loaded.preprocess(images)
    np.testing.assert_array_equal(Reference(loaded).predict(x), Reference(model).predict(x))


def test_the_notes_come_back(path: Path) -> None:
    assert load_notes(path) == {"seed": 3}


def test_the_temperature_comes_back(tmp_path: Path) -> None:
    model = some_model()
    assert model.temperature == 1
    model.temperature = 1.7
    save_model(model, tmp_path / "m.safetensors")
    assert load_model(tmp_path / "m.safetensors").temperature == 1.7


@pytest.mark.parametrize("temperature", [0, -1, float("nan"), 1e-50, 1e50])
def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path, temperature: float) -> None:
    model = some_model()
    model.temperature = temperature
    with pytest.raises(ValueError, match="expected temperature to be a number"):
        save_model(model, tmp_path / "m.safetensors")
    assert not (tmp_path / "m.safetensors").exists()


@pytest.mark.parametrize(("version", "temperature"), [(1, 1.0), (2, 1.25)])
def test_a_file_of_every_format_there_has_been_loads(version: int, temperature: float) -> None:
    path = Path(__file__).parent / "files" / f"format-{version}.safetensors"
    model = load_model(path)
    found = model.preprocess.image_size, model.temperature, load_notes(path)
    assert found == ((4, 5), temperature, {"seed": 7})
    np.testing.assert_array_equal(model.parameters, np.arange(75) / 8)


def test_one_model_gives_one_file_in_every_process(path: Path) -> None:
    """With several metadata keys, safetensors orders them anew in each process: there is one."""
    script = (
        "import sys; from pathlib import Path; from numnist.nn import *\n"
        "save_model(load_model(Path(sys.argv[1])), Path(sys.argv[2]), load_notes(Path(sys.argv[1])))"
    )
    for number in range(2):
        copy = path.with_name(f"copy{number}.safetensors")
        subprocess.run([sys.executable, "-c", script, str(path), str(copy)], check=True)
        assert copy.read_bytes() == path.read_bytes()


def test_tensors_that_are_not_contiguous_are_saved_as_they_are(tmp_path: Path) -> None:
    """By itself safetensors writes their memory as it lies, and what is read back is scrambled."""
    model = some_model("linear")
    weight = np.asfortranarray(model.named_parameters()["1.weight"])
    model.named_arrays = lambda: iter([("1.weight", weight), ("1.bias", model.named_parameters()["1.bias"])])  # type: ignore[method-assign]
    save_model(model, tmp_path / "m.safetensors")
    np.testing.assert_array_equal(load_model(tmp_path / "m.safetensors").parameters, model.parameters)


def test_saving_replaces_the_whole_file_or_nothing(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        save_model(some_model(), path, {"loss": float("nan")})
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_loading_raises_the_version(path: Path) -> None:
    assert load_model(path).version > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: {**d, "format": 99}, "expected format 1 to 2, got 99"),
        (lambda d: [], "its description is not a table"),
        (lambda d: {**d, "format": True}, "expected format 1 to 2, got True"),
        (lambda d: {"format": 1}, "expected a description with format, layers, notes, preprocess"),
        (lambda d: {**d, "format": 1}, "expected a description with format, layers, notes, preprocess"),
        (lambda d: {**d, "temperature": 0}, "expected temperature to be a number"),
        (lambda d: {**d, "temperature": "1"}, "expected temperature to be a number"),
        (lambda d: {**d, "notes": 3}, "expected a description with"),
        (lambda d: {**d, "layers": 3}, "expected a list of layers, got int"),
        (lambda d: {**d, "layers": [{"type": "os.system"}]}, "unknown layer type 'os.system'"),
        (lambda d: {**d, "layers": d["layers"][:-1]}, "tensor '9.bias' is not in its description"),
        (lambda d: {**d, "preprocess": {}}, "Preprocess: expected the fields"),
        (lambda d: {**d, "preprocess": {**d["preprocess"], "std": "x"}}, "Preprocess: expected std"),
        (lambda d: {**d, "preprocess": {**d["preprocess"], "classes": ["a", "b"]}}, r"expected .* \(2,\)"),
    ],
)
def test_a_wrong_description_is_named(path: Path, change: Any, message: str) -> None:
    rewrite(path, change)
    with pytest.raises(InputError, match=f"^{path}: .*{message}"):
        load_model(path)


def huge(description: dict[str, Any]) -> dict[str, Any]:
    """A description that asks for 4 TB."""
    layers = [
        {"type": "Flatten"},
        {"type": "Linear", "out_features": 10**9},
        {"type": "Linear", "out_features": 1000},
    ]
    return {**description, "layers": layers}


def test_nothing_is_allocated_before_shapes_are_compared(path: Path) -> None:
    rewrite(path, huge)
    with pytest.raises(InputError, match="tensor"):
        load_model(path)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (lambda a: {k: v for k, v in a.items() if k != "0.bias"}, "tensor '0.bias' is missing"),
        (lambda a: {**a, "extra": a["0.bias"]}, "tensor 'extra' is not in its description"),
        (
            lambda a: {**a, "0.bias": a["0.bias"][:-1].copy()},
            r"'0.bias': expected F32 of shape \(16,\), got F32 of shape \(15,\)",
        ),
        (lambda a: {**a, "0.bias": a["0.bias"].astype(np.float64)}, "'0.bias': expected F32 .* got F64"),
    ],
)
def test_wrong_tensors_are_named(path: Path, tensors: Any, message: str) -> None:
    rewrite(path, tensors=tensors)
    with pytest.raises(InputError, match=f"^{path}: .*{message}"):
        load_model(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(path: Path, value: float) -> None:
    rewrite(path, tensors=lambda arrays: {**arrays, "0.bias": np.full(16, value, np.float32)})
    with pytest.raises(InputError, match=r"tensor '0\.bias' holds values that are not finite"):
        load_model(path)


def test_a_number_too_large_for_a_float_is_refused(path: Path) -> None:
    rewrite(path, lambda d: {**d, "preprocess": {**d["preprocess"], "mean": 10**400}})
    with pytest.raises(InputError, match="Preprocess: expected mean to be a number"):
        load_model(path)


def test_a_safetensors_file_of_others_is_refused(path: Path) -> None:
    path.write_bytes(safetensors.numpy.save({"a": np.zeros(3)}))
    for load in (load_model, load_notes):
        with pytest.raises(InputError, match="its metadata holds no description of a model"):
            load(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for load in (load_model, load_notes):
        with pytest.raises(InputError, match=r"none: expected a model file .*, got no such file"):
            load(tmp_path / "none")
        with pytest.raises(InputError, match="got a folder"):
            load(tmp_path)


def test_a_description_nested_without_end_is_refused(path: Path) -> None:
    deep = '{"a":' * 20_000 + "1" + "}" * 20_000
    path.write_bytes(safetensors.numpy.save({"a": np.zeros(3)}, {"numnist": deep}))
    with pytest.raises(InputError, match="nested too deeply"):
        load_model(path)


@given(data=st.data())
def test_damaged_files_give_one_line_or_load(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "m.safetensors"
    save_model(some_model("linear"), path)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, min(len(content), 900) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    message = ""
    try:
        load_model(path)
    except InputError as error:
        message = str(error)
    assert not message or (message.startswith(f"{path}: ") and "\n" not in message)
