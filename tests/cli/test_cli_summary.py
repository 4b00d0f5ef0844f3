"""`numnist summary`: layers, shapes and what they cost."""

import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Numnist


def cells(output: str) -> list[list[str]]:
    """The rows of the table of layers."""
    return rows_of(output.partition("\nThe engine")[0])


def rows_of(output: str) -> list[list[str]]:
    """The rows of a table behind its first line."""
    rows = (line.strip("│┃ \n").replace("┃", "│").split("│") for line in output.splitlines()[1:])
    return [[cell.strip() for cell in row] for row in rows if len(row) > 1]


@pytest.mark.parametrize(
    ("model", "parameters", "multiply_adds"),
    [
        ("linear", 7_850, 7_840),
        ("mlp", 477_010, 476_400),
        ("mlp:300,100", 266_610, 266_200),
        ("cnn", 18_474, 1_054_720),
        ("cnn-plain", 18_378, 1_054_720),
        ("cnn_deep", 29_546, 862_848),
        ("cnn_small", 9_354, 1_152_080),
        ("cnn_large", 292_202, 22_876_160),
    ],
)
def test_the_architectures_and_their_totals(
    numnist: "Numnist", model: str, parameters: int, multiply_adds: int
) -> None:
    ended = numnist("summary", model)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines()[0].strip() == model
    heading, first, *layers, total = cells(ended.out)
    assert heading == ["layer", "output", "parameters", "multiply-adds"]
    assert first[:2] == ["input", "1 × 28 × 28"]
    assert total[1:] == ["", f"{parameters:,}", f"{multiply_adds:,}"]
    assert sum(int(row[-2].replace(",", "")) for row in layers) == parameters
    assert layers[-1][-3] == "10"


def test_the_stages_that_the_engine_makes_of_the_layers(numnist: "Numnist") -> None:
    said, table = numnist("summary", "cnn").out.split("\nThe engine: ")[1].split("\n", 1)
    assert said == "stages 3, conversions 0, images at once 64"
    assert rows_of(table) == [
        ["layers", "computed as"],
        ["0 1 2 3", "InputConvolution"],
        ["4 5 6 7", "WinogradConvolution"],
        ["8 9", "ColumnDense"],
    ]


def test_a_layer_that_no_kernel_knows_needs_a_conversion(numnist: "Numnist") -> None:
    Path("my.toml").write_text(
        '[[layers]]\ntype = "Conv2d"\nout_channels = 2\nkernel_size = 3\n'
        '[[layers]]\ntype = "AvgPool2d"\nsize = 2\n'
        '[[layers]]\ntype = "Flatten"\n[[layers]]\ntype = "Linear"\nout_features = "classes"\n'
    )
    said, table = numnist("summary", "my.toml").out.split("\nThe engine: ")[1].split("\n", 1)
    assert said.startswith("stages 5, conversions 1,")
    assert rows_of(table)[1:4] == [
        ["0", "InputConvolution"],
        ["–", "Convert (W N H C to N C H W)"],
        ["1", "Operation (AvgPool2d)"],
    ]


def test_another_size_and_number_of_classes(numnist: "Numnist") -> None:
    _, first, *_, last, _ = cells(numnist("summary", "cnn", "--image-size", "40", "--classes", "26").out)
    assert first[1] == "1 × 40 × 40"
    assert last[-3] == "26"
    assert last[-2] == f"{32 * 7 * 7 * 26 + 26:,}"


def test_a_description(numnist: "Numnist") -> None:
    Path("my.toml").write_text(
        '[[layers]]\ntype = "Flatten"\n[[layers]]\ntype = "Sequential"\n'
        '[[layers.layers]]\ntype = "Linear"\nout_features = "classes"\n'
    )
    rows = cells(numnist("summary", "my.toml").out)
    assert rows[3] == ["1.0", "Linear(in_features=784, out_features=10)", "10", "7,850", "7,840"]


@pytest.mark.parametrize("name", ["first", "runs/first", "runs/first/model.safetensors"])
def test_a_saved_model_has_its_own_size(numnist: "Numnist", trained: Path, name: str) -> None:
    rows = cells(numnist("summary", name).out)
    assert rows[1][1] == "1 × 8 × 8"
    assert rows[-1][2] == "547"


def test_an_output_without_those_signs_gets_others(numnist: "Numnist") -> None:
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, "ascii") as narrow, redirect_stdout(narrow):
        assert numnist("summary", "linear").status == 0
        assert "1 ? 28 ? 28" in raw.getvalue().decode("ascii")
