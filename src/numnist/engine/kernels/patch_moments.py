"""Mean and covariance of the patches of a batch of images."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from numnist.arrays import Array
from numnist.engine.kernels.patches import Patches


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
    found for d = |u' - u|, for the rows h that the upper one of them meets.
    """

    def __init__(self, patches: Patches, put: Callable[[int, Array, Array], None]) -> None:
        """put: takes count, mean and deviations."""
        self._patches, self._put = patches, put
        KH, taps = patches.shape
        Hp, positions = patches.image_rows, patches.columns * patches.n
        self._lines = patches.U.reshape(patches.k, -1, taps, positions)
        self._pairs, self._ranges = _row_pairs(KH, taps), _row_ranges(KH, Hp)
        self._count = patches.k**2 * patches.rows * positions
        self._products = np.empty((patches.k, Hp, taps, KH * taps), np.float32)
        self._sums = np.empty((patches.k, Hp, taps), np.float32)
        self._in_float32 = self._multiply(self._lines, self._products, self._sums)

    def _multiply(self, lines: Array, products: Array, sums: Array) -> Callable[[], None]:
        """What fills `products` and `sums`."""
        parts, Hp, _, width = products.shape
        positions = lines.shape[-1]
        part, row, tap, one = lines.strides
        below = as_strided(lines, (parts, Hp, positions, width), (part, row, one, tap), writeable=False)
        above, ones = lines[:, :Hp], np.ones(positions, lines.dtype)

        def multiply() -> None:
            np.matmul(above, below, out=products)
            np.matmul(above, ones, out=sums)

        return multiply

    def put(self, dtype: type[np.floating[Any]]) -> None:
        """Put the moments of what U holds now, from products in float32 or float64."""
        products, sums = self._products, self._sums
        if dtype == np.float32:
            self._in_float32()
        else:
            products, sums = products.astype(dtype), sums.astype(dtype)
            self._multiply(self._lines.astype(dtype), products, sums)()
        total = np.add.reduce(sums, axis=0, dtype=np.float64)
        mean = (self._ranges @ total).reshape(-1) / self._count
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


def _row_ranges(KH: int, Hp: int) -> Array:
    """Which rows a kernel's row u meets: 1 for rows u to u + Hp - KH, else 0. Shape (KH, Hp)."""
    u, h = np.indices((KH, Hp))
    return ((h >= u) & (h <= u + Hp - KH)).astype(np.float64)
