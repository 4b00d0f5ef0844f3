"""Networks from plain data: the zoo, TOML files, and what is wrong with those that cannot be built."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numnist.errors import InputError
from numnist.nn import ARCHITECTURES, Model, Preprocess, Reference, build, network_from, network_from_toml

OWN = """
[[layers]]
type = "Conv2d"
out_channels = 4
kernel_size = 3
padding = 1

[[layers]]
type = "Sequential"
[[layers.layers]]
type = "BatchNorm"
[[layers.layers]]
type = "ReLU"

[[layers]]
type = "GlobalAvgPool2d"

[[layers]]
type = "Linear"
out_features = "classes"
"""


@pytest.mark.parametrize("name", [*ARCHITECTURES, "mlp:8", "mlp:20,10"])
@given(height=st.integers(24, 40), width=st.integers(24, 40), classes=st.integers(1, 60))
def test_the_zoo_takes_any_size_and_number_of_classes(
    name: str, height: int, width: int, classes: int
) -> None:
    network = build(name, (1, height, width), classes)
    assert network.output_shape((1, height, width)) == (classes,)
    again = network_from(network.describe()["layers"], (1, height, width), classes)
    assert again.describe() == network.describe()


def test_the_zoo_at_the_size_of_mnist() -> None:
    types = [layer["type"] for layer in build("cnn", (1, 28, 28), 10).describe()["layers"]]
    block = ["Conv2d", "BatchNorm", "ReLU", "MaxPool2d"]
    assert types == [*block, *block, "Flatten", "Linear"]
    assert build("cnn", (1, 28, 28), 10).layers[-1].describe()["in_features"] == 512
    assert build("cnn_deep", (1, 28, 28), 10).layers[-1].describe()["in_features"] == 576
    assert build("mlp", (1, 28, 28), 10).layers[1].describe()["out_features"] == 600


def test_a_network_from_toml_runs(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    preprocess = Preprocess((6, 5), classes=("a", "b", "c"))
    model = Model(build(str(path), preprocess.input_shape, 3), preprocess).initialise(
        np.random.default_rng(0)
    )
    assert list(model.named_parameters()) == [
        "0.weight", "0.bias", "1.0.weight", "1.0.bias", "3.weight", "3.bias",
    ]  # fmt: skip
    assert Reference(model).predict(np.zeros((2, 1, 6, 5), np.float32)).shape == (2, 3)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([{"type": "Conv2D"}], "layer 0: unknown layer type 'Conv2D': did you mean 'Conv2d'"),
        (
            [{"type": "Flatten"}, {"type": "Linear", "outfeatures": 3}],
            "layer 1: Linear: unknown field 'outfeatures'",
        ),
        ([{"type": "ReLU", "slope": 3}], "layer 0: ReLU takes no 'slope'"),
        ([{"type": "Flatten"}, {"type": "Linear"}], "layer 1: Linear: out_features is missing"),
        ([{"type": "Linear", "out_features": 3}], "layer 0: Linear: in_features is missing"),
        ([{"out_features": 3}], "layer 0: expected a table with a type"),
        (["ReLU"], "layer 0: expected a table with a type"),
        ("ReLU", "expected a list of layers, got str"),
        ({"type": "ReLU"}, "expected a list of layers, got dict"),
        (
            [{"type": "Sequential", "layers": [{"type": "Tahn"}]}],
            "layer 0: layer 0: unknown layer type 'Tahn'",
        ),
        ([{"type": "Conv2d", "out_channels": 2, "kernel_size": 9}], "layer 0: Conv2d: expected samples"),
        ([{"type": "Dropout", "rate": "classes"}], "Dropout: expected rate"),
    ],
)
def test_what_cannot_be_built_is_named(layers: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network_from(layers, (1, 4, 4), 10)


def test_nesting_has_a_bound() -> None:
    layer: dict[str, Any] = {"type": "ReLU"}
    for _ in range(30):
        layer = {"type": "Sequential", "layers": [layer]}
    with pytest.raises(ValueError, match="nested more than 20 deep"):
        network_from([layer], (1, 4, 4), 10)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"layers = ", "expected a TOML description"),
        (b"\xff\xfe", "expected a TOML description"),
        (b"layers = " + b"[" * 5000, "expected a TOML description of a model: nested too deeply"),
        (b"", r"expected \[\[layers\]\] alone at the top, got nothing"),
        (b"name = 'x'\n[[layers]]\ntype='ReLU'", "alone at the top, got name, layers"),
        (b"[[layers]]\ntype = 'Relu6'", "layer 0: unknown layer type 'Relu6': did you mean 'ReLU'"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{path}: .*{message}"):
        network_from_toml(path, (1, 4, 4), 10)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml: expected a TOML description of a model: No such file"):
        build(str(tmp_path / "none.toml"), (1, 4, 4), 10)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cnm", "unknown model 'cnm': did you mean 'cnn'"),
        ("cnn:3", "expected widths after mlp alone"),
        ("mlp:", "expected widths after mlp alone"),
        ("mlp:3,,4", "expected widths after mlp alone"),
        ("mlp:0", "layer 1: Linear: expected out_features to be an integer of at least 1, got 0"),
        ("cnn", "model 'cnn' on images of 8x8: layer 4: Conv2d: expected samples"),
    ],
)
def test_a_wrong_name_is_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(name, (1, 8, 8), 10)
