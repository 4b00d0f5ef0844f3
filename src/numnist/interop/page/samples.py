"""Sample digits as a pen writes them: strokes of the skeletons that the built-in digits are drawn from."""

from itertools import chain, zip_longest

import numpy as np

from numnist.data.skeletons import catmull_rom
from numnist.data.strokes import STYLES, Style

PER_DIGIT = 4

POINTS = 24
"""Points on a whole digit: the pen's curve through them is smooth again."""

Strokes = list[list[int]]
"""Each stroke is x, y, x, y, ... in hundredths of the digit's height."""


def sample_strokes() -> dict[str, list[Strokes]]:
    """Of each digit a few samples, by its name: of its styles, the frequent ones first, shape by shape."""
    samples = {}
    for digit in range(10):
        styles = sorted((s for s in STYLES if s.digit == digit), key=lambda style: -style.weight)
        rounds = zip_longest(*([(style, shape) for shape in range(len(style.shapes))] for style in styles))
        order = [each for each in chain.from_iterable(rounds) if each is not None]
        samples[str(digit)] = [_strokes(style, shape) for style, shape in order[:PER_DIGIT]]
    return samples


def _strokes(style: Style, shape: int) -> Strokes:
    """One sample; strokes that hang together become one, since the pen stays on the paper."""
    points = style.points[shape]
    lengths = [np.linalg.norm(np.diff(points[list(s)], axis=0), axis=1).sum() for s in style.strokes]
    strokes: Strokes = []
    for number, stroke in enumerate(style.strokes):
        segments = max(2, round(POINTS * lengths[number] / sum(lengths)))
        curve = np.rint(100 * catmull_rom(len(stroke), segments) @ points[list(stroke)]).astype(int)
        if number and stroke[0] == style.strokes[number - 1][-1]:
            strokes[-1] += curve[1:].reshape(-1).tolist()
        else:
            strokes.append(curve.reshape(-1).tolist())
    return strokes
