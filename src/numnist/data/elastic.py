"""Elastic deformation: every pixel is moved a little, and neighbours nearly alike."""

from functools import cache

import numpy as np

from numnist.arrays import Array

REACH = 3
"""How many times the smoothness a wave reaches; beyond that it is below 0.012 of its height."""


def elastic_displacement(
    n: int,
    size: tuple[int, int],
    deviation: float,
    smoothness: float,
    rng: np.random.Generator,
    batch: int | None = None,
    start: int = 0,
) -> Array:
    """Random smooth displacements for n images, to be added where `resample_bilinear` samples.

        d[n,k,i,j] = deviation * sum over p,q of a[i,p] z[n,k,p,q] a[j,q]        z ~ N(0, 1)
        a[i,p] ~ exp(-(i - t_p)² / (2 smoothness²)),        the sum over p of a[i,p]² being 1

    with the knots t_p of a grid `smoothness` apart that reaches beyond the image on all sides. The paper
    smooths noise at every pixel with the same Gaussian; its waves are no shorter than that, so a knot for
    each of them gives the same field, from fewer random numbers the smoother it is. As the rows of `a` have
    norm 1, every pixel's displacement has the standard deviation that is asked for, at the border too.

    deviation: of each component, in pixels. smoothness: the Gaussian's standard deviation, in pixels. batch,
    start: see `Augmentation.apply`.
    Shapes: size (H, W) -> (n, 2, H, W), float32.
    Source: Simard, Steinkraus, Platt 2003, Best Practices for Convolutional Neural Networks, section 2;
            their α = 34, σ = 4 are a deviation of 1.4 with a smoothness of 4.
    """
    rows, columns = (_waves(length, smoothness) for length in size)
    shape = (n if batch is None else batch, 2, rows.shape[1], columns.shape[1])
    z = rng.standard_normal(shape, dtype=np.float32)[start : start + n]
    return np.asarray(np.float32(deviation) * (rows @ z @ columns.T))


@cache
def _waves(length: int, smoothness: float) -> Array:
    """The matrix `a` for an axis of so many pixels, (length, knots)."""
    reach = REACH * smoothness
    knots = np.arange(-reach, length - 1 + reach + smoothness, smoothness)
    a = np.exp(-((np.arange(length)[:, np.newaxis] - knots) ** 2) / (2 * smoothness**2))
    normed = a / np.sqrt((a**2).sum(axis=1, keepdims=True))
    return np.asarray(normed, np.float32)
