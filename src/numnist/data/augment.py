"""Augmentation of whole batches: one affine map per image, one bilinear resampling for all of its parts."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from numnist.arrays import Array

Range = tuple[float, float]

NEUTRAL = {"rotation": 0.0, "translation": 0.0, "scale": 1.0, "shear": 0.0}
"""The ranges of an augmentation, with the value that changes nothing."""

# Beyond these an augmentation is a slip of the pen; within them no coordinate overflows float32.
_LIMITS = {
    "rotation": (-360, 360),
    "translation": (-10_000, 10_000),
    "scale": (0.01, 100),
    "shear": (-89, 89),
}
_PIXELS_AT_ONCE = 2**15


class AffineParameters(NamedTuple):
    """What is done to each of N images. Fields (N,), units as in `Augmentation`, flips bool."""

    rotation: Array
    dx: Array
    dy: Array
    scale: Array
    shear: Array
    horizontal_flip: Array
    vertical_flip: Array


@dataclass(frozen=True)
class Augmentation:
    """Random affine maps: what is drawn for each image, within (low, high), uniformly.

    rotation: degrees about the image's centre; positive is counter-clockwise as seen on the screen.
    translation: pixels, drawn for x (positive is to the right) and for y (positive is downwards).
    scale: factor; above 1 enlarges.
    shear: degrees; positive leans to the right like an italic.
    ..._probability: how likely an image is to be rotated (translated, ...) at all.
    horizontal_flip, vertical_flip: how likely left and right (top and bottom) are exchanged.

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

    def __post_init__(self) -> None:
        for name, (least, most) in _LIMITS.items():
            low, high = self._range(name)
            if not least <= low <= high <= most:  # also false for NaN
                raise ValueError(f"{name}: expected {least} <= low <= high <= {most}, got ({low}, {high})")
        for name in (*(f"{name}_probability" for name in _LIMITS), "horizontal_flip", "vertical_flip"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: expected a probability from 0 to 1, got {getattr(self, name)}")

    def _range(self, name: str) -> Range:
        low, high = getattr(self, name)
        return low, high

    @property
    def is_identity(self) -> bool:
        """Whether no draw can change an image."""
        return self.horizontal_flip == self.vertical_flip == 0 and all(
            self._range(name) == (neutral, neutral) or getattr(self, f"{name}_probability") == 0
            for name, neutral in NEUTRAL.items()
        )

    def draw(self, n: int, rng: np.random.Generator) -> AffineParameters:
        """Draw the parameters of n images.

        One call `rng.random((n, 11))`: a row per image, with the columns rotation, whether to rotate, x, y,
        whether to translate, scale, whether to scale, shear, whether to shear, horizontal flip, vertical
        flip. All are drawn whatever the probabilities, so no setting shifts the draws of another; and image i
        gets the same in a batch of any size.
        """
        u = rng.random((n, 11)).T

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

    def apply(self, images: Array, rng: np.random.Generator) -> Array:
        """Augment a batch: `draw`, `affine_matrices`, `resample_bilinear`.

        The identity draws nothing and returns the images' values as they are.

        Shapes: images (N, H, W) -> (N, H, W), float64 for float64 images, float32 for uint8 and float32,
                in the images' grey scale.
        Raises: ValueError unless images has three axes.
        """
        if images.ndim != 3:
            raise ValueError(f"Augmentation: expected images of shape (N, H, W), got {images.shape}")
        if self.is_identity:
            return images.astype(_sampled_dtype(images))
        n, height, width = images.shape
        return resample_bilinear(images, affine_matrices(self.draw(n, rng), height, width))


def affine_matrices(parameters: AffineParameters, height: int, width: int) -> Array:
    """For each image the map from a pixel of the result to the point of the original that it shows.

    An image is flipped (F), scaled by s, sheared by φ (K) and turned by θ (R), all about its centre
    c = ((W-1)/2, (H-1)/2), and moved by t = (dx, dy). With x to the right and y downwards, a point p moves to

        q = c + t + R K s F (p - c)

        R = |  cos θ  sin θ |    K = | 1  -tan φ |    F = | ±1   0 |    minus where flipped
            | -sin θ  cos θ |        | 0    1    |        |  0  ±1 |

    and what is returned is the inverse, p = A q + b, with

        A = 1/s F K⁻¹ R⁻¹ = 1/s F | cos θ + tan φ sin θ   -sin θ + tan φ cos θ |
                                  |        sin θ                  cos θ        |
        b = c - A (c + t)

    Shapes: parameters (N,) each -> (N, 2, 3), float64, each matrix [A b].
    Source: R. Hartley, A. Zisserman, "Multiple View Geometry", 2nd ed., section 2.4.3 (affine maps).
    """
    cos, sin = np.cos(np.deg2rad(parameters.rotation)), np.sin(np.deg2rad(parameters.rotation))
    tan = np.tan(np.deg2rad(parameters.shear))
    x_factor = np.where(parameters.horizontal_flip, -1.0, 1.0) / parameters.scale
    y_factor = np.where(parameters.vertical_flip, -1.0, 1.0) / parameters.scale
    c_x, c_y = (width - 1) / 2, (height - 1) / 2

    matrices = np.empty((len(cos), 2, 3))
    matrices[:, 0, 0] = x_factor * (cos + tan * sin)
    matrices[:, 0, 1] = x_factor * (tan * cos - sin)
    matrices[:, 1, 0] = y_factor * sin
    matrices[:, 1, 1] = y_factor * cos
    moved = np.stack([c_x + parameters.dx, c_y + parameters.dy], axis=-1)
    matrices[:, :, 2] = (c_x, c_y) - np.einsum("nij,nj->ni", matrices[:, :, :2], moved)
    return matrices


def resample_bilinear(images: Array, matrices: Array) -> Array:
    """Sample every image at affinely mapped points, between its pixels bilinearly, outside it 0.

        (x, y) = A (j, i) + b                     for the pixel in row i, column j of the result
        u, v = floor(x), floor(y);  α, β = x - u, y - v
        r[n,i,j] = (1-β) ((1-α) I[v,u] + α I[v,u+1]) + β ((1-α) I[v+1,u] + α I[v+1,u+1])

    where I is image n with 0 outside. No image depends on the others of its batch: a slice of the result is,
    bit for bit, the result of the slices.

    Shapes: images (N, H, W), matrices [A b] (N, 2, 3) -> (N, H, W), float64 for float64 images, float32 for
            uint8 and float32.
    Raises: ValueError when the shapes do not fit.
    """
    if images.ndim != 3 or matrices.shape != (len(images), 2, 3):
        shapes = f"{images.shape} and {matrices.shape}"
        raise ValueError(f"resample_bilinear: expected images (N, H, W) and matrices (N, 2, 3), got {shapes}")
    result = np.empty(images.shape, _sampled_dtype(images))
    # A few images at a time: what is computed on the way stays in the processor's cache. Twice as fast.
    block = max(1, _PIXELS_AT_ONCE // max(1, images[:1].size))
    for start in range(0, len(images), block):
        part = slice(start, start + block)
        result[part] = _resample_block(images[part], matrices[part], result.dtype.type)
    return result


def _sampled_dtype(images: Array) -> np.dtype[np.floating]:
    """float32, or wider where the images' values need it."""
    return np.result_type(images.dtype, np.float32)


def _resample_block(images: Array, matrices: Array, dtype: type[np.floating]) -> Array:
    n, height, width = images.shape
    # A row and column of zeros before the image and two behind it: points outside are moved there, and so all
    # four neighbours of every point exist. From here on coordinates are those of the padded image.
    padded = np.zeros((n, height + 3, width + 3), dtype)
    padded[:, 1:-2, 1:-2] = images
    m = matrices.astype(dtype)[..., np.newaxis, np.newaxis]
    i, j = np.arange(height, dtype=dtype)[:, np.newaxis], np.arange(width, dtype=dtype)
    x = m[:, 0, 0] * j + (m[:, 0, 1] * i + (m[:, 0, 2] + 1))
    y = m[:, 1, 0] * j + (m[:, 1, 1] * i + (m[:, 1, 2] + 1))
    np.clip(x, 0, width + 1, out=x)
    np.clip(y, 0, height + 1, out=y)

    # The conversion rounds towards zero, which is floor for what is not negative.
    u, v = x.astype(np.int32), y.astype(np.int32)
    x -= u  # now α
    y -= v  # now β
    row = width + 3
    index = v * row + u + np.arange(n, dtype=np.intp)[:, np.newaxis, np.newaxis] * ((height + 3) * row)
    pixels = padded.reshape(-1)
    upper = _between(pixels.take(index), pixels.take(index + 1), x)
    index += row
    lower = _between(pixels.take(index), pixels.take(index + 1), x)
    return _between(upper, lower, y)


def _between(first: Array, second: Array, fraction: Array) -> Array:
    """(1 - fraction) first + fraction second, computed in the memory of `second`."""
    second -= first
    second *= fraction
    second += first
    return second
