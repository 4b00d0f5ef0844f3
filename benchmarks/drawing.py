"""Pictures of digits as people have them: twenty ways to put a digit, typed or written, on a page.

A way is how the digit is made (a font, or our strokes with some pen) and what the page is like. Digits are
coverages, (h, w) from 0 to 1; pages are made of them by NumPy and Pillow, and nothing of the computer that
runs this goes into them but its versions of the two and of matplotlib, whose fonts these are.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from numnist.arrays import Array
from numnist.data.skeletons import skeletons

OWN_FONT = "Pillow's own"

COLOURS = (
    ((20, 40, 150), (250, 235, 120)),
    ((170, 20, 30), (215, 240, 210)),
    ((10, 90, 40), (250, 205, 215)),
    ((90, 30, 130), (200, 225, 250)),
    ((110, 50, 10), (240, 225, 190)),
    ((250, 240, 120), (30, 60, 120)),
    ((255, 255, 255), (160, 30, 40)),
)
"""Ink and paper, red, green and blue."""

Write = Callable[[int, int, Generator], Array]
"""A digit's coverage, about as large as the number of pixels says: (digit, size, rng) -> (h, w), 0 to 1."""

Finish = Callable[[Array, Generator], Array]
"""From the page's coverage, (H, W), 0 to 1, to values from 0 to 255, clipped if need be: grey (H, W), RGB or
RGBA (H, W, channels)."""


@dataclass(frozen=True)
class Way:
    """One of the ways. `draw` makes its pictures.

    sides: least and greatest longer side of the page, in pixels. share: the digit's longer side in shorter
    sides of the page, from, to. turn: degrees, either way. quality: of a JPEG, from, to; None for a PNG.
    """

    name: str
    description: str
    write: Write
    finish: Finish
    sides: tuple[int, int] = (32, 2000)
    share: tuple[float, float] = (0.45, 0.85)
    turn: float = 0
    quality: tuple[int, int] | None = None

    def draw(self, digit: int, rng: Generator) -> Image.Image:
        """A page with the digit somewhere on it."""
        longer = round(np.exp(rng.uniform(*np.log(self.sides))))
        shape = rng.permutation([longer, max(32, round(longer * rng.uniform(0.7, 1)))])
        glyph = self.write(digit, round(min(shape) * rng.uniform(*self.share)), rng)
        if self.turn:
            glyph = turned(glyph, rng.uniform(-self.turn, self.turn))
        page = np.zeros(shape)
        top, left = (round(rng.uniform(0.1, 0.9) * free) for free in shape - glyph.shape)
        page[top : top + glyph.shape[0], left : left + glyph.shape[1]] = glyph
        values = self.finish(page, rng)
        return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))

    def save(self, picture: Image.Image, folder: Path, rng: Generator) -> Path:
        """The picture in a file of the way's format."""
        if self.quality is None:
            path = folder / "digit.png"
            picture.save(path, compress_level=1)
        else:
            path = folder / "digit.jpg"
            picture.save(path, quality=int(rng.integers(*self.quality, endpoint=True)))
        return path


def typed(*names: str) -> Write:
    """A digit in one of these fonts."""

    def write(digit: int, size: int, rng: Generator) -> Array:
        em = round(size / 0.72)  # digits are 0.65 to 0.75 em tall
        face = font(names[rng.integers(len(names))], em)
        canvas = Image.new("L", (2 * em, 2 * em))
        ImageDraw.Draw(canvas).text((em // 2, em // 3), str(digit), fill=255, font=face)
        return np.asarray(canvas.crop(canvas.getbbox())) / 255

    return write


def written(thinnest: float, thickest: float) -> Write:
    """A digit from our strokes, with a pen of a width between these, in sizes of the digit."""

    def write(digit: int, size: int, rng: Generator) -> Array:
        pen = max(1.2 / size, np.exp(rng.uniform(*np.log([thinnest, thickest]))))
        lines = way_of_the_pen(digit, rng) * (1 - pen)
        fine = 1 if size > 600 else 2 if size > 200 else 4
        sides = np.ceil((np.max(lines, axis=(0, 1)) + pen) * size).astype(int)
        canvas = Image.new("L", tuple((sides * fine).tolist()))
        draw = ImageDraw.Draw(canvas)
        radius = pen * size * fine / 2
        for line in ((lines + pen / 2) * size * fine).tolist():
            draw.line([tuple(point) for point in line], fill=255, width=max(1, round(2 * radius)))
            for point in line:
                draw.circle(point, radius, fill=255)
        return np.asarray(canvas.resize(tuple(sides.tolist()), Image.Resampling.BOX)) / 255

    return write


def way_of_the_pen(digit: int, rng: Generator) -> Array:
    """The segments of a digit in one of the shapes that we drew, hardly moved, slanted a little.

    Unlike those of the built-in digits, all are far from the limits of what a person can read.

    Shapes: -> (segments, 2, 2): begin and end of each, x and y, from 0; the longer side is 1.
    """
    skeleton = skeletons()
    weight = np.where(skeleton.digit == digit, skeleton.weight, 0)
    style = rng.choice(len(weight), p=weight / weight.sum())
    control = skeleton.shapes[style, rng.choice(np.flatnonzero(skeleton.exists[style]))]
    control = control + rng.normal(0, 0.012, control.shape)
    lines = np.stack([skeleton.begin[style] @ control, skeleton.end[style] @ control], axis=1)
    lines[..., 0] = rng.uniform(0.85, 1.15) * lines[..., 0] - rng.normal(0.08, 0.08) * lines[..., 1]
    lines -= lines.min(axis=(0, 1))
    return np.asarray(lines / lines.max())


def turned(glyph: Array, degrees: float) -> Array:
    """A digit turned against the clock, with all of its corners."""
    image = Image.fromarray(np.rint(255 * glyph).astype(np.uint8))
    return np.asarray(image.rotate(degrees, Image.Resampling.BICUBIC, expand=True)) / 255


def clean(page: Array, rng: Generator) -> Array:  # noqa: ARG001 -- a Finish
    """Black on white."""
    return 255 * (1 - page)


def ink(page: Array, rng: Generator) -> Array:
    """Dark ink on light paper, with the noise of a camera."""
    light = rng.uniform(215, 250)
    return mixed(page, rng.uniform(10, 70), light) + noise(page, 2, rng)


def negative(page: Array, rng: Generator) -> Array:
    """Light on a dark ground."""
    return mixed(page, rng.uniform(215, 255), rng.uniform(0, 40))


def coloured(page: Array, rng: Generator) -> Array:
    """Ink and paper of two colours."""
    pen, paper = (np.array(colour) for colour in COLOURS[rng.integers(len(COLOURS))])
    return mixed(page[..., np.newaxis], pen, paper)


def textured(page: Array, rng: Generator) -> Array:
    """Ink on rough, stained paper: noise of every wavelength."""
    rough = np.zeros_like(page)
    for cell, strength in ((1, 5.0), (2, 4.0), (5, 4.0), (20, 5.0), (80, 8.0)):
        cells = -(-np.array(page.shape) // cell) + 1
        coarse = Image.fromarray(rng.normal(0, strength, cells).astype(np.float32))
        rough += np.asarray(coarse.resize(page.shape[::-1], Image.Resampling.BICUBIC))
    return ink(page, rng) + rough - 15


def one_lamp(page: Array, rng: Generator) -> Array:
    """Ink under a lamp: the light falls to a third or a half across the page."""
    across = distance_along(page, rng.uniform(0, 2 * np.pi))
    across = (across - across.min()) / np.ptp(across)
    lit: Array = ink(page, rng) * (1 - rng.uniform(0.5, 0.67) * across)
    return lit


def shadowed(page: Array, rng: Generator) -> Array:
    """Ink with the edge of a shadow across it."""
    rows, columns = np.nonzero(page > 0)
    along = distance_along(page, rng.uniform(0, 2 * np.pi))
    pixel = rng.integers(len(rows))
    softness = min(page.shape) * rng.uniform(0.005, 0.03)
    shade = 1 / (1 + np.exp(np.clip((along - along[rows[pixel], columns[pixel]]) / softness, -50, 50)))
    lit: Array = ink(page, rng) * (1 - rng.uniform(0.35, 0.55) * shade)
    return lit


def pencilled(page: Array, rng: Generator) -> Array:
    """Pencil: grainy, and 50 to 80 grey levels darker than the paper."""
    light = rng.uniform(200, 240)
    grain = rng.uniform(0.6, 1, page.shape)
    return mixed(page * grain, light - rng.uniform(50, 80) / 0.8, light) + noise(page, 3, rng)


def blurred(page: Array, rng: Generator) -> Array:
    """Ink out of focus."""
    size = extent(page)
    sharp = Image.fromarray(np.rint(ink(page, rng)).clip(0, 255).astype(np.uint8))
    blur = ImageFilter.GaussianBlur(float(size * rng.uniform(0.02, 0.045)))
    return np.asarray(sharp.filter(blur)) + noise(page, 2, rng)


def lined(page: Array, rng: Generator) -> Array:
    """Dark ink on ruled or squared paper, whose lines are pale."""
    size = extent(page)
    gap = max(6, round(size * rng.uniform(0.3, 1.2)))
    width = max(1, round(gap * 0.03))
    lines = np.zeros(page.shape, bool)
    for axis in range(rng.integers(1, 3)):  # rows; and columns
        stripes = (np.arange(page.shape[axis]) + rng.integers(gap)) % gap < width
        lines |= stripes[:, np.newaxis] if axis == 0 else stripes
    light = rng.uniform(225, 250)
    paper = np.where(lines, light - rng.uniform(40, 70), light)
    return mixed(page, rng.uniform(10, 60), paper) + noise(page, 2, rng)


def transparent(page: Array, rng: Generator) -> Array:
    """Ink on nothing: only the alpha channel has a digit; dark ink, or white as for a dark screen."""
    colour = ((0, 0, 0), (30, 40, 120), (255, 255, 255))[rng.integers(3)]
    return np.dstack([np.broadcast_to(colour, (*page.shape, 3)), 255 * page])


def mixed(page: Array, pen: Array | float, paper: Array | float) -> Array:
    """Grey or colours between paper, where the coverage is 0, and pen, where it is 1."""
    return np.asarray(paper + page * (pen - paper))


def noise(page: Array, strength: float, rng: Generator) -> Array:
    """Normal noise of this standard deviation for every pixel of a page."""
    return np.asarray(strength * rng.standard_normal(page.shape, np.float32))


def extent(page: Array) -> int:
    """The longer side of what is on a page, in pixels."""
    return max(int(np.count_nonzero(page.any(axis=axis))) for axis in (0, 1))


def distance_along(page: Array, angle: float) -> Array:
    """How far each pixel lies in a direction, (H, W)."""
    rows, columns = np.arange(page.shape[0]), np.arange(page.shape[1])
    return np.asarray(np.sin(angle) * rows[:, np.newaxis] + np.cos(angle) * columns)


def font(name: str, em: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """A font of matplotlib's, or Pillow's own."""
    if name == OWN_FONT:
        return ImageFont.load_default(em)
    return ImageFont.truetype(font_folder() / f"{name}.ttf", em)


@cache
def font_folder() -> Path:
    """Where matplotlib has its fonts; it is no dependency of this project."""
    try:
        matplotlib = import_module("matplotlib")
    except ImportError:
        sys.exit("the fonts come with matplotlib: pip install matplotlib")
    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"


PEN = written(0.05, 0.1)
SANS = typed("DejaVuSans", "DejaVuSans-Oblique", OWN_FONT)
MONO = typed("DejaVuSansMono", "cmtt10")
SERIF = typed("DejaVuSerif", "DejaVuSerif-Italic")
BOLD = typed("DejaVuSans-Bold", "DejaVuSerif-Bold")
BOOK = typed("STIXGeneral", "STIXGeneralItalic", "cmr10", "cmss10")
PHOTO = (80, 95)

WAYS = (
    Way("sans", "typed: DejaVu Sans, its oblique, Pillow's font", SANS, clean),
    Way("mono", "typed: DejaVu Sans Mono (its 0 has a dot), CM Typewriter", MONO, clean),
    Way("serif", "typed: DejaVu Serif and its italic", SERIF, clean),
    Way("bold", "typed: DejaVu Sans Bold, DejaVu Serif Bold", BOLD, clean),
    Way("book", "typed: STIX and its italic, CM Roman, CM Sans", BOOK, clean),
    Way("pen", "strokes: dark ink on paper", PEN, ink),
    Way("thin", "strokes: a fine pen", written(0.012, 0.03), ink, (64, 2000)),
    Way("thick", "strokes: a marker", written(0.12, 0.17), ink),
    Way("chalk", "strokes: white on black", PEN, negative),
    Way("colour", "strokes: coloured ink on coloured paper", PEN, coloured),
    Way("turned", "strokes: turned by up to 15 degrees", PEN, ink, share=(0.4, 0.75), turn=15),
    Way("texture", "strokes: rough, stained paper", PEN, textured, (96, 2000), quality=PHOTO),
    Way("light", "strokes: the light falls to a half or a third", PEN, one_lamp, (64, 2000), quality=PHOTO),
    Way("shadow", "strokes: a shadow's edge runs across", PEN, shadowed, (64, 2000), quality=PHOTO),
    Way("jpeg", "strokes: JPEG of quality 5 to 20", PEN, ink, (64, 1000), quality=(5, 20)),
    Way("pencil", "strokes: pencil, low contrast", written(0.03, 0.07), pencilled, (96, 2000)),
    Way("blur", "strokes: out of focus", PEN, blurred, (48, 2000)),
    Way("lines", "strokes: ruled or squared paper", PEN, lined, (128, 2000), (0.2, 0.7)),
    Way("clear", "strokes: transparent background", PEN, transparent),
    Way("small", "strokes: small, anywhere on a large page", PEN, ink, (500, 2000), (0.06, 0.15)),
)
