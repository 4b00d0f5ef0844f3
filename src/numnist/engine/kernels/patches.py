"""The patches of images under a kernel, as views of memory that holds each pixel a few times."""

from functools import partial

import numpy as np
from numpy.lib.stride_tricks import as_strided

from numnist.arrays import Array
from numnist.engine.memory import aligned
from numnist.engine.stage import Step

PROBES = 17
"""Pixels that are looked at to find one in the middle."""


class Patches:
    """The array U of `InputConvolution` for samples x, and the steps that fill it from x, less `shift`."""

    def __init__(self, x: Array, kernel_size: int, padding: int, k: int, rows: int, columns: int) -> None:
        """k, rows, columns: side of a window that is pooled, and windows along H and W; x is bound.

        Shapes: x (N, C, H, W).
        """
        (n, C, H, W), KH, KW, p = x.shape, kernel_size, kernel_size, padding
        Hp, Wp = H + 2 * p, W + 2 * p
        self.k, self.n, self.rows, self.columns = k, n, rows, columns
        self.shape = (KH, C * KW)
        self.shift = np.zeros((), np.float32)
        # Spread by the golden ratio, so that they are never all from one place of the images.
        places = (np.arange(1, PROBES + 1) * 0.618034 % 1 * x.size).astype(np.intp)
        self._probe = partial(np.take, x.reshape(-1), places)

        # The padded image, samples innermost, and as it is read for U: [b, h, c, v, w, n].
        self.padded = padded = aligned((Hp, C, Wp, n))
        row, channel, column, one = padded.strides
        windows = as_strided(
            padded,
            (k, Hp, C, KW, columns, n),
            (column, row, channel, column, k * column, one),
            writeable=False,
        )
        # KH - 1 rows of zeros below, so that every row has KH rows from it on.
        self.U = aligned((k, Hp + KH - 1, C, KW, columns, n))
        self.U[:, Hp:] = 0
        inside = padded[p : p + H, :, p : p + W]
        self.unroll: list[Step] = [
            partial(np.subtract, x.transpose(2, 1, 3, 0), self.shift, out=inside),
            partial(np.copyto, self.U[:, :Hp], windows),
        ]
        if p:
            zero = np.zeros((), np.float32)
            self.unroll.insert(0, partial(np.subtract, zero, self.shift, out=padded))

        if k > 1:
            self._subtract_left = partial(np.subtract, self.U[1], self.U[0], out=self.U[1])

    def matrices(self, block: slice) -> Array:
        """View [a, b, i, (w,n), (u,c,v)]: the patches for the outputs of each phase in row i."""
        U = self.U[:, :, :, :, block]
        part, row, _, tap, _, one = U.strides
        KH, taps = self.shape
        positions = U.shape[4] * self.n
        shape = (self.k, self.k, self.rows, positions, KH * taps)
        return as_strided(U, shape, (row, part, self.k * row, one, tap), writeable=False)

    def outputs(self, phases: Array) -> Array:
        """View of a block's phases [a, b, i, (w,n), o]."""
        return phases.reshape(self.k, self.k, -1, *phases.shape[4:]).swapaxes(2, 3)

    def product(self, weight: Array, phases: Array, block: slice) -> Step:
        """The step that fills the phases of a block of columns: the patches' products with the weight."""
        return partial(np.matmul, self.matrices(block), weight, out=self.outputs(phases))

    def middle_pixel(self) -> float:
        """A pixel from the middle of those that there are.

        Neither is it far from their mean, against their deviation, nor does subtracting it make fractions of
        integers. One constant value becomes exactly 0.
        """
        return float(np.sort(self._probe())[PROBES // 2])

    @property
    def positions(self) -> int:
        """How many patches there are of a sample."""
        return self.k**2 * self.rows * self.columns

    def subtract_left(self) -> None:
        """Let U hold right - left in the place of the right one of each pair of columns."""
        if self.k > 1:
            self._subtract_left()
