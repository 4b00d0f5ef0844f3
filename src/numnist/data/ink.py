"""From any grey picture of something written to its ink: 255 where it is full, exactly 0 where is none."""

import numpy as np

from numnist.arrays import Array
from numnist.data.background import block_means, border, ink_is_light, otsu_threshold, paper
from numnist.data.marks import grown, without_border_marks, without_specks

WORKING_SIDE = 1024
"""Larger pictures are first reduced by block means: a digit ends up 20 pixels tall anyway."""

_SMALL_SIDE = 64
_ONE_GREY = 0.75
_DARK_PAGE = 64.0
_FAINTEST = 0.05
_PALE = 0.15
_NOISES = 3.0
_LEAST_NOISES = 6.0


class NoInkError(ValueError):
    """A picture in which no ink stands out. The message reads on after "PATH: "."""


def find_ink(grey: Array) -> Array:
    """The ink in a picture of dark ink on a light page or of light ink on a dark one.

    g (0 black, 255 white; 255 - g where the ink is light) becomes the contrast c = (p - g) / max(p, 64) with
    the paper p that would be there (`numnist.data.background.paper`), less the page's median. The page is
    what lies below Otsu's threshold of c, or below 0.15; its median absolute deviation gives the noise σ. The
    strokes are the upper class of a second Otsu threshold, among the c above max(3σ, 0.05), without specks
    and what hangs on the border. In them and in the pixels next to them

        ink = 255 clip((c - l) / (s - l), 0, 1),   l = max(3σ, s/8), s the median of c in the strokes,

    and no ink is found where s is not above 6σ. So weaker lines, of ruled paper, go with the lower class.

    A picture of up to 64 pixels a side with three quarters of its border in one grey, as in MNIST, is taken
    at its word instead: ink is the difference from that grey, stretched to 255; no pixel is judged.

    Shapes: grey (H, W), finite, 0 to 255 -> (h, w), float64, 0 to 255, with the sides divided by the smallest
            whole number that makes them at most WORKING_SIDE.
    Raises: NoInkError for a blank page or no contrast; ValueError for another rank or values out of range.
    """
    if grey.ndim != 2 or grey.size == 0 or not (grey.min() >= 0 and grey.max() <= 255):
        raise ValueError("find_ink: expected a picture (H, W) with values from 0 to 255")
    picture = block_means(grey, WORKING_SIDE)
    if np.ptp(picture) < _FAINTEST * 255:
        raise NoInkError("expected ink on a page, got a picture without contrast")
    edge = border(picture)
    if max(picture.shape) <= _SMALL_SIDE and (edge == np.median(edge)).mean() >= _ONE_GREY:
        return _difference(picture - np.median(edge))
    if ink_is_light(picture):
        picture = 255 - picture
    page_light = paper(picture)
    contrast = (page_light - picture) / np.maximum(page_light, _DARK_PAGE)
    page = contrast[contrast <= max(otsu_threshold(contrast.ravel()), _PALE)]
    contrast -= np.median(page)
    noise = 1.4826 * float(np.median(np.abs(page - np.median(page))))
    floor = max(_NOISES * noise, _FAINTEST)

    candidates = contrast.copy()
    for _ in range(2):  # what hangs on the border may be darker than ink, and must not set the threshold
        found = _above_otsu(candidates, floor)
        kept = without_border_marks(found)
        candidates[grown(found & ~kept)] = 0
    strokes = without_specks(kept)
    full = float(np.median(contrast[strokes])) if strokes.any() else 0.0
    if full <= _LEAST_NOISES * noise:
        raise NoInkError("expected ink on a page, got none that stands out")
    least = max(_NOISES * noise, full / 8)
    ink = 255 * np.clip((contrast - least) / (full - least), 0, 1)
    ink[~grown(strokes)] = 0
    return ink


def _difference(difference: Array) -> Array:
    """Ink by its difference from the page, of the sign that has more of it."""
    light, dark = np.maximum(difference, 0), np.maximum(-difference, 0)
    ink = light if light.sum() >= dark.sum() else dark
    full: float = ink.max()
    return 255 * (ink / full)


def _above_otsu(contrast: Array, floor: float) -> Array:
    """The mask of what Otsu's threshold takes for the darker part of all that lies above the noise."""
    values = contrast[contrast > floor]
    if len(values) < 2 or np.ptp(values) == 0:
        return contrast > floor
    return contrast > otsu_threshold(values)
