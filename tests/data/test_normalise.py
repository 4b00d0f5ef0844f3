"""Area averaging against slow definitions, and MNIST's procedure against MNIST."""

from fractions import Fraction
from math import ceil, floor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from numnist.arrays import Array
from numnist.data import load_mnist
from numnist.data.normalise import area_resize, centre_digit

sides = st.integers(1, 12)
images = hnp.arrays(np.uint8, st.tuples(sides, sides))


def mean_of_area(image: Array, height: int, width: int, i: int, j: int) -> Fraction:
    """The definition, pixel by pixel, in exact fractions."""
    rows = (Fraction(i * image.shape[0], height), Fraction((i + 1) * image.shape[0], height))
    columns = (Fraction(j * image.shape[1], width), Fraction((j + 1) * image.shape[1], width))
    total = Fraction(0)
    for y in range(floor(rows[0]), ceil(rows[1])):
        for x in range(floor(columns[0]), ceil(columns[1])):
            covered_y = min(rows[1], Fraction(y + 1)) - max(rows[0], Fraction(y))
            covered_x = min(columns[1], Fraction(x + 1)) - max(columns[0], Fraction(x))
            total += covered_y * covered_x * int(image[y, x])
    return total / ((rows[1] - rows[0]) * (columns[1] - columns[0]))


@given(images, sides, sides)
@settings(deadline=None, max_examples=60)
def test_area_resize_is_the_mean_of_the_area(image: Array, height: int, width: int) -> None:
    expected = [
        [float(mean_of_area(image, height, width, i, j)) for j in range(width)] for i in range(height)
    ]
    np.testing.assert_allclose(area_resize(image, height, width), expected, rtol=0, atol=1e-10)


@given(images, sides, sides)
@settings(deadline=None, max_examples=60)
def test_area_resize_keeps_the_mean_and_the_range(image: Array, height: int, width: int) -> None:
    resized = area_resize(image, height, width)
    assert resized.mean() == pytest.approx(image.mean(), abs=1e-10)
    assert image.min() - 1e-10 <= resized.min() <= resized.max() <= image.max() + 1e-10


@given(st.integers(0, 255), sides, sides, sides, sides)
@settings(deadline=None, max_examples=40)
def test_area_resize_keeps_a_constant(grey: int, h: int, w: int, height: int, width: int) -> None:
    np.testing.assert_allclose(area_resize(np.full((h, w), grey), height, width), grey, rtol=1e-13)


@given(images)
@settings(deadline=None, max_examples=40)
def test_area_resize_to_the_same_size_is_exact(image: Array) -> None:
    np.testing.assert_array_equal(area_resize(image, *image.shape), image)


@given(images, st.integers(1, 4), st.integers(1, 4))
@settings(deadline=None, max_examples=40)
def test_whole_factors_are_block_means_and_repetitions(image: Array, a: int, b: int) -> None:
    repeated = image.repeat(a, axis=0).repeat(b, axis=1)
    height, width = repeated.shape
    np.testing.assert_allclose(area_resize(image, height, width), repeated, rtol=0, atol=1e-10)
    varied = np.arange(height * width, dtype=float).reshape(height, width)
    blocks = varied.reshape(height // a, a, width // b, b).mean(axis=(1, 3))
    np.testing.assert_allclose(area_resize(varied, height // a, width // b), blocks, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("shape", "size"), [((3,), (1, 1)), ((2, 2, 2), (1, 1)), ((3, 3), (0, 1))])
def test_area_resize_refuses(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"^area_resize: expected an image \(H, W\) and a size"):
        area_resize(np.ones(shape), *size)


def centre_of_mass(image: Array) -> tuple[float, float]:
    rows, columns = np.indices(image.shape)
    mass = image.sum(dtype=float)
    return float((image * rows).sum() / mass), float((image * columns).sum() / mass)


def extent(image: Array) -> tuple[int, int]:
    rows, columns = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
    return int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)


strokes = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 30), st.integers(1, 30)), elements=st.sampled_from([0.0, 0.5, 1.0])
).filter(lambda ink: bool(ink.any()))


@given(strokes)
@settings(deadline=None, max_examples=100)
def test_a_digit_fills_its_box_and_is_centred(ink: Array) -> None:
    digit = centre_digit(ink)
    assert digit.shape == (28, 28)
    assert digit.dtype == np.uint8
    assert digit.max() == 255
    h, w = extent(ink)
    height, width = extent(digit)
    # Greys below half a level vanish when they are rounded, so a side may lose a pixel; it never gains one.
    assert max(height, width) <= 20
    assert height <= max(1, floor(20 * h / max(h, w) + 0.5))
    assert width <= max(1, floor(20 * w / max(h, w) + 0.5))
    assert touches_border(digit) or max(abs(centre - 14) for centre in centre_of_mass(digit)) <= 0.5


def touches_border(digit: Array) -> bool:
    return bool(digit[0].any() or digit[-1].any() or digit[:, 0].any() or digit[:, -1].any())


@given(strokes, st.integers(0, 9), st.integers(0, 9), st.integers(2, 4), st.floats(0.01, 1000))
@settings(deadline=None, max_examples=60)
def test_place_size_and_strength_make_no_difference(
    ink: Array, top: int, left: int, factor: int, strength: float
) -> None:
    moved = np.pad(ink.repeat(factor, axis=0).repeat(factor, axis=1), ((top, 3), (left, 5))) * strength
    difference = centre_digit(moved).astype(int) - centre_digit(ink)
    assert abs(difference).max() <= 1


def test_a_centred_digit_by_hand() -> None:
    ink = np.zeros((40, 50))
    ink[3:13, 7:12] = 8  # 10 x 5: scaled to 20 x 10
    digit = centre_digit(ink)
    expected = np.zeros((28, 28), np.uint8)
    expected[5:25, 10:20] = 255  # centres 14.5 and 14.5: half a pixel is rounded downwards and to the right
    np.testing.assert_array_equal(digit, expected)


def test_nothing_of_a_lopsided_digit_is_lost() -> None:
    ink = np.zeros((20, 20))
    ink[0] = 1  # a heavy bar on top
    ink[:, 0] = 0.02
    digit = centre_digit(ink)
    assert extent(digit) == (20, 20)
    assert digit[8].max() == 255
    assert digit[8:28].any(axis=1).all()


@pytest.mark.parametrize(
    ("size", "box"), [((28, 28), 20), ((32, 32), 23), ((20, 40), 14), ((8, 8), 6), ((1, 1), 1)]
)
def test_the_box_is_in_proportion(size: tuple[int, int], box: int) -> None:
    digit = centre_digit(np.ones((3, 3)), size)
    assert digit.shape == size
    assert extent(digit) == (box, box)


@pytest.mark.parametrize(
    "ink", [np.zeros((3, 3)), np.ones(3), np.ones((0, 3)), -np.ones((3, 3)), np.array([[np.nan, 1]])]
)
def test_what_is_no_ink_is_refused(ink: Array) -> None:
    with pytest.raises(ValueError, match=r"^centre_digit: expected ink \(h, w\), finite"):
        centre_digit(ink)


@pytest.mark.parametrize("box", [0, 29])
def test_a_box_outside_the_image_is_refused(box: int) -> None:
    with pytest.raises(ValueError, match=rf"^centre_digit: expected a box of 1 to 28 pixels .* got {box}$"):
        centre_digit(np.ones((3, 3)), box=box)


@pytest.mark.mnist
def test_mnist_comes_back_as_it_is(mnist_directory: Path) -> None:
    train = load_mnist(mnist_directory, splits=["train"]).train
    assert train is not None
    images = train.images[:5000]
    difference = np.array([abs(centre_digit(image).astype(int) - image).max() for image in images])
    assert (difference == 0).mean() > 0.88  # the others' largest value is 254, stretched to 255
    assert (difference <= 1).mean() > 0.999
