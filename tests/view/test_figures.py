from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from numnist.view import Point, draw_mistakes, draw_trade, save_figure

DIGITS = tuple("0123456789")


def some(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, 28, 28), np.uint8)
    return images, rng.integers(0, 10, n), rng.dirichlet(np.full(10, 0.3), n)


@pytest.mark.parametrize("n", [1, 6, 7])
@pytest.mark.parametrize("ending", [".png", ".svg"])
def test_the_same_mistakes_give_the_same_bytes(tmp_path: Path, n: int, ending: str) -> None:
    for name in ("first", "second"):
        save_figure(draw_mistakes(*some(n), DIGITS), tmp_path / f"{name}{ending}")
    first, second = (tmp_path / f"{name}{ending}" for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    if ending == ".png":
        with Image.open(first) as image:
            assert np.asarray(image.convert("L")).std() > 10


def test_what_is_written_beside_an_image() -> None:
    images, _, _ = some(1)
    p = np.array([[0.0, 0.6, 0.25, 0.1, 0.05, 0, 0, 0, 0, 0]])
    figure = draw_mistakes(images, np.array([4]), p, DIGITS, ["index 7"])
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert texts == ["1", "60%", "2", "25%", "3", "10%", "4", "5%"]
    assert figure.axes[0].get_title(loc="left") == "index 7"


def test_arrays_that_do_not_belong_together() -> None:
    images, labels, p = some(3)
    for wrong in ((images[:0], labels[:0], p[:0]), (images, labels[:2], p), (images, labels, p[:1])):
        with pytest.raises(ValueError, match="expected one image or more and as many of all else"):
            draw_mistakes(*wrong, DIGITS)
    with pytest.raises(ValueError, match=r"a.pdf: expected a name ending in .png or .svg"):
        save_figure(draw_mistakes(images, labels, p, DIGITS), Path("a.pdf"))


def test_the_trade_names_its_axes_and_points(tmp_path: Path) -> None:
    figure = draw_trade(
        [Point("quick", 10, 0.992, 0.0005), Point("record", 900, 0.997, 0.0002)], [("x", 0.99)]
    )
    (axes,) = figure.axes
    assert axes.get_xlabel() == "training time of one model, seconds"
    assert axes.get_ylabel() == "test error, %"
    assert [text.get_text() for text in axes.texts] == ["quick  99.20 %", "record  99.70 %", "x  99.00 %"]
    save_figure(figure, tmp_path / "trade.svg")
    assert "<svg" in (tmp_path / "trade.svg").read_text()
