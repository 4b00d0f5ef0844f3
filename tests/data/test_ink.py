"""Finding ink on drawn pages whose strokes are known, and cutting rows of digits apart."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageDraw, ImageFont

from numnist.arrays import Array
from numnist.data import load_mnist
from numnist.data.background import ink_is_light, paper
from numnist.data.digits import main_digit, split_digits
from numnist.data.ink import NoInkError, find_ink
from numnist.data.normalise import centre_digit
from numnist.data.prepare import prepare_image, prepare_number, thickened

Page = Callable[[Array, np.random.Generator], Array]


def written(
    text: str, height: int = 240, width: int = 300, size: int = 160, x: int = 90, y: int = 20
) -> Array:
    """Ink of 0 to 1: text in Pillow's own font."""
    image = Image.new("L", (width, height))
    ImageDraw.Draw(image).text((x, y), text, fill=255, font=ImageFont.load_default(size), stroke_width=3)
    return np.asarray(image) / 255


def grain(shape: tuple[int, ...], rng: np.random.Generator, sigma: float = 0.015) -> Array:
    """The texture of paper: noise of a pixel and noise of eight."""
    coarse = rng.normal(0, sigma, (shape[0] // 8 + 1, shape[1] // 8 + 1)).repeat(8, axis=0).repeat(8, axis=1)
    fine: Array = 1 + rng.normal(0, sigma, shape) + coarse[: shape[0], : shape[1]]
    return fine


def across(shape: tuple[int, ...]) -> Array:
    """0 at the upper left to 1 at the lower right."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    result: Array = (y / shape[0] + x / shape[1]) / 2
    return result


def white_page(ink: Array, rng: np.random.Generator) -> Array:
    return 255 * (1 - ink)


def photo(ink: Array, rng: np.random.Generator) -> Array:
    return 230 * (1 - 0.7 * ink) * grain(ink.shape, rng)


def uneven_light(ink: Array, rng: np.random.Generator) -> Array:
    return photo(ink, rng) * (1 - 0.65 * across(ink.shape))


def hard_shadow(ink: Array, rng: np.random.Generator) -> Array:
    return photo(ink, rng) * np.where(across(ink.shape) > 0.48, 0.55, 1)


def pencil(ink: Array, rng: np.random.Generator) -> Array:
    return photo(ink * 0.35, rng)


def chalk(ink: Array, rng: np.random.Generator) -> Array:
    return (50 + 150 * ink) * grain(ink.shape, rng, 0.03) * (1 - 0.4 * across(ink.shape))


def edge_of_a_table(ink: Array, rng: np.random.Generator) -> Array:
    page = photo(ink, rng)
    page[:, :30] = 40
    return page


def faint_ruling(ink: Array, rng: np.random.Generator) -> Array:
    lines = np.zeros_like(ink)
    lines[15::40] = lines[16::40] = 0.35
    return photo(np.maximum(ink, lines), rng)


def specks(ink: Array, rng: np.random.Generator) -> Array:
    dirt = np.zeros_like(ink)
    for y, x in rng.integers(0, 230, (25, 2)):
        dirt[y : y + 2, x : x + 2] = 1
    return photo(np.maximum(ink, dirt), rng)


def jpeg(ink: Array, rng: np.random.Generator) -> Array:
    stream = io.BytesIO()
    Image.fromarray(uneven_light(ink, rng).clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=25)
    return np.asarray(Image.open(stream))


PAGES: list[Page] = [
    white_page,
    photo,
    uneven_light,
    hard_shadow,
    pencil,
    chalk,
    edge_of_a_table,
    faint_ruling,
    specks,
    jpeg,
]


def off(digit: Array, character: str) -> float:
    """How far a digit is from a character drawn on nothing: mean difference of 255, at the best of 9 places.

    A symmetric digit's centre of mass lies between two pixels, and any grain decides for one of them.
    """
    expected = np.pad(centre_digit(written(character)).astype(float), 1)
    return min(
        float(abs(digit - expected[y : y + 28, x : x + 28]).mean()) for y in range(3) for x in range(3)
    )


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("digit", "0123456789")
def test_the_same_digit_on_every_page(page: Page, digit: str) -> None:
    grey = page(written(digit), np.random.default_rng(int(digit))).clip(0, 255)
    prepared = prepare_image(grey)
    assert off(prepared, digit) < 9
    assert min("0123456789", key=lambda character: off(prepared, character)) == digit


@pytest.mark.parametrize("page", PAGES)
def test_polarity(page: Page) -> None:
    grey = page(written("4"), np.random.default_rng(4)).clip(0, 255)
    assert ink_is_light(grey) == (page is chalk)
    assert ink_is_light(255 - grey) != ink_is_light(grey)


@pytest.mark.parametrize("page", PAGES)
def test_a_negative_is_the_same_digit(page: Page) -> None:
    grey = page(written("5"), np.random.default_rng(5)).clip(0, 255)
    assert off(prepare_image(255 - grey), "5") < 9


def test_ink_is_0_where_there_is_none_and_full_in_its_strokes() -> None:
    ink = written("8")
    found = find_ink(uneven_light(ink, np.random.default_rng(8)))
    assert found.shape == ink.shape
    assert (found[ink == 0] == 0).mean() > 0.99
    assert np.median(found[ink == 1]) > 245
    assert 0 <= found.min() <= found.max() == 255


@pytest.mark.parametrize("size", [(3000, 4000), (1025, 200), (1024, 1024)])
def test_large_pictures_are_reduced_by_whole_factors(size: tuple[int, int]) -> None:
    grey = np.full(size, 200, np.uint8)
    grey[size[0] // 4 : size[0] // 2, size[1] // 2 : size[1] // 2 + size[1] // 8] = 20
    k = -(-max(size) // 1024)
    assert find_ink(grey).shape == (size[0] // k, size[1] // k)


mnist_like = (
    hnp.arrays(np.uint8, (20, 20))
    .filter(lambda digit: bool(digit.max() > 20))
    .map(lambda digit: np.pad(digit, 4))
)


@given(mnist_like)
@settings(deadline=None, max_examples=40)
def test_what_is_in_mnists_form_is_taken_at_its_word(digit: Array) -> None:
    expected = digit * (255 / digit.max())
    np.testing.assert_allclose(find_ink(digit), expected, rtol=1e-14)
    dark = find_ink(255 - digit)
    np.testing.assert_allclose(dark, expected, rtol=1e-14)


@pytest.mark.mnist
def test_mnist_passes_unharmed(mnist_directory: Path) -> None:
    train = load_mnist(mnist_directory, splits=["train"]).train
    assert train is not None
    images = train.images[:2000]
    dark = np.stack([prepare_image(255 - image) for image in images]).astype(int)
    light = np.stack([prepare_image(image) for image in images]).astype(int)
    assert (abs(dark - images).max(axis=(1, 2)) <= 1).mean() > 0.99
    assert (abs(light - images).max(axis=(1, 2)) <= 1).mean() > 0.99


def blank(page: Page, seed: int) -> Array:
    return page(np.zeros((240, 300)), np.random.default_rng(seed)).clip(0, 255)


@pytest.mark.parametrize("page", [white_page, photo, uneven_light, chalk, jpeg, specks])
@pytest.mark.parametrize("seed", range(4))
def test_a_blank_page_holds_no_ink(page: Page, seed: int) -> None:
    with pytest.raises(NoInkError, match=r"^expected ink on a page, got "):
        prepare_image(blank(page, seed))


def test_noise_holds_no_ink() -> None:
    rng = np.random.default_rng(0)
    for noise in (rng.uniform(0, 255, (200, 200)), rng.normal(128, 30, (28, 28)).clip(0, 255)):
        with pytest.raises(NoInkError):
            find_ink(noise)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (28, 28)])
def test_no_contrast(shape: tuple[int, int]) -> None:
    with pytest.raises(NoInkError, match=r"^expected ink on a page, got a picture without contrast$"):
        find_ink(np.full(shape, 77.0))


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 30), st.integers(1, 90))))
@settings(deadline=None, max_examples=80)
def test_any_picture_gives_digits_or_no_ink(grey: Array) -> None:
    try:
        digits = prepare_number(grey)
        digit = prepare_image(grey)
    except NoInkError:
        return
    assert digits.shape[1:] == digit.shape == (28, 28)
    assert (digits.max(axis=(1, 2)) == 255).all()
    assert digit.max() == 255


@pytest.mark.parametrize("grey", [np.ones(3), np.ones((0, 4)), np.full((4, 4), 256), np.full((4, 4), np.nan)])
def test_what_is_no_picture_is_refused(grey: Array) -> None:
    with pytest.raises(
        ValueError, match=r"^find_ink: expected a picture \(H, W\) with values from 0 to 255$"
    ):
        find_ink(grey)


def test_other_sizes() -> None:
    assert prepare_image(255 * (1 - written("3")), image_size=(32, 32)).shape == (32, 32)
    assert prepare_number(255 * (1 - written("3")), image_size=(16, 16)).shape == (1, 16, 16)


def test_a_thin_pen_is_thickened_and_no_other() -> None:
    bold = np.pad(np.full((200, 20), 255.0), 1)
    assert thickened(bold) is bold
    small = np.full((20, 1), 255.0)  # as thin as any in MNIST
    assert thickened(small) is small
    line = np.zeros((200, 100))
    line[:, 50] = line[0] = 255
    drawn = centre_digit(thickened(line))
    assert 1.7 <= (drawn[14] / 255).sum() <= 2.3
    assert drawn.shape == (28, 28)


def test_a_smudge_far_away_is_not_part_of_the_digit() -> None:
    ink = 255 * written("2", width=600)
    smudged = ink.copy()
    smudged[100:130, 500:530] = 255
    np.testing.assert_array_equal(main_digit(smudged), main_digit(ink))
    near = ink.copy()
    near[100:110, 230:240] = 255
    assert main_digit(near).shape[1] > main_digit(ink).shape[1]


def assert_same_digits(found: list[Array], text: str) -> None:
    assert len(found) == len(text)
    for digit, character in zip(found, text, strict=True):
        assert off(centre_digit(digit), character) < 9


@pytest.mark.parametrize("text", ["381", "7", "1111", "90210"])
def test_a_row_is_split_from_left_to_right(text: str) -> None:
    apart = "  ".join(text)
    ink = 255 * written(apart, width=len(text) * 200 + 150)
    assert_same_digits(split_digits(ink), text)
    grey = uneven_light(ink / 255, np.random.default_rng(3))
    found = prepare_number(grey)
    assert found.shape == (len(text), 28, 28)
    for digit, character in zip(found, text, strict=True):
        assert off(digit, character) < 9


def test_digits_that_touch_are_cut_apart() -> None:
    ink = 255 * written("46", width=420)
    assert len(split_digits(ink)) == 2
    four, six = (digit.shape[1] for digit in split_digits(ink))
    columns = np.flatnonzero(ink.any(axis=0))
    ink[100:103, columns[0] : columns[-1]] = 255  # a slip of the pen through both
    found = split_digits(ink)
    assert len(found) == 2
    assert abs(found[0].shape[1] - four) <= 12
    assert abs(found[1].shape[1] - six) <= 12


def test_strokes_above_each_other_are_one_digit_and_points_are_none() -> None:
    ink = np.zeros((100, 120))
    ink[10:18, 20:45] = 255  # the bar of a 5,
    ink[24:90, 18:40] = 255  # its body,
    ink[10:18, 52:60] = 255  # and a piece of the bar that came off
    ink[82:90, 66:74] = 255  # a point
    ink[10:90, 84:96] = 255  # a 1
    first, second = split_digits(ink)
    assert first.shape == (80, 42)
    assert second.shape == (80, 12)


@pytest.mark.parametrize("function", [split_digits, main_digit])
def test_without_strokes_there_is_nothing_to_split(function: Callable[[Array], object]) -> None:
    with pytest.raises(ValueError, match=r"^expected ink of at least 128 somewhere, got none$"):
        function(np.full((5, 5), 127))


def test_the_paper_beneath_the_ink() -> None:
    light = 240 * (1 - 0.6 * across((240, 300)))
    estimate = paper(light * (1 - 0.7 * written("8")))
    assert abs(estimate / light - 1).max() < 0.06
