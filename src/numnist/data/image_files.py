"""Pictures from files: any PNG, JPEG, WebP, BMP, GIF or TIFF as grey values, and the images of IDX files."""

import warnings
from codecs import getincrementaldecoder
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from numnist.arrays import Array
from numnist.data._paths import os_errors, shown
from numnist.data.idx import read_images
from numnist.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SIDE = 2**14
MAX_PIXELS = 2**26
"""Sizes up to which a picture is decoded, told by its header: 64 megapixels."""

MIN_SIDE = 4
"""The smallest digits that a person can read are drawn 3 x 5; anything with a side below 4 holds none."""

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
_NAMES = "PNG, JPEG, WebP, BMP, GIF or TIFF"
_PHOTO_SIDE = 2048
_BOUNDS = f"expected at most {MAX_SIDE:,} pixels a side and {MAX_PIXELS:,} in all"
_IDX_TYPES = bytes(range(0x08, 0x0F))
_GZIP = b"\x1f\x8b"
_LEAST_CONTRAST = 32


def read_pictures(path: Path) -> list[Array]:
    """The pictures in a file: all images of an IDX file, plain or gzip-compressed; else that of `read_image`.

    IDX files are told by their content. Their uint8 values are grey already; of other types, which have no
    agreed white, the file's range is stretched to 0 to 255.

    Shapes: each (H, W), uint8 or float, 0 to 255.
    Raises: InputError, one line that names the file, as `read_image` and `read_images`.
    """
    if not is_idx(path):
        return [read_image(path)]
    images = read_images(path).array
    return list(images if images.dtype == np.uint8 else _stretched(images))


def is_idx(path: Path) -> bool:
    """Whether a file is to be read as IDX: by its first bytes, or, where those say nothing, by its name.

    Raises: InputError, one line that names the file, where it cannot be read.
    """
    head = _head(path)
    return head[:2] == _GZIP or (head[:2] == b"\0\0" and head[2:3] in _IDX_TYPES) or path.suffix == ".idx"


def read_image(path: Path) -> Array:
    """The grey values of a picture file: 0 black, 255 white, turned as its EXIF orientation says.

    Colours become luminance (ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B), a transparent background what
    `over_page` makes of it. 16 bits keep their precision as v / 257; the range of 32-bit values, which have
    no agreed white, is stretched to 0 to 255. Of large JPEGs and large transparent pictures, means of whole
    blocks of pixels are returned, up to 4,096 or 2,048 a side.

    Shapes: (H, W), uint8, or float where 8 bits do not hold the values.
    Memory: bounded by the size in the header, which is checked before anything is decoded.
    Raises: InputError, one line that names the file, for what is no picture, is damaged or truncated,
            holds several frames or pages, has a side below MIN_SIDE or above MAX_SIDE or too many pixels.
    """
    from PIL import Image, UnidentifiedImageError

    head = _head(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what matters of Pillow's warnings (size, damage) is said below
        try:
            # Not by its name: Pillow maps a plain TIFF into memory then, and turns it by its EXIF wrongly.
            with path.open("rb") as file, Image.open(file, formats=_FORMATS) as image:
                _check_header(path, image)
                return _grey(image)
        except (InputError, MemoryError):
            raise
        except Image.DecompressionBombError as error:  # Pillow's own bound, of 179 megapixels, comes first
            raise InputError(f"{shown(path)}: {_BOUNDS}, got far more") from error
        except UnidentifiedImageError as error:
            raise InputError(f"{shown(path)}: expected a picture ({_NAMES}), {_other(head)}") from error
        except Exception as error:  # on damaged files Pillow's decoders raise whatever went wrong in them
            raise InputError(
                f"{shown(path)}: expected a whole picture, got a truncated or damaged one"
            ) from error


def over_page(grey: Array, alpha: Array) -> Array:
    """A picture with a transparent background, laid on a page on which its ink shows.

        g' = α g + (1 - α) b

    The page b is white (255); but where hardly any contrast is left on white, less than 32 grey levels, while
    black leaves more, as with white ink on a transparent background, it is black (0).

    Shapes: grey (H, W) 0 to 255, alpha (H, W) 0 (transparent) to 1 -> (H, W), float64.
    """
    on_black = grey * alpha
    on_white = on_black + 255 * (1 - alpha)
    contrast: float = np.ptp(on_white)
    return on_black if contrast < min(_LEAST_CONTRAST, np.ptp(on_black)) else on_white


def _head(path: Path) -> bytes:
    """The first bytes of a regular file that is not empty."""
    with os_errors(path, "read"):
        if path.is_dir():
            raise InputError(f"{shown(path)}: expected a picture, got a folder")
        if not path.is_file():  # a pipe or a device would keep us waiting
            raise InputError(f"{shown(path)}: {'not a regular' if path.exists() else 'no such'} file")
        with path.open("rb") as file:
            head = file.read(512)
    if not head:
        raise InputError(f"{shown(path)}: expected a picture, got an empty file")
    return head


def _other(head: bytes) -> str:
    """What a file is that no reader knows, in the words of the person who has it."""
    if head[4:8] == b"ftyp":
        return "got HEIC, AVIF or a film: please save it as JPEG or PNG"
    if head.startswith(b"%PDF"):
        return "got a PDF: please save the page as PNG"
    with suppress(UnicodeDecodeError):
        text = getincrementaldecoder("utf-8")().decode(head)  # the last character may be cut
        if all(character.isprintable() or character.isspace() for character in text):
            return "got text"
    return "got something else, or one damaged at its beginning"


def _check_header(path: Path, image: "Image") -> None:
    width, height = image.size
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise InputError(f"{shown(path)}: {_BOUNDS}, got {width:,} x {height:,}")
    if min(width, height) < MIN_SIDE:
        least = f"expected at least {MIN_SIDE} x {MIN_SIDE} pixels"
        raise InputError(f"{shown(path)}: {least}, got {width} x {height}")
    # MPO is a phone's JPEG with a second picture behind it: for depth, or with more light.
    if image.format != "MPO" and getattr(image, "is_animated", False):
        several = "several pages" if image.format == "TIFF" else "an animation"
        raise InputError(f"{shown(path)}: expected a single still picture, got {several}")


def _grey(image: "Image") -> Array:
    """The picture as it is meant to be seen: decoded, turned, in grey, on a page."""
    from PIL import ImageOps

    if image.mode in ("L", "RGB"):
        image.draft("L", (_PHOTO_SIDE, _PHOTO_SIDE))  # a JPEG: smaller and grey, no side below this
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith(("I;16", "I", "F")):
        return _deep(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA").reduce(-(-max(image.size) // _PHOTO_SIDE))
        alpha = np.asarray(rgba.getchannel("A"))
        grey = np.asarray(rgba.convert("L"))
        return grey if alpha.min() == 255 else over_page(grey, alpha / 255)
    return np.asarray(image.getchannel("L") if image.mode == "LAB" else image.convert("L"))


def _deep(image: "Image") -> Array:
    """Values of more than 8 bits: 16 bits have a white, 32 bits have not."""
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        return values / np.float32(257)
    if not np.isfinite(values).all():
        raise ValueError("NaN or infinity")
    return _stretched(values)


def _stretched(values: Array) -> Array:
    """Any range of values as 0 to 255; all 0 where there is but one value."""
    halves = values.astype(np.float64) / 2  # the range of halves does not overflow
    low, high = float(halves.min()), float(halves.max())
    # Divided first: the largest is 1 then, and 255 times that no more than 255.
    return (halves - low) / (high - low) * 255 if high > low else np.zeros(values.shape)
