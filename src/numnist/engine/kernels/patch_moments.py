"""Mean and covariance of the patches of a batch of images."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from numnist.arrays import Array
from numnist.engine.kernels.patches import Patches
from numnist.engine.stage import Step


@dataclass(frozen=True)
class PatchMoments:
    """Mean p̄ (K,) and summed outer products S (K, K) of the deviations of `count` patches, in float64."""

    count: int
    mean: Array
    deviations: Array

    @classmethod
    def of_parts(cls, counts: Array, means: Array, deviations: Array) -> "PatchMoments":
        """The moments of a batch from those of its parts: `Statistics.of_parts` for vectors.

        Shapes: counts (S,), means (S, K), deviations (S, K, K).
        """
        count = counts.sum()
        mean = counts @ means / count
        apart = means - mean
        between = (apart.T * counts) @ apart
        return cls(int(count), mean, deviations.sum(axis=0) + between)


class Moments:
    """Computes the moments of the patches of one shard.

        products[b, h, t, (d,t')] = sum over positions of U[b, h, t] U[b, h+d, t'],    t = (c,v)

    are all that there is to multiply: those of rows u and u' of all patches are the sums over h of what is
    found for d = |u' - u|, for the rows h that the upper one of them meets. The mean follows from the sums of
    the padded images over samples.
    """

    def __init__(self, patches: Patches, put: Callable[[int, Array, Array], None]) -> None:
        """put: takes count, mean and deviations."""
        self._patches, self._put = patches, put
        KH, taps = patches.shape
        Hp, C, Wp, n = patches.padded.shape
        self._lines = patches.U.reshape(patches.k, -1, taps, patches.columns * n)
        self._pairs, self._ranges = _row_pairs(KH, taps), _ranges(KH, Hp)
        self._columns = _ranges(taps // C, Wp).T
        self._count = patches.k**2 * patches.rows * patches.columns * n
        self._products = np.empty((patches.k, Hp, taps, KH * taps), np.float32)
        self._multiply = self._multiplied(self._lines, self._products)
        self._add = partial(np.matmul, patches.padded, np.ones(n, np.float32))

    def _multiplied(self, lines: Array, products: Array) -> Step:
        """The step that fills `products`."""
        parts, Hp, _, width = products.shape
        part, row, tap, one = lines.strides
        shape = (parts, Hp, lines.shape[-1], width)
        below = as_strided(lines, shape, (part, row, one, tap), writeable=False)
        return partial(np.matmul, lines[:, :Hp], below, out=products)

    def put(self, dtype: type[np.floating[Any]]) -> None:
        """Put the moments of what the patches are now, from products in float32 or float64."""
        products, sums = self._products, self._add()
        if dtype == np.float32:
            self._multiply()
        else:
            products, sums = products.astype(dtype), self._patches.padded.sum(axis=-1, dtype=dtype)
            self._multiplied(self._lines.astype(dtype), products)()
        of_columns = (sums.astype(np.float64) @ self._columns).reshape(len(sums), -1)
        mean = (self._ranges @ of_columns).reshape(-1) / self._count
        by_row = np.add.reduce(products.reshape(*products.shape[:2], -1), axis=0, dtype=np.float64)
        by_pair = (self._ranges @ by_row).reshape(-1)
        deviations = by_pair[self._pairs] - self._count * np.outer(mean, mean)
        self._put(self._count, mean + self._patches.shift, deviations)


def _row_pairs(KH: int, taps: int) -> Array:
    """For each pair of taps (u,t), (u',t') of a patch, where to look among products [u, t, d, t'] of rows.

    The product of rows u and u' is found at the upper one of them, with d = |u' - u|.

    Shapes: t and t' count the `taps` of a row -> (K, K), K = KH * taps.
    """
    u, t, u2, t2 = np.indices((KH, taps, KH, taps))
    upper, d = np.minimum(u, u2), abs(u2 - u)
    of_upper, of_lower = np.where(u <= u2, t, t2), np.where(u <= u2, t2, t)
    index: Array = ((upper * taps + of_upper) * KH + d) * taps + of_lower
    return index.reshape(KH * taps, KH * taps)


def _ranges(taps: int, size: int) -> Array:
    """Which of `size` rows (or columns) each tap of a kernel meets: 1 for u to u + size - taps, else 0.

    Shape: (taps, size).
    """
    u, h = np.indices((taps, size))
    return ((h >= u) & (h <= u + size - taps)).astype(np.float64)
