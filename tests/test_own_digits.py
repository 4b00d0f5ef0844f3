"""The pictures that benchmarks/own_digits.py draws, as far as they need no font of matplotlib's."""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from numnist.data.image_files import read_image

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
WRITTEN = [
    "pen", "thin", "thick", "chalk", "colour", "turned", "texture", "light", "shadow", "jpeg", "pencil",
    "blur", "lines", "clear", "small",
]  # fmt: skip


@pytest.fixture(name="drawing")
def import_drawing(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("drawing")


def test_there_are_twenty_ways(drawing: ModuleType) -> None:
    names = [way.name for way in drawing.WAYS]
    assert len(set(names)) == len(names) == 20
    assert names[5:] == WRITTEN


@pytest.mark.parametrize("name", WRITTEN)
def test_a_picture_is_decided_by_its_generator_and_comes_back_from_its_file(
    name: str, drawing: ModuleType, tmp_path: Path
) -> None:
    way = next(way for way in drawing.WAYS if way.name == name)
    for seed in range(3):
        once, again, other = (way.draw(4, np.random.default_rng(s)) for s in (seed, seed, seed + 100))
        assert once.size == again.size
        assert once.tobytes() == again.tobytes() != other.tobytes()
        assert max(32, 0.69 * way.sides[0]) <= min(once.size) <= max(once.size) <= way.sides[1]
        grey = read_image(way.save(once, tmp_path, np.random.default_rng(0)))
        assert grey.shape == once.size[::-1]
        assert np.ptp(grey) > 40


@pytest.mark.parametrize("digit", range(10))
def test_strokes_fill_the_square_that_they_are_given(digit: int, drawing: ModuleType) -> None:
    rng = np.random.default_rng(digit)
    lines = drawing.way_of_the_pen(digit, rng)
    assert lines.min() == 0
    assert lines.max() == 1
    glyph = drawing.written(0.05, 0.1)(digit, 100, rng)
    assert max(glyph.shape) in (100, 101)
    assert glyph.min() == 0
    assert glyph.max() == 1


def test_a_font_is_as_large_as_asked_and_a_turn_keeps_the_ink(drawing: ModuleType) -> None:
    glyph = drawing.typed(drawing.OWN_FONT)(8, 100, np.random.default_rng(0))
    assert 90 <= max(glyph.shape) <= 110
    turned = drawing.turned(glyph, 10)
    assert turned.shape[1] > glyph.shape[1]
    assert turned.sum() == pytest.approx(glyph.sum(), rel=0.01)
