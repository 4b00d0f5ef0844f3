"""A layer that no kernel knows: it runs through its op."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from numnist.arrays import Array, Shape
from numnist.engine.meeting import Meeting, ShardProgram, Table
from numnist.engine.memory import Allocate, Scratch
from numnist.engine.reducer import ALONE, Reducer, gather_samples, part_of
from numnist.engine.stage import Ends, Order, Shard, Stage, Step, Work
from numnist.nn import Layer


@dataclass
class Shared:
    """What the shards have in common.

    of_parameters: what each adds to the gradients, in the order of `Operation.path`; of a layer that needs
    the whole batch, all there is. For such a layer also x and y, the values of all, and later their
    gradients; cache, what it left in the first process; reducer, of the ranks that have the rest of the
    batch.
    """

    of_parameters: Table
    x: Array | None = None
    y: Array | None = None
    cache: Any = None
    reducer: Reducer = ALONE


class Operation(Stage):
    """Any layer: sample by sample where it says so, else on the gathered batch.

    A statistic of one shard would not be that of the batch, and random numbers are drawn for a whole batch:
    so where a layer is not `per_sample`, the shards wait for each other, and it runs once. Of several ranks
    each gathers the parts of all, runs it on the whole batch, and goes on with its own part.
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

    def shared(self, batch: int, shards: int, allocate: Allocate, reducer: Reducer = ALONE) -> Shared:
        """See `Stage.shared`."""
        shapes = [self.layer.parameters[name].shape for name in self.path]
        if self.layer.per_sample:
            return Shared(Table(shards, allocate, *shapes))
        x, y = self.takes.shape(batch, self.input_shape), self.gives.shape(batch, self.output_shape)
        return Shared(Table(1, allocate, *shapes), allocate(x), allocate(y), reducer=reducer)

    def training(self, shard: Shard, shared: Shared, ends: Ends) -> Work:
        """See `Stage.training`."""
        kind = PerSampleWork if self.layer.per_sample else GatheredWork
        return kind(self, shard, shared, ends)

    def finish(self, shared: Shared, gradients: dict[str, Array]) -> None:
        """See `Stage.finish`."""
        for path, total in zip(self.path.values(), shared.of_parameters.sums(), strict=True):
            gradients[path][...] = total

    def predicting(self, n: int, scratch: Scratch, x: Array, y: Array) -> Sequence[Step]:
        """See `Stage.predicting`."""
        return [partial(self._predict, x, y)]

    def _predict(self, x: Array, y: Array) -> None:
        y[...], _ = self.layer.forward(x, False, None)


class PerSampleWork(Work):
    """The work of an `Operation` for one shard, on its own."""

    def __init__(self, stage: Operation, shard: Shard, shared: Shared, ends: Ends) -> None:
        self._stage, self._shard, self._ends = stage, shard, ends
        self._of_parameters = shared.of_parameters
        self._cache: Any = None

    def forward(self, rng: np.random.Generator | None) -> ShardProgram:
        """See `Work.forward`."""
        self._ends.y[...], self._cache = self._stage.layer.forward(self._ends.x, True, None)
        return
        yield  # there is no meeting, but it is a program all the same

    def backward(self) -> ShardProgram:
        """See `Work.backward`."""
        dx, gradients = self._stage.layer.backward(self._ends.dy, self._cache)
        self._cache = None
        self._of_parameters.put(self._shard.number, *(gradients[name] for name in self._stage.path))
        if self._ends.dx is not None:
            self._ends.dx[...] = dx
        return
        yield  # there is no meeting, but it is a program all the same


class GatheredWork(Work):
    """The work of an `Operation` for one shard, where the first of them does it for all."""

    def __init__(self, stage: Operation, shard: Shard, shared: Shared, ends: Ends) -> None:
        assert shared.x is not None
        assert shared.y is not None
        self._stage, self._shared, self._ends, self._batch = stage, shared, ends, shard.batch
        # All samples of this rank, and this shard's: values on the way forward, gradients on the way back.
        self._all = shared.x, shared.y
        self._x, self._y = shared.x[shard.samples], shared.y[shard.samples]

    def forward(self, rng: np.random.Generator | None) -> ShardProgram:
        """See `Work.forward`."""
        x, y = self._all

        def whole() -> None:
            of_all, self._shared.cache = self._stage.layer.forward(self._of_all_ranks(x), True, rng)
            y[...] = self._of_this_rank(of_all)

        self._x[...] = self._ends.x
        yield Meeting(whole, once=True)
        self._ends.y[...] = self._y

    def _of_all_ranks(self, values: Array) -> Array:
        """The values of the whole batch, from those of this rank."""
        reducer = self._shared.reducer
        return values if reducer.ranks == 1 else gather_samples(reducer, values, self._batch)

    def _of_this_rank(self, values: Array) -> Array:
        """Of the values of the whole batch, those of this rank."""
        return values[part_of(self._batch, self._shared.reducer.rank, self._shared.reducer.ranks)]

    def backward(self) -> ShardProgram:
        """See `Work.backward`."""
        dx, dy = self._all

        def whole() -> None:
            # The cache may hold on to x, in the place of dx: the layer has done with it when dx is written.
            of_all, gradients = self._stage.layer.backward(self._of_all_ranks(dy), self._shared.cache)
            dx[...] = self._of_this_rank(of_all)
            # They are those of the whole batch, and will be summed over the ranks.
            share = float(self._shared.reducer.rank == 0)
            self._shared.of_parameters.put(0, *(share * gradients[name] for name in self._stage.path))
            self._shared.cache = None

        self._y[...] = self._ends.dy
        yield Meeting(whole, once=True)
        if self._ends.dx is not None:
            self._ends.dx[...] = self._x
