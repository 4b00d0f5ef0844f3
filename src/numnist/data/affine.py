"""Affine maps of whole batches, and the one resampling that shows what they did."""

from typing import NamedTuple

import numpy as np

from numnist.arrays import Array

_PIXELS_AT_ONCE = 2**15
_FAR = 1e6  # pixels; further than any shift, so that an image without ink may be moved as one likes


class AffineParameters(NamedTuple):
    """What is done to each of N images. Fields (N,), units as in `Augmentation`, flips bool."""

    rotation: Array
    dx: Array
    dy: Array
    scale: Array
    shear: Array
    horizontal_flip: Array
    vertical_flip: Array

    @classmethod
    def neutral(cls, n: int) -> "AffineParameters":
        """Those that leave n images as they are."""
        zero, never = np.zeros(n), np.zeros(n, bool)
        return cls(zero, zero, zero, np.ones(n), zero, never, never)


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


def within_margins(images: Array, parameters: AffineParameters) -> AffineParameters:
    """The same maps, each shifted by no more than leaves all of its ink in the image.

        dx' = min(max(dx, -l), r)        l = min over ink of x,    r = W - 1 - max over ink of x

    where x is where the map without translation puts the centre of a pixel with ink, one that is not 0; y
    likewise. A digit that has become wider than the image (-l > r) is put in its middle.

    Shapes: images (N, H, W), parameters (N,) each -> (N,) each.
    """
    n, height, width = images.shape
    ink = images != 0
    # A linear function over a row of ink is least and greatest at the row's ends.
    first, last = ink.argmax(axis=2), width - 1 - ink[:, :, ::-1].argmax(axis=2)
    ends = np.stack([first, last], axis=-1).astype(np.float64)
    rows = np.broadcast_to(np.arange(height, dtype=np.float64)[:, np.newaxis], ends.shape)
    untranslated = parameters._replace(dx=np.zeros(n), dy=np.zeros(n))
    inverse = affine_matrices(untranslated, height, width)
    there = np.linalg.inv(inverse[:, :, :2])
    from_origin = np.stack([ends, rows], axis=1) - inverse[:, :, 2, np.newaxis, np.newaxis]
    points = np.einsum("nij,njre->nire", there, from_origin)
    has_ink = np.broadcast_to(ink.any(axis=2)[:, np.newaxis, :, np.newaxis], points.shape)
    least = points.min(axis=(2, 3), where=has_ink, initial=_FAR)
    most = points.max(axis=(2, 3), where=has_ink, initial=-_FAR)
    room = (width - 1, height - 1) - most
    fits = -least <= room
    middle = (room - least) / 2
    lower, upper = np.where(fits, -least, middle), np.where(fits, room, middle)
    return parameters._replace(
        dx=np.clip(parameters.dx, lower[:, 0], upper[:, 0]),
        dy=np.clip(parameters.dy, lower[:, 1], upper[:, 1]),
    )


def resample_bilinear(images: Array, matrices: Array, displacement: Array | None = None) -> Array:
    """Sample every image at mapped points, between its pixels bilinearly, outside it 0.

        (x, y) = A (j, i) + b + d[n,:,i,j]        for the pixel in row i, column j of the result
        u, v = floor(x), floor(y);  α, β = x - u, y - v
        r[n,i,j] = (1-β) ((1-α) I[v,u] + α I[v,u+1]) + β ((1-α) I[v+1,u] + α I[v+1,u+1])

    where I is image n with 0 outside. No image depends on the others of its batch: a slice of the result is,
    bit for bit, the result of the slices.

    displacement: d, in pixels, first along x and then along y; None for none.
    Shapes: images (N, H, W), matrices [A b] (N, 2, 3), displacement (N, 2, H, W) -> (N, H, W), float64 for
            float64 images, float32 for uint8 and float32.
    Raises: ValueError when the shapes do not fit.
    """
    if images.ndim != 3 or matrices.shape != (len(images), 2, 3):
        shapes = f"{images.shape} and {matrices.shape}"
        raise ValueError(f"resample_bilinear: expected images (N, H, W) and matrices (N, 2, 3), got {shapes}")
    n, height, width = images.shape
    if displacement is not None and displacement.shape != (n, 2, height, width):
        shapes = f"expected displacement of shape {(n, 2, height, width)}, got {displacement.shape}"
        raise ValueError(f"resample_bilinear: {shapes}")
    result = np.empty(images.shape, sampled_dtype(images))
    # A few images at a time: what is computed on the way stays in the processor's cache. Twice as fast.
    block = max(1, _PIXELS_AT_ONCE // max(1, images[:1].size))
    for start in range(0, len(images), block):
        part = slice(start, start + block)
        moved = None if displacement is None else displacement[part]
        result[part] = _resample_block(images[part], matrices[part], moved, result.dtype.type)
    return result


def sampled_dtype(images: Array) -> np.dtype[np.floating]:
    """float32, or wider where the images' values need it."""
    return np.result_type(images.dtype, np.float32)


def _resample_block(
    images: Array, matrices: Array, displacement: Array | None, dtype: type[np.floating]
) -> Array:
    n, height, width = images.shape
    # A row and column of zeros before the image and two behind it: points outside are moved there, and so all
    # four neighbours of every point exist. From here on coordinates are those of the padded image.
    padded = np.zeros((n, height + 3, width + 3), dtype)
    padded[:, 1:-2, 1:-2] = images
    m = matrices.astype(dtype)[..., np.newaxis, np.newaxis]
    i, j = np.arange(height, dtype=dtype)[:, np.newaxis], np.arange(width, dtype=dtype)
    x = m[:, 0, 0] * j + (m[:, 0, 1] * i + (m[:, 0, 2] + 1))
    y = m[:, 1, 0] * j + (m[:, 1, 1] * i + (m[:, 1, 2] + 1))
    if displacement is not None:
        x += displacement[:, 0]
        y += displacement[:, 1]
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
