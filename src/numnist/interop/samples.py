"""What an estimator is given: rows of features or images, labels, weights."""

from collections.abc import Sequence
from math import isqrt
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from numnist.arrays import Array

Size = tuple[int, int]
"""(H, W) of images."""


class Samples(NamedTuple):
    """What training is given: X (N, F), the size of its images if it came as images, y (N,), weights (N,)."""

    X: Array
    size: Size | None
    y: Array
    weights: Array | None

    def counted(self) -> "Samples":
        """Those that weigh anything."""
        if self.weights is None:
            return self
        some = self.weights > 0
        return Samples(self.X[some], self.size, self.y[some], self.weights[some])


def flat(X: Any) -> tuple[Any, Size | None]:
    """X without the shape of its images, and that shape; anything but images as it is."""
    if not hasattr(X, "ndim"):
        X = np.asarray(X)
    if X.ndim != 3:
        return X, None
    images = np.asarray(X)
    n, H, W = images.shape
    return images.reshape(n, H * W), (H, W)


def image_size(wanted: Any, given: Size | None, features: int) -> Size:
    """The size of the images that X of so many features are.

    wanted: `image_shape`, (H, W), or None for that of X, else a square, else one row. given: the size of X
    itself, if it came as images.
    Raises: ValueError where what is wanted does not fit.
    """
    if wanted is None:
        side = isqrt(features)
        return given or ((side, side) if side * side == features else (1, features))
    size = tuple(wanted) if isinstance(wanted, Sequence | np.ndarray) else wanted
    if size != given and (given is not None or not _is_size(size, features)):
        expected = f"two numbers whose product is {features}" if given is None else str(given)
        raise ValueError(f"image_shape: expected {expected}, as X has it, got {wanted!r}")
    H, W = size
    return int(H), int(W)


def _is_size(size: Any, features: int) -> bool:
    """Whether this is (H, W) of so many pixels."""
    whole = isinstance(size, tuple) and all(isinstance(side, Integral) and int(side) > 0 for side in size)
    return whole and len(size) == 2 and size[0] * size[1] == features
