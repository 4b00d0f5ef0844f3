"""What follows a convolution: max-pooling, an affine map per channel, ReLU; fused and in this order."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from numnist.arrays import Array, Shape
from numnist.engine.kernels.activations import rectify
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

    def phases(self, n: int, scratch: Scratch) -> list[Array]:
        """Memory for the phases of the blocks: one for all of them, so that it stays in the cache."""
        whole = self.phases_shape(n)
        shapes = [(*whole[:2], block.stop - block.start, *whole[3:]) for block in self.blocks(n)]
        scratch.array("phases", max(shapes))
        return [scratch.array("phases", shape) for shape in shapes]

    def maxima(self, phases: Array, out: Array | None = None) -> list[Step]:
        """Steps after which `out`, or phases[0, 0], is the maximum of each window, in evaluation."""
        first, *others = (phase for above_or_below in phases for phase in above_or_below)
        outs = [first] * len(others) if out is None else [*[first] * (len(others) - 1), out]
        return [
            partial(np.maximum, first, other, out=place) for other, place in zip(others, outs, strict=True)
        ]

    def affine(self, pooled: Array, offset: Array, y: Array) -> list[Step]:
        """Steps that fill y from what `maxima` leaves, in evaluation, where the scale is in the weights.

        offset: (O,), read at every call.
        """
        tile = Tile(y)
        steps: list[Step] = [
            partial(tile.set, offset),
            partial(np.add, tile.rows(pooled), tile.values[0], out=tile.rows(y)),
        ]
        return [*steps, rectify(y)] if self.relu else steps


class EpilogueWork:
    """The epilogue of one shard in training, in blocks of columns.

    Forwards, `forward` fills y block by block. Backwards, the steps of `relu_backward` fill do, the gradient
    of the affine map's output, and those of `unpool` spread it over the phases; one list for each block. What
    is passed to one of two is a product with a boolean (NumPy copies through a mask, and chooses by `where`,
    twenty times as slowly).
    """

    def __init__(
        self, epilogue: Epilogue, n: int, scratch: Scratch, phases: Sequence[Array], dphases: Sequence[Array],
        y: Array, dy: Array, *, keeps: bool = False, by_differences: bool = False,
    ) -> None:  # fmt: skip
        """phases, dphases: those of each block of `Epilogue.blocks`, and their gradients.

        keeps: whether pooled values and do must outlive a meeting; else they are in y and in scratch.

        by_differences: `unpool` then leaves, in the place of the left one of each pair, what is passed to
        either, and in that of the right one what is passed to that. It is a pass less, for a caller who has
        left and right - left where others have left and right. There is no do then.
        """
        shape = epilogue.shape(n)
        self._phases, self._dphases = phases, dphases
        self.blocks = epilogue.blocks(n)
        # Whether the right one of each pair won, above and below (the first of two wins a tie, as in
        # ops.max_pool2d); whether the pair above won and ReLU passed it on, and the pair below.
        self._right, self._passed = aligned((2, *shape), bool), aligned((2, *shape), bool)
        self._positive = aligned(shape, bool)
        # The maximum of each window, where there is pooling.
        self.pooled = aligned(shape) if epilogue.pool and keeps else y
        self.do = dy
        if not by_differences:
            self.do = aligned(shape) if keeps else scratch.array("do", shape)
        self.tiles = Tile(y, count=2)
        self._pool: list[list[Step]] = []
        self._affine: list[list[Step]] = []
        self._affine_without_scale: list[list[Step]] = []
        self.relu_backward: list[Step] = []
        self.unpool: list[list[Step]] = []
        pairs = scratch.array("pairs", (2, *shape))
        for i, block in enumerate(self.blocks):
            behind: list[Step] = []
            spread: list[Step] = [partial(np.copyto, dphases[i][0, 0], self.do[block])]
            to_do: Step = partial(np.copyto, self.do[block], dy[block])
            if epilogue.relu:
                positive = self._positive[block]
                behind = [
                    rectify(y[block]),
                    partial(np.greater, y[block], ZERO, out=positive),
                ]
                to_do = partial(np.multiply, dy[block], positive, out=self.do[block])
                if by_differences:
                    spread = [partial(np.multiply, dy[block], positive, out=dphases[i][0, 0])]
            if epilogue.pool:
                pool, passed, spread = self._pooling(i, pairs[:, : block.stop - block.start], epilogue.relu)
                self._pool.append(pool)
                behind += passed
                if not by_differences:
                    left, right = dphases[i].swapaxes(0, 1)
                    spread.append(partial(np.subtract, left, right, out=left))
            values = self.pooled[block] if epilogue.pool else phases[i][0, 0]
            self._bind_affine(values, y[block], behind)
            if not by_differences:
                self.relu_backward.append(to_do)
            self.unpool.append(spread)

    def _pooling(self, i: int, pairs: Array, relu: bool) -> tuple[list[Step], list[Step], list[Step]]:
        """The steps that pool block i, those that say what is passed on, and those back, `by_differences`.

        pairs: scratch memory for the values of two pairs.
        """
        block = self.blocks[i]
        left, right = self._phases[i].swapaxes(0, 1)
        right_won, passed, positive = self._right[:, block], self._passed[:, block], self._positive[block]
        above, below = passed
        pool: list[Step] = [
            partial(np.less, left, right, out=right_won),
            partial(np.maximum, left, right, out=pairs),
            partial(np.less, *pairs, out=below),
            partial(np.maximum, *pairs, out=self.pooled[block]),
        ]
        behind: list[Step] = [partial(np.logical_not, below, out=above)]
        if relu:
            behind = [
                partial(np.greater, positive, below, out=above),  # of booleans: the one, and not the other
                partial(np.bitwise_and, positive, below, out=below),
            ]
        of_pairs, of_right = self._dphases[i].swapaxes(0, 1)
        back: list[Step] = [
            partial(np.multiply, self.do[block], passed, out=of_pairs),
            partial(np.multiply, of_pairs, right_won, out=of_right),
        ]
        return pool, behind, back

    def _bind_affine(self, values: Array, y: Array, behind: list[Step]) -> None:
        """Bind the steps of the affine map from a block's values to its y, and those behind it."""
        offset, scale = self.tiles.values
        values, rows = self.tiles.rows(values), self.tiles.rows(y)
        multiply = partial(np.multiply, values, scale, out=rows)
        self._affine.append([multiply, partial(np.add, rows, offset, out=rows), *behind])
        self._affine_without_scale.append([partial(np.add, values, offset, out=rows), *behind])

    def forward(self, offset_and_scale: Array, fill: Sequence[Step]) -> None:
        """Fill y from the phases.

        Channels whose scale is 0 have all values of a window tied, and the first one wins.

        fill: for each block, a step that fills its phases first; or nothing, where all are filled.
        Shapes: offset_and_scale (2, O), or (1, O) where the scale is 1 throughout.
        """
        self.tiles.set(offset_and_scale)
        affine, tied = self._affine_without_scale, None
        if len(offset_and_scale) == 2:
            affine, scale = self._affine, offset_and_scale[1]
            if np.count_nonzero(scale) < len(scale):
                tied = np.flatnonzero(scale == 0)
        for i in range(len(self.blocks)):
            if fill:
                fill[i]()
            if self._pool:
                run(self._pool[i])
                if tied is not None:
                    self._first_wins(i, tied)
            run(affine[i])

    def _first_wins(self, i: int, channels: Array) -> None:
        """Let the first value of each window be its maximum, in these channels of block i."""
        block = self.blocks[i]
        self._right[:, block][..., channels] = False
        self._passed[1, block][..., channels] = False
        self.pooled[block][..., channels] = self._phases[i][0, 0][..., channels]
