"""Augmentation of whole batches: one map per image, one bilinear resampling for all of its parts."""

from dataclasses import dataclass

import numpy as np

from numnist.arrays import Array
from numnist.data.affine import (
    AffineParameters,
    affine_matrices,
    resample_bilinear,
    sampled_dtype,
    within_margins,
)
from numnist.data.elastic import elastic_displacement
from numnist.data.erasing import erase

Range = tuple[float, float]

NEUTRAL = {"rotation": 0.0, "translation": 0.0, "scale": 1.0, "shear": 0.0}
"""The affine ranges of an augmentation, with the value that changes nothing."""

# Beyond these an augmentation is a slip of the pen; within them no coordinate overflows float32.
_LIMITS = {
    "rotation": (-360, 360),
    "translation": (-10_000, 10_000),
    "scale": (0.01, 100),
    "shear": (-89, 89),
    "erasing_area": (0, 1),
}
_ELASTIC_LIMITS = {"elastic": (0, 100), "elastic_smoothness": (0.5, 100)}
_PROBABILITIES = ("horizontal_flip", "vertical_flip", "erasing")


@dataclass(frozen=True)
class Augmentation:
    """Random maps and erasing: what is drawn for each image, within (low, high), uniformly.

    rotation: degrees about the image's centre; positive is counter-clockwise as seen on the screen.
    translation: pixels, drawn for x (positive is to the right) and for y (positive is downwards).
    scale: factor; above 1 enlarges.
    shear: degrees; positive leans to the right like an italic.
    ..._probability: how likely an image is to be rotated (translated, ...) at all.
    horizontal_flip, vertical_flip: how likely left and right (top and bottom) are exchanged.
    keep_ink: shift no further than leaves every pixel that is not 0 inside (see `within_margins`);
    elastic deformation comes on top of that.
    elastic: standard deviation of a smooth displacement of each pixel, in pixels.
    elastic_smoothness: in pixels, of that displacement (see `elastic_displacement`).
    erasing: how likely a rectangle of the image is set to 0 (see `erase`).
    erasing_area: share of the image that such a rectangle covers.

    Raises: ValueError that names the field for a range or probability out of bounds.
    """

    rotation: Range = (0.0, 0.0)
    rotation_probability: float = 1.0
    translation: Range = (0.0, 0.0)
    translation_probability: float = 1.0
    scale: Range = (1.0, 1.0)
    scale_probability: float = 1.0
    shear: Range = (0.0, 0.0)
    shear_probability: float = 1.0
    horizontal_flip: float = 0.0
    vertical_flip: float = 0.0
    keep_ink: bool = False
    elastic: float = 0.0
    elastic_smoothness: float = 4.0
    erasing: float = 0.0
    erasing_area: Range = (0.02, 0.2)

    def __post_init__(self) -> None:
        for name, (least, most) in _LIMITS.items():
            low, high = self._range(name)
            if not least <= low <= high <= most:  # also false for NaN
                raise ValueError(f"{name}: expected {least} <= low <= high <= {most}, got ({low}, {high})")
        for name in (*(f"{name}_probability" for name in NEUTRAL), *_PROBABILITIES):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: expected a probability from 0 to 1, got {getattr(self, name)}")
        for name, (least, most) in _ELASTIC_LIMITS.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name}: expected {least} to {most} pixels, got {getattr(self, name)}")

    def _range(self, name: str) -> Range:
        low, high = getattr(self, name)
        return low, high

    @property
    def is_affine(self) -> bool:
        """Whether a draw can turn, move, stretch or flip an image."""
        return not (self.horizontal_flip == self.vertical_flip == 0) or any(
            self._range(name) != (neutral, neutral) and getattr(self, f"{name}_probability") > 0
            for name, neutral in NEUTRAL.items()
        )

    @property
    def is_identity(self) -> bool:
        """Whether no draw can change an image."""
        return not (self.is_affine or self.elastic or self.erasing)

    def draw(self, n: int, rng: np.random.Generator, start: int = 0) -> AffineParameters:
        """Draw the parameters of n images; those of images before `start` are drawn and thrown away.

        One call `rng.random((n, 11))`: a row per image, with the columns rotation, whether to rotate, x, y,
        whether to translate, scale, whether to scale, shear, whether to shear, horizontal flip, vertical
        flip. All are drawn whatever the probabilities, so no setting shifts the draws of another; and image i
        gets the same in a batch of any size.
        """
        u = rng.random((start + n, 11))[start:].T

        def ranged(name: str, value: Array, gate: Array) -> Array:
            low, high = self._range(name)
            met = gate < getattr(self, f"{name}_probability")
            return np.where(met, low + (high - low) * value, NEUTRAL[name])

        return AffineParameters(
            rotation=ranged("rotation", u[0], u[1]),
            dx=ranged("translation", u[2], u[4]),
            dy=ranged("translation", u[3], u[4]),
            scale=ranged("scale", u[5], u[6]),
            shear=ranged("shear", u[7], u[8]),
            horizontal_flip=u[9] < self.horizontal_flip,
            vertical_flip=u[10] < self.vertical_flip,
        )

    def apply(
        self, images: Array, rng: np.random.Generator, batch: int | None = None, start: int = 0
    ) -> Array:
        """Augment a batch: `draw`, `within_margins`, `elastic_displacement`, `resample_bilinear`, `erase`.

        Elastic deformation and erasing draw from children of `rng`, so neither shifts the draws of another.
        The identity draws nothing and returns the images' values as they are.

        batch, start: where the images are those of a larger batch from `start` on: what comes of them is, bit
        for bit, what would come of them there.
        Shapes: images (N, H, W) -> (N, H, W), float64 for float64 images, float32 for uint8 and float32,
                in the images' grey scale.
        Raises: ValueError unless images has three axes.
        """
        if images.ndim != 3:
            raise ValueError(f"Augmentation: expected images of shape (N, H, W), got {images.shape}")
        if self.is_identity:
            return images.astype(sampled_dtype(images))
        n, height, width = images.shape
        for_elastic, for_erasing = rng.spawn(2)
        displacement = None
        if self.elastic:
            displacement = elastic_displacement(
                n, (height, width), self.elastic, self.elastic_smoothness, for_elastic, batch, start
            )
        if self.is_affine or self.elastic:
            parameters = self.draw(n, rng, start)
            if self.keep_ink:
                parameters = within_margins(images, parameters)
            matrices = affine_matrices(parameters, height, width)
            images = resample_bilinear(images, matrices, displacement)
        if self.erasing:
            images = images.astype(sampled_dtype(images))
            images = erase(images, self.erasing, self.erasing_area, for_erasing, batch, start)
        return images
