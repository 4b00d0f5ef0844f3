import hashlib
import tracemalloc
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numnist.arrays import Array
from numnist.data import Split, strokes, synthetic
from numnist.data.skeletons import SEGMENTS, as_arrays, catmull_rom
from numnist.data.skeletons import skeletons as all_skeletons
from numnist.data.synthetic import BLOCK, TEST_START, synthetic_blocks, synthetic_dataset, synthetic_digits


@pytest.fixture(scope="module")
def digits() -> Split:
    return synthetic_digits(6000, seed=3)


@pytest.fixture(scope="module")
def read(digits: Split) -> Callable[[Array], Array]:
    """What kernel ridge regression on 5,000 digits makes of images: their labels, mostly."""
    known, labels = pooled(digits.images[:5000]), digits.labels[:5000]
    gram = kernel(known, known) + 0.01 * np.eye(len(known), dtype=np.float32)
    weights = np.linalg.solve(gram, np.eye(10, dtype=np.float32)[labels])
    return lambda images: (kernel(pooled(images), known) @ weights).argmax(axis=1)


def pooled(images: Array) -> Array:
    """The means of 2 x 2 pixels, white being 1. Shapes: (N, 28, 28) -> (N, 196)."""
    means = images.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4), dtype=np.float32)
    return np.asarray(means.reshape(-1, 14 * 14) / 255)


def kernel(a: Array, b: Array) -> Array:
    """exp(-|a - b|² / 20), for each pair of rows."""
    squares = (a * a).sum(axis=1)[:, np.newaxis] + (b * b).sum(axis=1) - 2 * a @ b.T
    return np.asarray(np.exp(squares / np.float32(-20)))


def test_shapes_types_and_grey_levels(digits: Split) -> None:
    assert digits.images.shape == (6000, 28, 28)
    assert digits.images.dtype == np.uint8
    assert digits.labels.dtype == np.int64
    assert (digits.images.max(axis=(1, 2)) > 200).all()  # no image is empty or faint
    assert np.median(digits.images.max(axis=(1, 2))) == 255
    assert 0.7 < (digits.images == 0).mean() < 0.9  # the paper is white


def test_no_image_comes_twice(digits: Split) -> None:
    assert len({image.tobytes() for image in digits.images}) == len(digits)


def test_labels_are_balanced_in_every_ten_and_shuffled(digits: Split) -> None:
    tens = digits.labels.reshape(-1, 10)
    assert (np.sort(tens, axis=1) == np.arange(10)).all()
    assert len(np.unique(tens, axis=0)) > 500


def test_the_larger_side_fills_the_box(digits: Split) -> None:
    """The ink's extent is 20 pixels; one of them is only touched where the edge is soft or ragged."""
    ink = digits.images > 0
    sides: list[Array] = [ink.max(axis=1), ink.max(axis=2)]
    larger = np.maximum(*(28 - side.argmax(axis=1) - side[:, ::-1].argmax(axis=1) for side in sides))
    assert larger.max() == 20
    assert larger.min() >= 18
    assert (larger == 20).mean() > 0.95


def test_the_centre_of_mass_is_in_the_centre(digits: Split) -> None:
    """As in MNIST: nearest to pixel (14, 14), but for the few that would then reach beyond the image."""
    mass = digits.images.sum(axis=(1, 2), dtype=np.float64)
    for axis in (1, 2):
        center = digits.images.sum(axis=axis, dtype=np.float64) @ np.arange(28) / mass
        assert (np.abs(center - 14) < 0.51).mean() > 0.999
        assert np.abs(center - 14).max() < 2
        assert abs(center.mean() - 14) < 0.02


def test_ink_and_slant_are_like_those_of_mnist(digits: Split) -> None:
    """MNIST's training images: 13.1 % of all ink; ones have the least, zeros the most or nearly so."""
    ink = digits.images.mean(axis=(1, 2)) / 255
    assert 0.11 < ink.mean() < 0.15
    by_digit = [ink[digits.labels == digit].mean() for digit in range(10)]
    assert np.argmin(by_digit) == 1
    assert by_digit[0] > np.mean(by_digit)


@settings(max_examples=6)
@given(start=st.integers(0, 2 * BLOCK), n=st.integers(0, BLOCK + 10))
def test_any_part_of_the_stream_is_the_same(start: int, n: int) -> None:
    whole = synthetic_digits(3 * BLOCK + 10, seed=7)
    part = synthetic_digits(n, seed=7, start=start)
    np.testing.assert_array_equal(part.images, whole.images[start : start + n])
    np.testing.assert_array_equal(part.labels, whole.labels[start : start + n])


def test_the_blocks_are_the_stream(digits: Split) -> None:
    blocks = list(islice(synthetic_blocks(3), 2))
    np.testing.assert_array_equal(np.concatenate([b.images for b in blocks]), digits.images[: 2 * BLOCK])
    np.testing.assert_array_equal(np.concatenate([b.labels for b in blocks]), digits.labels[: 2 * BLOCK])


def test_another_seed_draws_other_images(digits: Split) -> None:
    other = synthetic_digits(BLOCK, seed=4)
    assert (other.images != digits.images[:BLOCK]).any(axis=(1, 2)).all()
    assert (other.labels != digits.labels[:BLOCK]).mean() > 0.8


def test_numpys_global_state_is_neither_used_nor_changed() -> None:
    before = str(np.random.get_state())  # noqa: NPY002
    first = synthetic_digits(10, seed=5).images
    assert str(np.random.get_state()) == before  # noqa: NPY002
    np.testing.assert_array_equal(synthetic_digits(10, seed=5).images, first)


def test_a_dataset_has_a_name_a_fingerprint_and_no_files() -> None:
    dataset = synthetic_dataset(train=1200, test=300, seed=1)
    assert dataset.train is not None
    assert dataset.test is not None
    assert (dataset.name, dataset.classes, dataset.files) == ("synthetic", 10, ())
    assert (len(dataset.train), len(dataset.test), dataset.image_size) == (1200, 300, (28, 28))
    arrays = [x for split in (dataset.train, dataset.test) for x in (split.images, split.labels)]
    assert dataset.fingerprint == hashlib.sha256(b"".join(x.tobytes() for x in arrays)).hexdigest()
    assert synthetic_dataset(train=1200, test=300, seed=1).fingerprint == dataset.fingerprint
    assert synthetic_dataset(train=1200, test=300, seed=2).fingerprint != dataset.fingerprint
    trained_on = {image.tobytes() for image in dataset.train.images}
    assert not any(image.tobytes() in trained_on for image in dataset.test.images)


@pytest.mark.parametrize(
    ("call", "arguments", "message"),
    [
        (synthetic_digits, (-1, 0), "got -1, 0 and 0"),
        (synthetic_digits, (1, -2), "got 1, -2 and 0"),
        (synthetic_digits, (1, 0, -3), "got 1, 0 and -3"),
        (synthetic_dataset, (0, 1), "got 0 and 1"),
        (synthetic_dataset, (1, 0), "got 1 and 0"),
        (synthetic_dataset, (TEST_START + 1, 1), "got 1000000001 and 1"),
    ],
)
def test_refused_in_words(call: Any, arguments: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(*arguments)


def test_no_image_at_all() -> None:
    assert synthetic_digits(0, seed=0).images.shape == (0, 28, 28)
    assert len(synthetic_digits(0, seed=0, start=BLOCK + 1)) == 0


def test_memory_is_that_of_the_result_and_one_block() -> None:
    def peak(n: int) -> int:
        tracemalloc.start()
        try:
            synthetic_digits(n, seed=0)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    one, two, six = (peak(n * BLOCK) for n in (1, 2, 6))
    assert one < 25e6
    assert six - two < 1.1 * 4 * BLOCK * (28 * 28 + 8)


def test_every_digit_is_told_from_the_others(read: Callable[[Array], Array]) -> None:
    asked = synthetic_digits(1500, seed=8)
    right = read(asked.images) == asked.labels
    for digit in range(10):
        assert right[asked.labels == digit].mean() > 0.8, digit


def test_every_single_shape_reads_as_its_digit(
    read: Callable[[Array], Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each shape as a style of its own, drawn as often as its digit's others: three times better than chance.

    The reader has seen some of them a few times only. A shape that is wrong reads as something else.
    """
    alone = tuple(
        strokes.Style(style.digit, 1, style.strokes, (shape,))
        for style in strokes.STYLES
        for shape in style.shapes
    )
    chosen: list[Array] = []
    choose = synthetic._choose_styles

    def remember(*arguments: Any) -> Array:
        chosen.append(choose(*arguments))
        return chosen[-1]

    skeletons = as_arrays(alone)
    monkeypatch.setattr(synthetic, "skeletons", lambda: skeletons)
    monkeypatch.setattr(synthetic, "_choose_styles", remember)
    asked = synthetic_digits(6 * BLOCK, seed=9)
    style = np.concatenate(chosen)
    np.testing.assert_array_equal(skeletons.digit[style], asked.labels)
    labels = read(asked.images)
    for s, description in enumerate(alone):
        assert (style == s).sum() >= 10
        assert (labels[style == s] == description.digit).mean() > 0.3, description


def test_styles_are_drawn_by_their_weights() -> None:
    skeletons = all_skeletons()
    labels = np.tile(np.arange(10), 5000)
    style = synthetic._choose_styles(skeletons, labels, np.random.default_rng(0))
    np.testing.assert_array_equal(skeletons.digit[style], labels)
    for digit in range(10):
        of_digit = skeletons.digit == digit
        share = np.bincount(style, minlength=len(of_digit))[of_digit] / 5000
        expected = skeletons.weight[of_digit] / skeletons.weight[of_digit].sum()
        np.testing.assert_allclose(share, expected, atol=0.03)


@pytest.mark.parametrize("style", strokes.STYLES, ids=lambda style: f"{style.digit}")
def test_strokes_use_every_point_of_every_shape(style: strokes.Style) -> None:
    count = {len(shape) for shape in style.points}
    assert len(count) == 1
    assert {point for stroke in style.strokes for point in stroke} == set(range(count.pop()))
    assert all(len(stroke) >= 2 for stroke in style.strokes)
    assert style.weight > 0
    x, y = style.points[..., 0], style.points[..., 1]
    assert x.min() >= 0
    assert x.max() <= 1.2
    assert y.min() >= 0
    assert y.max() <= 1
    assert (y.max(axis=1) - y.min(axis=1) > 0.89).all()


@pytest.mark.parametrize("index", range(len(strokes.STYLES)))
def test_segments_follow_the_strokes(index: int) -> None:
    """Each stroke from its first to its last point, without a gap, and as many segments as there are."""
    style, skeletons = strokes.STYLES[index], all_skeletons()
    points = skeletons.shapes[index, 0]
    begin, end = skeletons.begin[index] @ points, skeletons.end[index] @ points
    assert len(begin) == SEGMENTS
    lifted = np.flatnonzero(np.abs(begin[1:] - end[:-1]).max(axis=1) > 1e-12)
    firsts = np.array([points[stroke[0]] for stroke in style.strokes])
    lasts = np.array([points[stroke[-1]] for stroke in style.strokes])
    apart = np.abs(firsts[1:] - lasts[:-1]).max(axis=1) > 0
    np.testing.assert_allclose(begin[lifted + 1], firsts[1:][apart], atol=1e-12)
    np.testing.assert_allclose(end[lifted], lasts[:-1][apart], atol=1e-12)
    np.testing.assert_allclose(begin[0], firsts[0], atol=1e-12)
    np.testing.assert_allclose(end[-1], lasts[-1], atol=1e-12)


@given(points=st.integers(2, 14), per_piece=st.integers(1, 5))
def test_a_spline_passes_through_its_points_and_keeps_straight_lines(points: int, per_piece: int) -> None:
    matrix = catmull_rom(points, (points - 1) * per_piece)
    np.testing.assert_allclose(matrix[::per_piece], np.eye(points), atol=1e-12)
    even = np.linspace(0, points - 1, len(matrix))
    np.testing.assert_allclose(matrix @ np.arange(points), even, atol=1e-12)


def test_distance_is_that_of_the_nearest_segment() -> None:
    """Against the definition, one pixel and segment at a time."""
    rng = np.random.default_rng(0)
    begin, end = rng.uniform(0, 19, (2, 3, 4, 2)).astype(np.float32)
    end[0, 0] = begin[0, 0]  # a segment of no length is a point
    radius = rng.uniform(0.5, 2, (3, 4)).astype(np.float32)
    result = synthetic._distance(begin, end, radius)
    for n, i, j in [(0, 0, 0), (0, 7, 3), (1, 19, 4), (2, 10, 19), (2, 5, 5)]:
        t = np.linspace(0, 1, 10_001)[:, np.newaxis]
        way = begin[n, np.newaxis] + t[..., np.newaxis] * (end - begin)[n, np.newaxis]
        expected = (np.linalg.norm(way - (j, i), axis=-1).min(axis=0) / radius[n]).min()
        assert result[n, i, j] == pytest.approx(expected, abs=2e-3)


def test_styles_can_be_drawn_more_often_and_the_other_digits_stay_as_they_are() -> None:
    plain, footed = synthetic_digits(300, 3), synthetic_digits(300, 3, weights={1: (0, 0, 1)})
    np.testing.assert_array_equal(plain.labels, footed.labels)
    same = (plain.images == footed.images).all(axis=(1, 2))
    ones = plain.labels == 1
    assert not same[ones].all()
    assert same[~ones].mean() > 0.9  # a block's random numbers are shared, but each image's are its own
    # A foot is wide, and at the bottom.
    bottom = [
        split.images[ones][:, -9:-4].astype(bool).any(axis=1).sum(axis=1).mean() for split in (plain, footed)
    ]
    assert bottom[1] > 1.5 * bottom[0]


@pytest.mark.parametrize("weights", [{1: (1,)}, {1: (1, 1, -1)}, {1: (0, 0, 0)}, {0: ()}])
def test_weights_that_do_not_fit_the_styles_are_refused(weights: dict[int, tuple[float, ...]]) -> None:
    with pytest.raises(ValueError, match=r"synthetic_digits: expected \d weights for"):
        synthetic_digits(10, 0, weights=weights)
