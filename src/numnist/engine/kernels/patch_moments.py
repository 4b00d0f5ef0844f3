"""Sums over the patches of a batch of images, which mean and covariance follow from."""

from functools import partial

import numpy as np
from numpy.lib.stride_tricks import as_strided

from numnist.arrays import Array, Shape
from numnist.engine.kernels.patches import Patches
from numnist.engine.stage import Step, run


class LineSums:
    """What is summed up line by line of the padded images; the moments of the patches follow from it.

        sums[h, (c,w)]           over samples, of the pixels
        products[h, t, (d,t')]   over positions and both parities b, of U[b, h, t] U[b, h+d, t'],  t = (c,v)

    side by side, (Hp, C*Wp + taps*KH*taps). They are all that there is to add up and to multiply: the
    products of rows u and u' of all patches are the sums over h of those for d = |u' - u|, for the lines h
    that the upper one of them meets.

    shape: of the sums. merged: shape of their sums over the lines that each row of a kernel meets, all that
    ranks need of each other. lines, columns: which ones the taps of a kernel meet. pairs: where a pair of
    taps is found among the merged.
    """

    def __init__(self, C: int, kernel_size: int, Hp: int, Wp: int) -> None:
        """Hp, Wp: rows and columns of the padded images."""
        KH, taps = kernel_size, C * kernel_size
        self.taps = (KH, C, kernel_size)
        self.pixels = C * Wp
        width = self.pixels + taps * KH * taps
        self.shape: Shape = (Hp, width)
        self.merged: Shape = (KH, width)
        self.lines, self.columns = _ranges(KH, Hp), _ranges(kernel_size, Wp).T
        upper, of_pair = np.divmod(_row_pairs(KH, taps), taps * KH * taps)
        self.pairs = upper * width + self.pixels + of_pair


class PatchMoments:
    """Sums over all patches of a batch, and those over the outputs of a convolution that follow from them.

        sum of P    R = sum of P Pᵀ        sum of c = Wᵀ sum of P        sum of c² = diagonal of Wᵀ R W

    In float64, in arrays that are there for good.

    steps: those that fill all this. of_taps: sum of P, (K,). weight: W, (K, O). projected: R W, (K, O).
    """

    def __init__(
        self, lines: LineSums, of_shards: Array, of_ranks: Array | None, weight: Array, out: Array
    ) -> None:
        """of_shards: their line sums, (shards, *lines.shape). of_ranks: theirs, merged, if there are several.

        out: where the sums of c and c² go, (2, O).

        Shapes: weight (K, O), with the taps in the order (u, c, v); read when the steps are taken.
        """
        KH, C, KW = lines.taps
        K, O = weight.shape  # noqa: E741 -- the formula's letter
        total, of_lines = np.empty(lines.shape), np.empty(lines.merged)
        of_rows = of_lines[:, : lines.pixels].reshape(KH, C, -1)
        self.of_taps, self._products = np.empty(K), np.empty((K, K))
        self.weight, self.projected, spare = np.empty((3, K, O))
        self._squares, self._spare = np.empty(O), spare
        merge: list[Step] = [
            partial(np.add.reduce, of_shards, axis=0, out=total),
            partial(np.matmul, lines.lines, total, out=of_lines),
        ]
        if of_ranks is not None:
            merge = [partial(np.add.reduce, of_ranks, axis=0, out=of_lines)]
        self.steps: list[Step] = [
            *merge,
            partial(np.matmul, of_rows, lines.columns, out=self.of_taps.reshape(KH, C, KW)),
            # Not mode="raise", which would copy, for there might be an error.
            partial(np.take, of_lines, lines.pairs, out=self._products, mode="clip"),
            partial(np.copyto, self.weight, weight),
            partial(np.matmul, self._products, self.weight, out=self.projected),
            partial(np.multiply, self.weight, self.projected, out=spare),
            partial(np.matmul, self.of_taps, self.weight, out=out[0]),
            partial(np.add.reduce, spare, axis=0, out=out[1]),
        ]
        self._largest = partial(np.maximum.reduce, self._products.reshape(-1)[:: K + 1])
        self._square = partial(np.multiply, self.weight, self.weight, out=spare)

    def is_bright(self, count: int) -> bool:
        """Whether the mean of so many pixels is farther from 0 than they are from each other."""
        squared_mean = np.vdot(self.of_taps, self.of_taps) / (len(self.of_taps) * count**2)
        return bool(2 * squared_mean > self._largest() / count)

    def uncorrelated(self) -> Array:
        """The sum of c² if no two taps saw anything alike, and each the brightest pixels; (O,)."""
        self._square()
        np.add.reduce(self._spare, axis=0, out=self._squares)
        self._squares *= self._largest()
        return self._squares


class LineSumsWork:
    """Computes the line sums of one shard."""

    def __init__(self, patches: Patches, lines: LineSums, out: Array) -> None:
        """out: where they are to be, of the shape of `lines`, in float64."""
        KH, taps = patches.shape
        Hp, C, Wp, n = patches.padded.shape
        self._patches = patches
        self._sums = out[:, : lines.pixels].reshape(Hp, C, Wp)
        self._of_products = out[:, lines.pixels :].reshape(Hp, taps, KH * taps)
        self._rows = patches.U.reshape(patches.k, -1, taps, patches.columns * n)
        products = np.empty((patches.k, Hp, taps, KH * taps), np.float32)
        self.steps: list[Step] = [
            partial(np.matmul, patches.padded, np.ones(n, np.float32), out=self._sums),
            self._multiplied(self._rows, products),
            self._added(products),
        ]

    def _multiplied(self, rows: Array, products: Array) -> Step:
        """The step that fills `products`, of either parity."""
        parts, Hp, _, width = products.shape
        part, row, tap, one = rows.strides
        shape = (parts, Hp, rows.shape[-1], width)
        below = as_strided(rows, shape, (part, row, one, tap), writeable=False)
        return partial(np.matmul, rows[:, :Hp], below, out=products)

    def _added(self, products: Array) -> Step:
        """The step that adds them up over both parities."""
        return partial(np.add.reduce, products, axis=0, dtype=np.float64, out=self._of_products)

    def in_float64(self) -> None:
        """Compute them from products in float64."""
        rows: Array = self._rows.astype(np.float64)
        products = np.empty((len(rows), *self._of_products.shape))
        self._sums[...] = self._patches.padded.sum(axis=-1, dtype=np.float64)
        run([self._multiplied(rows, products), self._added(products)])


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
