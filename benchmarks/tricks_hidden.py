"""Tricks of the hidden convolution: 64 images of 12x12, 16 to 32 channels of 5x5, output 8x8."""

from copy import copy
from dataclasses import astuple
from functools import partial

import numpy as np
from numpy.lib.stride_tricks import as_strided
from tricks_case import POOLED, Case, N, Pair, agreeing, normal, stage_of

from numnist.arrays import Array
from numnist.engine.kernels.winograd_convolution import WinogradConvolution
from numnist.engine.kernels.winograd_geometry import Geometry, along_columns
from numnist.engine.memory import Scratch, aligned
from numnist.engine.stage import Step, run

C, O, R, ROWS = 16, 32, 5, 8  # noqa: E741 -- the formula's letters


def convolution() -> WinogradConvolution:
    """The stage."""
    stage: WinogradConvolution = stage_of("cnn", 1)
    return stage


def weight_of(stage: WinogradConvolution) -> Array:
    """Its weight, (O, C, u, v)."""
    return np.asarray(stage.layers.conv.parameters["weight"])


def winograd(stage: WinogradConvolution) -> tuple[Step, Array]:
    """The forward pass as in the engine, and the phases that it fills, [a, b, w, n, h, o]."""
    phases = aligned(stage.epilogue.phases_shape(N))
    return partial(run, stage.products(N, Scratch(), normal(*POOLED), phases).steps), phases


def in_phases(y: Array) -> Array:
    """From [w, n, h, o] to the order of the phases."""
    return y.reshape(4, 2, N, 4, 2, O).transpose(4, 1, 0, 2, 3, 5)


def direct(stage: WinogradConvolution) -> tuple[Step, Array]:
    """Unrolled along W, [w, n, h, v, c]: the five rows under the kernel are one row of a matrix."""
    x, y, U = normal(*POOLED), aligned((ROWS, N, ROWS, O)), aligned((ROWS, N, 12, R, C))
    column, sample, row, one = x.strides
    windows = as_strided(x, U.shape, (column, sample, row, column, one), writeable=False)
    column, sample, row, _, one = U.strides
    P = as_strided(U, (ROWS, ROWS, N, R * R * C), (column, row, sample, one), writeable=False)
    weight = np.ascontiguousarray(weight_of(stage).transpose(2, 3, 1, 0)).reshape(-1, O)
    steps = [partial(np.copyto, U, windows), partial(np.matmul, P, weight, out=y.swapaxes(1, 2))]
    return partial(run, steps), in_phases(y)


def samples_innermost(stage: WinogradConvolution) -> tuple[Step, Array]:
    """The direct form in the order [h, c, w, n]: for a row of outputs one product, with W'*N columns."""
    x = np.ascontiguousarray(normal(*POOLED).transpose(2, 3, 0, 1))
    y, U = aligned((ROWS, O, ROWS, N)), aligned((12, C, R, ROWS, N))
    row, channel, column, one = x.strides
    windows = as_strided(x, U.shape, (row, channel, column, column, one), writeable=False)
    P = as_strided(
        U, (ROWS, R * C * R, ROWS * N), (U.strides[0], U.strides[2], U.strides[4]), writeable=False
    )
    weight = np.ascontiguousarray(weight_of(stage).transpose(0, 2, 1, 3)).reshape(O, -1)
    steps = [partial(np.copyto, U, windows), partial(np.matmul, weight, P, out=y.reshape(ROWS, O, -1))]
    return partial(run, steps), in_phases(y.transpose(2, 3, 0, 1))


class NarrowTiles(Geometry):
    """Two tiles of four outputs in a row of eight."""

    @property
    def m(self) -> int:
        """See `Geometry.m`."""
        return 4


def narrow(stage: WinogradConvolution) -> WinogradConvolution:
    """The same stage with F(4, 5)."""
    other = copy(stage)
    other.geometry = g = NarrowTiles(*astuple(stage.geometry))
    other.A, other.G, other.B = g.matrices()
    other.U = aligned((g.P, 1, 1, R * C, O))
    other.refresh(training=False)
    return other


def against_direct() -> Pair:
    """Forward: direct, Winograd."""
    (before, left), (after, right) = direct(convolution()), winograd(convolution())
    return agreeing(before, after, left, right)


def against_samples_innermost() -> Pair:
    """Forward: Winograd, direct with samples innermost."""
    (before, left), (after, right) = winograd(convolution()), samples_innermost(convolution())
    return agreeing(before, after, left, right)


def wide_tiles() -> Pair:
    """Forward: F(4, 5), F(8, 5)."""
    stage = convolution()
    stage.refresh(training=False)
    (before, left), (after, right) = winograd(narrow(stage)), winograd(stage)
    return agreeing(before, after, left, right)


def chunks() -> Pair:
    """The transforms of x and of the products."""
    stage = convolution()
    x, M = normal(*POOLED), normal(12, 2, N, 4, O).swapaxes(0, 1)
    V, phases = ([aligned(shape) for _ in range(2)] for shape in ((12, N, 12, C), (2, 2, 4, N, 4, O)))

    def before() -> None:
        np.matmul(stage.B, x.reshape(12, -1), out=V[0].reshape(12, -1))
        np.matmul(stage.A, M.reshape(2, 12, -1), out=phases[0].reshape(2, ROWS, -1))

    steps = [along_columns(stage.B, x[None], V[1][None]), along_columns(stage.A, M, phases[1])]
    agreeing(before, partial(run, steps), V[0], V[1])
    return agreeing(before, partial(run, steps), phases[0], phases[1])


def permuted() -> Pair:
    """The weight (O, C, u, v) in the order (v, u, c, o)."""
    stage = convolution()
    weight = weight_of(stage)
    left, right = aligned((R, R, C, O)), aligned((R, R, C, O))
    order = np.arange(weight.size).reshape(weight.shape).transpose(3, 2, 1, 0).ravel()
    return agreeing(
        partial(np.copyto, left, weight.transpose(3, 2, 1, 0)),
        partial(np.take, weight.reshape(-1), order, out=right.reshape(-1), mode="clip"),
        left,
        right,
    )


CASES = [
    Case(
        "winograd",
        "direct: unrolled along W, one batched product",
        "F(8,5), transforms included",
        against_direct,
    ),
    Case("wide-tiles", "two tiles F(4,5): 16 points", "one tile F(8,5): 12 points", wide_tiles),
    Case("chunks", "transforms of all columns at once", "of at most 2,048 columns at a time", chunks),
    Case("take", "the weight permuted by a transposed copy", "by np.take", permuted, kept=False),
    Case(
        "samples-innermost",
        "F(8,5), channels innermost",
        "direct, samples innermost: products with 512 columns",
        against_samples_innermost,
        kept=False,
    ),
]
