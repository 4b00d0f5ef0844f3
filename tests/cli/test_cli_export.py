"""`numnist export`: the files, and what is refused before anything is written."""

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest

from numnist.data import read_idx
from numnist.nn import load_model
from numnist.predict import Predictor

if TYPE_CHECKING:
    from tests.cli.conftest import Numnist

IMAGES = Path("own/t10k-images-idx3-ubyte")


def written(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix in (".onnx", ".py", ".npz")}


def test_to_onnx(numnist: "Numnist", trained: Path, workplace: Path) -> None:
    ended = numnist("export", "first", "--to", "onnx", "--out", "a.onnx", "--preprocess", "--softmax")
    assert (ended.status, ended.out, ended.err) == (0, "wrote a.onnx\n", "")
    session = onnxruntime.InferenceSession("a.onnx", providers=["CPUExecutionProvider"])
    images = read_idx(IMAGES)
    (found,) = session.run(["probabilities"], {"images": images})
    expected = Predictor.load(trained / "model.safetensors").probabilities(images)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert numnist("export", "first", "--to", "onnx", "--out", "b.onnx").status == 0
    assert [output.name for output in onnx.load("b.onnx").graph.output] == ["logits"]
    assert written(workplace) == {"a.onnx", "b.onnx"}


def test_to_python(numnist: "Numnist", trained: Path, workplace: Path) -> None:
    ended = numnist("export", "first", "--to", "python", "--out", "digit.py")
    assert (ended.status, ended.out, ended.err) == (0, "wrote digit.py\nwrote digit.npz\n", "")
    assert written(workplace) == {"digit.py", "digit.npz"}
    spec = importlib.util.spec_from_file_location("digit", "digit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    images = read_idx(IMAGES)
    expected = Predictor.load(trained / "model.safetensors").probabilities(images)
    np.testing.assert_allclose(module.predict(images), expected, atol=1e-5)


@pytest.mark.parametrize(("to", "out", "there"), [("onnx", "a.onnx", "a.onnx"), ("python", "a.py", "a.npz")])
def test_a_file_that_is_there_stays_unless_forced(
    numnist: "Numnist", trained: Path, to: str, out: str, there: str
) -> None:
    Path(there).write_text("mine")
    line = ["export", "first", "--to", to, "--out", out]
    numnist(*line).refused(f"{there}: there is such a file already: --force overwrites it")
    assert Path(there).read_text() == "mine"
    assert numnist(*line, "--force").status == 0
    assert Path(there).read_bytes() != b"mine"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["first", "--to", "onnx", "--out", "a.py"],
            "--out: expected a name ending in .onnx for --to onnx, got a.py",
        ),
        (
            ["first", "--to", "python", "--out", "a.npz"],
            "--out: expected a name ending in .py for --to python, got a.npz",
        ),
        (
            ["first", "--to", "python", "--out", "a.py", "--softmax"],
            "--softmax: not for --to python, whose file does both",
        ),
        (
            ["first", "first", "--to", "onnx", "--out", "a.onnx"],
            "MODEL: expected one model for --to onnx, got 2",
        ),
        (["none", "--to", "onnx", "--out", "a.onnx"], "none: no such model: expected"),
        (
            ["first", "--to", "tensorrt", "--out", "a.onnx"],
            "--to: expected 'onnx', 'python' or 'page', got 'tensorrt'",
        ),
        (["first", "--to", "onnx"], "--out: is needed and missing"),
        (["first", "--out", "a.onnx"], "--to: is needed and missing"),
        (["--to", "onnx", "--out", "a.onnx"], "MODEL is missing"),
        (["first", "--to", "onnx", "--out", "none/a.onnx"], "none/a.onnx: No such file or directory"),
        (["broken.safetensors", "--to", "onnx", "--out", "a.onnx"], "broken.safetensors: not a model"),
    ],
)
def test_what_is_refused(
    numnist: "Numnist", trained: Path, workplace: Path, arguments: list[str], words: str
) -> None:
    content = (trained / "model.safetensors").read_bytes()
    Path("broken.safetensors").write_bytes(content[:-9])
    numnist("export", *arguments).refused(words)
    assert not written(workplace)


def test_without_the_extra_it_says_what_to_install(
    numnist: "Numnist", trained: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "numnist.interop.onnx", raising=False)
    numnist("export", "first", "--to", "onnx", "--out", "a.onnx").refused(
        'numnist: --to onnx: numnist.interop.onnx needs onnx: pip install "numnist[onnx]"'
    )
    assert not written(workplace)


def test_a_layer_that_a_door_cannot_carry_is_named(
    numnist: "Numnist", trained: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person's own layer, in `LAYERS`, is saved and loaded like ours."""
    from tests.interop.models import Square

    from numnist.nn import LAYERS, Flatten, Linear, Model, Preprocess, Sequential, save_model

    monkeypatch.setitem(LAYERS, "Square", Square)
    network = Sequential([Sequential([Flatten(), Square()]), Linear(16, 10)])
    save_model(Model(network, Preprocess((4, 4))), Path("own.safetensors"))
    assert load_model(Path("own.safetensors"))
    for to, out in (("onnx", "a.onnx"), ("python", "a.py")):
        numnist("export", "own.safetensors", "--to", to, "--out", out).refused(
            "own.safetensors: layer 0.1 (Square): "
        )
    assert not written(workplace)


def test_to_page(numnist: "Numnist", workplace: Path) -> None:
    models = ("pretrained:cnn", "pretrained:small")
    ended = numnist("export", *models, "--to", "page", "--out", "digits.html")
    assert (ended.status, ended.out, ended.err) == (0, "wrote digits.html\n", "")
    page = Path("digits.html").read_text(encoding="utf-8")
    assert page.lower().startswith("<!doctype html>")
    assert '"cnn"' in page
    assert '"small"' in page
    numnist("export", *models, "--to", "page", "--out", "digits.html").refused("--force overwrites it")
    numnist("export", models[0], models[0], "--to", "page", "--out", "b.html").refused("the same model twice")
    assert not Path("b.html").exists()
