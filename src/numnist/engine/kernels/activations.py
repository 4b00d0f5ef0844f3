"""Activations in place, with derivatives in terms of the output."""

from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from numnist.arrays import Array
from numnist.engine.kernels.tiles import LONGEST
from numnist.engine.stage import Step
from numnist.nn import Layer, LeakyReLU, ReLU, Sigmoid, Tanh


class Activation(Protocol):
    """An elementwise function f."""

    def in_place(self, y: Array) -> Step:
        """The step y = f(y), in place."""
        ...

    def backward(self, dy: Array, y: Array, spare: Array, out: Array) -> None:
        """out = dy f'(z) where y = f(z); `spare` is int32 memory of the same shape."""
        ...


class Rectified:
    """max(z, 0); see `ops.relu`."""

    def in_place(self, y: Array) -> Step:
        """See `Activation.in_place`."""
        return rectify(y)

    def backward(self, dy: Array, y: Array, spare: Array, out: Array) -> None:
        """Where y > 0, dy."""
        mask = spare.reshape(-1).view(bool)[: y.size].reshape(y.shape)
        np.greater(y, 0, out=mask)
        np.multiply(dy, mask, out=out)


@dataclass(frozen=True)
class Leaky:
    """z where z > 0, else slope * z, for 0 < slope < 1; see `ops.leaky_relu`."""

    slope: float

    def in_place(self, y: Array) -> Step:
        """The larger of z and slope * z."""
        return lambda: np.maximum(y, self.slope * y, out=y)

    def backward(self, dy: Array, y: Array, spare: Array, out: Array) -> None:
        """1 where y > 0, else the slope."""
        factor = spare.view(np.float32)
        np.multiply(y > 0, np.float32(1 - self.slope), out=factor)
        factor += self.slope
        np.multiply(dy, factor, out=out)


class Logistic:
    """1 / (1 + exp(-z)); see `ops.sigmoid`."""

    def in_place(self, y: Array) -> Step:
        """For a z so negative that exp(-z) is infinite, 0, which is what f rounds to."""
        return partial(self._apply, y)

    def _apply(self, y: Array) -> None:
        # np.negative (NumPy 2.4) goes wrong where values of 4 bytes are 16 bytes apart.
        np.multiply(y, -1, out=y)
        with np.errstate(over="ignore"):
            np.exp(y, out=y)
        y += 1
        np.reciprocal(y, out=y)

    def backward(self, dy: Array, y: Array, spare: Array, out: Array) -> None:
        """f' = y (1 - y)."""
        factor = np.subtract(1, y, out=spare.view(np.float32))
        factor *= y
        np.multiply(dy, factor, out=out)


class HyperbolicTangent:
    """tanh(z); see `ops.tanh`."""

    def in_place(self, y: Array) -> Step:
        """See `Activation.in_place`."""
        return partial(np.tanh, y, out=y)

    def backward(self, dy: Array, y: Array, spare: Array, out: Array) -> None:
        """f' = 1 - y²."""
        factor = np.square(y, out=spare.view(np.float32))
        np.subtract(1, factor, out=factor)
        np.multiply(dy, factor, out=out)


def activation_of(layer: Layer) -> Activation | None:
    """The activation that this layer is, or None where it is none of these."""
    match layer:
        case ReLU() | LeakyReLU(slope=0):
            return Rectified()
        case LeakyReLU():
            return Leaky(layer.slope)
        case Sigmoid():
            return Logistic()
        case Tanh():
            return HyperbolicTangent()
    return None


def rectify(x: Array) -> "partial[Array]":
    """The step x = max(x, 0): with a row of zeros, which takes half as long as with a single one."""
    if x.flags.c_contiguous:
        longest = min(LONGEST, max(x.size, 1))
        length = next(n for n in range(longest, 0, -1) if x.size % n == 0)
        x = x.reshape(-1, max(length, *x.shape[-1:]))
    return partial(np.maximum, x, np.zeros(x.shape[-1:], np.float32), out=x)
