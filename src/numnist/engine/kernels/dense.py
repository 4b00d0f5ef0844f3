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


@dataclass
class Shared:
    """Of the whole batch: dz; and what enters and leaves, where it is seen by all."""

    dz: Array
    x: Array | None = None
    y: Array | None = None


class FullyConnected(Stage):
    """What the kernels of a Linear, and the activation behind it, have in common.

    They give features (O, N), which is what W xᵀ comes out as: x Wᵀ would have BLAS pick apart both of its
    operands, and takes half as long again.
    """

    TAKES: ClassVar[Order] = Order.ROWS

    def __init__(
        self,
        names: Sequence[str],
        input_shape: Shape,
        output_shape: Shape,
        layer: Linear,
        activation: Activation | None,
        path: dict[str, str],
        takes: Order | None = None,
    ) -> None:
        """path: the parameters' names in the model, for "weight" and "bias"."""
        super().__init__(names, input_shape, output_shape, takes or self.TAKES, Order.FEATURES)
        self.layer, self.activation, self.path = layer, activation, path

    def backward_of_activation(self, dy: Array, y: Array, dz: Array, scratch: Scratch) -> Step:
        """The step that fills dz from dy."""
        if self.activation is None:
            return partial(np.copyto, dz, dy)
        spare = scratch.array("spare", dz.shape, np.int32)
        return partial(self.activation.backward, dy, y, spare, out=dz)

    def from_products(self, y: Array, bias: Array) -> list[Step]:
        """The steps that make y (O, N) of products W xᵀ, in place."""
        steps: list[Step] = [partial(np.add, y, bias[:, None], out=y)]
        return steps if self.activation is None else [*steps, self.activation.in_place(y)]

    @abstractmethod
    def outputs(self, x: Array, y: Array, scratch: Scratch) -> list[Step]:
        """The steps that fill y from x, in training as in evaluation."""

    def predicting(self, n: int, scratch: Scratch, x: Array, y: Array) -> Sequence[Step]:
        """See `Stage.predicting`."""
        return self.outputs(x, y, scratch)


class Dense(FullyConnected):
    """Linear, and an activation.

        zᵀ = W xᵀ + b        y = f(z)        dz = dy f'(z)        dx = dz W        dW = dzᵀ x

    where x comes as rows (N, I) or as features (I, N). f'(z) is written in terms of y, so z is not kept. dW
    sums over the whole batch: it is not added up over shards, but computed once, from the inputs and
    gradients of all.
    """

    REPLACES = (linear, relu, leaky_relu, sigmoid, tanh)

    reads_all = True

    def shared(self, batch: int, shards: int, allocate: Allocate, reducer: Reducer = ALONE) -> Shared:
        """See `Stage.shared`."""
        return Shared(allocate((*self.output_shape, batch)))

    def see(self, shared: Shared, x: Array | None, y: Array | None) -> None:
        """See `Stage.see`."""
        shared.x, shared.y = x, y

    def rows(self, x: Array) -> Array:
        """View (N, I) of values as they come."""
        return x.T if self.takes is Order.FEATURES else x

    def features(self, x: Array) -> Array:
        """View (I, N) of them."""
        return self.rows(x).T

    def outputs(self, x: Array, y: Array, scratch: Scratch) -> list[Step]:
        """See `FullyConnected.outputs`."""
        weight, bias = self.layer.parameters["weight"], self.layer.parameters["bias"]
        return [partial(np.matmul, weight, self.features(x), out=y), *self.from_products(y, bias)]

    def input_gradient(self, dz: Array, dx: Array) -> Step:
        """The step that fills dx = dz W, in the order that x comes in, from dz (O, N)."""
        weight = self.layer.parameters["weight"]
        if self.takes is Order.FEATURES:
            return partial(np.matmul, weight.T, dz, out=dx)
        return partial(np.matmul, dz.T, weight, out=dx)

    def training(self, shard: Shard, shared: Shared, ends: Ends) -> Work:
        """See `Stage.training`."""
        return DenseWork(self, shard, shared, ends)

    def finish(self, shared: Shared, gradients: dict[str, Array]) -> None:
        """See `Stage.finish`."""
        assert shared.x is not None
        np.matmul(shared.dz, self.rows(shared.x), out=gradients[self.path["weight"]])
        np.add.reduce(shared.dz, axis=1, out=gradients[self.path["bias"]])


class DenseWork(Work):
    """The work of a `Dense` for one shard."""

    def __init__(self, stage: Dense, shard: Shard, shared: Shared, ends: Ends) -> None:
        self._forward = stage.outputs(ends.x, ends.y, shard.scratch)
        dz = shared.dz[:, shard.samples]
        self._backward = [stage.backward_of_activation(ends.dy, ends.y, dz, shard.scratch)]
        if ends.dx is not None:
            self._backward.append(stage.input_gradient(dz, ends.dx))

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
