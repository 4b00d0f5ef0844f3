"""`numnist view`: every picture, and what cannot be drawn."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from numnist.data import read_idx, write_idx

if TYPE_CHECKING:
    from tests.cli.conftest import Numnist

KINDS = ("filters", "activations", "saliency", "mistakes", "embedding", "augmentations")


@pytest.fixture
def convolutional(numnist: "Numnist") -> Path:
    """A run of a small network with a convolution, in runs/first."""
    Path("net.toml").write_text(
        '[[layers]]\ntype = "Conv2d"\nout_channels = 3\nkernel_size = 3\n'
        '[[layers]]\ntype = "ReLU"\n[[layers]]\ntype = "Flatten"\n'
        '[[layers]]\ntype = "Linear"\nout_features = "classes"\n'
    )
    line = ["train", "--data", "own", "--model", "net.toml", "--epochs", "1", "--name", "first"]
    assert numnist(*line, "--batch-size", "16", "--augment.rotation", "20").status == 0
    return Path("runs/first")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_written_and_the_same_each_time(
    numnist: "Numnist", convolutional: Path, kind: str
) -> None:
    labels = Path("own/t10k-labels-idx1-ubyte")
    write_idx(labels, np.roll(read_idx(labels), 1))  # so that there are mistakes
    ended = numnist("view", kind, "first", "--data", "own")
    assert (ended.status, ended.out, ended.err) == (0, f"wrote {kind}.png\n", "")
    with Image.open(f"{kind}.png") as image:
        assert min(image.size) > 100
    assert numnist("view", kind, str(convolutional), "--data", "own", "--out", "again.png").status == 0
    assert Path("again.png").read_bytes() == Path(f"{kind}.png").read_bytes()


def test_an_existing_picture_is_not_replaced_unasked(numnist: "Numnist", convolutional: Path) -> None:
    line = ("view", "filters", "first", "--out", "f.svg")
    assert numnist(*line).status == 0
    numnist(*line).refused("f.svg: exists", "--force")
    assert numnist(*line, "--force").status == 0
    assert Path("f.svg").read_text().startswith("<?xml")


def test_the_images_that_are_asked_for(numnist: "Numnist", convolutional: Path) -> None:
    line = ("view", "saliency", "first", "--data", "own")
    for name, index in (("one", "3"), ("other", "4"), ("both", "3,4")):
        assert numnist(*line, "--index", index, "--out", f"{name}.png").status == 0
    sizes = {}
    for name in ("one", "other", "both"):
        with Image.open(f"{name}.png") as image:
            sizes[name] = image.size
    assert sizes["one"] == sizes["other"]
    assert sizes["both"][1] > sizes["one"][1]
    assert Path("one.png").read_bytes() != Path("other.png").read_bytes()
    numnist(*line, "--index", "60", "--out", "x.png").refused("--index: expected 0 to 59, got 60")
    numnist(*line, "--index", "x", "--out", "x.png").refused("--index")


def test_what_cannot_be_drawn_is_said_in_a_line(numnist: "Numnist", trained: Path) -> None:
    numnist("view", "filters", "first").refused("first: it has no convolution")
    numnist("view", "augmentations", "first", "--data", "own").refused("trained on images as they are")
    numnist("view", "augmentations", "pretrained:cnn").refused("it does not say how it was trained")
    numnist("view", "painting", "first").refused("KIND: expected 'filters', 'activations'")
    numnist("view", "filters").refused("MODEL is missing")
    numnist("view", "filters", "first", "--out", "a.gif").refused("--out: expected a name ending in .png")
    numnist("view", "embedding", "nobody").refused("nobody: no such model")
    numnist("view", "filters", "nobody").refused("nobody: no such model")
    Path("noise").write_bytes(b"noise")
    numnist("view", "filters", "noise").refused("noise: not a model that numnist can use")
    numnist("view", "mistakes", "first", "--index", "3").refused("--index: mistakes takes none")
    numnist("view", "activations", "first", "--index", "3,4").refused("--index: activations shows one image")
    numnist("view", "saliency", "first", "--count", "3").refused("--count: saliency takes none")
    assert not list(Path().glob("*.png"))


def test_without_matplotlib_it_says_what_to_install(
    numnist: "Numnist", trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(("numnist.view", "matplotlib"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    numnist("view", "embedding", "first", "--data", "own").refused('pip install "numnist[view]"')
