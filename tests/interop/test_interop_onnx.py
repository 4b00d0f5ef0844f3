"""The ONNX door, against onnx's own reference and onnxruntime."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator
from tests.engine.layers import FLATTEN, Description, conv, linear, nest
from tests.engine.networks import CLASSES, networks
from tests.interop.models import ZOO, digits, fair_logits, logits_of, model_of, require_close, with_a_square

from numnist import __version__
from numnist.arrays import Array
from numnist.interop.onnx import to_onnx, write_onnx
from numnist.nn import Model, Preprocess, Reference
from numnist.predict import Predictor


def by_onnxruntime(made: onnx.ModelProto, images: Array) -> Array:
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"images": images})[0])


def by_the_reference(made: onnx.ModelProto, images: Array) -> Array:
    outputs: Any = ReferenceEvaluator(made).run(None, {"images": images})
    return np.asarray(outputs[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_the_zoo_on_a_thousand_digits(name: str) -> None:
    """By onnx's reference all of them for one network of each kind: it takes ten seconds for `cnn`."""
    model, images = model_of(name), digits(1000)
    made = to_onnx(model, preprocess=True)
    onnx.checker.check_model(made, full_check=True)
    expected = logits_of(model, images)
    require_close(by_onnxruntime(made, images), expected)
    n = 1000 if name in ("linear", "mlp:30,20", "cnn") else 50
    require_close(by_the_reference(made, images[:n]), expected[:n])


def check_both(model: Model, images: Array, expected: Array) -> None:
    made = to_onnx(model)
    onnx.checker.check_model(made, full_check=True)
    require_close(by_onnxruntime(made, model.preprocess(images)), expected)
    require_close(by_the_reference(made, model.preprocess(images)), expected)


@settings(max_examples=60)
@given(network=networks(), n=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
def test_any_network(network: tuple[list[Description], tuple[int, int]], n: int, seed: int) -> None:
    layers, size = network
    model = model_of(layers, size, seed, CLASSES)
    images = np.random.default_rng(seed).integers(0, 256, (n, *size), dtype=np.uint8)
    check_both(model, images, fair_logits(model, images))


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
def test_softmax_inside_a_network_is_along_the_last_axis(kind: str) -> None:
    layer = {"type": kind}
    model = model_of([conv(3, 3), layer, FLATTEN, linear(5), layer, linear(4)], (6, 5), classes=4)
    images = np.random.default_rng(0).integers(0, 256, (3, 6, 5), dtype=np.uint8)
    check_both(model, images, logits_of(model, images))


def test_weights_keep_their_names_and_values() -> None:
    model = model_of(
        [nest(conv(2, 3), {"type": "BatchNorm"}), {"type": "Dropout"}, FLATTEN, linear(3)], (5, 5), 0, 3
    )
    made = to_onnx(model)
    found = {array.name: onnx.numpy_helper.to_array(array) for array in made.graph.initializer}
    assert found.keys() == dict(model.named_arrays()).keys()
    for name, values in model.named_arrays():
        np.testing.assert_array_equal(found[name], values)
    assert [node.op_type for node in made.graph.node] == ["Conv", "BatchNormalization", "Flatten", "Gemm"]


def test_versions_dynamic_batch_and_what_it_says_of_itself() -> None:
    model = model_of("linear")
    made = to_onnx(model)
    assert (made.ir_version, made.opset_import[0].version, len(made.opset_import)) == (10, 20, 1)
    assert (made.producer_name, made.producer_version) == ("numnist", __version__)
    words = {each.key: json.loads(each.value) for each in made.metadata_props}
    assert words["classes"] == list("0123456789")
    assert words["temperature"] == model.temperature == 1.5
    assert Preprocess.from_description(words["preprocess"]) == model.preprocess
    for n in (1, 7):
        assert by_onnxruntime(made, np.zeros((n, 1, 28, 28), np.float32)).shape == (n, 10)


@pytest.mark.parametrize("scale", [1 / 255, 1.0])
def test_preprocessing_and_softmax_inside(scale: float) -> None:
    """Images as they are: bytes where the model was trained on bytes, else float32."""
    model = model_of("cnn")
    model.preprocess = Preprocess(scale=scale, mean=0.2, std=0.4)
    images = digits(20)
    if not model.preprocess.takes_bytes:
        images = (images / 255).astype(np.float32)
    made = to_onnx(model, preprocess=True, softmax=True)
    onnx.checker.check_model(made, full_check=True)
    expected = Predictor(model, executor=Reference).probabilities(images)
    for probabilities in (by_onnxruntime(made, images), by_the_reference(made, images)):
        np.testing.assert_allclose(probabilities, expected, atol=1e-5)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert [output.name for output in made.graph.output] == ["probabilities"]
    logits = to_onnx(model, preprocess=True)
    require_close(by_onnxruntime(logits, images), logits_of(model, images))
    assert [output.name for output in logits.graph.output] == ["logits"]


def test_the_same_model_gives_the_same_file(tmp_path: Path) -> None:
    for name in ("a.onnx", "b.onnx"):
        write_onnx(model_of("cnn"), tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    onnx.checker.check_model(onnx.load(tmp_path / "a.onnx"))


def test_a_layer_that_onnx_does_not_have_is_named(tmp_path: Path) -> None:
    model: Model = with_a_square()
    with pytest.raises(ValueError, match=r"^layer 0\.1 \(Square\): ONNX has no such layer$"):
        write_onnx(model, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
