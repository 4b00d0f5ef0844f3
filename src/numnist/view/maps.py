"""Pictures of saliency maps, of features, and of what augmentation does."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from numnist.arrays import Array
from numnist.data import Augmentation
from numnist.nn import Model
from numnist.view.figures import MUTED, SIGNED, plain
from numnist.view.saliency import last_features, methods_for


def draw_saliency(model: Model, images: Array, predictions: Array) -> Figure:
    """A row for each image: the image, and which of its pixels each method holds responsible.

    predictions: the class that each row is about, (N,). White is 0; each map has a scale of its own.
    Shapes: images (N, H, W), N >= 1.
    """
    methods = methods_for(model)
    n, classes = len(images), model.preprocess.classes
    size = (1.6 * (len(methods) + 1), 1.6 * n + 0.7)
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    grid = figure.subplots(n, len(methods) + 1, squeeze=False)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
    for row, image, k in zip(grid, images, predictions, strict=True):
        row[0].imshow(image, cmap="gray_r", interpolation="nearest")
        row[0].set_ylabel(f"why {plain(classes[k])}?", fontsize=9)
        for axes, method in zip(row[1:], methods.values(), strict=True):
            values = method(model, image, int(k))
            largest = float(np.abs(values).max()) or 1.0
            axes.imshow(values, cmap=SIGNED, norm=Normalize(-largest, largest), interpolation="nearest")
            axes.contour(image > 0, levels=[0.5], colors=MUTED, linewidths=0.4)
    for axes, name in zip(grid[0], ["image", *methods], strict=True):
        axes.set_title(name, fontsize=9)
    figure.supxlabel("purple speaks for the class, orange against it", fontsize=8)
    return figure


def principal_components(features: Array, count: int = 2) -> tuple[Array, Array]:
    """Features in the directions in which they vary most, and the share of their variance that each holds.

        X - mean = U S Vᵀ        scores = (X - mean) V        share = s² / sum of s²

    The sign of a direction is chosen so that its largest component is positive.

    Shapes: features (N, F) -> scores (N, count), shares (count,). Missing directions are zeros.
    Source: Jolliffe 2002, Principal Component Analysis, section 3.5.
    """
    X = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    _, s, Vt = np.linalg.svd(X, full_matrices=False)
    Vt = Vt[:count] * np.sign(np.take_along_axis(Vt[:count], np.abs(Vt[:count]).argmax(1)[:, None], 1))
    scores, shares = np.zeros((len(X), count)), np.zeros(count)
    scores[:, : len(Vt)] = X @ Vt.T
    shares[: len(Vt)] = s[:count] ** 2 / max(float((s**2).sum()), np.finfo(float).tiny)
    return scores, shares


def draw_embedding(model: Model, images: Array, labels: Array) -> Figure:
    """Images in the two main directions of the last layer's features: dots, and each class at its median.

    Shapes: images (N, H, W), labels (N,).
    """
    scores, shares = principal_components(last_features(model, images))
    classes = model.preprocess.classes
    figure = Figure(figsize=(8, 7), dpi=110, layout="constrained")
    axes = figure.subplots()
    colours = figure_colours(len(classes))
    for k in np.unique(labels):
        own = scores[labels == k]
        axes.scatter(own[:, 0], own[:, 1], s=9, color=colours[k], linewidths=0, alpha=0.5)
    for k in np.unique(labels):
        x, y = np.median(scores[labels == k], axis=0)
        box = {"boxstyle": "circle,pad=0.25", "facecolor": "white", "edgecolor": colours[k], "linewidth": 2}
        axes.text(x, y, plain(classes[k]), ha="center", va="center", fontsize=11, bbox=box)
    for axis, share in zip("xy", shares, strict=True):
        number = "first" if axis == "x" else "second"
        axes.set(**{f"{axis}label": f"{number} principal component ({share:.0%} of the variance)"})
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def figure_colours(n: int) -> Array:
    """As many colours as there are classes, (n, 4); the classes are written beside them too."""
    return np.asarray(mpl.colormaps["turbo"](np.linspace(0.04, 0.96, max(n, 2))))


def draw_augmentations(
    augmentation: Augmentation, images: Array, labels: Array, classes: Sequence[str], seed: int = 0
) -> Figure:
    """A row for each image: as it is, and eight times as training may see it.

    Shapes: images (N, H, W), labels (N,).
    """
    draws = 8
    n = len(images)
    figure = Figure(figsize=(1.1 * (draws + 1), 1.1 * n + 0.6), dpi=110, layout="constrained")
    grid = figure.subplots(n, draws + 1, squeeze=False)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
    rng = np.random.default_rng(seed)
    columns = [images, *(augmentation.apply(images, rng) for _ in range(draws))]
    limits = Normalize(0, max(float(images.max()), 1e-9))
    for i, row in enumerate(grid):
        row[0].set_ylabel(plain(classes[int(labels[i])]), fontsize=9, rotation=0, labelpad=9, va="center")
        for axes, column in zip(row, columns, strict=True):
            axes.imshow(column[i], cmap="gray_r", norm=limits, interpolation="nearest")
    grid[0, 0].set_title("image", fontsize=9)
    grid[0, 1].set_title("augmented", fontsize=9, loc="left")
    return figure
