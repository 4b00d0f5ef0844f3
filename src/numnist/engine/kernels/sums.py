"""Sums over samples, per channel: in float32 over blocks of rows, then in float64 over the blocks."""

from functools import partial

import numpy as np

from numnist.arrays import Array

BLOCK = 256
"""Rows to a block: few enough that a float32 sum of them is exact to a few units in the last place."""


class ColumnSums:
    """Sums of the columns of x, or of x * y; the arrays are bound, and read at every call.

    Shapes: x, y contiguous with channels last, (..., C) -> (C,), float64.
    """

    def __init__(self, x: Array, y: Array | None = None) -> None:
        C = x.shape[-1]
        rows = x.size // C
        whole = rows // BLOCK * BLOCK

        def blocks(values: Array) -> tuple[Array, Array]:
            values = values.reshape(rows, C)
            return values[:whole].reshape(rows // BLOCK, BLOCK, C), values[whole:]

        self._sums = np.empty((rows // BLOCK, C), np.float32)
        if y is None:
            of_blocks, rest = blocks(x)
            self._block = partial(np.matmul, np.ones(BLOCK, np.float32), of_blocks, out=self._sums)
            self._rest = partial(np.add.reduce, rest, axis=0)
        else:
            (of_blocks, rest), (of_blocks_y, rest_y) = blocks(x), blocks(y)
            self._block = partial(np.einsum, "bic,bic->bc", of_blocks, of_blocks_y, out=self._sums)
            self._rest = partial(np.einsum, "ic,ic->c", rest, rest_y)
        self._has_rest = whole < rows

    def __call__(self) -> Array:
        """The sums of what the arrays hold now."""
        self._block()
        total: Array = np.add.reduce(self._sums, axis=0, dtype=np.float64)
        return total + self._rest() if self._has_rest else total
