"""MNIST's own procedure: a digit scaled by area averaging into a box, centred by its mass."""

import numpy as np

from numnist.arrays import Array, Shape

MNIST_SIZE = (28, 28)


def area_resize(image: Array, height: int, width: int) -> Array:
    """Resize an image by area averaging: every pixel of the result is the mean of the area that it covers.

        y = R image Cᵀ,   R[i,k] = |[i, i+1) H/height ∩ [k, k+1)| · height/H,   C likewise from W and width

    R[i,k] is the share that input row k has in output row i. In whole numbers, with sums of products alone,

        R[i,k] = max(0, min((i+1) H, (k+1) height) - max(i H, k height)) / H

    The mean of the whole image stays what it is. Shrinking by a whole factor gives block means. Enlarging
    takes the input as squares of constant grey: the result repeats its pixels and blends two only where a
    border between them falls inside a pixel of the result; it never leaves the input's range.

    Shapes: image (H, W) -> (height, width), float64.
    Raises: ValueError for another rank, or a size below 1.
    """
    if image.ndim != 2 or min(*image.shape, height, width) < 1:
        raise ValueError(
            "area_resize: expected an image (H, W) and a size of at least 1 x 1, "
            f"got {image.shape} to {height} x {width}"
        )
    rows, columns = _overlaps(image.shape[0], height), _overlaps(image.shape[1], width)
    result: Array = rows @ image.astype(np.float64) @ columns.T
    return result


def centre_digit(ink: Array, size: Shape = MNIST_SIZE, box: int | None = None) -> Array:
    """A digit in MNIST's form: as large as the box allows, its centre of mass in the middle.

    1. Crop to the smallest rectangle (h, w) that holds all ink, i.e. all values above 0.
    2. Scale to (h', w') by `area_resize`, the longer side to `box`, the other in proportion:
       h' = max(1, floor(box h / max(h, w) + 1/2)), w' likewise.
    3. Stretch to the full range and round, halves up: v = floor(255 a / max a + 1/2).
    4. Paste at the whole pixel where the centre of mass comes nearest to the pixel in the middle:
       top = floor(H//2 - Σ i v[i,j] / Σ v + 1/2), left likewise from j and W//2;
       a digit so lopsided that it would stick out of the image is moved back inside, none of it is lost.

    Step 4 is exact in whole numbers, so a port differs by one grey level at most. That the middle is pixel
    H//2 = 14, not 13.5, and that the shift is to whole pixels, is what MNIST's images show: their centres of
    mass lie between 13.5 and 14.5, evenly.

    Args: ink (h, w), 0 where there is none, of any scale; size (H, W); box, by default 20 pixels for 28 and
          in proportion for others, floor(20/28 min(H, W) + 1/2).
    Returns: uint8 (H, W).
    Raises: ValueError for an image of another rank, without ink or with values that are negative or not
            finite; for a box that is not within the image.
    Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".
    """
    height, width = size
    if box is None:
        box = max(1, (40 * min(size) + 28) // 56)
    if not 1 <= box <= min(size):
        raise ValueError(f"centre_digit: expected a box of 1 to {min(size)} pixels in {size}, got {box}")
    if ink.ndim != 2 or ink.size == 0 or not (np.isfinite(ink).all() and ink.min() >= 0 < ink.max()):
        raise ValueError("centre_digit: expected ink (h, w), finite, not negative, and some of it above 0")

    digit = ink[np.ix_(_extent(ink, axis=1), _extent(ink, axis=0))]
    longer = max(digit.shape)
    h, w = (max(1, (2 * box * side + longer) // (2 * longer)) for side in digit.shape)
    scaled = area_resize(digit, h, w)
    v = np.floor(255 * (scaled / scaled.max()) + 0.5).astype(np.uint8)

    top = _place(v.sum(axis=1, dtype=np.int64), height)
    left = _place(v.sum(axis=0, dtype=np.int64), width)
    result = np.zeros((height, width), np.uint8)
    result[top : top + h, left : left + w] = v
    return result


def _overlaps(old: int, new: int) -> Array:
    """The matrix R of `area_resize`, (new, old): counted in 1/new of an input pixel, all edges are whole."""
    i, k = np.arange(new)[:, np.newaxis], np.arange(old)
    covered = np.minimum((i + 1) * old, (k + 1) * new) - np.maximum(i * old, k * new)
    overlaps: Array = np.maximum(covered, 0) / old
    return overlaps


def _extent(ink: Array, axis: int) -> Array:
    """The indices of the other axis from the first ink to the last."""
    first, last = np.flatnonzero(ink.any(axis=axis))[[0, -1]]
    return np.arange(first, last + 1)


def _place(profile: Array, length: int) -> int:
    """Where a digit with this mass per row begins: floor(length//2 - centre + 1/2), within the image."""
    mass, moment = int(profile.sum()), int(profile @ np.arange(len(profile)))
    start = (2 * mass * (length // 2) - 2 * moment + mass) // (2 * mass)
    return min(max(start, 0), length - len(profile))
