"""A small fully connected layer behind a convolution, with the Flatten before it and the activation after."""

from functools import partial
from typing import Any

import numpy as np

from numnist.arrays import Array
from numnist.engine.kernels.dense import FullyConnected
from numnist.engine.meeting import ShardProgram, Table
from numnist.engine.memory import Allocate, Scratch, aligned, shared_memory
from numnist.engine.reducer import ALONE, Reducer
from numnist.engine.stage import Ends, Order, Shard, Step, Work, run
from numnist.ops import flatten, leaky_relu, linear, relu, sigmoid, tanh


class ColumnDense(FullyConnected):
    """Flatten, Linear, and an activation, on values in the order (W, N, H, C).

    Nothing is flattened: the weight is brought into the order of the values, a part for each column w, and
    with x[w] a matrix (N, H*C),

        zᵀ = b + sum over w of W[w] x[w]ᵀ        y = f(z)
        dz = dy f'(z)        dx[w] = dz W[w]        dW[w] = dzᵀ x[w]

    Each shard has a dW of its own; they are added up. That, and bringing the weight into order, is little
    where the weight is small; a large one is for `WideDense`.
    """

    REPLACES = (flatten, linear, relu, leaky_relu, sigmoid, tanh)

    TAKES = Order.COLUMNS

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        C, H, W = self.input_shape
        self.weight = shared_memory((W, self.layer.out_features, H * C))

    def refresh(self, training: bool) -> None:
        """See `Stage.refresh`."""
        C, H, W = self.input_shape
        weight = self.layer.parameters["weight"].reshape(-1, C, H, W)
        np.copyto(self.weight.reshape(W, -1, H, C), weight.transpose(3, 0, 2, 1))

    def shared(self, batch: int, shards: int, allocate: Allocate, reducer: Reducer = ALONE) -> Table:
        """See `Stage.shared`: dW and db of each shard."""
        return Table(shards, allocate, self.weight.shape, self.output_shape, dtype=np.float32)

    def finish(self, shared: Table, gradients: dict[str, Array]) -> None:
        """See `Stage.finish`."""
        C, H, W = self.input_shape
        dweight, gradients[self.path["bias"]][...] = shared.sums()
        out = gradients[self.path["weight"]].reshape(-1, C, H, W)
        np.copyto(out.transpose(3, 0, 2, 1), dweight.reshape(W, -1, H, C))

    def outputs(self, x: Array, y: Array, scratch: Scratch) -> list[Step]:
        """See `FullyConnected.outputs`."""
        of_columns = scratch.array("products", (len(x), *y.shape))
        return [
            partial(np.matmul, self.weight, _rows(x).swapaxes(1, 2), out=of_columns),
            partial(np.add.reduce, of_columns, axis=0, out=y),
            *self.from_products(y, self.layer.parameters["bias"]),
        ]

    def training(self, shard: Shard, shared: Table, ends: Ends) -> Work:
        """See `Stage.training`."""
        return ColumnDenseWork(self, shard, shared, ends)


class ColumnDenseWork(Work):
    """The work of a `ColumnDense` for one shard."""

    def __init__(self, stage: ColumnDense, shard: Shard, shared: Table, ends: Ends) -> None:
        self._forward = stage.outputs(ends.x, ends.y, shard.scratch)
        self._backward: list[Step] = []
        dz = ends.dy
        if stage.activation is not None:
            dz = aligned(ends.dy.shape)
            self._backward.append(stage.backward_of_activation(ends.dy, ends.y, dz, shard.scratch))
        dweight, dbias = (column[shard.number] for column in shared.columns)
        self._backward += [
            partial(np.matmul, dz, _rows(ends.x), out=dweight),
            partial(np.add.reduce, dz, axis=1, out=dbias),
        ]
        if ends.dx is not None:
            self._backward.append(partial(np.matmul, dz.T, stage.weight, out=_rows(ends.dx)))

    def forward(self, rng: np.random.Generator | None) -> ShardProgram:
        """See `Work.forward`."""
        run(self._forward)
        return
        yield  # there is no meeting, but it is a program all the same

    def backward(self) -> ShardProgram:
        """See `Work.backward`."""
        run(self._backward)
        return
        yield  # there is no meeting, but it is a program all the same


def _rows(x: Array) -> Array:
    """View of (W, N, H, C) as (W, N, H*C)."""
    return x.reshape(*x.shape[:2], -1)
