"""A layer that no kernel knows: it runs through its op."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from numnist.arrays import Array, Shape
from numnist.engine.exchange import Exchange, Part, Rows, ShardProgram, Sums
from numnist.engine.memory import Scratch
from numnist.engine.stage import Allocate, Ends, Order, Shard, Stage, Step, Work
from numnist.nn import Gradients, Layer


@dataclass
class Shared:
    """What the layer gave for the whole batch, where it needs the whole batch."""

    cache: Any = None
    gradients: Gradients = field(default_factory=dict)


class Operation(Stage):
    """Any layer: sample by sample where it says so, else on the gathered batch.

    A statistic of one shard would not be that of the batch, and random numbers are drawn for a whole batch:
    so where a layer is not `per_sample`, the shards wait for each other, and it runs once.
    """

    def __init__(
        self,
        names: Sequence[str],
        input_shape: Shape,
        output_shape: Shape,
        layer: Layer,
        path: dict[str, str],
    ) -> None:
        """path: names in the model of the layer's parameters."""
        takes, gives = (
            Order.ROWS if len(shape) == 1 else Order.IMAGES for shape in (input_shape, output_shape)
        )
        super().__init__(names, input_shape, output_shape, takes, gives)
        self.layer, self.path = layer, path

    @property
    def label(self) -> str:
        """See `Stage.label`."""
        return f"Operation ({type(self.layer).__name__}{'' if self.layer.per_sample else ', gathered'})"

    def shared(self, batch: int, allocate: Allocate) -> Shared:
        """See `Stage.shared`."""
        return Shared()

    def training(self, shard: Shard, shared: Shared, ends: Ends) -> Work:
        """See `Stage.training`."""
        kind = PerSampleWork if self.layer.per_sample else GatheredWork
        return kind(self, shard, shared, ends)

    def finish(self, shared: Shared, part: Sums | None, gradients: dict[str, Array]) -> None:
        """See `Stage.finish`."""
        own = shared.gradients if part is None else dict(zip(self.path, part.arrays, strict=True))
        for name, path in self.path.items():
            gradients[path][...] = own[name]

    def predicting(self, n: int, scratch: Scratch, x: Array, y: Array) -> Sequence[Step]:
        """See `Stage.predicting`."""
        return [partial(self._predict, x, y)]

    def _predict(self, x: Array, y: Array) -> None:
        y[...], _ = self.layer.forward(x, False, None)


class PerSampleWork(Work):
    """The work of an `Operation` for one shard, on its own."""

    def __init__(self, stage: Operation, shard: Shard, shared: Shared, ends: Ends) -> None:
        self._stage, self._ends = stage, ends
        self._cache: Any = None
        self._part: Sums | None = None

    def forward(self, rng: np.random.Generator | None) -> ShardProgram:
        """See `Work.forward`."""
        self._ends.y[...], self._cache = self._stage.layer.forward(self._ends.x, True, None)
        return
        yield  # nothing to exchange, but a program all the same

    def backward(self) -> ShardProgram:
        """See `Work.backward`."""
        dx, gradients = self._stage.layer.backward(self._ends.dy, self._cache)
        self._cache = None
        self._part = Sums(tuple(gradients[name] for name in self._stage.path))
        if self._ends.dx is not None:
            self._ends.dx[...] = dx
        return
        yield  # nothing to exchange, but a program all the same

    def part(self) -> Part | None:
        """See `Work.part`."""
        return self._part


class GatheredWork(Work):
    """The work of an `Operation` for one shard, where the first of them does it for all."""

    def __init__(self, stage: Operation, shard: Shard, shared: Shared, ends: Ends) -> None:
        self._layer, self._shard, self._shared, self._ends = stage.layer, shard, shared, ends

    def forward(self, rng: np.random.Generator | None) -> ShardProgram:
        """See `Work.forward`."""

        def whole(rows: Rows) -> Array:
            y, self._shared.cache = self._layer.forward(rows.together(), True, rng)
            return y

        y = yield Exchange(Rows((self._ends.x,)), whole)
        self._ends.y[...] = y[self._shard.samples]

    def backward(self) -> ShardProgram:
        """See `Work.backward`."""

        def whole(rows: Rows) -> Array:
            dx, self._shared.gradients = self._layer.backward(rows.together(), self._shared.cache)
            self._shared.cache = None
            return dx

        # A copy: dy is scratch memory, which the next shard of this worker overwrites before all are here.
        dx = yield Exchange(Rows((self._ends.dy.copy(),)), whole)
        if self._ends.dx is not None:
            self._ends.dx[...] = dx[self._shard.samples]
