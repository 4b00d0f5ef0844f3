"""Sums over samples, per channel: in float32 over blocks of rows, then in float64 over the blocks."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from numnist.arrays import Array
from numnist.engine.stage import Step, run

BLOCK = 256
"""Rows to a block: few enough that a float32 sum of them is exact to a few units in the last place."""

WIDTH = 512
"""Values in a row, of several samples side by side: NumPy's inner loops are as long as a row."""


class ColumnSums:
    """Sums of the columns of x, or of x * y; the arrays are bound, and read at every call.

    steps: those that take the arrays' values up, for `total_of` to add up later.

    Shapes: x, y contiguous with channels last, (..., C) -> (C,), float64.
    """

    def __init__(self, x: Array, y: Array | None = None) -> None:
        C = x.shape[-1]
        samples = x.size // C
        beside = max(b for b in range(1, max(1, WIDTH // C) + 1) if samples % b == 0)
        rows, width = samples // beside, beside * C
        whole = rows // BLOCK * BLOCK

        def blocks(values: Array) -> tuple[Array, Array]:
            values = values.reshape(rows, width)
            return values[:whole].reshape(rows // BLOCK, BLOCK, width), values[whole:]

        # The last row is for what does not fill a block.
        self._sums = np.zeros((rows // BLOCK + 1, beside, C), np.float32)
        of_blocks, of_rest = self._sums[:-1].reshape(-1, width), self._sums[-1].reshape(width)
        if y is None:
            block, rest = blocks(x)
            ones = np.ones(BLOCK, np.float32)
            steps = [
                partial(np.matmul, ones, block, out=of_blocks),
                partial(np.matmul, ones[: rows - whole], rest, out=of_rest),
            ]
        else:
            (block, rest), (block_y, rest_y) = blocks(x), blocks(y)
            steps = [
                partial(np.einsum, "bic,bic->bc", block, block_y, out=of_blocks),
                partial(np.einsum, "ic,ic->c", rest, rest_y, out=of_rest),
            ]
        self.steps: list[Step] = [
            step for step, there in zip(steps, (whole, rows - whole), strict=True) if there
        ]

    def __call__(self) -> Array:
        """The sums of what the arrays hold now."""
        run(self.steps)
        return total_of([self])

    @property
    def partial_sums(self) -> Array:
        """What the steps have come to, (..., C): sums of blocks, in float32."""
        return self._sums.reshape(-1, self._sums.shape[-1])


def total_of(parts: Sequence[ColumnSums]) -> Array:
    """The sums over several arrays whose steps have been taken, (C,), in float64."""
    partial_sums = [part.partial_sums for part in parts]
    values = partial_sums[0] if len(parts) == 1 else np.concatenate(partial_sums)
    total: Array = np.add.reduce(values, axis=0, dtype=np.float64)
    return total
