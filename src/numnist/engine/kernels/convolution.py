"""What the kernels of a convolution with what follows it have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from numnist.arrays import Array, Shape
from numnist.engine.kernels.epilogue import Epilogue
from numnist.engine.kernels.normaliser import Normaliser
from numnist.engine.meeting import Table
from numnist.engine.memory import shared_memory
from numnist.engine.stage import Order, Stage
from numnist.nn import BatchNorm, Conv2d, MaxPool2d, ReLU
from numnist.ops import batch_norm, conv2d, max_pool2d, relu
from numnist.ops.batch_norm import require_several


@dataclass(frozen=True)
class Layers:
    """A convolution (stride 1), and which of the layers that may follow are there."""

    conv: Conv2d
    norm: BatchNorm | None
    relu: ReLU | None
    pool: MaxPool2d | None


@dataclass
class Shared:
    """What the shards have in common: tables that all see, and what each process makes of them.

    statistics: sums over the convolution's output, or what they follow from. of_bias: sums of do * c and of
    do, where the kernel needs them before it goes on. of_weight: what else the gradients are made of.
    norm: what the statistics came to, where there is a normalisation.
    """

    statistics: Table
    of_bias: Table
    of_weight: Table
    norm: Normaliser | None = None


class Convolution(Stage):
    """Conv2d, then any of BatchNorm, ReLU and MaxPool2d(2), the last two in either order.

    Pooling comes before the affine map and ReLU (see `Epilogue`). That needs a scale that is not negative, so
    the sign of batch normalisation's weight goes into the convolution's: with s = ±1 per output channel,

        weight * (c - mean) / deviation = |weight| * (s c - s mean) / deviation,    s c = (s W) * x

    The convolution's bias is left out where a normalisation follows, which takes it out again; only the
    running mean sees it. Its gradient is exactly 0 then.
    """

    REPLACES = (conv2d, batch_norm, relu, max_pool2d)
    INPUT_ORDER: ClassVar[Order]

    def __init__(
        self,
        names: Sequence[str],
        input_shape: Shape,
        output_shape: Shape,
        layers: Layers,
        path: dict[str, str],
    ) -> None:
        """path: the parameters' names in the model, for "weight", "bias", "norm.weight" and "norm.bias"."""
        super().__init__(names, input_shape, output_shape, self.INPUT_ORDER, Order.COLUMNS)
        self.layers, self.path = layers, path
        O, rows, columns = output_shape  # noqa: E741 -- the formula's letter
        self.epilogue = Epilogue(layers.pool is not None, layers.relu is not None, columns, rows, O)
        self.bias, self.sign = shared_memory((O,)), shared_memory((O,))

    def effective(self, training: bool) -> tuple[Array, Array]:
        """The weight (O, C, KH, KW) that the kernel is to use, and the bias (O,) where it needs one.

        Sets `sign`, ±1 for each output channel: in training it is in the weight.
        """
        conv, norm = self.layers.conv, self.layers.norm
        if not training:
            return self.folded()
        self.sign[...] = 1
        if norm is not None:
            np.copysign(self.sign, norm.parameters["weight"], out=self.sign)
        return self.signed(conv.parameters["weight"]), conv.parameters["bias"]

    def signed(self, weight: Array) -> Array:
        """A weight (O, C, KH, KW) times the sign of its channel, which changes nothing in most steps."""
        return weight if self.sign.min() > 0 else weight * self.sign[:, None, None, None]

    def normaliser(self, count: int, batch: int) -> Normaliser:
        """What makes the normalisation's affine map of sums over so many values per channel.

        Raises: ValueError for a single one.
        """
        norm = self.layers.norm
        assert norm is not None
        require_several(count, (batch, *self.output_shape))
        return Normaliser(norm, count)

    def conclude(self, shared: Shared) -> None:
        """See `Stage.conclude`: move the running statistics."""
        norm, used = self.layers.norm, shared.norm
        if norm is not None and used is not None:
            statistics = used.statistics
            mean = self.sign * statistics.mean + self.layers.conv.parameters["bias"]
            norm.move_running(mean, statistics.unbiased_variance)

    def folded(self) -> tuple[Array, Array]:
        """Weight and bias of the one convolution that convolution and normalisation are in evaluation."""
        conv, norm = self.layers.conv, self.layers.norm
        weight, bias = conv.parameters["weight"], conv.parameters["bias"]
        if norm is None:
            return weight, bias
        deviation = np.sqrt(norm.buffers["running_var"].astype(np.float64) + norm.eps)
        scale = norm.parameters["weight"] / deviation
        folded_bias = norm.parameters["bias"] + scale * (bias - norm.buffers["running_mean"])
        return weight * scale[:, None, None, None], folded_bias

    def write_normalisation(self, dweight: Array, dbias: Array, gradients: dict[str, Array]) -> None:
        """Write the gradients of the normalisation's parameters, and the convolution's bias, which has none.

        dweight: of |weight|.
        """
        gradients[self.path["norm.weight"]][...] = self.sign * dweight
        gradients[self.path["norm.bias"]][...] = dbias
        gradients[self.path["bias"]][...] = 0
