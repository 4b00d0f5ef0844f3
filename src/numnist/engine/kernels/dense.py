"""A fully connected layer with the activation behind it."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from numnist.arrays import Array, Shape
from numnist.engine.kernels.activations import Activation
from numnist.engine.meeting import ShardProgram
from numnist.engine.memory import Allocate, Scratch
from numnist.engine.reducer import ALONE, Reducer
from numnist.engine.stage import Ends, Order, Shard, Stage, Step, Work, run
from numnist.nn import Linear
from numnist.ops import leaky_relu, linear, relu, sigmoid, tanh

LARGE = 2**16
"""Weights from which on it pays to compute the rows of dW side by side: else the others rest earlier."""


@dataclass(frozen=True)
class Shared:
    """The whole batch's input and gradient, (batch, I) and (batch, O): each shard has its rows."""

    x: Array
    dz: Array


class FullyConnected(Stage):
    """What the kernels of a Linear, and the activation behind it, have in common."""

    TAKES: ClassVar[Order]

    def __init__(
        self,
        names: Sequence[str],
        input_shape: Shape,
        output_shape: Shape,
        layer: Linear,
        activation: Activation | None,
        path: dict[str, str],
    ) -> None:
        """path: the parameters' names in the model, for "weight" and "bias"."""
        super().__init__(names, input_shape, output_shape, self.TAKES, Order.ROWS)
        self.layer, self.activation, self.path = layer, activation, path

    @abstractmethod
    def outputs(self, x: Array, y: Array, scratch: Scratch) -> list[Step]:
        """The steps that fill y from x, in training as in evaluation."""

    def predicting(self, n: int, scratch: Scratch, x: Array, y: Array) -> Sequence[Step]:
        """See `Stage.predicting`."""
        return self.outputs(x, y, scratch)


class Dense(FullyConnected):
    """Linear, and an activation.

        zᵀ = W xᵀ + b        y = f(z)        dz = dy f'(z)        dx = dz W

    W xᵀ is computed, and turned as the bias is added: x Wᵀ would have BLAS pick apart both of its operands,
    and takes half as long again. f'(z) is written in terms of y, so z is not kept. The weight's gradient dW
    = dzᵀ x sums over the whole batch: it is not added up over shards, each with a matrix as large as the
    weight, but every shard computes some rows of it from the inputs and gradients of all.
    """

    REPLACES = (linear, relu, leaky_relu, sigmoid, tanh)

    TAKES = Order.ROWS

    @property
    def shares_rows(self) -> bool:
        """Whether the shards compute the rows of dW side by side."""
        return self.layer.in_features * self.layer.out_features >= LARGE

    def shared(self, batch: int, shards: int, allocate: Allocate, reducer: Reducer = ALONE) -> Shared:
        """See `Stage.shared`."""
        return Shared(allocate((batch, *self.input_shape)), allocate((batch, *self.output_shape)))

    def input_of_all(self, shared: Shared) -> Array:
        """See `Stage.input_of_all`: dW needs the inputs of all."""
        return shared.x

    def outputs(self, x: Array, y: Array, scratch: Scratch) -> list[Step]:
        """See `FullyConnected.outputs`."""
        weight, bias = self.layer.parameters["weight"], self.layer.parameters["bias"]
        z = scratch.array("products", y.shape[::-1])
        steps: list[Step] = [partial(np.matmul, weight, x.T, out=z), partial(np.add, z.T, bias, out=y)]
        return steps if self.activation is None else [*steps, partial(self.activation.forward, y)]

    def training(self, shard: Shard, shared: Shared, ends: Ends) -> Work:
        """See `Stage.training`."""
        return DenseWork(self, shard, shared, ends)

    def finish(self, shared: Shared, gradients: dict[str, Array]) -> None:
        """See `Stage.finish`."""
        if not self.shares_rows:
            self.write_rows(shared, slice(None), gradients)

    def write_rows(self, shared: Shared, rows: slice, gradients: dict[str, Array]) -> None:
        """Write these rows of dW and db."""
        dz = shared.dz[:, rows]
        np.matmul(dz.T, shared.x, out=gradients[self.path["weight"]][rows])
        np.add.reduce(dz, axis=0, out=gradients[self.path["bias"]][rows])


class DenseWork(Work):
    """The work of a `Dense` for one shard."""

    def __init__(self, stage: Dense, shard: Shard, shared: Shared, ends: Ends) -> None:
        self._stage, self._shard, self._shared = stage, shard, shared
        dz = shared.dz[shard.samples]
        self._forward = stage.outputs(ends.x, ends.y, shard.scratch)
        if stage.activation is None:
            self._backward: list[Step] = [partial(np.copyto, dz, ends.dy)]
        else:
            spare = shard.scratch.array("spare", dz.shape, np.int32)
            self._backward = [partial(stage.activation.backward, ends.dy, ends.y, spare, out=dz)]
        if ends.dx is not None:
            self._backward.append(partial(np.matmul, dz, stage.layer.parameters["weight"], out=ends.dx))

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

    def share(self, gradients: dict[str, Array]) -> None:
        """See `Work.share`: a share of the rows of dW and db."""
        if self._stage.shares_rows:
            O, shard = self._stage.output_shape[0], self._shard  # noqa: E741 -- the formula's letter
            rows = slice(O * shard.number // shard.shards, O * (shard.number + 1) // shard.shards)
            self._stage.write_rows(self._shared, rows, gradients)
