"""A large fully connected layer and the small one behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from numnist.arrays import Array
from numnist.engine.kernels.dense import Dense
from numnist.engine.kernels.products import by_blocks, by_columns
from numnist.engine.kernels.wide_dense import MOST_PARTS, WideDense
from numnist.engine.meeting import HERE, ShardProgram
from numnist.engine.memory import Allocate, Scratch, aligned
from numnist.engine.reducer import ALONE, Reducer
from numnist.engine.stage import Ends, Shard, Stage, Step, Work, run
from numnist.ops import leaky_relu, linear, relu, sigmoid, tanh


@dataclass
class Shared:
    """What the shards have in common.

    products: the output before bias and activation, in parts, one for each of the first shards: (parts, O,
    N). dz, dhidden: the gradients of what is before the activations, (O, N) and (F, N). x: all inputs.
    """

    products: Array
    dz: Array
    dhidden: Array
    x: Array | None = None


class DensePair(Stage):
    """Linear and an activation with F features, many weights; then Linear with O, few; and an activation.

        h = f(V xᵀ + a)        zᵀ = W h + b        y = g(z)
        dz = dy g'(z)        dh = Wᵀ dz        dW = dz hᵀ        and the same for V with dh f'

    As in `WideDense` each shard computes some features of h, of all samples. It goes on with them: W h is a
    sum over features, and a shard's part of it, (O, N), is all that the others need of h; on the way back it
    is dz. Where nobody asks for dx, neither h nor its gradient, (F, N), leaves the core.
    """

    REPLACES = (linear, relu, leaky_relu, sigmoid, tanh)

    reads_all = True
    finishes = False

    def __init__(self, hidden: WideDense, output: Dense) -> None:
        """output: takes what `hidden` gives."""
        names = (*hidden.names, *output.names)
        super().__init__(names, hidden.input_shape, output.output_shape, hidden.takes, output.gives)
        self.hidden, self.output = hidden, output

    def shared(self, batch: int, shards: int, allocate: Allocate, reducer: Reducer = ALONE) -> Shared:
        """See `Stage.shared`."""
        (F,), (O,) = self.hidden.output_shape, self.output_shape  # noqa: E741 -- the formula's letters
        parts = min(shards, MOST_PARTS)
        return Shared(allocate((parts, O, batch)), allocate((O, batch)), allocate((F, batch)))

    def see(self, shared: Shared, x: Array | None, y: Array | None) -> None:
        """See `Stage.see`."""
        shared.x = x

    def training(self, shard: Shard, shared: Shared, ends: Ends) -> Work:
        """See `Stage.training`."""
        return DensePairWork(self, shard, shared, ends)

    def predicting(self, n: int, scratch: Scratch, x: Array, y: Array) -> Sequence[Step]:
        """See `Stage.predicting`."""
        h = scratch.array("hidden", self.hidden.gives.shape(n, self.hidden.output_shape))
        return [*self.hidden.outputs(x, h, scratch), *self.output.outputs(h, y, scratch)]


class DensePairWork(Work):
    """The work of a `DensePair` for one shard."""

    def __init__(self, stage: DensePair, shard: Shard, shared: Shared, ends: Ends) -> None:
        assert shared.x is not None
        hidden, output, scratch = stage.hidden, stage.output, shard.scratch
        self._stage, self._shared, self._is_first = stage, shared, shard.number == 0
        self._rows = rows = hidden.share_of(shard)
        self._h = h = aligned((rows.stop - rows.start, shared.dz.shape[1]))
        weight = output.layer.parameters["weight"][:, rows]
        self._forward = hidden.features_of(rows, shared.x, h, scratch)
        if shard.number < len(shared.products):
            self._forward.append(by_columns(weight, h, shared.products[shard.number]))
        self._merge: list[Step] = [
            partial(np.add.reduce, shared.products[:, :, shard.samples], axis=0, out=ends.y),
            *output.from_products(ends.y, output.layer.parameters["bias"]),
        ]
        dz = shared.dz[:, shard.samples]
        self._to_dz = output.backward_of_activation(ends.dy, ends.y, dz, scratch)
        self._dhidden = dhidden = shared.dhidden[rows]
        self._backward: list[Step] = [
            by_blocks(weight.T, shared.dz, dhidden),
            hidden.backward_of_activation(dhidden, h, dhidden, scratch),
        ]
        self._to_dx: Step | None = None
        if ends.dx is not None:
            self._to_dx = hidden.input_gradient(shared.dhidden[:, shard.samples], ends.dx)

    def forward(self, rng: np.random.Generator | None) -> ShardProgram:
        """See `Work.forward`."""
        if self._stage.hidden.follows:
            yield HERE  # all samples have come this far
        run(self._forward)
        yield HERE  # all parts of the sum are there
        run(self._merge)

    def backward(self) -> ShardProgram:
        """See `Work.backward`."""
        self._to_dz()
        yield HERE  # dz is there
        run(self._backward)
        if self._to_dx is not None:
            yield HERE  # and so is the hidden layer's
            self._to_dx()

    def sharing(self, gradients: dict[str, Array]) -> list[Step]:
        """See `Work.sharing`: rows of the first layer's gradient, and columns of the second's."""
        hidden, output, dz = self._stage.hidden, self._stage.output, self._shared.dz
        assert self._shared.x is not None
        dweight, dbias = (gradients[output.path[name]] for name in ("weight", "bias"))
        # h dz, turned afterwards: of the product dzᵀ hᵀ BLAS would pick apart the larger matrix.
        turned_dz, turned = aligned(dz.shape[::-1]), aligned((len(self._h), len(dz)))
        return [
            *([partial(np.add.reduce, dz, axis=1, out=dbias)] if self._is_first else []),
            partial(np.copyto, turned_dz, dz.T),
            by_blocks(self._h, turned_dz, turned),
            partial(np.copyto, dweight[:, self._rows], turned.T),
            *hidden.gradients_of(self._rows, self._shared.x, self._dhidden, gradients),
        ]
