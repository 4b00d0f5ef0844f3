import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from numnist.arrays import Array
from numnist.data import Augmentation, affine_matrices, resample_bilinear

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
EVERYTHING = replace(FULL, keep_ink=True, elastic=0.8, erasing=0.5)


@settings(max_examples=60)
@given(
    images=hnp.arrays(np.uint8, st.tuples(st.integers(0, 5), st.integers(1, 12), st.integers(1, 12))),
    seed=st.integers(0, 99),
)
def test_shape_dtype_and_range_are_kept(images: Array, seed: int) -> None:
    before = images.copy()
    for augmentation in (FULL, EVERYTHING, Augmentation(erasing=1), Augmentation(elastic=1)):
        result = augmentation.apply(images, np.random.default_rng(seed))
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
        keep_ink=True,
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
        {"elastic": 0.1},
        {"erasing": 0.1},
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


@pytest.mark.parametrize("augmentation", [FULL, Augmentation(elastic=1), Augmentation(erasing=0.5)])
def test_one_seed_one_result(augmentation: Augmentation) -> None:
    images = np.random.default_rng(0).integers(1, 256, (9, 8, 8), np.uint8)
    first, again, other = (augmentation.apply(images, np.random.default_rng(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_elastic_and_erasing_leave_the_draws_of_others_as_they_are() -> None:
    images = np.random.default_rng(0).integers(1, 256, (40, 12, 12), np.uint8)
    alone = FULL.apply(images, np.random.default_rng(7))
    erased = replace(FULL, erasing=0.5, erasing_area=(0.1, 0.1)).apply(images, np.random.default_rng(7))
    both = replace(FULL, erasing=0.5, erasing_area=(0.1, 0.1), elastic=1.0).apply(
        images, np.random.default_rng(7)
    )
    assert not np.array_equal(alone, erased)
    assert not np.array_equal(erased, both)
    np.testing.assert_array_equal(erased[erased != 0], alone[erased != 0])
    blank = np.full_like(images, 255)
    lone = Augmentation(erasing=0.5, erasing_area=(0.1, 0.1)).apply(blank, np.random.default_rng(7)) == 0
    assert lone.any()
    assert not erased[lone].any()  # the same rectangles, whatever else is done
    assert not both[lone].any()


def test_keep_ink_keeps_it() -> None:
    images = np.zeros((200, 20, 20), np.uint8)
    images[:, 3:17, 5:15] = 255
    far = Augmentation(translation=(-9, 9))
    cut = far.apply(images, np.random.default_rng(0)).sum(axis=(1, 2))
    whole = replace(far, keep_ink=True).apply(images, np.random.default_rng(0)).sum(axis=(1, 2))
    assert (cut < 0.9 * 255 * 140).any()
    np.testing.assert_allclose(whole, 255 * 140, rtol=1e-5)


def test_settings_do_not_shift_each_others_draws() -> None:
    alone = Augmentation(shear=(-15, 10), shear_probability=0.5, horizontal_flip=0.4)
    one, all_of_them = (a.draw(50, np.random.default_rng(7)) for a in (alone, FULL))
    np.testing.assert_array_equal(one.shear, all_of_them.shear)
    np.testing.assert_array_equal(one.horizontal_flip, all_of_them.horizontal_flip)


def test_an_image_gets_the_same_in_a_batch_of_any_size() -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 60, 50), np.uint8)  # more than one block
    everything = EVERYTHING.apply(images, np.random.default_rng(7))
    np.testing.assert_array_equal(EVERYTHING.apply(images[:13], np.random.default_rng(7)), everything[:13])
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
        ({"elastic": -1}, "elastic: expected 0 to 100 pixels, got -1"),
        ({"elastic": math.nan}, "elastic"),
        ({"elastic_smoothness": 0}, "elastic_smoothness: expected 0.5 to 100 pixels, got 0"),
        ({"erasing": 1.5}, "erasing: expected a probability"),
        ({"erasing_area": (0.5, 1.5)}, "erasing_area: expected 0 <= low <= high <= 1"),
    ],
)
def test_settings_are_checked(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        Augmentation(**setting)


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match=r"expected images of shape \(N, H, W\), got \(4, 4\)"):
        FULL.apply(np.zeros((4, 4)), np.random.default_rng(0))
