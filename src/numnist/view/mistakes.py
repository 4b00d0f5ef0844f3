"""Images that a model took for something else, with what it thought of them."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from numnist.arrays import Array
from numnist.view.figures import MUTED, RIGHT, WRONG, plain

COLUMNS = 6
SHOWN = 3
"""How many classes are named beside each image: the most probable ones, and the label."""


def worst_mistakes(probabilities: Array, labels: Array, count: int) -> Array:
    """The images taken for something else, those first whose label was held least probable; at most `count`.

    Shapes: probabilities (N, K), labels (N,) -> indices.
    """
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    order = np.argsort(probabilities[wrong, labels[wrong]], kind="stable")
    return np.asarray(wrong[order][:count])


def draw_mistakes(
    images: Array,
    labels: Array,
    probabilities: Array,
    classes: Sequence[str],
    captions: Sequence[str] = (),
) -> Figure:
    """A grid: each image with bars for its most probable classes and, in blue, for its label.

    captions: a line above each image; none where empty.
    Shapes: images (N, H, W), labels (N,), probabilities (N, K).
    Raises: ValueError when there is no image, or the arrays do not belong together.
    """
    n = len(images)
    if n == 0 or len(labels) != n or len(probabilities) != n or len(captions) not in (0, n):
        counts = ", ".join(str(len(each)) for each in (images, labels, probabilities, captions))
        raise ValueError(f"draw_mistakes: expected one image or more and as many of all else, got {counts}")
    columns = min(COLUMNS, n)
    rows = -(-n // columns)
    figure = Figure(figsize=(2.0 * columns, 1.35 * rows), dpi=110, layout="constrained")
    grid = figure.subplots(rows, 2 * columns, squeeze=False, width_ratios=[1.1, 1] * columns)
    for axes in grid.flat:
        axes.axis("off")
    for i in range(n):
        row, column = divmod(i, columns)
        picture, bars = grid[row, 2 * column], grid[row, 2 * column + 1]
        picture.imshow(images[i], cmap="gray_r", interpolation="nearest")
        if captions:
            picture.set_title(plain(captions[i]), fontsize=7, color=MUTED, loc="left", pad=2)
        named = _named(probabilities[i], int(labels[i]))
        positions = np.arange(len(named))
        colours = [RIGHT if k == labels[i] else WRONG for k in named]
        bars.barh(positions, probabilities[i][named], color=colours, height=0.7)
        for position, k in zip(positions, named, strict=True):
            bars.text(-0.06, position, plain(classes[k]), ha="right", va="center", fontsize=8)
            bars.text(
                probabilities[i][k] + 0.04, position, f"{probabilities[i][k]:.0%}", va="center", fontsize=6
            )
        bars.set_xlim(-0.2, 1.5)
        bars.set_ylim(SHOWN + 0.7, -0.8)
    return figure


def _named(probabilities: Array, label: int) -> list[int]:
    """The classes to show: the most probable ones, and the label if it is not among them."""
    order = [int(k) for k in np.argsort(-probabilities, kind="stable")[:SHOWN]]
    return order if label in order else [*order, label]
