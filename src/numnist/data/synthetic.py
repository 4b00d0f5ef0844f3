"""Built-in digits: images like MNIST's, drawn from the skeletons in `strokes` without any file or network.

A digit is a skeleton whose points have been moved at random, bent and sheared as hands do, drawn with a pen
whose width changes on its way, and normalised as MNIST was. The distributions were tuned on MNIST's training
images, never on its test images; benchmarks/synthetic_to_mnist.py measures how far they carry.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import count

import numpy as np

from numnist.arrays import Array
from numnist.data.dataset import Dataset, Split
from numnist.data.skeletons import SEGMENTS, Skeletons, reweighted, skeletons

BLOCK = 1000
"""Images that are drawn together. Image i depends on the seed, i // BLOCK and i % BLOCK alone."""

TEST_START = 10**9
"""Number of the first test image in the stream whose first images are the training set."""

SIZE, BOX = 28, 20
"""Sides of an image and of the box that the digit is scaled into, in pixels."""

IMAGES_AT_ONCE = 8
"""Images rendered together: what is computed on the way (8 x 32 x 20 x 20 float32) stays in the cache."""


def synthetic_dataset(train: int = 60_000, test: int = 10_000, seed: int = 0) -> Dataset:
    """Built-in digits as a data set named "synthetic": different images in training and test set.

    The fingerprint is the SHA-256 of training images, training labels, test images and test labels, byte
    after byte.

    Raises: ValueError unless 1 <= train <= TEST_START and test >= 1.
    """
    if not 1 <= train <= TEST_START or test < 1:
        raise ValueError(
            f"synthetic_dataset: expected 1 <= train <= {TEST_START:,} and test >= 1, got {train} and {test}"
        )
    splits = synthetic_digits(train, seed), synthetic_digits(test, seed, TEST_START)
    digest = hashlib.sha256()
    for split in splits:
        digest.update(split.images.tobytes())
        digest.update(split.labels.astype("<i8").tobytes())
    return Dataset("synthetic", *splits, classes=10, fingerprint=digest.hexdigest(), files=())


def synthetic_digits(
    n: int, seed: int, start: int = 0, weights: Mapping[int, Sequence[float]] | None = None
) -> Split:
    """Images `start`, ..., `start + n - 1` of the endless stream of this seed.

    Whatever part of the stream is asked for, an image in it is the same. Of ten images that follow each other
    from a multiple of ten, each shows another digit.

    weights: for some digits, how often each of its styles comes, in the order of `strokes.STYLES`, instead of
    the styles' own weights, which are MNIST's: {1: (0.5, 0.25, 0.25)} has more flags and feet, as in print.

    Shapes: images (n, 28, 28) uint8, labels (n,) int64.
    Raises: ValueError unless n, seed and start are at least 0, and weights fit the styles.
    """
    if min(n, seed, start) < 0:
        raise ValueError(f"synthetic_digits: expected n, seed and start >= 0, got {n}, {seed} and {start}")
    skeleton = reweighted(skeletons(), weights or {})
    images, labels = np.empty((n, SIZE, SIZE), np.uint8), np.empty(n, np.int64)
    for block in range(start // BLOCK, -(-(start + n) // BLOCK)):
        first = block * BLOCK - start
        part = slice(max(0, first), first + BLOCK)
        drawn = _draw_block(skeleton, seed, block).take(slice(max(0, -first), n - first))
        images[part], labels[part] = drawn.images, drawn.labels
    return Split(images, labels)


def synthetic_blocks(seed: int) -> Iterator[Split]:
    """The endless stream of this seed, BLOCK images at a time."""
    return (synthetic_digits(BLOCK, seed, start) for start in count(0, BLOCK))


def _draw_block(skeleton: Skeletons, seed: int, block: int) -> Split:
    """All images of a block."""
    rng = np.random.default_rng((seed, block))
    labels = rng.permuted(np.tile(np.arange(10), (BLOCK // 10, 1)), axis=1).reshape(-1)
    begin, end, radius = _write(skeleton, labels, rng)
    distance = np.empty((BLOCK, BOX, BOX), np.float32)
    for first in range(0, BLOCK, IMAGES_AT_ONCE):
        part = slice(first, first + IMAGES_AT_ONCE)
        distance[part] = _distance(begin[part], end[part], radius[part])
    return Split(_centred(_ink(distance, radius.mean(axis=1), rng)), labels)


def _write(skeleton: Skeletons, labels: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """The pen's way in pixels of the box: where its segments begin and end, and half its width there.

    Shapes: labels (N,) -> (N, SEGMENTS, 2), (N, SEGMENTS, 2), (N, SEGMENTS), float32.
    """
    style = _choose_styles(skeleton, labels, rng)
    control = _wobble(_mix_shapes(skeleton, style, rng), rng)
    points = _bend(np.concatenate([skeleton.begin[style], skeleton.end[style]], axis=1) @ control, rng)
    radius = _pen(len(labels), rng)

    both = np.concatenate([radius, radius], axis=1)[..., np.newaxis]
    low, high = (points - both).min(axis=1), (points + both).max(axis=1)
    scale = BOX / (high - low).max(axis=1)[:, np.newaxis]
    points = (points - (low + high)[:, np.newaxis] / 2) * scale[..., np.newaxis] + (BOX - 1) / 2
    points = points.astype(np.float32)
    radius = np.maximum(radius * scale, 0.75).astype(np.float32)  # a thinner line would be pale
    return points[:, :SEGMENTS], points[:, SEGMENTS:], radius


def _choose_styles(skeleton: Skeletons, labels: Array, rng: np.random.Generator) -> Array:
    """A style for each label, by the weights. Shapes: (N,) -> (N,)."""
    weights = np.where(skeleton.digit == np.arange(10)[:, np.newaxis], skeleton.weight, 0)
    bounds = np.cumsum(weights, axis=1)[labels]
    return np.asarray((rng.random((len(labels), 1)) * bounds[:, -1:] >= bounds).sum(axis=1))


def _mix_shapes(skeleton: Skeletons, style: Array, rng: np.random.Generator) -> Array:
    """Control points between those of the style's shapes, the parts Dirichlet-distributed: mostly near one.

    Shapes: (N,) -> (N, K, 2).
    """
    parts = rng.standard_gamma(0.2, (len(style), skeleton.shapes.shape[1])) * skeleton.exists[style]
    parts /= parts.sum(axis=1, keepdims=True)
    return np.einsum("ne,nekx->nkx", parts, skeleton.shapes[style], optimize=True)  # type: ignore[no-any-return]


def _wobble(control: Array, rng: np.random.Generator) -> Array:
    """Control points moved at random, by some hands more than by others.

    Each point moves by the sum of three numbers, two of which it shares with either neighbour: so the curve
    through them stays smooth.

    Shapes: (N, K, 2) -> (N, K, 2).
    """
    n, K, _ = control.shape
    hand = rng.gamma(4, 0.08 / 4, (n, 1, 1))
    z = rng.standard_normal((n, K + 2, 2))
    return np.asarray(control + hand * (z[:, :-2] + z[:, 1:-1] + z[:, 2:]) / np.sqrt(3))


def _bend(points: Array, rng: np.random.Generator) -> Array:
    """Bend each digit as a whole, and then squeeze, slant and turn it, all about its middle.

    Bending adds to each coordinate a quadratic form in both. The width is multiplied by a log-normal number;
    the mean slant is 9 degrees to the right.

    Shapes: (N, P, 2) -> (N, P, 2).
    """
    x, y = points[..., 0] - points[..., 0].mean(axis=1, keepdims=True), points[..., 1] - 0.5
    z = rng.standard_normal((9, len(points), 1))
    u = x + 0.28 * (z[0] * y * y + z[1] * x * y + z[2] * x * x)
    v = y + 0.28 * (z[3] * y * y + z[4] * x * y + z[5] * x * x)
    u = u * np.exp(0.22 * z[6]) - (0.16 + 0.27 * z[7]) * v
    cos, sin = np.cos(0.09 * z[8]), np.sin(0.09 * z[8])
    return np.stack([cos * u - sin * v, sin * u + cos * v], axis=-1)


def _pen(n: int, rng: np.random.Generator) -> Array:
    """Half the width of the pen at each segment, in heights of the skeletons.

    Log-normal for each digit, and along the way a wave of another length and phase for each.

    Shapes: -> (n, SEGMENTS).
    """
    z = rng.standard_normal((3, n, 1))
    along = np.linspace(0, 1, SEGMENTS)
    wave = np.sin(2 * np.pi * ((1 + np.abs(z[1])) * along + z[2]))
    return np.asarray(0.071 * np.exp(0.3 * z[0]) * (1 + 0.2 * wave))


def _distance(begin: Array, end: Array, radius: Array) -> Array:
    """Distance of each pixel from the nearest segment, divided by the segment's radius.

    With the segment from a to b, u its direction, v across it, and a pixel p:

        along = u·(p - a) / r,  across = v·(p - a) / r,  beyond = along - clip(along, 0, |b - a| / r)
        distance² = across² + beyond²

    along and across are a part that depends on the column plus a part that depends on the row.

    Shapes: (N, S, 2), (N, S, 2), (N, S) -> (N, BOX, BOX).
    """
    way = end - begin + np.array([1e-6, 0], np.float32)  # a segment of no length has a direction too
    length = np.sqrt((way * way).sum(axis=-1))
    unit = way / (length * radius)[..., np.newaxis]
    grid = np.arange(BOX, dtype=np.float32)
    x = (grid - begin[..., :1])[..., np.newaxis, :]
    y = (grid - begin[..., 1:])[..., np.newaxis]
    u_x, u_y = unit[..., :1, np.newaxis], unit[..., 1:, np.newaxis]
    along = u_x * x + u_y * y
    beyond = np.clip(along, 0, (length / radius)[..., np.newaxis, np.newaxis])
    beyond -= along
    across = np.subtract(u_x * y, u_y * x, out=along)
    across *= across
    beyond *= beyond
    across += beyond
    return np.asarray(np.sqrt(across.min(axis=1)))


def _ink(distance: Array, radius: Array, rng: np.random.Generator) -> Array:
    """How much of each pixel the ink covers, from 0 to 1; the line's edge is more or less soft, and ragged.

    Shapes: distance (N, BOX, BOX) in radii, radius (N,) -> (N, BOX, BOX).
    """
    depth = (1 - distance) * radius[:, np.newaxis, np.newaxis]
    depth += 0.1 * rng.standard_normal(depth.shape, np.float32)
    softness = rng.uniform(0.7, 1.3, (len(depth), 1, 1)).astype(np.float32)
    return np.clip(depth / softness + np.float32(0.5), 0, 1)


def _centred(boxes: Array) -> Array:
    """Images with each box where the ink's centre of mass is as near to pixel (14, 14) as whole pixels allow.

    That is how MNIST's are centred.

    Shapes: (N, BOX, BOX) from 0 to 1 -> (N, SIZE, SIZE) uint8.
    """
    grid, mass = np.arange(BOX, dtype=np.float32), boxes.sum(axis=(1, 2))
    centers = boxes.sum(axis=2) @ grid / mass, boxes.sum(axis=1) @ grid / mass
    corners = (np.clip(np.rint(SIZE / 2 - center), 0, SIZE - BOX).astype(np.intp) for center in centers)
    row, column = (corner[:, np.newaxis] + np.arange(BOX) for corner in corners)
    images = np.zeros((len(boxes), SIZE, SIZE), np.uint8)
    image = np.arange(len(boxes))[:, np.newaxis, np.newaxis]
    images[image, row[:, :, np.newaxis], column[:, np.newaxis]] = np.rint(255 * boxes)
    return images
