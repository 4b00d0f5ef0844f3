"""Test-time augmentation: an image looked at several times, each time a little differently."""

from collections.abc import Iterator

import numpy as np

from numnist.arrays import Array
from numnist.data import AffineParameters, affine_matrices, resample_bilinear

SHIFT = 1.0
"""Pixels by which a view is moved."""

ANGLE = 6.0
"""Degrees by which a view is turned."""


def views(images: Array) -> Iterator[Array]:
    """The images as they are, moved to each side, up and down, and turned either way: seven batches.

    Shapes: images (N, H, W) -> (N, H, W) each, float32 for bytes.
    """
    n, height, width = images.shape
    for rotation, dx, dy in _maps():
        changed = {"rotation": np.full(n, rotation), "dx": np.full(n, dx), "dy": np.full(n, dy)}
        parameters = AffineParameters.neutral(n)._replace(**changed)
        yield resample_bilinear(images, affine_matrices(parameters, height, width))


def _maps() -> list[tuple[float, float, float]]:
    """Rotation, and translation in x and y, of each view."""
    moved = [(0.0, SHIFT * x, SHIFT * y) for x, y in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))]
    return [*moved, (ANGLE, 0.0, 0.0), (-ANGLE, 0.0, 0.0)]
