"""Families of damage, each at three strengths: what a model meets outside its test set."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from numnist.arrays import Array
from numnist.data.affine import AffineParameters, affine_matrices, resample_bilinear

Damage = Callable[[Array, float, np.random.Generator], Array]
"""From grey values (N, H, W), float64 from 0 to 255, and a strength, to damaged ones."""


@dataclass(frozen=True)
class Corruption:
    """A family of damage. strengths: what `damage` is given at strength 1, 2 and 3; unit says of what."""

    name: str
    unit: str
    strengths: tuple[float, float, float]
    damage: Damage

    def __call__(self, images: Array, strength: int, rng: np.random.Generator) -> Array:
        """Damage a batch at strength 1, 2 or 3.

        Shapes: images (N, H, W) uint8 -> the same.
        Raises: ValueError for another strength or other images.
        """
        if strength not in (1, 2, 3):
            raise ValueError(f"{self.name}: expected strength 1, 2 or 3, got {strength}")
        if images.ndim != 3 or images.dtype != np.uint8:
            came = f"{images.dtype} of shape {images.shape}"
            raise ValueError(f"{self.name}: expected images (N, H, W) of uint8, got {came}")
        damaged = self.damage(images.astype(np.float64), self.strengths[strength - 1], rng)
        return np.clip(np.rint(damaged), 0, 255).astype(np.uint8)


def noise(images: Array, deviation: float, rng: np.random.Generator) -> Array:
    """Independent normal noise on every pixel, of this standard deviation."""
    return images + rng.normal(0, deviation, images.shape)


def blur(images: Array, sigma: float, rng: np.random.Generator) -> Array:  # noqa: ARG001
    """Convolution with a Gaussian of this standard deviation in pixels; beyond the border lies background."""
    height, width = images.shape[1:]
    return np.asarray(_gaussian(height, sigma) @ images @ _gaussian(width, sigma))


def _gaussian(length: int, sigma: float) -> Array:
    """The matrix [i, j] of the weight of pixel j in pixel i, along one axis."""
    reach = math.ceil(8 * sigma)  # beyond that there is nothing
    total = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2)).sum()
    i = np.arange(length)
    return np.asarray(np.exp(-((i[:, np.newaxis] - i) ** 2) / (2 * sigma**2)) / total)


def shift(images: Array, pixels: float, rng: np.random.Generator) -> Array:
    """By so many pixels in a random direction."""
    angle = rng.uniform(0, 2 * np.pi, len(images))
    return _mapped(images, dx=pixels * np.cos(angle), dy=pixels * np.sin(angle))


def rotation(images: Array, degrees: float, rng: np.random.Generator) -> Array:
    """By this angle, to either side."""
    return _mapped(images, rotation=degrees * _either(len(images), rng))


def scale(images: Array, factor: float, rng: np.random.Generator) -> Array:
    """Enlarged or shrunk by this factor."""
    return _mapped(images, scale=factor ** _either(len(images), rng))


def occlusion(images: Array, side: float, rng: np.random.Generator) -> Array:
    """A square of background of this side in pixels, its place random."""
    n, height, width = images.shape
    top, left = (rng.integers(0, max(1, length - int(side) + 1), n) for length in (height, width))
    i, j = np.arange(height), np.arange(width)
    rows = (i >= top[:, np.newaxis]) & (i < top[:, np.newaxis] + side)
    columns = (j >= left[:, np.newaxis]) & (j < left[:, np.newaxis] + side)
    return np.where(rows[:, :, np.newaxis] & columns[:, np.newaxis], 0, images)


def contrast(images: Array, factor: float, rng: np.random.Generator) -> Array:  # noqa: ARG001
    """Every grey value times this factor: pale ink."""
    return factor * images


def inversion(images: Array, share: float, rng: np.random.Generator) -> Array:  # noqa: ARG001
    """So much of the way from white on black to black on white."""
    return images + share * (255 - 2 * images)


CORRUPTIONS = {
    corruption.name: corruption
    for corruption in (
        Corruption("noise", "standard deviation in grey levels", (32, 64, 96), noise),
        Corruption("blur", "standard deviation in pixels", (0.7, 1.2, 1.8), blur),
        Corruption("shift", "pixels", (2, 4, 6), shift),
        Corruption("rotation", "degrees", (15, 30, 45), rotation),
        Corruption("scale", "factor", (1.2, 1.4, 1.7), scale),
        Corruption("occlusion", "pixels", (6, 9, 12), occlusion),
        Corruption("contrast", "factor", (0.5, 0.25, 0.1), contrast),
        Corruption("inversion", "share", (0.3, 0.6, 1.0), inversion),
    )
}
"""The families by name."""


def _either(n: int, rng: np.random.Generator) -> Array:
    """-1 or 1 for each image."""
    return rng.choice([-1.0, 1.0], n)


def _mapped(images: Array, **changed: Array) -> Array:
    """The images under affine maps, neutral but for what is given."""
    n, height, width = images.shape
    parameters = AffineParameters.neutral(n)._replace(**changed)
    return resample_bilinear(images, affine_matrices(parameters, height, width))
