"""A large fully connected layer with the activation behind it."""

from functools import partial
from typing import Any

import numpy as np

from numnist.arrays import Array
from numnist.engine.kernels.dense import Dense, Shared
from numnist.engine.kernels.products import by_blocks
from numnist.engine.meeting import HERE, ShardProgram
from numnist.engine.memory import Scratch
from numnist.engine.stage import Ends, Order, Shard, Step, Work, run
from numnist.ops import leaky_relu, linear, relu, sigmoid, tanh

LARGE = 2**16
"""Weights from which on a layer is one of these: reading them takes longer than for shards to meet."""

MOST_PARTS = 16
"""In so many parts the features are shared out at most, however many shards a batch has."""

FEW_VALUES = 2**15
"""Values up to which it pays to turn x, so that its product with the weight has its rows in order."""


class WideDense(Dense):
    """Linear, and an activation, where there are more weights than a core wants to read.

        zᵀ = W xᵀ + b        y = f(z)        dz = dy f'(z)        dx = dz W        dW = dzᵀ x

    Each shard computes some features of all samples, and not all features of some: so it reads some rows of
    W, and no others, makes the same rows of dW, and (see `Update.part`) updates most of them, all on one
    core. That takes a meeting more, behind which all features of its own samples are there. In the order of
    features a shard's are rows, and nothing is turned between fully connected layers.

    Where a batch is small the products are made in blocks of rows, which OpenBLAS multiplies as they are; to
    copy the weights first would take as long as to multiply them.
    """

    REPLACES = (linear, relu, leaky_relu, sigmoid, tanh)

    writes_all = True
    finishes = False
    shares_behind_meeting = True

    def __init__(self, *, follows: bool, **arguments: Any) -> None:
        """follows: whether what comes in is made by the shards, each its own samples; else it is there."""
        super().__init__(**arguments)
        self.follows = follows

    def outputs(self, x: Array, y: Array, scratch: Scratch) -> list[Step]:
        """See `FullyConnected.outputs`."""
        return self.features_of(slice(None), x, y, scratch)

    def features_of(self, rows: slice, x: Array, y: Array, scratch: Scratch) -> list[Step]:
        """The steps that fill y with these features, if there are any."""
        if not len(y):
            return []
        weight, bias = self.layer.parameters["weight"][rows], self.layer.parameters["bias"][rows]
        steps: list[Step] = []
        features = self.features(x)
        if self.takes is Order.ROWS and x.size <= FEW_VALUES:
            features = scratch.array("turned", x.shape[::-1])
            steps.append(partial(np.copyto, features, x.T))
        return [*steps, by_blocks(weight, features, y), *self.from_products(y, bias)]

    def share_of(self, shard: Shard) -> slice:
        """The features that are a shard's: none, for those behind the first `MOST_PARTS`."""
        O, parts = self.layer.out_features, min(shard.shards, MOST_PARTS)  # noqa: E741 -- the formula's letter
        return slice(*(O * min(number, parts) // parts for number in (shard.number, shard.number + 1)))

    def gradients_of(self, rows: slice, x: Array, dz: Array, gradients: dict[str, Array]) -> list[Step]:
        """The steps that write these rows of db and dW, from those of dz.

        dW comes last: it leaves nothing else in the cache.
        """
        return [
            partial(np.matmul, dz, np.ones(dz.shape[1], np.float32), out=gradients[self.path["bias"]][rows]),
            by_blocks(dz, self.rows(x), gradients[self.path["weight"]][rows]),
        ]

    def training(self, shard: Shard, shared: Shared, ends: Ends) -> Work:
        """See `Stage.training`."""
        return WideDenseWork(self, shard, shared, ends)


class WideDenseWork(Work):
    """The work of a `WideDense` for one shard."""

    def __init__(self, stage: WideDense, shard: Shard, shared: Shared, ends: Ends) -> None:
        assert shared.x is not None
        assert shared.y is not None
        scratch = shard.scratch
        self._rows = rows = stage.share_of(shard)
        self._stage, self._x, self._dz = stage, shared.x, shared.dz[rows]
        self._forward = stage.features_of(rows, shared.x, shared.y[rows], scratch)
        dz = shared.dz[:, shard.samples]
        self._backward = [stage.backward_of_activation(ends.dy, ends.y, dz, scratch)]
        if ends.dx is not None:
            self._backward.append(stage.input_gradient(dz, ends.dx))

    def forward(self, rng: np.random.Generator | None) -> ShardProgram:
        """See `Work.forward`."""
        if self._stage.follows:
            yield HERE  # all samples have come this far
        run(self._forward)
        yield HERE  # all features are there

    def backward(self) -> ShardProgram:
        """See `Work.backward`."""
        run(self._backward)
        return
        yield  # there is no meeting, but it is a program all the same

    def sharing(self, gradients: dict[str, Array]) -> list[Step]:
        """See `Work.sharing`: this shard's rows of dW and db."""
        return self._stage.gradients_of(self._rows, self._x, self._dz, gradients)
