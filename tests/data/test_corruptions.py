from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from numnist.arrays import Array
from numnist.data import CORRUPTIONS, synthetic_digits

BLOCK = np.zeros((400, 28, 28), np.uint8)
BLOCK[:, 9:19, 10:18] = 200


def damaged(name: str, strength: int, images: Array = BLOCK, seed: int = 0) -> Array:
    return CORRUPTIONS[name](images, strength, np.random.default_rng(seed))


def centres(images: Array) -> Array:
    """Row and column of the middle of the ink, (N, 2)."""
    grid = np.moveaxis(np.mgrid[: images.shape[1], : images.shape[2]], 0, -1)
    weight = images.astype(float)[..., np.newaxis]
    return np.asarray((grid * weight).sum(axis=(1, 2)) / weight.sum(axis=(1, 2)))


@pytest.mark.parametrize("strength", [1, 2, 3])
@pytest.mark.parametrize("name", CORRUPTIONS)
@given(
    images=hnp.arrays(np.uint8, st.tuples(st.integers(0, 4), st.integers(1, 13), st.integers(1, 13))),
    seed=st.integers(0, 99),
)
def test_shape_and_dtype_are_kept_and_a_seed_decides(
    name: str, strength: int, images: Array, seed: int
) -> None:
    before = images.copy()
    result = damaged(name, strength, images, seed)
    assert result.shape == images.shape
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, damaged(name, strength, images, seed))
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_more_is_worse(name: str) -> None:
    digits = synthetic_digits(300, seed=1).images
    distance = [np.square(damaged(name, s, digits).astype(float) - digits).mean() for s in (1, 2, 3)]
    assert 0 < distance[0] < distance[1] < distance[2]


def test_what_each_does() -> None:
    level = np.full((50, 28, 28), 128, np.uint8)
    for s, deviation in enumerate((32, 64), start=1):
        assert damaged("noise", s, level).std() == pytest.approx(deviation, rel=0.06)
        assert damaged("noise", s, level).mean() == pytest.approx(128, abs=1)
    for s, pixels in enumerate((2, 4, 6), start=1):
        moved = np.hypot(*(centres(damaged("shift", s)) - centres(BLOCK)).T)
        np.testing.assert_allclose(moved, pixels, atol=0.1)
    for s, factor in enumerate((1.2, 1.4, 1.7), start=1):
        ink = damaged("scale", s).sum(axis=(1, 2)) / BLOCK[0].sum()
        larger = ink > 1
        assert 0.4 < larger.mean() < 0.6
        np.testing.assert_allclose(ink[larger], factor**2, rtol=0.1)
        np.testing.assert_allclose(ink[~larger], factor**-2, rtol=0.15)
    for s, side in enumerate((6, 9, 12), start=1):
        full = np.full((200, 28, 28), 255, np.uint8)
        holes = damaged("occlusion", s, full) == 0
        assert (holes.sum(axis=(1, 2)) == side**2).all()
        for axis in (1, 2):
            assert holes.any(axis=(0, axis)).all()  # everywhere
    np.testing.assert_array_equal(damaged("contrast", 1), BLOCK // 2)
    np.testing.assert_array_equal(damaged("inversion", 3), 255 - BLOCK)


def test_blur_is_a_gaussian() -> None:
    spot = np.zeros((1, 41, 41), np.uint8)
    spot[0, 15:26, 15:26] = 255
    for s, sigma in enumerate((0.7, 1.2, 1.8), start=1):
        blurred = damaged("blur", s, spot)[0].astype(float)
        assert blurred.sum() == pytest.approx(spot.sum(), rel=0.01)
        offset = np.arange(41) - 20
        variance = (offset**2 * blurred.sum(axis=0)).sum() / blurred.sum()
        assert variance - 10 == pytest.approx(sigma**2, rel=0.1)  # of the square alone it is (11² - 1) / 12


def test_rotation_turns_to_either_side() -> None:
    bar = np.zeros((200, 28, 28), np.uint8)
    bar[:, 12:16, 4:24] = 255
    y, x = (np.mgrid[:28, :28] - 13.5).reshape(2, -1)
    for s, degrees in enumerate((15, 30, 45), start=1):
        ink = damaged("rotation", s, bar).reshape(200, -1).astype(float)
        # Direction of the longest axis, from the second moments.
        angle = 0.5 * np.arctan2(-2 * ink @ (x * y), ink @ (x * x) - ink @ (y * y))
        np.testing.assert_allclose(np.abs(np.rad2deg(angle)), degrees, atol=1)
        assert 0.35 < (angle > 0).mean() < 0.65


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: damaged("noise", 4), "noise: expected strength 1, 2 or 3, got 4"),
        (lambda: damaged("blur", 1, BLOCK.astype(float)), "blur: expected images .* of uint8, got float64"),
        (lambda: damaged("blur", 1, BLOCK[0]), r"got uint8 of shape \(28, 28\)"),
    ],
)
def test_wrong_use(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
