"""What follows a convolution: max-pooling, an affine map per channel, ReLU; fused and in this order."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from numnist.arrays import Array, Shape
from numnist.engine.kernels.tiles import Tile
from numnist.engine.memory import Scratch, aligned
from numnist.engine.stage import Step, run

ZERO = np.zeros((), np.float32)

BLOCK_BYTES = 2**20
"""What a block of phases may take: it is written, pooled and read again before it leaves the cache."""


@dataclass(frozen=True)
class Epilogue:
    """Shape and kind of what follows a convolution.

        y = max(scale * p + offset, 0)        p = the maximum of each window of 2x2

    where scale >= 0, so that the maximum of what the affine map makes of a window is what it makes of the
    window's maximum: the affine map and ReLU then see a quarter of the values. (A negative scale is the
    caller's to avoid: it turns the sign of the convolution's weights.)

    The convolution's output c comes split into its phases, so that every pass is over contiguous memory:

        phases[a, b, w, n, h, o] = c[n, o, k*h + a, k*w + b]        k = 2 with pooling, 1 without

    pool, relu: whether they are there. columns, rows, channels: W', H' and O of the result.
    """

    pool: bool
    relu: bool
    columns: int
    rows: int
    channels: int

    @property
    def k(self) -> int:
        """Side of the pooling window."""
        return 2 if self.pool else 1

    def shape(self, n: int) -> Shape:
        """Shape of the result for n samples, (W', N, H', O)."""
        return (self.columns, n, self.rows, self.channels)

    def phases_shape(self, n: int) -> Shape:
        """Shape of the convolution's output for n samples, split into phases."""
        return (self.k, self.k, *self.shape(n))

    def blocks(self, n: int) -> list[slice]:
        """Columns of the result, in as many blocks as keep the phases of each below `BLOCK_BYTES`."""
        column = 4 * self.k**2 * n * self.rows * self.channels
        count = min(self.columns, -(-self.columns * column // BLOCK_BYTES))
        return [slice(self.columns * i // count, self.columns * (i + 1) // count) for i in range(count)]

    def maxima(self, phases: Array) -> list[Step]:
        """Steps after which phases[0, 0] is the maximum of each window, in evaluation."""
        first, *others = (phase for above_or_below in phases for phase in above_or_below)
        return [partial(np.maximum, first, other, out=first) for other in others]

    def affine(self, pooled: Array, offset: Array, y: Array) -> list[Step]:
        """Steps that fill y from what `maxima` leaves, in evaluation, where the scale is in the weights.

        offset: (O,), read at every call.
        """
        tile = Tile(y)
        steps: list[Step] = [
            partial(tile.set, offset),
            partial(np.add, tile.rows(pooled), tile.values[0], out=tile.rows(y)),
        ]
        return [*steps, partial(np.maximum, y, ZERO, out=y)] if self.relu else steps


class EpilogueWork:
    """The epilogue of one shard in training.

    pool: steps for each block of columns, after which `pooled` is the windows' maxima. `affine` comes after
    all of them. Backwards, `relu_backward` fills do, the gradient of the affine map's output, and
    `pool_backward` has the steps that spread it over the phases, for each block.
    """

    def __init__(
        self,
        epilogue: Epilogue,
        n: int,
        scratch: Scratch,
        phases: Array,
        dphases: Array,
        y: Array,
        dy: Array,
        keeps: bool,
    ) -> None:
        """keeps: whether pooled values and do must outlive a meeting; else they are in y and in scratch."""
        shape = epilogue.shape(n)
        self._phases = phases
        self.blocks = epilogue.blocks(n)
        # Which of the four won, one array for each (the first of two wins a tie, as in ops.max_pool2d), and
        # where ReLU's output was positive.
        self._won, self._positive = aligned((2, 2, *shape), bool), aligned(shape, bool)
        self.pooled = phases[0, 0]
        if epilogue.pool:
            self.pooled = aligned(shape) if keeps else y
        self.do = aligned(shape) if keeps else scratch.array("do", shape)
        self.tiles = Tile(y, count=2)
        scale, offset = self.tiles.values

        self.pool: list[Sequence[Step]] = [[] for _ in self.blocks]
        self.pool_backward: list[Sequence[Step]] = [[] for _ in self.blocks]
        if not epilogue.pool:
            self.pool_backward = [[partial(np.copyto, dphases[0, 0, b], self.do[b])] for b in self.blocks]
        else:
            pairs = scratch.array("pairs", (2, *shape))
            for i, block in enumerate(self.blocks):
                left, right, of_pairs = phases[:, 0, block], phases[:, 1, block], pairs[:, block]
                self.pool[i] = [
                    partial(np.less, left, right, out=self._won[:, 1, block]),
                    partial(np.maximum, left, right, out=of_pairs),
                    partial(np.less, *of_pairs, out=self._won[1, 0, block]),
                    partial(np.maximum, *of_pairs, out=self.pooled[block]),
                    *winners(self._won[:, :, block]),
                ]
                of_block = dphases[:, :, block]
                # A product: NumPy copies through a mask, and chooses by `where`, twenty times as slowly.
                self.pool_backward[i] = [
                    partial(np.multiply, self.do[block], self._won[:, :, block], out=of_block)
                ]
        pooled_rows, rows = self.tiles.rows(self.pooled), self.tiles.rows(y)
        self._multiply = partial(np.multiply, pooled_rows, scale, out=rows)
        self._add = partial(np.add, rows, offset, out=rows)
        self._add_to_pooled = partial(np.add, pooled_rows, offset, out=rows)
        self._relu: list[Step] = []
        self.relu_backward: Step = partial(np.copyto, self.do, dy)
        if epilogue.relu:
            self._relu = [
                partial(np.maximum, y, ZERO, out=y),
                partial(np.greater, y, ZERO, out=self._positive),
            ]
            self.relu_backward = partial(np.multiply, dy, self._positive, out=self.do)

    def affine(self, scale: Array | None, offset: Array) -> None:
        """Fill y from the pooled values; scale None stands for ones.

        Channels whose scale is 0 have all values of a window tied, and the first one wins.

        Shapes: scale, offset (O,).
        """
        if scale is None:
            self.tiles.set(offset, offset)
            self._add_to_pooled()
        else:
            if not scale.all():
                self._first_wins(np.flatnonzero(scale == 0))
            self.tiles.set(scale, offset)
            self._multiply()
            self._add()
        run(self._relu)

    def _first_wins(self, channels: Array) -> None:
        """Let the first value of each window be its maximum, in these channels."""
        self._won[..., channels] = False
        self._won[0, 0, ..., channels] = True
        self.pooled[..., channels] = self._phases[0, 0][..., channels]


def winners(won: Array) -> list[Step]:
    """Steps from who won a comparison to who won the window.

    Before: won[0, 1] and won[1, 1], whether the right one won in the upper and in the lower pair; won[1, 0],
    whether the lower pair won. After: won[a, b], whether element (a, b) did. With booleans, x > y is x and
    not y.
    """
    (left_above, right_above), (left_below, right_below) = won
    return [
        partial(np.bitwise_or, right_above, left_below, out=left_above),
        partial(np.logical_not, left_above, out=left_above),
        partial(np.greater, right_above, left_below, out=right_above),
        partial(np.bitwise_and, right_below, left_below, out=right_below),
        partial(np.greater, left_below, right_below, out=left_below),
    ]
