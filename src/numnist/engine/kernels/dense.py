"""A fully connected layer with the activation behind it."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from numnist.arrays import Array, Shape
from numnist.engine.kernels.activations import Activation
from numnist.engine.kernels.products import by_blocks
from numnist.engine.meeting import ShardProgram
from numnist.engine.memory import Allocate, Scratch, aligned
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
    write_dweight: Step | None = None
    """For x in the order of features: fills `turned`, (I, O), the transpose of dW."""
    turned: Array | None = None


class FullyConnected(Stage):
    """What the kernels of a Linear, and the activation behind it, have in common."""

    TAKES: ClassVar[Order] = Order.ROWS
    GIVES: ClassVar[Order] = Order.ROWS

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
        super().__init__(names, input_shape, output_shape, takes or self.TAKES, self.GIVES)
        self.layer, self.activation, self.path = layer, activation, path

    def backward_of_activation(self, ends: Ends, dz: Array, scratch: Scratch) -> Step:
        """The step that fills dz from dy."""
        if self.activation is None:
            return partial(np.copyto, dz, ends.dy)
        spare = scratch.array("spare", dz.shape, np.int32)
        return partial(self.activation.backward, ends.dy, ends.y, spare, out=dz)

    @abstractmethod
    def outputs(self, x: Array, y: Array, scratch: Scratch) -> list[Step]:
        """The steps that fill y from x, in training as in evaluation."""

    def predicting(self, n: int, scratch: Scratch, x: Array, y: Array) -> Sequence[Step]:
        """See `Stage.predicting`."""
        return self.outputs(x, y, scratch)


class Dense(FullyConnected):
    """Linear, and an activation.

        zᵀ = W xᵀ + b        y = f(z)        dz = dy f'(z)        dx = dz W        dW = dzᵀ x

    where x comes as rows (N, I) or as features (I, N). W xᵀ is computed, and turned as the bias is added: x
    Wᵀ would have BLAS pick apart both of its operands, and takes half as long again. f'(z) is written in
    terms of y, so z is not kept. dW sums over the whole batch: it is not added up over shards, but computed
    once, from the inputs and gradients of all.
    """

    REPLACES = (linear, relu, leaky_relu, sigmoid, tanh)

    reads_all = True

    def shared(self, batch: int, shards: int, allocate: Allocate, reducer: Reducer = ALONE) -> Shared:
        """See `Stage.shared`."""
        return Shared(allocate((batch, *self.output_shape)))

    def see(self, shared: Shared, x: Array | None, y: Array | None) -> None:
        """See `Stage.see`."""
        shared.x, shared.y = x, y
        if x is not None and self.takes is Order.FEATURES:
            shared.turned = aligned((len(x), *self.output_shape))
            shared.write_dweight = by_blocks(x, shared.dz, shared.turned)

    def rows(self, x: Array) -> Array:
        """View (N, I) of values as they come."""
        return x.T if self.takes is Order.FEATURES else x

    def features(self, x: Array) -> Array:
        """View (I, N) of them."""
        return self.rows(x).T

    def outputs(self, x: Array, y: Array, scratch: Scratch) -> list[Step]:
        """See `FullyConnected.outputs`."""
        weight, bias = self.layer.parameters["weight"], self.layer.parameters["bias"]
        z = scratch.array("products", y.shape[::-1])
        steps: list[Step] = [
            partial(np.matmul, weight, self.features(x), out=z),
            partial(np.add, z.T, bias, out=y),
        ]
        return steps if self.activation is None else [*steps, partial(self.activation.forward, y)]

    def training(self, shard: Shard, shared: Shared, ends: Ends) -> Work:
        """See `Stage.training`."""
        return DenseWork(self, shard, shared, ends)

    def finish(self, shared: Shared, gradients: dict[str, Array]) -> None:
        """See `Stage.finish`."""
        assert shared.x is not None
        dweight = gradients[self.path["weight"]]
        if shared.write_dweight is not None and shared.turned is not None:
            shared.write_dweight()
            dweight[...] = shared.turned.T
        else:
            np.matmul(shared.dz.T, shared.x, out=dweight)
        np.add.reduce(shared.dz, axis=0, out=gradients[self.path["bias"]])


class DenseWork(Work):
    """The work of a `Dense` for one shard."""

    def __init__(self, stage: Dense, shard: Shard, shared: Shared, ends: Ends) -> None:
        self._forward = stage.outputs(ends.x, ends.y, shard.scratch)
        weight, dz = stage.layer.parameters["weight"], shared.dz[shard.samples]
        self._backward = [stage.backward_of_activation(ends, dz, shard.scratch)]
        if ends.dx is not None:
            self._backward.append(product(dz, weight, ends.dx, stage.takes))

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


def product(dz: Array, weight: Array, dx: Array, order: Order) -> Step:
    """The step that fills dx = dz W, in either order.

    Shapes: dz (N, O), weight (O, I), dx (N, I) or (I, N).
    """
    if order is Order.FEATURES:
        return partial(np.matmul, weight.T, dz.T, out=dx)
    return partial(np.matmul, dz, weight, out=dx)
