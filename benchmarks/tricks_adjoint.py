"""Tricks of the hidden convolution's backward pass; sizes and letters are those of `tricks_hidden`."""

from functools import partial

import numpy as np
from numpy.lib.stride_tricks import as_strided
from tricks_case import POOLED, Case, N, Pair, agreeing, normal
from tricks_hidden import ROWS, C, O, R, convolution

from numnist.arrays import Array
from numnist.engine.kernels.winograd_convolution import WinogradConvolution
from numnist.engine.kernels.winograd_geometry import along_columns
from numnist.engine.kernels.winograd_products import SUMMED_BYTES
from numnist.engine.memory import Scratch, aligned
from numnist.engine.stage import Step, run


def channels_innermost() -> Pair:
    """The weight's gradient: at each of 12 points and in each of 8 rows, a sum over the samples."""
    V, dM = normal(12, N, 12, C), normal(12, N, ROWS, O)
    left, right = aligned((12, ROWS, O, R * C)), aligned((12, ROWS, R * C, O))
    point, sample, row, one = V.strides
    bands = as_strided(V, (12, ROWS, N, R * C), (point, row, sample, one), writeable=False)
    turned, dturned = (np.ascontiguousarray(values.transpose(0, 2, 3, 1)) for values in (V, dM))
    point, row, channel, one = turned.strides
    of_rows = as_strided(turned, (12, ROWS, R * C, N), (point, row, channel, one), writeable=False)
    return agreeing(
        partial(np.matmul, dturned, of_rows.swapaxes(2, 3), out=left),
        partial(np.matmul, bands.swapaxes(2, 3), dM.swapaxes(1, 2), out=right),
        left.swapaxes(2, 3),
        right,
    )


def summed_in_parts() -> Pair:
    """dU of 48 channels to 48, 3x3, for 16 images: summed when all is there, or part by part."""
    points, rows, n, taps, outputs = 24, 20, 16, 3 * 48, 48
    V, dM = normal(points, rows, n, taps).swapaxes(2, 3), normal(points, rows, n, outputs)
    left, right, ones = (
        aligned((points, taps * outputs)),
        aligned((points, taps * outputs)),
        np.ones(rows, np.float32),
    )
    of_rows = aligned((points, rows, taps, outputs))
    at_once = max(1, SUMMED_BYTES // of_rows[0].nbytes)
    some = of_rows[:at_once]

    def before() -> None:
        np.matmul(V, dM, out=of_rows)
        np.matmul(ones, of_rows.reshape(points, rows, -1), out=left)

    def after() -> None:
        for first in range(0, points, at_once):
            part = slice(first, first + at_once)
            np.matmul(V[part], dM[part], out=some)
            np.matmul(ones, some.reshape(at_once, rows, -1), out=right[part])

    return agreeing(before, after, left, right)


def banded(stage: WinogradConvolution, dM: Array) -> tuple[Step, Array]:
    """From dM [p, a, n, i, o] to dV [p, n, h, c], as in the engine."""
    g = stage.geometry
    phases, x = aligned(stage.epilogue.phases_shape(N)), normal(*POOLED)
    products = stage.products(N, Scratch(), x, phases)
    dtaps = aligned((g.r, g.r * g.C * g.O))
    adjoint = stage.adjoint(N, Scratch(), products, phases, np.empty_like(x), dtaps)
    rows, dV = aligned((g.P, N, ROWS, O)), aligned((g.P, N, g.Hp, C))
    steps: list[Step] = [partial(np.copyto, rows.reshape(g.P, N, 4, 2, O), dM.transpose(0, 2, 3, 1, 4))]
    steps += adjoint.gathering(rows, dV)
    return partial(run, steps), dV


def scattered() -> Pair:
    """dV: what each row of dM adds to five rows, or what each row gathers from five."""
    stage, dM = convolution(), normal(12, 2, N, 4, O)
    rows, dV, added = aligned((12, N, ROWS, O)), aligned((12, N, 12, C)), aligned((12, R, N, ROWS, C))
    taps = np.ascontiguousarray(stage.U.reshape(12, R, C, O).swapaxes(2, 3))

    def before() -> None:
        np.copyto(rows.reshape(12, N, 4, 2, O), dM.transpose(0, 2, 3, 1, 4))
        np.matmul(rows.reshape(12, 1, -1, O), taps, out=added.reshape(12, R, -1, C))
        dV[:, :, ROWS:] = 0
        np.copyto(dV[:, :, :ROWS], added[:, 0])
        for u in range(1, R):
            place = dV[:, :, u : u + ROWS]
            np.add(place, added[:, u], out=place)

    after, right = banded(stage, dM)
    return agreeing(before, after, dV, right)


def of_frame(stage: WinogradConvolution) -> tuple[Array, Step, Array]:
    """dM with four rows of zeros above and below [p, n, h, o]; the step from there to dV; and dV."""
    frame, dV = aligned((12, N, ROWS + 2 * (R - 1), O)), aligned((12, N, 12, C))
    frame[...] = 0
    point, sample, row, one = frame.strides
    needed = as_strided(frame, (12, 6, N, (R + 1) * O), (point, 2 * row, sample, one), writeable=False)
    out = dV.reshape(12, N, 6, 2 * C).swapaxes(1, 2)
    return frame[:, :, R - 1 : R - 1 + ROWS], partial(np.matmul, needed, stage.gather, out=out), dV


def framed() -> Pair:
    """dV gathered: with four rows of zeros above and below dM, or with shorter products at the edges."""
    stage, dM = convolution(), normal(12, 2, N, 4, O)
    inside, gather, dV = of_frame(stage)
    steps: list[Step] = [partial(np.copyto, in_two(inside), dM.transpose(1, 0, 2, 3, 4)), gather]
    after, right = banded(stage, dM)
    return agreeing(partial(run, steps), after, dV, right)


def in_two(rows: Array) -> Array:
    """View [a, p, n, i, o] of rows [p, n, 2i + a, o]."""
    view = rows.reshape(12, N, 4, 2, O).transpose(3, 0, 1, 2, 4)
    assert np.may_share_memory(rows, view)
    return view


def towards_weight(dM: Array) -> tuple[Step, Array]:
    """From dM [a, p, n, i, o] to dU of each row."""
    V, dU = normal(12, N, 12, C), aligned((12, 2, 4, R * C, O))
    point, sample, row, one = V.strides
    bands = as_strided(V, (12, 2, 4, R * C, N), (point, row, 2 * row, one, sample), writeable=False)
    return partial(np.matmul, bands, dM.transpose(1, 0, 3, 2, 4), out=dU), dU


def in_sequence(stage: WinogradConvolution, rows: Array) -> tuple[list[Step], Array]:
    """From dy to dU, where the transform writes each row to its place in the image; and dU."""
    dphases = normal(2, 2, 4, N, 4, O).reshape(2, ROWS, N, 4, O)
    out = in_two(rows)
    transform = partial(
        np.matmul, stage.A.T, dphases.transpose(0, 2, 3, 1, 4), out=out.transpose(0, 2, 3, 1, 4)
    )
    step, dU = towards_weight(out)
    return [transform, step], dU


def in_halves(stage: WinogradConvolution) -> tuple[Array, list[Step], Array]:
    """The same in chunks, even rows before odd ones, as in the engine: dM [p, a, n, i, o], steps, dU."""
    dM = aligned((12, 2, N, 4, O))
    transform = along_columns(stage.A.T, normal(2, 2, 4, N, 4, O), dM.swapaxes(0, 1))
    step, dU = towards_weight(dM.swapaxes(0, 1))
    return dM, [transform, step], dU


def rows_in_place() -> Pair:
    """From dy to dU, and dM with its rows in sequence."""
    stage = convolution()
    left, right = aligned((12, N, ROWS, O)), aligned((12, N, ROWS, O))
    dM, halves, first = in_halves(stage)
    before = partial(run, [*halves, partial(np.copyto, in_two(left), dM.swapaxes(0, 1))])
    sequence, second = in_sequence(stage, right)
    after = partial(run, sequence)
    agreeing(before, after, left, right)
    return agreeing(before, after, first, second)


def rows_in_frame() -> Pair:
    """From dy to dU and dV."""
    stage = convolution()
    dM, halves, first = in_halves(stage)
    bands, left = banded(stage, dM)
    before = partial(run, [*halves, bands])
    inside, gather, right = of_frame(stage)
    sequence, second = in_sequence(stage, inside)
    after = partial(run, [*sequence, gather])
    agreeing(before, after, left, right)
    return agreeing(before, after, first, second)


BANDS = "gathered: bands of two rows, shorter at the edges"

CASES = [
    Case(
        "channels-innermost",
        "samples innermost: 96 products dM Vᵀ, both along their rows",
        "channels innermost: 96 products Vᵀ dM, samples as rows",
        channels_innermost,
    ),
    Case(
        "dweight-in-parts",
        "48 channels, 16 images: dU of all points, then summed over rows",
        "summed part by part, while it is in the cache",
        summed_in_parts,
    ),
    Case("gather", "scattered: a product, then five shifted additions", BANDS, scattered),
    Case("short-edges", "gathered in a frame of zeros", BANDS, framed),
    Case(
        "rows-in-place",
        "Aᵀ dy in chunks, dU, then a copy with the rows in sequence",
        "Aᵀ dy row by row, each to its place; dU from there",
        rows_in_place,
    ),
    Case(
        "rows-in-frame",
        "Aᵀ dy in chunks, dU, a copy, and dV by bands with short edges",
        "Aᵀ dy row by row into a frame of zeros; dU and dV from there",
        rows_in_frame,
        kept=False,
    ),
]
