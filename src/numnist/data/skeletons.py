"""The styles of `strokes` as arrays: the curves of the strokes, and how often each style comes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from numnist.arrays import Array
from numnist.data.strokes import STYLES, Style

SEGMENTS = 32
"""Line segments that a skeleton is drawn with, divided among its strokes by their length."""


@dataclass(frozen=True)
class Skeletons:
    """The styles as arrays, with K the most points and E the most shapes of any style.

    The strokes' curves are uniform Catmull-Rom splines, linear in their control points: the segments of a
    style with points c begin in `begin @ c` and end in `end @ c`.

    Shapes: digit, weight (styles,); shapes (styles, E, K, 2), 0 where there are fewer;
            exists (styles, E), which of the shapes are there; begin, end (styles, SEGMENTS, K).
    Source: Catmull & Rom 1974, A class of local interpolating splines.
    """

    digit: Array
    weight: Array
    shapes: Array
    exists: Array
    begin: Array
    end: Array


@cache
def skeletons() -> Skeletons:
    """All that this package knows to write."""
    return as_arrays(STYLES)


def reweighted(skeleton: Skeletons, weights: Mapping[int, Sequence[float]]) -> Skeletons:
    """The same skeletons, but for how often the styles of some digits come; see `synthetic_digits`."""
    changed = skeleton.weight.copy()
    for digit, values in weights.items():
        styles = skeleton.digit == digit
        if len(values) != styles.sum() or not all(value >= 0 for value in values) or not sum(values) > 0:
            raise ValueError(f"synthetic_digits: expected {styles.sum()} weights for {digit}, got {values}")
        changed[styles] = values
    return replace(skeleton, weight=changed)


def as_arrays(styles: Sequence[Style]) -> Skeletons:
    """The arrays of these styles."""
    all_points = [style.points for style in styles]
    S, E, K = len(styles), max(len(p) for p in all_points), max(p.shape[1] for p in all_points)
    shapes, exists = np.zeros((S, E, K, 2)), np.zeros((S, E), bool)
    begin, end = np.zeros((S, SEGMENTS, K)), np.zeros((S, SEGMENTS, K))
    for s, (style, points) in enumerate(zip(styles, all_points, strict=True)):
        shapes[s, : len(points), : points.shape[1]] = points
        exists[s, : len(points)] = True
        begin[s], end[s] = _segments(style, points[0], K)
    digit = np.array([style.digit for style in styles])
    return Skeletons(digit, np.array([style.weight for style in styles]), shapes, exists, begin, end)


def _segments(style: Style, points: Array, K: int) -> tuple[Array, Array]:
    """The matrices `begin` and `end` of a style; `points` say how long its strokes are."""
    lengths = np.array(
        [np.linalg.norm(np.diff(points[list(stroke)], axis=0), axis=1).sum() for stroke in style.strokes]
    )
    share = np.cumsum(lengths) / lengths.sum()
    counts = np.diff(np.rint(share * SEGMENTS).astype(int), prepend=0)
    curves = [
        catmull_rom(len(stroke), count) @ np.eye(K)[list(stroke)]
        for stroke, count in zip(style.strokes, counts, strict=True)
    ]
    return np.concatenate([c[:-1] for c in curves]), np.concatenate([c[1:] for c in curves])


def catmull_rom(points: int, segments: int) -> Array:
    """The matrix from a curve's control points to `segments` + 1 points on it, the parameter evenly spaced.

        p(k + u) = (2u³ - 3u² + 1) c_k + (u³ - 2u² + u) m_k + (3u² - 2u³) c_k+1 + (u³ - u²) m_k+1

    where m_k = (c_k+1 - c_k-1) / 2, at either end the difference to the only neighbour.

    Shapes: -> (segments + 1, points), float64.
    Source: Catmull & Rom 1974, A class of local interpolating splines.
    """
    c = np.eye(points)
    m = np.gradient(c, axis=0)
    t = np.linspace(0, points - 1, segments + 1)
    k = np.minimum(t.astype(int), points - 2)
    u = (t - k)[:, np.newaxis]
    return np.asarray(
        (2 * u**3 - 3 * u**2 + 1) * c[k]
        + (u**3 - 2 * u**2 + u) * m[k]
        + (3 * u**2 - 2 * u**3) * c[k + 1]
        + (u**3 - u**2) * m[k + 1]
    )
