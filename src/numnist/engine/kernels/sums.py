"""Sums over samples, per channel: in float32 over blocks of rows, then in float64 over the blocks."""

from collections.abc import Sequence
from functools import partial
from itertools import chain

import numpy as np

from numnist.arrays import Array
from numnist.engine.stage import Step, run

BLOCK = 256
"""Rows to a block: few enough that a float32 sum of them is exact to a few units in the last place."""

WIDTH = 512
"""Values in a row, of several samples side by side: NumPy's inner loops are as long as a row."""

Terms = Sequence[tuple[Array, ...]]
"""What one sum is of, part by part: the columns of x for (x,), and of x * y for (x, y)."""


class ColumnSums:
    """Several sums of columns; the arrays are bound, and read when the steps are taken.

    of_parts: for each part of the terms, the steps that take up what its arrays hold then; of every sum.
    total: the step behind them that fills `out`.

    Shapes: the arrays contiguous with channels last, (..., C), those of the same part in each of the sums of
    one shape; out (number of sums, C), float64.
    """

    def __init__(self, *sums: Terms, out: Array | None = None) -> None:
        C = sums[0][0][0].shape[-1]
        layouts = [_Layout(part[0].size // C, C) for part in sums[0]]
        partial_sums = np.zeros((len(sums), sum(layout.size for layout in layouts), C), np.float32)
        self.out = np.empty((len(sums), C)) if out is None else out
        self.of_parts: list[list[Step]] = []
        first = 0
        for layout, *parts in zip(layouts, *sums, strict=True):
            places = partial_sums[:, first : first + layout.size]
            first += layout.size
            steps = (layout.steps(part, place) for part, place in zip(parts, places, strict=True))
            self.of_parts.append(list(chain.from_iterable(steps)))
        self.total: Step = partial(np.add.reduce, partial_sums, axis=1, dtype=np.float64, out=self.out)

    @property
    def steps(self) -> list[Step]:
        """All of them, in order."""
        return [*chain.from_iterable(self.of_parts), self.total]

    def __call__(self) -> Array:
        """The sums of what the arrays hold now."""
        run(self.steps)
        return self.out


class _Layout:
    """How so many samples of C channels are taken: in rows of some beside each other, in blocks of rows."""

    def __init__(self, samples: int, C: int) -> None:
        self._beside = max(b for b in range(1, max(1, WIDTH // C) + 1) if samples % b == 0)
        self._rows, self._width = samples // self._beside, self._beside * C
        self._whole = self._rows // BLOCK * BLOCK
        # The last one is for what does not fill a block.
        self.size = (self._rows // BLOCK + 1) * self._beside

    def steps(self, part: tuple[Array, ...], place: Array) -> list[Step]:
        """The steps that fill `place` (size, C) with sums of a part."""
        sums = place.reshape(-1, self._width)
        rows = [values.reshape(self._rows, self._width) for values in part]
        whole = [each[: self._whole].reshape(-1, BLOCK, self._width) for each in rows]
        rest = [each[self._whole :] for each in rows]
        steps = []
        if self._whole:
            steps.append(_summed(whole, sums[:-1]))
        if self._whole < self._rows:
            steps.append(_summed(rest, sums[-1]))
        return steps


def _summed(factors: list[Array], out: Array) -> Step:
    """The step that sums products of factors (..., rows, width) over the rows."""
    if len(factors) == 1:
        return partial(np.matmul, np.ones(factors[0].shape[-2], np.float32), factors[0], out=out)
    return partial(np.einsum, "...ic,...ic->...c", *factors, out=out)
