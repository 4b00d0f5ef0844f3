"""Normalisation layers."""

from dataclasses import dataclass
from typing import final

from numpy.random import Generator

from numnist.arrays import Array, Shape
from numnist.nn.checks import require_integer, require_number
from numnist.nn.initialisers import Initialiser
from numnist.nn.layer import Gradients, Layer
from numnist.ops import batch_norm


@final
@dataclass(eq=False)
class BatchNorm(Layer):
    """Batch normalisation of (C,) or (C, H, W) samples. See `ops.batch_norm`.

    In training the batch's own statistics normalise it, and the running ones move towards them:

        running = (1 - momentum) * running + momentum * batch

    so `momentum` is the weight of the new value, as in PyTorch. In evaluation the running ones are used.

    Parameters: weight (C,), bias (C,). Buffers: running_mean (C,), running_var (C,), the unbiased variance.
    Source: Ioffe & Szegedy 2015, arXiv:1502.03167, section 3.1.
    """

    num_features: int
    eps: float = 1e-5
    momentum: float = 0.1

    def __post_init__(self) -> None:
        require_integer("BatchNorm", "num_features", self.num_features, 1)
        require_number("BatchNorm", "eps", self.eps, 0, 1)
        require_number("BatchNorm", "momentum", self.momentum, 0, 1)

    def forward(self, x: Array, training: bool, rng: Generator | None) -> tuple[Array, batch_norm.Cache]:
        running_mean, running_var = self.buffers["running_mean"], self.buffers["running_var"]
        fixed = None if training else (running_mean, running_var)
        y, cache = batch_norm.forward(x, self.parameters["weight"], self.parameters["bias"], fixed, self.eps)
        if cache.statistics is not None:
            self.move_running(cache.statistics.mean, cache.statistics.unbiased_variance)
        return y, cache

    def move_running(self, mean: Array, unbiased_variance: Array) -> None:
        """Move the running statistics towards those of a batch, by the rule above."""
        for name, batch in (("running_mean", mean), ("running_var", unbiased_variance)):
            running = self.buffers[name]
            running += self.momentum * (batch - running)

    def backward(self, dy: Array, cache: batch_norm.Cache) -> tuple[Array, Gradients]:
        dx, dweight, dbias = batch_norm.backward(dy, cache)
        return dx, {"weight": dweight, "bias": dbias}

    def output_shape(self, input_shape: Shape) -> Shape:
        C = self.num_features
        if len(input_shape) not in (1, 3) or input_shape[0] != C:
            raise self._expected(f"({C},) or ({C}, H, W)", input_shape)
        return input_shape

    def parameter_shapes(self) -> dict[str, Shape]:
        return {"weight": (self.num_features,), "bias": (self.num_features,)}

    def buffer_shapes(self) -> dict[str, Shape]:
        return {"running_mean": (self.num_features,), "running_var": (self.num_features,)}

    def initialise(self, rng: Generator, weights: Initialiser) -> None:
        self.parameters["weight"][...] = 1
        self.parameters["bias"][...] = 0
        self.buffers["running_mean"][...] = 0
        self.buffers["running_var"][...] = 1

    @classmethod
    def inferred(cls, input_shape: Shape) -> dict[str, int]:
        return {"num_features": input_shape[0]}
