"""Random erasing: a rectangle of the image becomes background."""

import numpy as np

from numnist.arrays import Array

ASPECT = (0.3, 1 / 0.3)
"""Height over width of a rectangle, from and to: the paper's."""


def erase(
    images: Array,
    probability: float,
    area: tuple[float, float],
    rng: np.random.Generator,
    batch: int | None = None,
    start: int = 0,
) -> Array:
    """Set a random rectangle of some of the images to 0.

        h = round(sqrt(s H W r)),  w = round(sqrt(s H W / r)),        at most H and W, at least 1

    for a share s of the image's area drawn uniformly and an aspect r drawn uniformly on a logarithmic scale;
    its place is uniform among those where it is inside. One call `rng.random((N, 5))`: a row per image, with
    the columns whether to erase, area, aspect, row and column.

    probability: that an image is erased at all. area: the least and the greatest share s. batch, start: see
    `Augmentation.apply`.
    Shapes: images (N, H, W) -> the same, changed in place.
    Source: Zhong et al. 2017, Random Erasing Data Augmentation, arXiv:1708.04896, algorithm 1, which fills
            with noise where we put background; we draw no second rectangle where the first is too long.
    """
    n, H, W = images.shape
    chance, share, shape, row, column = rng.random((n if batch is None else batch, 5))[start : start + n].T
    s = area[0] + (area[1] - area[0]) * share
    low, high = np.log(ASPECT)
    r = np.exp(low + (high - low) * shape)
    h = np.clip(np.rint(np.sqrt(s * H * W * r)), 1, H)
    w = np.clip(np.rint(np.sqrt(s * H * W / r)), 1, W)
    top, left = np.floor(row * (H - h + 1)), np.floor(column * (W - w + 1))
    i, j = np.arange(H), np.arange(W)[:, np.newaxis]
    in_rows = ((i >= top[:, np.newaxis]) & (i < (top + h)[:, np.newaxis]))[:, :, np.newaxis]
    in_columns = ((j >= left) & (j < left + w)).T[:, np.newaxis, :]
    images[in_rows & in_columns & (chance < probability)[:, np.newaxis, np.newaxis]] = 0
    return images
