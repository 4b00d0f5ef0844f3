"""What the kernels of a convolution with what follows it have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from numnist.arrays import Array, Shape
from numnist.engine.kernels.epilogue import Epilogue
from numnist.engine.meeting import Table
from numnist.engine.memory import shared_memory
from numnist.engine.stage import Order, Stage
from numnist.nn import BatchNorm, Conv2d, MaxPool2d, ReLU
from numnist.ops import batch_norm, conv2d, max_pool2d, relu
from numnist.ops.batch_norm import Statistics, require_several


@dataclass(frozen=True)
class Layers:
    """A convolution (stride 1), and which of the layers that may follow are there."""

    conv: Conv2d
    norm: BatchNorm | None
    relu: ReLU | None
    pool: MaxPool2d | None


@dataclass(frozen=True)
class Normalisation:
    """The affine map that batch normalisation is, for one batch.

        y = scale * c + offset,    scale = |weight| / deviation,    offset = bias - scale * mean

    for the output c of the convolution with signed weights and no bias; where the kernel has taken c relative
    to a reference, so are mean and offset.

    rows: mean, deviation, scale and offset, (4, O), in float64. statistics, reference: what they came from.
    """

    statistics: Statistics
    reference: Array | float
    rows: Array

    @property
    def count(self) -> int:
        """Values per channel."""
        return self.statistics.count

    @property
    def mean(self) -> Array:
        """Of the batch, per channel."""
        return np.asarray(self.rows[0])

    @property
    def deviation(self) -> Array:
        """sqrt(var + eps)."""
        return np.asarray(self.rows[1])

    @property
    def scale(self) -> Array:
        """What c is multiplied by; never negative."""
        return np.asarray(self.rows[2])

    @property
    def offset(self) -> Array:
        """What is added to it."""
        return np.asarray(self.rows[3])


@dataclass
class Shared:
    """What the shards have in common: tables that all see, and what each process makes of them.

    statistics: of the convolution's output, or of what it follows from. of_bias: sums of do * c and of do,
    where the kernel needs them before it goes on. of_weight: what else the gradients are made of.
    normalisation, and moments of the input's patches: what the statistics came to. dweight, dbias: the
    gradients of |weight| and bias of the normalisation.
    """

    statistics: Table
    of_bias: Table
    of_weight: Table
    normalisation: Normalisation | None = None
    moments: Any = None
    dweight: Array | None = None
    dbias: Array | None = None

    @property
    def norm(self) -> Normalisation:
        """The normalisation, once it is there."""
        assert self.normalisation is not None
        return self.normalisation


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

    def normalise(self, statistics: Statistics, batch: int, reference: Array | float = 0.0) -> Normalisation:
        """The affine map for these statistics of the whole batch.

        statistics: in float64, of the convolution with signed weights and without bias, less `reference`.
        Raises: ValueError for a single value per channel.
        """
        norm = self.layers.norm
        assert norm is not None
        require_several(statistics.count, (batch, *self.output_shape))
        rows = np.empty((4, len(self.sign)))
        mean, deviation, scale, offset = rows
        mean[...] = statistics.mean
        np.sqrt(statistics.biased_variance + norm.eps, out=deviation)
        np.divide(np.abs(norm.parameters["weight"]), deviation, out=scale)
        np.subtract(norm.parameters["bias"], scale * mean, out=offset)
        return Normalisation(statistics, reference, rows)

    def conclude(self, shared: Shared) -> None:
        """See `Stage.conclude`: move the running statistics."""
        norm, used = self.layers.norm, shared.normalisation
        if norm is not None and used is not None:
            signed_mean = used.statistics.mean + used.reference
            mean = self.sign * signed_mean + self.layers.conv.parameters["bias"]
            norm.move_running(mean, used.statistics.unbiased_variance)

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
