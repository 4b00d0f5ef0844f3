"""`numnist predict`, and where a data set is asked for by name."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from numnist.data import read_idx, synthetic_dataset, write_idx

if TYPE_CHECKING:
    from tests.cli.conftest import Numnist


def draw(path: str, text: str) -> str:
    """A picture of text in Pillow's own font; returns its path."""
    image = Image.new("L", (90 * len(text) + 60, 160), 235)
    ImageDraw.Draw(image).text((30, 20), text, fill=20, font=ImageFont.load_default(100))
    image.save(path)
    return path


def test_a_digit_its_probability_and_the_runners_up(numnist: "Numnist") -> None:
    ended = numnist("predict", "pretrained:cnn", draw("seven.png", "7"))
    assert (ended.status, ended.err) == (0, "")
    assert re.fullmatch(r"seven\.png: 7  \d+\.\d%  \(\d \d+\.\d%, \d \d+\.\d%\)\n", ended.out)


def test_show_prints_what_the_network_sees(numnist: "Numnist") -> None:
    lines = numnist("predict", "pretrained:cnn", draw("one.jpg", "1"), "--show").out.splitlines()
    assert len(lines) == 1 + 28
    assert {len(line) for line in lines[1:]} == {56}
    assert any("@@" in line for line in lines[1:])
    assert all(not line.strip() for line in (lines[1], lines[-1]))  # the border is empty


def test_json_has_every_class(numnist: "Numnist") -> None:
    files = [draw("a.png", "3"), draw("b.bmp", "8")]
    rows = json.loads(numnist("predict", "pretrained:cnn", *files, "--json").out)
    assert [(row["file"], row["digit"]) for row in rows] == [("a.png", "3"), ("b.bmp", "8")]
    for row in rows:
        assert row["probability"] == max(row["probabilities"].values())
        assert set(row["probabilities"]) == set("0123456789")
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_a_number_is_read_from_left_to_right(numnist: "Numnist") -> None:
    picture = draw("n.webp", "4071")
    ended = numnist("predict", "pretrained:cnn", picture, "--number")
    assert re.fullmatch(r"n\.webp: 4071  \((\d+\.\d%(, )?){4}\)\n", ended.out)
    (row,) = json.loads(numnist("predict", "pretrained:cnn", picture, "--number", "--json").out)
    assert (row["number"], [digit["digit"] for digit in row["digits"]]) == ("4071", list("4071"))


def test_every_image_of_an_idx_file_is_read(numnist: "Numnist") -> None:
    images = np.zeros((2, 28, 28), np.uint8)
    images[0, 4:24, 13:15] = 255
    images[1, 4:24, 12:16] = 255
    write_idx(Path("ones.idx"), images)
    lines = numnist("predict", "pretrained:cnn", "ones.idx").out.splitlines()
    assert [line[:12] for line in lines] == ["ones.idx[0]:", "ones.idx[1]:"]


def test_a_model_of_other_grey_values_is_refused(numnist: "Numnist") -> None:
    """A picture is brought to 0 to 255; a model trained on 0 to 1 would say something all the same."""
    for path in Path("own").glob("*-images-*"):
        write_idx(path, read_idx(path) / np.float32(255))
    assert numnist.train("--name", "first").status == 0
    numnist("predict", "first", draw("x.png", "1")).refused("first: expected a model trained on bytes")


def test_a_bad_file_does_not_keep_the_others_from_being_read(numnist: "Numnist") -> None:
    Path("text.png").write_text("no picture")
    ended = numnist("predict", "pretrained:cnn", "text.png", draw("two.png", "2"))
    assert ended.status == 2
    assert ended.out.startswith("two.png: 2")
    ended.complained("text.png: expected a picture")


def blank(path: str) -> None:
    Image.new("L", (40, 50), 255).save(path)


def tiny(path: str) -> None:
    Image.new("L", (1, 1)).save(path)


def animated(path: str) -> None:
    frames = [Image.new("L", (20, 20), shade) for shade in (0, 200)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def truncated(path: str) -> None:
    draw(path, "5")
    Path(path).write_bytes(Path(path).read_bytes()[:200])


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("none.png", None),
        ("empty.png", lambda path: Path(path).write_bytes(b"")),
        ("blank.png", blank),
        ("tiny.png", tiny),
        ("moving.gif", animated),
        ("half.png", truncated),
        ("text.png", lambda path: Path(path).write_text("words")),
        ("folder.png", lambda path: Path(path).mkdir()),
        ("wide.png", lambda path: Image.new("1", (50_000, 8), 1).save(path)),
    ],
)
def test_what_cannot_be_read_is_named_in_one_line(numnist: "Numnist", name: str, make: object) -> None:
    if callable(make):
        make(name)
    numnist("predict", "pretrained:cnn", name).refused(f"{name}: ")


def test_models_are_named_like_everywhere_else(numnist: "Numnist", trained: Path) -> None:
    numnist("predict", "pretrained:cm", "x.png").refused("did you mean 'pretrained:cnn'?")
    numnist("predict", "nothing", "x.png").refused("nothing: no such model")
    numnist("predict", "pretrained:cnn").refused("FILES is missing")
    assert numnist("predict", str(trained), draw("x.png", "1")).status == 0
    assert numnist("evaluate", "pretrained:cnn", "--dataset", "synthetic").status == 0
    assert "18,474" in numnist("summary", "pretrained:cnn").out


class TestWhereMnistIsNowhere:
    LINEAR = ("train", "--model", "linear", "--epochs", "1", "--limit", "600", "--name", "first")

    def test_training_says_why_and_uses_built_in_digits(self, numnist: "Numnist") -> None:
        ended = numnist(*self.LINEAR)
        assert ended.status == 0
        for words in (
            "NUMNIST_DATA: not set",
            "./data: no such folder",
            "lacks train-images",
            "Connection refused",
        ):
            assert words in ended.err
        assert "so built-in digits are used instead" in ended.err
        dataset = json.loads(Path("runs/first/result.json").read_text())["dataset"]
        assert dataset == {"name": "synthetic", "fingerprint": synthetic_dataset().fingerprint}

    def test_who_insists_on_mnist_gets_an_error(self, numnist: "Numnist") -> None:
        ended = numnist(*self.LINEAR, "--dataset", "mnist")
        assert ended.status == 2
        assert "MNIST is nowhere to be had: NUMNIST_DATA: not set" in ended.err.splitlines()[-1]
        assert not Path("runs").exists()

    def test_other_data_is_not_mnist(self, numnist: "Numnist") -> None:
        numnist(*self.LINEAR, "--dataset", "mnist", "--data", "own").refused(
            "--dataset: expected MNIST, but own/"
        )

    def test_built_in_digits_can_be_asked_for(self, numnist: "Numnist") -> None:
        ended = numnist(*self.LINEAR, "--dataset", "synthetic")
        assert (ended.status, ended.err) == (0, "")
        assert "images of synthetic" in ended.out

    def test_built_in_digits_need_no_files(self, numnist: "Numnist") -> None:
        numnist(*self.LINEAR, "--dataset", "synthetic", "--data", "own").refused(
            "--dataset: synthetic digits need no"
        )

    def test_a_model_is_not_tested_on_other_digits_without_a_word(self, numnist: "Numnist") -> None:
        ended = numnist("evaluate", "pretrained:cnn")
        assert ended.status == 2
        assert "MNIST is nowhere to be had" in ended.err.splitlines()[-1]
