"""Batch normalisation."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from numnist.arrays import Array, Shape


@dataclass(frozen=True)
class Statistics:
    """What a batch says of each channel.

    count: number of values per channel, M; mean (C,); squared_deviations (C,), the sum of (x - mean)².
    """

    count: int
    mean: Array
    squared_deviations: Array

    @property
    def biased_variance(self) -> Array:
        """squared_deviations / M: the variance of this very batch, which normalises it."""
        return self.squared_deviations / self.count

    @property
    def unbiased_variance(self) -> Array:
        """squared_deviations / (M - 1): the estimate for where the batch came from; running ones keep it."""
        return self.squared_deviations / (self.count - 1)


class Cache(NamedTuple):
    """What `backward` needs, and the batch's `statistics` (None where fixed ones were used)."""

    normalised: Array
    weight: Array
    deviation: Array
    statistics: Statistics | None


def forward(
    x: Array, weight: Array, bias: Array, fixed: tuple[Array, Array] | None = None, eps: float = 1e-5
) -> tuple[Array, Cache]:
    """Normalise every channel, then scale and shift it.

        z = (x - mean) / sqrt(var + eps)        y = weight * z + bias        per channel

    In training (`fixed` is None) mean and var are those of the batch, over all axes but the channels, with
    the biased variance. In evaluation `fixed` is (mean, var), the running estimates, and they are constants.
    Frameworks agree so far; the running variance is the unbiased one here, as in PyTorch.

    Shapes: x (N, C) or (N, C, H, W); weight, bias, mean and var (C,) -> y like x.
    Returns: (y, cache); the batch's statistics are in `cache.statistics`; hand the cache to `backward`.
    Raises: ValueError when the rank or the number of channels does not fit, or training is asked for with a
            single value per channel, which has no variance.
    Source: Ioffe & Szegedy 2015, arXiv:1502.03167, algorithm 1 (training) and algorithm 2 (evaluation).
    """
    C = weight.size
    for values in (weight, bias, *(fixed or ())):
        if values.shape != (C,):
            raise ValueError(
                f"batch_norm: expected weight, bias, mean and var of shape ({C},), got {values.shape}"
            )
    if x.ndim not in (2, 4) or x.shape[1] != C:
        raise ValueError(f"batch_norm: expected x of shape (N, {C}) or (N, {C}, H, W), got {x.shape}")

    statistics = None
    if fixed is None:
        statistics = batch_statistics(x)
        mean, var = statistics.mean, statistics.biased_variance
    else:
        mean, var = fixed
    deviation = np.sqrt(var + float(eps))
    z = (x - per_channel(mean, x)) / per_channel(deviation, x)
    y = per_channel(weight, x) * z + per_channel(bias, x)
    return y, Cache(z, weight, deviation, statistics)


def batch_statistics(x: Array) -> Statistics:
    """Count, mean and sum of squared deviations of every channel, over all other axes.

    The mean is taken first and the deviations are squared after: the textbook's E[x²] - E[x]² cancels on
    images that are almost constant. For the same reason the mean is summed in float64 at least.

    Shapes: x (N, C) or (N, C, H, W) -> mean (C,), squared_deviations (C,).
    Raises: ValueError for a single value per channel.
    Source: Chan, Golub & LeVeque 1983, Algorithms for Computing the Sample Variance, section 1 (two-pass).
    """
    others = (0, *range(2, x.ndim))
    count = x.size // x.shape[1]
    require_several(count, x.shape)
    wide = np.promote_types(x.dtype, np.float64)
    mean = x.mean(axis=others, dtype=wide).astype(x.dtype)
    return Statistics(count, mean, np.square(x - per_channel(mean, x)).sum(axis=others))


def require_several(count: int, shape: Shape) -> None:
    """ValueError naming the shape unless there is more than one value per channel: one has no variance."""
    if count < 2:
        raise ValueError(
            f"batch_norm: training needs more than one value per channel, got x of shape {shape}"
        )


def backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Gradients of a loss through `forward`.

        dweight = sum of dy * z        dbias = sum of dy        both per channel, over its M values
        training:   dx = weight / sqrt(var + eps) * (dy - dbias / M - z * dweight / M)
        evaluation: dx = weight / sqrt(var + eps) * dy

    The two subtracted terms are the gradients that flow through the batch's mean and variance.

    Shapes: dy like x -> dx like x, dweight (C,), dbias (C,).
    Source: Ioffe & Szegedy 2015, arXiv:1502.03167, section 3 (chain rule after algorithm 1).
    """
    z, weight, deviation, statistics = cache
    others = (0, *range(2, dy.ndim))
    dweight = (dy * z).sum(axis=others)
    dbias = dy.sum(axis=others)
    dx = dy
    if statistics is not None:
        M = statistics.count
        dx = dy - per_channel(dbias / M, dy) - z * per_channel(dweight / M, dy)
    return dx * per_channel(weight / deviation, dy), dweight, dbias


def per_channel(values: Array, x: Array) -> Array:
    """View (C,) so that it broadcasts along the channels, axis 1, of x."""
    return values.reshape(-1, *(1,) * (x.ndim - 2))
