"""Numbers per channel, as an operand that makes long loops."""

from functools import partial

import numpy as np

from numnist.arrays import Array
from numnist.engine.memory import aligned

LONGEST = 2048
"""Values in a row: NumPy's loops are then long, and of a tile there is little to write."""


class Tile:
    """Numbers per channel, repeated along a row, for arrays (..., N, H, C) like the one given.

    NumPy loops along the last axis, and to begin such a loop takes as long as 100 values in it: along 16
    channels that would be most of the time.
    """

    def __init__(self, like: Array, count: int = 1) -> None:
        """count: how many such rows, for as many sets of numbers."""
        *_, n, rows, channels = like.shape
        fitting = [r for r in range(1, n + 1) if n % r == 0 and (r == 1 or r * rows * channels <= LONGEST)]
        repeats = max(fitting) * rows
        self.values = aligned((count, repeats * channels))
        self._numbers = np.empty((count, 1, channels), np.float32)
        self._repeat = partial(np.copyto, self.values.reshape(count, repeats, channels), self._numbers)

    def set(self, numbers: Array) -> None:
        """Repeat each of these, (count, C), along its row."""
        self._numbers[:, 0] = numbers
        self._repeat()

    def rows(self, x: Array) -> Array:
        """View of x with rows as long as the tile, to broadcast against one of `values`."""
        return x.reshape(-1, self.values.shape[1])
