"""Changing the order in which activations lie in memory; Flatten is one such change."""

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

from numnist.arrays import Array, Shape
from numnist.engine.meeting import ShardProgram
from numnist.engine.memory import Scratch
from numnist.engine.stage import Ends, Order, Shard, Stage, Step, Work
from numnist.ops import flatten

NCHW = {
    Order.IMAGES: (0, 1, 2, 3),
    Order.COLUMNS: (1, 3, 2, 0),
    Order.ROWS: (0, 1, 2, 3),
    Order.FEATURES: (3, 0, 1, 2),
}
"""Axes that turn an array of this order into (N, C, H, W); of features, with these as (C, H, W)."""


class Reorder(Stage):
    """The same values in another order; from images, or from and to columns, they are those of images."""

    REPLACES = (flatten,)

    finishes = False

    def __init__(self, names: Sequence[str], sample: Shape, takes: Order, gives: Order) -> None:
        """sample: (C, H, W) or (F,) in front. names: of the Flatten that it is, or empty for a conversion."""
        super().__init__(names, sample, (prod(sample),) if gives is Order.ROWS else sample, takes, gives)
        self.sample = sample if len(sample) == 3 else (*sample, 1, 1)
        self.is_view = takes is Order.IMAGES and gives is Order.ROWS

    @property
    def label(self) -> str:
        """See `Stage.label`."""
        return f"{'Flatten' if self.names else 'Convert'} ({self.takes.value} to {self.gives.value})"

    def nchw(self, x: Array, order: Order) -> Array:
        """View of an array of this order as (N, C, H, W)."""
        if order is Order.ROWS:
            x = x.reshape(-1, *self.sample)
        elif order is Order.FEATURES:
            x = x.reshape(*self.sample, -1)
        return x.transpose(NCHW[order])

    def training(self, shard: Shard, shared: Any, ends: Ends) -> Work:
        """See `Stage.training`."""
        return ReorderWork(self, ends)

    def predicting(self, n: int, scratch: Scratch, x: Array, y: Array) -> Sequence[Step]:
        """See `Stage.predicting`."""
        return [partial(np.copyto, self.nchw(y, self.gives), self.nchw(x, self.takes))]


class ReorderWork(Work):
    """The work of a `Reorder` for one shard."""

    def __init__(self, stage: Reorder, ends: Ends) -> None:
        self._forward: Step | None = None
        self._backward: Step | None = None
        if stage.is_view:
            return
        y, x = stage.nchw(ends.y, stage.gives), stage.nchw(ends.x, stage.takes)
        self._forward = partial(np.copyto, y, x)
        if ends.dx is not None:
            dx, dy = stage.nchw(ends.dx, stage.takes), stage.nchw(ends.dy, stage.gives)
            self._backward = partial(np.copyto, dx, dy)

    def forward(self, rng: np.random.Generator | None) -> ShardProgram:
        """See `Work.forward`."""
        if self._forward is not None:
            self._forward()
        return
        yield  # there is no meeting, but it is a program all the same

    def backward(self) -> ShardProgram:
        """See `Work.backward`."""
        if self._backward is not None:
            self._backward()
        return
        yield  # there is no meeting, but it is a program all the same
