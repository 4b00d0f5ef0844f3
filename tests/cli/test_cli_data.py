"""`numnist data`: what is there, and copies of it."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from numnist.data import load_mnist, read_idx

if TYPE_CHECKING:
    from tests.cli.conftest import Numnist


def test_files_checksums_and_counts(numnist: "Numnist") -> None:
    ended = numnist("data", "--data", "own")
    assert (ended.status, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0] == f"idx, fingerprint {load_mnist(Path('own')).fingerprint}"
    for position, (name, size) in enumerate(
        {
            "train-images-idx3-ubyte": 16 + 120 * 64,
            "train-labels-idx1-ubyte": 8 + 120,
            "t10k-images-idx3-ubyte": 16 + 60 * 64,
            "t10k-labels-idx1-ubyte": 8 + 60,
        }.items()
    ):
        digest = hashlib.sha256(Path("own", name).read_bytes()).hexdigest()
        assert lines[1 + 2 * position] == f"  own/{name}"
        assert lines[2 + 2 * position] == f"    {size:,} bytes, SHA-256 {digest}"
    table = [line.strip("│ ").replace("│", " ").split() for line in lines[9:]]
    assert ["images", "120", "60"] in table
    assert ["height", "×", "width", "8", "×", "8", "8", "×", "8"] in table
    assert ["type", "uint8", "uint8"] in table
    for label in "012":
        assert ["class", label, "40", "20"] in table


def test_one_split_of_ones_own_is_enough(numnist: "Numnist") -> None:
    pair = ["--test-images", "own/t10k-images-idx3-ubyte", "--test-labels", "own/t10k-labels-idx1-ubyte"]
    ended = numnist("data", *pair)
    assert ended.status == 0
    assert "train" not in ended.out
    assert numnist("data", *pair, "--export", "out").status == 0


@pytest.mark.parametrize(("split", "stem", "n"), [("train", "train", 120), ("test", "t10k", 60)])
def test_idx_files_come_back(numnist: "Numnist", split: str, stem: str, n: int) -> None:
    ended = numnist("data", "--data", "own", "--export", "out", "--split", split)
    images, labels = f"{stem}-images-idx3-ubyte", f"{stem}-labels-idx1-ubyte"
    assert ended.out == f"wrote {n} images to out/{images} and their labels to out/{labels}\n"
    for name in (images, labels):
        assert Path("out", name).read_bytes() == Path("own", name).read_bytes()


def test_a_part_of_it_over_what_is_there(numnist: "Numnist") -> None:
    line = ["data", "--data", "own", "--export", "out"]
    assert numnist(*line).status == 0
    numnist(*line, "--limit", "5").refused("out/t10k-images-idx3-ubyte: ")
    assert numnist(*line, "--limit", "5", "--force").status == 0
    images = read_idx(Path("out/t10k-images-idx3-ubyte"))
    assert np.array_equal(images, read_idx(Path("own/t10k-images-idx3-ubyte"))[:5])
    assert len(read_idx(Path("out/t10k-labels-idx1-ubyte"))) == 5


def test_png_files_show_the_images(numnist: "Numnist") -> None:
    line = ["data", "--data", "own", "--export", "out", "--format", "png", "--limit", "7"]
    assert numnist(*line).out == "wrote 7 PNG files to out\n"
    images = read_idx(Path("own/t10k-images-idx3-ubyte"))
    names = sorted(path.name for path in Path("out").iterdir())
    assert names == [f"{index:05}-label{index % 3}.png" for index in range(7)]
    for name, image in zip(names, images, strict=False):
        with Image.open(Path("out", name)) as picture:
            assert np.array_equal(np.asarray(picture), image)
    numnist(*line).refused("out: the folder holds files: --force")
    assert numnist(*line, "--force").status == 0


@pytest.mark.mnist
def test_real_mnist_is_known_by_its_contents(numnist: "Numnist", mnist: str) -> None:
    ended = numnist("data", "--data", mnist)
    assert ended.out.startswith("mnist, fingerprint ")
    assert "47,040,016 bytes, SHA-256 ba891046e6505d7a" in ended.out
