import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from numnist.arrays import Array
from numnist.data import AffineParameters, affine_matrices, resample_bilinear, within_margins


def parameters(**changed: Any) -> AffineParameters:
    """The identity for one image, but for what is given."""
    neutral: dict[str, Any] = {"rotation": 0, "dx": 0, "dy": 0, "scale": 1, "shear": 0}
    neutral |= {"horizontal_flip": False, "vertical_flip": False}
    return AffineParameters(**{name: np.array([value]) for name, value in (neutral | changed).items()})


def transformed(image: Array, **changed: Any) -> Array:
    """One image, transformed as given."""
    matrices = affine_matrices(parameters(**changed), *image.shape)
    result: Array = resample_bilinear(image[np.newaxis], matrices)[0]
    return result


def oracle(image: Array, p: AffineParameters) -> Array:
    """The same from the forward map, matrix by matrix and pixel by pixel, in float64."""
    height, width = image.shape
    c_x, c_y = (width - 1) / 2, (height - 1) / 2
    theta, phi, s = math.radians(p.rotation[0]), math.radians(p.shear[0]), float(p.scale[0])

    def move(x: float, y: float) -> Array:
        return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], float)

    flip = np.diag([-1.0 if p.horizontal_flip[0] else 1.0, -1.0 if p.vertical_flip[0] else 1.0, 1.0])
    shear = np.array([[1, -math.tan(phi), 0], [0, 1, 0], [0, 0, 1]])
    cos, sin = math.cos(theta), math.sin(theta)
    turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    there = move(c_x + p.dx[0], c_y + p.dy[0]) @ turn @ shear @ np.diag([s, s, 1]) @ flip @ move(-c_x, -c_y)
    back = np.linalg.inv(there)

    def pixel(row: int, column: int) -> float:
        return float(image[row, column]) if 0 <= row < height and 0 <= column < width else 0.0

    result = np.empty((height, width))
    for i, j in itertools.product(range(height), range(width)):
        x, y, _ = back @ (j, i, 1)
        u, v = math.floor(x), math.floor(y)
        result[i, j] = sum(
            pixel(v + dv, u + du) * (1 - abs(x - u - du)) * (1 - abs(y - v - dv))
            for du in (0, 1)
            for dv in (0, 1)
        )
    return result


any_parameters = st.builds(
    parameters,
    rotation=st.floats(-360, 360),
    dx=st.floats(-6, 6),
    dy=st.floats(-6, 6),
    scale=st.floats(0.3, 3),
    shear=st.floats(-60, 60),
    horizontal_flip=st.booleans(),
    vertical_flip=st.booleans(),
)
any_image = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9))


@settings(max_examples=80)
@given(image=any_image, p=any_parameters)
def test_against_a_slow_oracle(image: Array, p: AffineParameters) -> None:
    expected = oracle(image, p)
    matrices = affine_matrices(p, *image.shape)
    exact = resample_bilinear(image.astype(np.float64)[np.newaxis], matrices)[0]
    assert exact.dtype == np.float64
    np.testing.assert_allclose(exact, expected, atol=1e-9)
    single = resample_bilinear(image[np.newaxis], matrices)[0]
    assert single.dtype == np.float32
    # Coordinates in float32 are off by some 1e-6 pixels, and neighbours differ by up to 255.
    np.testing.assert_allclose(single, expected, atol=5e-3)


DIGIT = np.random.default_rng(0).integers(0, 256, (7, 7), np.uint8)
WIDE = np.random.default_rng(1).integers(0, 256, (4, 9), np.uint8)


@pytest.mark.parametrize("quarter_turns", [-3, -2, -1, 0, 1, 2, 3, 4])
@pytest.mark.parametrize("size", [6, 7, 28])
def test_quarter_turns_are_exact_and_counter_clockwise(size: int, quarter_turns: int) -> None:
    image = np.random.default_rng(size).integers(0, 256, (size, size), np.uint8)
    turned = transformed(image, rotation=90 * quarter_turns)
    np.testing.assert_array_equal(turned, np.rot90(image, quarter_turns))


@pytest.mark.parametrize("image", [DIGIT, WIDE])
def test_flips_are_exact(image: Array) -> None:
    np.testing.assert_array_equal(transformed(image, horizontal_flip=True), image[:, ::-1])
    np.testing.assert_array_equal(transformed(image, vertical_flip=True), image[::-1])
    both = transformed(image, horizontal_flip=True, vertical_flip=True)
    np.testing.assert_array_equal(both, image[::-1, ::-1])
    np.testing.assert_array_equal(transformed(image, rotation=180), both)


def test_whole_translations_are_exact_shifts() -> None:
    right_2_down_1 = np.zeros_like(WIDE)
    right_2_down_1[1:, 2:] = WIDE[:-1, :-2]
    np.testing.assert_array_equal(transformed(WIDE, dx=2, dy=1), right_2_down_1)
    left_3_up_2 = np.zeros_like(WIDE)
    left_3_up_2[:-2, :-3] = WIDE[2:, 3:]
    np.testing.assert_array_equal(transformed(WIDE, dx=-3, dy=-2), left_3_up_2)
    for away in ({"dx": 10_000}, {"dx": -9}, {"dy": 4}, {"dy": -10_000}):
        assert not transformed(WIDE, **away).any()


def test_half_a_pixel_is_the_mean_of_two() -> None:
    shifted = transformed(DIGIT.astype(float), dx=0.5)
    np.testing.assert_array_equal(shifted[:, 1:], (DIGIT[:, 1:].astype(float) + DIGIT[:, :-1]) / 2)
    np.testing.assert_array_equal(shifted[:, 0], DIGIT[:, 0] / 2)


def test_scale_2_enlarges_about_the_centre() -> None:
    enlarged = transformed(DIGIT, scale=2)
    np.testing.assert_array_equal(enlarged[1::2, 1::2], DIGIT[2:5, 2:5])


def test_shear_leans_to_the_right() -> None:
    stroke = np.zeros((5, 9), np.uint8)
    stroke[:, 4] = 100
    leaning = transformed(stroke, shear=45)
    np.testing.assert_allclose(leaning, 100 * np.eye(9)[6:1:-1], atol=1e-4)


def test_an_order_that_matters() -> None:
    """Flip, then rotation, then translation."""
    expected = np.zeros_like(DIGIT)
    expected[:, 1:] = np.rot90(DIGIT[:, ::-1])[:, :-1]
    result = transformed(DIGIT, horizontal_flip=True, rotation=90, dx=1)
    np.testing.assert_allclose(result, expected, atol=1e-10)


@settings(max_examples=60)
@given(image=any_image, p=any_parameters, seed=st.integers(0, 99))
def test_a_displacement_is_added_to_where_a_pixel_is_sampled(
    image: Array, p: AffineParameters, seed: int
) -> None:
    """A constant displacement is a translation of what is sampled."""
    moved = np.random.default_rng(seed).uniform(-3, 3, 2)
    matrices = affine_matrices(p, *image.shape)
    displacement = np.broadcast_to(moved[np.newaxis, :, np.newaxis, np.newaxis], (1, 2, *image.shape))
    displaced = resample_bilinear(image.astype(float)[np.newaxis], matrices, displacement)
    matrices[:, :, 2] += moved
    np.testing.assert_allclose(
        displaced, resample_bilinear(image.astype(float)[np.newaxis], matrices), atol=1e-8
    )


def places(image: Array, p: AffineParameters) -> Array:
    """Where the map puts the centres of the pixels with ink, (ink, 2)."""
    matrix = affine_matrices(p, *image.shape)[0]
    rows, columns = np.nonzero(image)
    sources = np.stack([columns, rows]).astype(float)
    return np.asarray(np.linalg.solve(matrix[:, :2], sources - matrix[:, 2:]).T)


@settings(max_examples=100)
@given(
    image=hnp.arrays(
        np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.sampled_from([0, 0, 9])
    ),
    p=any_parameters,
)
def test_no_ink_is_moved_out(image: Array, p: AffineParameters) -> None:
    kept = within_margins(image[np.newaxis], p)
    before, behind = places(image, p), places(image, kept)
    most = np.array(image.shape[::-1]) - 1
    for axis, (old, new) in enumerate(((p.dx, kept.dx), (p.dy, kept.dy))):
        if not len(before):
            assert np.array_equal(old, new)
            continue
        least, greatest = behind[:, axis].min(), behind[:, axis].max()
        if greatest - least <= most[axis]:
            assert least >= -1e-9
            assert greatest <= most[axis] + 1e-9
        else:  # it is wider than the image
            assert abs((least + greatest) / 2 - most[axis] / 2) < 1e-9
        inside = before[:, axis].min() >= 1e-9 and before[:, axis].max() <= most[axis] - 1e-9
        if inside:
            np.testing.assert_array_equal(new, old)
    for name in ("rotation", "scale", "shear", "horizontal_flip", "vertical_flip"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(p, name))


def test_a_shift_ends_at_the_margin() -> None:
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 4:24, 6:20] = 200
    kept = within_margins(image, parameters(dx=-9, dy=7))
    assert (kept.dx[0], kept.dy[0]) == (-6, 4)


def test_shapes_are_checked() -> None:
    for images, matrices in (
        ((4, 4), (4, 2, 3)),
        ((2, 4, 4), (3, 2, 3)),
        ((2, 4, 4), (2, 3, 3)),
        ((), (0, 2, 3)),
    ):
        with pytest.raises(ValueError, match="resample_bilinear: expected images"):
            resample_bilinear(np.zeros(images), np.zeros(matrices))
    with pytest.raises(ValueError, match=r"expected displacement of shape \(2, 2, 4, 4\), got \(2, 4, 4\)"):
        resample_bilinear(np.zeros((2, 4, 4)), np.zeros((2, 2, 3)), np.zeros((2, 4, 4)))
