"""What a network makes of one image, layer by layer."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from numnist.arrays import Array
from numnist.nn import Flatten, Model
from numnist.ops import softmax
from numnist.view.figures import LARGE, MUTED, RIGHT, plain
from numnist.view.trace import Stop, trace

MOST = 16
"""How many channels of a layer are shown."""


def draw_activations(model: Model, image: Array) -> Figure:
    """One image through all layers: a row of maps for each, of features a strip, and the probabilities.

    Each map has a scale of its own: what it shows is where, not how much. Of many channels the first `MOST`.

    Shapes: image (H, W) as the model was trained on.
    """
    *before, last = trace(model, image)
    stops = [*(stop for stop in before if not isinstance(stop.layer, Flatten)), last]
    rows = len(stops) + 1
    figure = Figure(figsize=(13, 0.95 * rows + 1.3), dpi=110, layout="constrained")
    places = figure.add_gridspec(rows, MOST + 1)
    grid = places.subplots(squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    _name(grid[0, 0], "image", image.shape)
    grid[0, 1].imshow(image, cmap="gray_r", interpolation="nearest")
    for number, (row, stop) in enumerate(zip(grid[1:], stops, strict=True), start=1):
        _name(row[0], f"{stop.position} {type(stop.layer).__name__}", stop.values.shape)
        if stop is stops[-1]:
            _draw_probabilities(figure.add_subplot(places[number, 1:]), stop, model.preprocess.classes)
        elif stop.values.ndim == 3:
            for axes, channel in zip(row[1:], stop.values, strict=False):
                axes.imshow(channel, cmap=LARGE, interpolation="nearest")
        else:
            strip = figure.add_subplot(places[number, 1:])
            strip.axis("off")
            strip.imshow(stop.values[None], cmap=LARGE, aspect="auto", interpolation="nearest")
    return figure


def _name(axes: Axes, what: str, shape: tuple[int, ...]) -> None:
    axes.text(1, 0.6, what, ha="right", va="center", fontsize=8, transform=axes.transAxes)
    size = " × ".join(map(str, shape))
    axes.text(1, 0.25, size, ha="right", va="center", fontsize=7, color=MUTED, transform=axes.transAxes)


def _draw_probabilities(axes: Axes, stop: Stop, classes: Sequence[str]) -> None:
    p = softmax.forward(stop.values[None].astype(np.float64))[0][0]
    axes.bar(range(len(p)), p, color=RIGHT)
    axes.set_xticks(range(len(p)), [plain(name) for name in classes], fontsize=7)
    axes.set_ylim(0, 1)
    axes.set_ylabel("probability", fontsize=7)
    axes.set_xlabel("class", fontsize=7)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
