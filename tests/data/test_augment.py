import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from numnist.arrays import Array
from numnist.data import AffineParameters, Augmentation, affine_matrices, resample_bilinear

FULL = Augmentation(
    rotation=(-20, 30),
    rotation_probability=0.7,
    translation=(-3, 2),
    translation_probability=0.6,
    scale=(0.7, 1.4),
    scale_probability=0.8,
    shear=(-15, 10),
    shear_probability=0.5,
    horizontal_flip=0.4,
    vertical_flip=0.3,
)


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


@settings(max_examples=60)
@given(
    images=hnp.arrays(np.uint8, st.tuples(st.integers(0, 5), st.integers(1, 12), st.integers(1, 12))),
    seed=st.integers(0, 99),
)
def test_shape_dtype_and_range_are_kept(images: Array, seed: int) -> None:
    before = images.copy()
    result = FULL.apply(images, np.random.default_rng(seed))
    assert result.shape == images.shape
    assert result.dtype == np.float32
    assert (result >= 0).all()
    assert (result <= images.max(initial=0)).all()
    np.testing.assert_array_equal(images, before)


@settings(max_examples=60)
@given(
    images=hnp.arrays(np.float32, (3, 5, 4), elements=st.floats(-1000, 1000, width=32)),
    seed=st.integers(0, 99),
)
def test_range_of_negative_images(images: Array, seed: int) -> None:
    result = FULL.apply(images, np.random.default_rng(seed))
    slack = 1e-6 * np.abs(images).max()
    assert result.min() >= min(images.min(), 0) - slack
    assert result.max() <= max(images.max(), 0) + slack


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


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_identity(dtype: type) -> None:
    images: Array = np.arange(60).reshape(3, 4, 5).astype(dtype)
    nothing = Augmentation()
    never = Augmentation(
        rotation=(-5, 5),
        rotation_probability=0,
        translation=(1, 2),
        translation_probability=0,
        scale=(2, 2),
        scale_probability=0,
        shear=(3, 4),
        shear_probability=0,
    )
    for identity in (nothing, never):
        assert identity.is_identity
        rng = np.random.default_rng(0)
        result = identity.apply(images, rng)
        np.testing.assert_array_equal(result, images)
        assert result.dtype == (np.float64 if dtype == np.float64 else np.float32)
        assert not np.shares_memory(result, images)
        assert rng.random() == np.random.default_rng(0).random()  # nothing was drawn
        np.testing.assert_array_equal(
            affine_matrices(identity.draw(3, rng), 4, 5), np.tile([[1, 0, 0], [0, 1, 0]], (3, 1, 1))
        )


@pytest.mark.parametrize(
    "setting",
    [
        {"rotation": (0, 1)},
        {"translation": (-1, 0)},
        {"scale": (1, 1.1)},
        {"shear": (5, 5)},
        {"horizontal_flip": 0.1},
        {"vertical_flip": 1},
    ],
)
def test_what_is_no_identity(setting: dict[str, Any]) -> None:
    assert not Augmentation(**setting).is_identity


def test_an_image_that_is_spared_stays_exactly_as_it_is() -> None:
    images = np.random.default_rng(0).integers(0, 256, (400, 7, 6), np.uint8)
    result = Augmentation(rotation=(5, 10), rotation_probability=0.25).apply(images, np.random.default_rng(3))
    spared = (result == images).all(axis=(1, 2))
    assert 0.65 < spared.mean() < 0.85  # 0.75 with a standard error of 0.022


def test_rotation_varies_and_has_zero_mean() -> None:
    """The original turned every image by the same angle."""
    augmentation = Augmentation(rotation=(-10, 10))
    angles = augmentation.draw(4000, np.random.default_rng(0)).rotation
    assert len(np.unique(angles)) == 4000
    assert angles.min() < -9.9
    assert angles.max() > 9.9
    assert abs(angles.mean()) < 4 * (20 / math.sqrt(12)) / math.sqrt(4000)

    bar = np.zeros((64, 15, 15), np.uint8)
    bar[:, 7, 2:13] = 200
    turned = augmentation.apply(bar, np.random.default_rng(1))
    right_end = turned[:, :, 12].astype(float)
    height = 7 - (right_end * np.arange(15)).sum(axis=1) / right_end.sum(axis=1)
    assert (height > 0.1).sum() > 16
    assert (height < -0.1).sum() > 16
    angles = augmentation.draw(64, np.random.default_rng(1)).rotation
    assert np.corrcoef(height, angles)[0, 1] > 0.99  # a positive angle lifts the right end


def test_draws_lie_in_their_ranges_and_fill_them() -> None:
    drawn = FULL.draw(5000, np.random.default_rng(0))
    for values, name, probability in (
        (drawn.rotation, "rotation", FULL.rotation_probability),
        (drawn.dx, "translation", FULL.translation_probability),
        (drawn.dy, "translation", FULL.translation_probability),
        (drawn.scale, "scale", FULL.scale_probability),
        (drawn.shear, "shear", FULL.shear_probability),
    ):
        low, high = getattr(FULL, name)
        met = values != (1 if name == "scale" else 0)
        assert abs(met.mean() - probability) < 0.03  # four standard errors
        assert low <= values[met].min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < values[met].max() <= high
    assert abs(drawn.horizontal_flip.mean() - 0.4) < 0.03
    assert abs(drawn.vertical_flip.mean() - 0.3) < 0.03
    assert not np.array_equal(drawn.dx, drawn.dy)
    np.testing.assert_array_equal(drawn.dx == 0, drawn.dy == 0)  # moved in both or in none


def test_one_seed_one_result() -> None:
    images = np.random.default_rng(0).integers(0, 256, (9, 8, 8), np.uint8)
    first, again, other = (FULL.apply(images, np.random.default_rng(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_settings_do_not_shift_each_others_draws() -> None:
    alone = Augmentation(shear=(-15, 10), shear_probability=0.5, horizontal_flip=0.4)
    one, all_of_them = (a.draw(50, np.random.default_rng(7)) for a in (alone, FULL))
    np.testing.assert_array_equal(one.shear, all_of_them.shear)
    np.testing.assert_array_equal(one.horizontal_flip, all_of_them.horizontal_flip)


def test_an_image_gets_the_same_in_a_batch_of_any_size() -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 60, 50), np.uint8)  # more than one block
    whole = FULL.apply(images, np.random.default_rng(7))
    np.testing.assert_array_equal(FULL.apply(images[:13], np.random.default_rng(7)), whole[:13])
    matrices = affine_matrices(FULL.draw(20, np.random.default_rng(7)), 60, 50)
    for part in (slice(0, 3), slice(3, 17), slice(17, 20)):
        np.testing.assert_array_equal(resample_bilinear(images[part], matrices[part]), whole[part])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"rotation": (5, -5)}, r"rotation: expected -360 <= low <= high <= 360, got \(5, -5\)"),
        ({"rotation": (-400, 0)}, "rotation"),
        ({"translation": (0, math.inf)}, "translation"),
        ({"scale": (0, 1)}, "scale: expected 0.01 <= low"),
        ({"scale": (math.nan, 1)}, "scale"),
        ({"shear": (-90, 0)}, "shear"),
        ({"rotation_probability": 1.1}, "rotation_probability: expected a probability from 0 to 1, got 1.1"),
        ({"shear_probability": math.nan}, "shear_probability"),
        ({"horizontal_flip": -0.1}, "horizontal_flip"),
        ({"vertical_flip": 2}, "vertical_flip"),
    ],
)
def test_settings_are_checked(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        Augmentation(**setting)


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match=r"expected images of shape \(N, H, W\), got \(4, 4\)"):
        FULL.apply(np.zeros((4, 4)), np.random.default_rng(0))
    for images, matrices in (
        ((4, 4), (4, 2, 3)),
        ((2, 4, 4), (3, 2, 3)),
        ((2, 4, 4), (2, 3, 3)),
        ((), (0, 2, 3)),
    ):
        with pytest.raises(ValueError, match="resample_bilinear: expected images"):
            resample_bilinear(np.zeros(images), np.zeros(matrices))
