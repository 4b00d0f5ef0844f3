"""What a page looks like without its ink: which of dark and light is ink, and how the light falls."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from numnist.arrays import Array
from numnist.data.normalise import area_resize

_VOTING_SIDE = 32
_SURFACE_SIDE = 64
_CLOSING_SIDE = 256
_STROKE = 0.4
"""Strokes are narrower than this share of the picture's side, shadows and patches of light are wider."""
_DARKEST_PAPER = 8.0
_LIGHT_INK = 0.3
_BRIGHT = 0.9


def block_means(image: Array, longest: int) -> Array:
    """Means of k x k pixels, k the smallest factor that leaves no side longer than `longest`.

    What does not fill a block at the right and at the bottom is left out, unless nothing else is there.
    Shapes: image (H, W) -> (max(1, H // k), max(1, W // k)), float64.
    """
    k = -(-max(image.shape) // longest)
    height, width = (max(1, side // k) for side in image.shape)
    whole = image[: height * k, : width * k]
    if whole.shape != (height * k, width * k):  # a side shorter than one block
        return area_resize(whole, height, width)
    means: Array = whole.reshape(height, k, width, k).mean(axis=(1, 3), dtype=np.float64)
    return means


def otsu_threshold(values: Array) -> float:
    """The threshold t between two classes that lie as far apart as possible.

        maximise over t:   n₀ n₁ (μ₁ - μ₀)²,   class 0: values <= t, class 1: values > t

    n and μ are the classes' sizes and means. Every gap between sorted values is tried, and t is its middle.

    Shapes: values (n,), at least two different ones.
    Source: N. Otsu, "A threshold selection method from gray-level histograms", IEEE SMC 9, 1979.
    """
    ordered = np.sort(values)
    n_0 = np.arange(1, len(ordered))
    n_1 = len(ordered) - n_0
    below = np.cumsum(ordered)
    means_apart = (below[-1] - below[:-1]) / n_1 - below[:-1] / n_0
    best = int(np.argmax(n_0 * n_1 * means_apart**2))
    return float((ordered[best] + ordered[best + 1]) / 2)


def ink_is_light(picture: Array) -> bool:
    """Whether light ink stands on a dark page, rather than dark ink on a light one.

    Ink covers the smaller part of a page, and still less of its border. So the two classes of Otsu's
    threshold vote: light ink where the light class has less than half of the area and of the border,

        1 - (share of light pixels) - (share of light border pixels),

    summed over the picture as it is and over the picture minus its local median, where no shadow is taken for
    ink. The first alone fails in hard shadows, the second in crops so tight that ink fills half of them. The
    sum lies between -2 and 2, with ink beyond ±0.6, on blank pages within ±0.3: up to 0.3 the ink is dark.

    Shapes: picture (H, W), not constant.
    """
    small = block_means(picture, _VOTING_SIDE)
    a, b = (max(1, side // 4) for side in small.shape)
    windows = sliding_window_view(np.pad(small, ((a, a), (b, b)), mode="symmetric"), (2 * a + 1, 2 * b + 1))
    evidence = 0.0
    for image in (small, small - np.median(windows, axis=(2, 3))):
        if np.ptp(image) > 0:
            light = image > otsu_threshold(image.ravel())
            evidence += 1 - light.mean() - border(light).mean()
    return bool(evidence > _LIGHT_INK)


def paper(picture: Array) -> Array:
    """How bright the page would be at each pixel of a picture of dark ink, without the ink.

    A smooth surface takes the fall of the light: s = a + bx + cy + dx² + exy + fy², the quadratic that has
    0.9 of the picture below it (a quantile regression, for which ink and the edge of a table are outliers).
    Then a closing (the maximum over a window, of that the minimum over a window) of picture / s fills every
    dark thing narrower than the window, which is 0.4 of the picture's side, √(H W), and leaves the edges of
    wider shadows where they are.

    Shapes: picture (H, W), 0 black -> (H, W), at least 8.
    Source: J. Serra, "Image Analysis and Mathematical Morphology", 1982 (closing); R. Koenker, G. Bassett,
            "Regression quantiles", Econometrica 46, 1978.
    """
    small = block_means(picture, _CLOSING_SIDE)
    surface = np.maximum(_surface(small), _DARKEST_PAPER)
    half = max(1, round(_STROKE / 2 * np.sqrt(small.size)))
    closed = np.minimum(_closing(small, half), _closing(small / surface, half) * surface)
    height, width = picture.shape
    rows, columns = _between(small.shape[0], height), _between(small.shape[1], width)
    result: Array = np.maximum(rows @ closed @ columns.T, _DARKEST_PAPER)
    return result


def border(image: Array) -> Array:
    """The outermost pixels of an image (H, W), in a row."""
    return np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])


def _closing(image: Array, half: int) -> Array:
    result: Array = -running_maximum(-running_maximum(image, half), half)
    return result


def _surface(image: Array) -> Array:
    """The quadratic surface of `paper`, by iteratively reweighted least squares.

    Each round weighs a pixel by 0.9 (above the surface) or 0.1 (below) / max(|residual|, 1).
    """
    small = block_means(image, _SURFACE_SIDE)
    terms = _quadratic_terms(*small.shape)
    values, weights = small.ravel(), np.ones(small.size)
    for _ in range(10):
        root = np.sqrt(weights)
        coefficients = np.linalg.lstsq(terms * root[:, np.newaxis], values * root, rcond=None)[0]
        residual = values - terms @ coefficients
        weights = np.where(residual > 0, _BRIGHT, 1 - _BRIGHT) / np.maximum(np.abs(residual), 1)
    surface: Array = _quadratic_terms(*image.shape) @ coefficients
    return surface.reshape(image.shape)


def _quadratic_terms(height: int, width: int) -> Array:
    """1, x, y, x², xy, y² at each pixel, (H W, 6), both coordinates from -1 to 1."""
    y = (2 * np.arange(height)[:, np.newaxis] + 1) / height - 1
    x = (2 * np.arange(width) + 1) / width - 1
    ones = np.ones((height, width))
    return np.stack([ones, x * ones, y * ones, x * x * ones, x * y, y * y * ones], axis=-1).reshape(-1, 6)


def running_maximum(image: Array, half: int) -> Array:
    """The maximum over 2 half + 1 rows and columns around each pixel, as much of them as there is.

    Doubling the reach of a maximum until it fills the window takes log2(2 half + 1) passes.
    Shapes: image (H, W) -> (H, W).
    """
    for axis in (0, 1):
        padding = [(half, half) if a == axis else (0, 0) for a in (0, 1)]
        running = np.moveaxis(np.pad(image, padding, constant_values=-np.inf), axis, 0)
        reach = 1
        while reach < 2 * half + 1:
            step = min(reach, 2 * half + 1 - reach)
            running = np.maximum(running[:-step], running[step:])
            reach += step
        image = np.moveaxis(running, 0, axis)
    return image


def _between(old: int, new: int) -> Array:
    """The matrix (new, old) of linear interpolation between pixel centres, constant beyond the outermost."""
    position = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    weights: Array = np.maximum(1 - np.abs(position[:, np.newaxis] - np.arange(old)), 0)
    return weights
