"""Batch normalisation of a convolution's output, from sums over the batch."""

from functools import partial

import numpy as np

from numnist.arrays import Array
from numnist.engine.stage import Step, run
from numnist.nn import BatchNorm
from numnist.ops.batch_norm import Statistics


class Normaliser:
    """The affine map that batch normalisation is, for one batch after another; and the way back.

        mean = sum of c / M    var = (sum of c² - mean * sum of c) / M    deviation = sqrt(var + eps)
        y = scale * c + offset        scale = |weight| / deviation        offset = bias - scale * mean

        dweight = sum of do ẑ = (sum of do c - mean * dbias) / deviation        dbias = sum of do
        dc = scale * (do - dbias / M - ẑ dweight / M) = scale * do + slope * c + constant

    for the output c of the convolution with signed weights and no bias; where the kernel has taken c relative
    to a reference, so are mean and offset. Everything is in float64, (O,), in arrays that are there for good,
    by bound steps: between two meetings each call finds the caches cold, and costs what it takes to find its
    way.

    count: M, values per channel. sums, dsums: those of c and c², and of do c and do, (2, O), to be filled by
    the caller. forward, backward: the steps that follow from them. maps: offset, scale, slope and constant,
    (4, O). relative: mean / deviation. reference: to be set by the caller, (O,) or a number.
    """

    def __init__(self, norm: BatchNorm, count: int) -> None:
        weight, bias = norm.parameters["weight"], norm.parameters["bias"]
        self.count = count
        self.sums, self.dsums = (np.empty((2, len(bias))) for _ in range(2))
        self.maps = np.empty((4, len(bias)))
        self.reference: Array | float = 0.0
        (total, squares), (products, dbias) = self.sums, self.dsums
        offset, scale, slope, constant = self.maps
        mean, squared, deviation, relative, size, spare = np.empty((6, len(bias)))
        self.mean, self.squared_deviations, self.deviation, self.relative = mean, squared, deviation, relative
        share = 1 / count
        self.forward: list[Step] = [
            partial(np.multiply, total, share, out=mean),
            partial(np.multiply, total, mean, out=spare),
            partial(np.subtract, squares, spare, out=squared),
            partial(np.maximum, squared, 0.0, out=squared),
            partial(np.multiply, squared, share, out=deviation),
            partial(np.add, deviation, norm.eps, out=deviation),
            partial(np.sqrt, deviation, out=deviation),
            partial(np.absolute, weight, out=size),
            partial(np.divide, size, deviation, out=scale),
            partial(np.divide, mean, deviation, out=relative),
            partial(np.multiply, size, relative, out=spare),
            partial(np.subtract, bias, spare, out=offset),
        ]
        self.backward: list[Step] = [
            partial(np.multiply, mean, dbias, out=spare),
            # slope = dweight / deviation, constant = slope * mean - dbias; scale and M come last, in both.
            partial(np.subtract, products, spare, out=slope),
            partial(np.divide, slope, deviation, out=slope),
            partial(np.divide, slope, deviation, out=slope),
            partial(np.multiply, slope, mean, out=spare),
            partial(np.subtract, spare, dbias, out=constant),
            partial(np.multiply, self.maps[2:], scale, out=self.maps[2:]),
            partial(np.multiply, self.maps[2:], np.array([[-share], [share]]), out=self.maps[2:]),
        ]

    @property
    def offset_and_scale(self) -> Array:
        """The map forwards, (2, O); the scale is never negative."""
        return self.maps[:2]

    @property
    def scale_slope_and_constant(self) -> Array:
        """The map back, (3, O)."""
        return self.maps[1:]

    @property
    def scale(self) -> Array:
        """What c is multiplied by."""
        return np.asarray(self.maps[1])

    @property
    def statistics(self) -> Statistics:
        """Those of the batch."""
        return Statistics(self.count, self.mean + self.reference, self.squared_deviations)

    def run(self, reference: Array | float = 0.0) -> "Normaliser":
        """Take the steps forwards, and return this."""
        self.reference = reference
        run(self.forward)
        return self

    def dweight(self, products: Array, dbias: Array) -> Array:
        """The gradient of |weight|, from the sums of do c and do over any part of the batch."""
        found: Array = (products - self.mean * dbias) / self.deviation
        return found
