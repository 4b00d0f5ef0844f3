"""Which ink is a digit: the one digit of a picture, or the digits of a row, cut apart."""

import numpy as np

from numnist.arrays import Array
from numnist.data.components import Components, connected_components
from numnist.data.marks import grown

STROKE = 128
"""Ink of this much, of 255, belongs to a stroke; what is less is the grey at its edge."""

_NEAR = 0.5
_SAME_DIGIT = 0.5
_PIECE = 0.45
_TWO_DIGITS = 1.3
_DIGIT_WIDTH = 0.7
_AWAY = 0.3


def main_digit(ink: Array) -> Array:
    """The ink of the one digit in a picture: the largest connected stroke and what is near it, cropped.

    Near is what the gap between the two rectangles sets apart by at most half the larger side of the largest.

    Shapes: ink (H, W), 0 to 255 -> (h, w).
    Raises: ValueError where there are no strokes.
    """
    marks = _strokes(ink)
    largest = int(np.argmax(marks.area))
    near = _NEAR * max(marks.height[largest], marks.width[largest])
    gap_x = np.maximum(marks.left - marks.right[largest], marks.left[largest] - marks.right)
    gap_y = np.maximum(marks.top - marks.bottom[largest], marks.top[largest] - marks.bottom)
    return _alone(ink, marks, np.maximum(gap_x, gap_y) <= near)


def split_digits(ink: Array) -> list[Array]:
    """The digits of one row of ink, left to right.

    The connected components of the strokes (ink of at least 128) become digits in four steps:
    1. Components that share half of the narrower one's columns are one digit: the bar of a 5, a broken 0.
    2. What is left of less than 0.45 of the tallest digit's height is a piece, not a digit. It goes to the
       nearest digit if it lies in the upper half, as a detached bar does; points and commas are dropped.
    3. A digit wider than 1.3 of its height, and of the row's median height, is several that touch:
       round(width / (0.7 height)) of them, at least 2.
    4. Each is cut from the next in the column with the least ink, within 0.3 of a digit's width of where the
       cut would be if all were of one width.

    Shapes: ink (H, W), 0 to 255 -> each (h, w) as ink, nothing but the one digit in it.
    Raises: ValueError where there are no strokes.
    """
    marks = _strokes(ink)
    groups = _with_pieces(_in_columns(marks), marks)
    digits = [_alone(ink, marks, np.isin(np.arange(len(marks.area)), group)) for group in groups]
    height = float(np.median([digit.shape[0] for digit in digits]))
    return [part for digit in digits for part in _cut_apart(digit, max(height, digit.shape[0]))]


def _strokes(ink: Array) -> Components:
    marks = connected_components(ink >= STROKE)
    if not len(marks.area):
        raise ValueError(f"expected ink of at least {STROKE} somewhere, got none")
    return marks


def _alone(ink: Array, marks: Components, chosen: Array) -> Array:
    """The ink of the chosen marks, with the greys around it, cropped."""
    others = marks.mask(~chosen)
    belongs = np.where(grown(others) & ~marks.mask(chosen), 0, ink)
    rows, columns = (np.flatnonzero(belongs.any(axis=axis)) for axis in (1, 0))
    return belongs[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _in_columns(marks: Components) -> list[list[int]]:
    """Components that share columns, together; left to right."""
    groups: list[list[int]] = []
    for mark in np.argsort(marks.left, kind="stable").tolist():
        for group in groups:
            left, right = marks.left[group].min(), marks.right[group].max()
            shared = min(right, marks.right[mark]) - max(left, marks.left[mark])
            if shared >= _SAME_DIGIT * min(right - left, marks.width[mark]):
                group.append(mark)
                break
        else:
            groups.append([mark])
    return groups


def _with_pieces(groups: list[list[int]], marks: Components) -> list[list[int]]:
    """The groups as tall as digits; a piece in the upper half joins the nearest of them."""
    tops = np.array([marks.top[group].min() for group in groups])
    bottoms = np.array([marks.bottom[group].max() for group in groups])
    centres = np.array([(marks.left[group].min() + marks.right[group].max()) / 2 for group in groups])
    tall = np.flatnonzero(bottoms - tops >= _PIECE * (bottoms - tops).max())
    digits = {int(index): list(groups[index]) for index in tall}
    for index, group in enumerate(groups):
        if index not in digits:
            nearest = int(tall[np.argmin(np.abs(centres[tall] - centres[index]))])
            if tops[index] + bottoms[index] < tops[nearest] + bottoms[nearest]:
                digits[nearest] += group
    return list(digits.values())


def _cut_apart(digit: Array, height: float) -> list[Array]:
    """Steps 3 and 4 of `split_digits`; height is that of a digit in this row."""
    width = digit.shape[1]
    if width <= _TWO_DIGITS * height:
        return [digit]
    count = max(2, round(width / (_DIGIT_WIDTH * height)))
    per_digit = width / count
    mass = digit.sum(axis=0)
    cuts = [0]
    for k in range(1, count):
        low, high = (round((k + away) * per_digit) for away in (-_AWAY, _AWAY))
        cuts.append(low + int(np.argmin(mass[low : high + 1])))
    parts = (digit[:, start:end] for start, end in zip(cuts, [*cuts[1:], width], strict=True))
    return [part for part in parts if (part >= STROKE).any()]
