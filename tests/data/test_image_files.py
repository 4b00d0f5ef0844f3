"""Every kind of picture file, and every way in which one can be broken."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from tests.data.pictures import GREY, palette, saved

from numnist.arrays import Array
from numnist.data import write_idx
from numnist.data.image_files import over_page, read_image, read_pictures


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.gif", "a.tiff", "a.webp", "a.PNG", "a.txt"])
def test_formats_without_loss(tmp_path: Path, name: str) -> None:
    form = {"txt": "PNG", "webp": "WEBP"}.get(name.rpartition(".")[2])
    path = saved(
        tmp_path / name, Image.fromarray(GREY), **({"format": form, "lossless": True} if form else {})
    )
    np.testing.assert_array_equal(read_image(path), GREY)
    (picture,) = read_pictures(path)
    np.testing.assert_array_equal(picture, GREY)


def test_jpeg_comes_close(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", Image.fromarray(GREY), quality=95)
    assert abs(read_image(path).astype(int) - GREY).max() <= 12


def with_alpha(image: Image.Image, mode: str) -> Image.Image:
    """The same picture, its white made transparent black."""
    grey = np.asarray(image)
    opacity = np.where(grey == 255, 0, 255).astype(np.uint8)
    layers = [np.where(grey == 255, 0, grey).astype(np.uint8)] * (len(mode) - 1)
    return Image.fromarray(np.stack([*layers, opacity], axis=-1))


def in_mode(mode: str) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.convert(mode)


MODES: dict[str, tuple[str, Callable[[Image.Image], Image.Image], int]] = {
    "grey": ("png", lambda image: image, 0),
    "palette": ("png", palette, 0),
    "palette in a GIF": ("gif", palette, 0),
    "RGB": ("png", in_mode("RGB"), 0),
    "RGBA, opaque": ("png", in_mode("RGBA"), 0),
    "RGBA, transparent": ("png", lambda image: with_alpha(image, "RGBA"), 0),
    "LA, opaque": ("png", in_mode("LA"), 0),
    "LA, transparent": ("png", lambda image: with_alpha(image, "LA"), 0),
    "WebP, transparent": ("webp", lambda image: with_alpha(image, "RGBA"), 0),
    "16 bits": ("png", lambda image: Image.fromarray(np.asarray(image).astype(np.uint16) * 257), 0),
    "16 bits, TIFF": ("tiff", lambda image: Image.fromarray(np.asarray(image).astype(np.uint16) * 257), 0),
    "32 bits": ("tiff", lambda image: Image.fromarray(np.asarray(image).astype(np.int32) * 70000 - 9), 0),
    "float": ("tiff", lambda image: Image.fromarray(np.asarray(image).astype(np.float32) / 255), 0),
    "CMYK": ("tiff", in_mode("CMYK"), 1),
    "CMYK, JPEG": ("jpg", in_mode("CMYK"), 12),
    "YCbCr": ("tiff", in_mode("YCbCr"), 1),
    "LAB": ("tiff", lambda image: as_lab(image), 4),  # lightness, not luminance
}


def as_lab(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    converted = ImageCms.profileToProfile(image.convert("RGB"), srgb, lab, outputMode="LAB")
    assert converted is not None
    return converted


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_gives_the_same_picture(tmp_path: Path, mode: str) -> None:
    suffix, converted, tolerance = MODES[mode]
    options = (
        {"lossless": True, "exact": True} if suffix == "webp" else {"quality": 95} if suffix == "jpg" else {}
    )
    path = saved(tmp_path / f"a.{suffix}", converted(Image.fromarray(GREY)), **options)
    grey = read_image(path)
    assert grey.shape == GREY.shape
    assert abs(grey.astype(float) - GREY).max() <= tolerance + 1e-4


def test_one_bit(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(GREY > 128))
    np.testing.assert_array_equal(read_image(path), np.where(GREY > 128, 255, 0))


def test_a_transparent_colour_of_a_palette(tmp_path: Path) -> None:
    indices = Image.fromarray((GREY == 255).astype(np.uint8))
    indices.putpalette([0, 0, 0, 0, 0, 0])  # black on black; only transparency tells them apart
    path = saved(tmp_path / "a.png", indices, transparency=1)
    np.testing.assert_array_equal(read_image(path), np.where(GREY == 255, 255, 0))


def test_sixteen_bits_are_neither_clipped_nor_rounded(tmp_path: Path) -> None:
    values = np.array([[0, 1, 255, 256], [4095, 32768, 65534, 65535]] * 2, np.uint16)
    path = saved(tmp_path / "a.png", Image.fromarray(values))
    np.testing.assert_allclose(read_image(path), values / 257, rtol=1e-6)


def test_a_constant_of_32_bits_is_black(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tiff", Image.fromarray(np.full((9, 9), 70000, np.int32)))
    np.testing.assert_array_equal(read_image(path), np.zeros((9, 9)))


def test_luminance(tmp_path: Path) -> None:
    colours = np.zeros((4, 4, 3), np.uint8)
    colours[..., 0], colours[..., 1], colours[..., 2] = 200, 100, 50
    path = saved(tmp_path / "a.png", Image.fromarray(colours))
    np.testing.assert_array_equal(read_image(path), np.full((4, 4), 124))  # 59.8 + 58.7 + 5.7


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "webp"])
def test_exif_orientation(tmp_path: Path, orientation: int, suffix: str) -> None:
    undone = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.T,
        6: lambda a: np.rot90(a),  # stored so that a quarter turn clockwise puts it right
        7: lambda a: a[::-1, ::-1].T,
        8: lambda a: np.rot90(a, -1),
    }
    stored = undone.get(orientation, lambda a: a)(GREY)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = (
        {"quality": 95} if suffix == "jpg" else {"lossless": True} if suffix == "webp" else {}
    )
    path = saved(
        tmp_path / f"a.{suffix}", Image.fromarray(np.ascontiguousarray(stored)), exif=exif, **options
    )
    grey = read_image(path)
    assert grey.shape == GREY.shape
    assert abs(grey.astype(int) - GREY).max() <= (12 if suffix == "jpg" else 0)


def test_a_large_jpeg_is_decoded_smaller(tmp_path: Path) -> None:
    large = Image.fromarray(GREY).resize((4320, 5760), Image.Resampling.NEAREST).convert("RGB")
    grey = read_image(saved(tmp_path / "a.jpg", large))
    assert grey.shape == (2880, 2160)
    assert abs(grey[120 * np.arange(24) + 60][:, 120 * np.arange(18) + 60].astype(int) - GREY).max() <= 4


def test_a_large_transparent_picture_is_reduced(tmp_path: Path) -> None:
    large = Image.fromarray(GREY).resize((1800, 2400), Image.Resampling.NEAREST)
    grey = read_image(saved(tmp_path / "a.png", with_alpha(large, "LA")))
    assert grey.shape == (1200, 900)
    np.testing.assert_allclose(grey, GREY.repeat(50, axis=0).repeat(50, axis=1), rtol=0, atol=1e-9)


def test_a_phones_picture_with_a_second_one_behind_it(tmp_path: Path) -> None:
    first, second = Image.fromarray(GREY), Image.fromarray(255 - GREY)
    path = saved(tmp_path / "a.jpg", first, format="MPO", save_all=True, append_images=[second], quality=95)
    assert abs(read_image(path).astype(int) - GREY).max() <= 12


def test_dark_ink_lies_on_white_and_white_ink_on_black() -> None:
    alpha = (GREY < 255).astype(float)
    np.testing.assert_array_equal(over_page(np.where(GREY < 255, GREY, 7), alpha), GREY)
    white = over_page(np.full(GREY.shape, 255), alpha / 2)
    np.testing.assert_array_equal(white, np.where(GREY < 255, 127.5, 0))
    yellow = over_page(np.full(GREY.shape, 220), alpha)
    np.testing.assert_array_equal(yellow, np.where(GREY < 255, 220, 255))


def test_nothing_at_all_on_a_transparent_page_is_white() -> None:
    np.testing.assert_array_equal(over_page(np.full((3, 3), 9), np.zeros((3, 3))), np.full((3, 3), 255))


@pytest.mark.parametrize("name", ["a.idx", "train-images-idx3-ubyte", "images.gz"])
def test_idx_files(tmp_path: Path, name: str) -> None:
    stack = np.stack([GREY, 255 - GREY, GREY // 2])
    write_idx(tmp_path / name, stack)
    pictures = read_pictures(tmp_path / name)
    assert len(pictures) == 3
    np.testing.assert_array_equal(np.stack(pictures), stack)
    assert pictures[0].dtype == np.uint8


def test_idx_files_of_other_types_are_stretched(tmp_path: Path) -> None:
    stack = np.array([[[-2.0, 0.0]], [[1.0, 3.0]]], np.float32)
    write_idx(tmp_path / "a.idx", stack)
    np.testing.assert_allclose(np.stack(read_pictures(tmp_path / "a.idx")), [[[0, 102]], [[153, 255]]])


TYPES = [np.int8, np.int16, np.int32, np.float32, np.float64]


@given(
    st.sampled_from(TYPES).flatmap(
        lambda kind: hnp.arrays(
            kind,
            (1, 2, 3),
            elements=hnp.from_dtype(np.dtype(kind), allow_nan=False, allow_infinity=False),
        )
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_values_a_picture_has_greys(tmp_path: Path, values: Array) -> None:
    """Rounding must not leave 255.00000000000003, nor a wide range overflow."""
    write_idx(tmp_path / "a", values)
    (picture,) = read_pictures(tmp_path / "a")
    assert picture.min() == 0
    assert picture.max() == (255 if np.ptp(values / 2.0) > 0 else 0)


def test_values_that_rounded_beyond_white(tmp_path: Path) -> None:
    """Found by the fuzzer: 123 * (255 / 123) is more than 255."""
    write_idx(tmp_path / "a", np.array([[[0, 35], [31, 122]]], np.int8))
    write_idx(tmp_path / "b", np.array([[[0, 35], [-1, 122]]], np.int8))
    for name in "ab":
        assert read_pictures(tmp_path / name)[0].max() == 255
