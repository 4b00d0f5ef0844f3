"""Tricks of the first convolution: 64 images of 28x28, 16 channels of 5x5, pooled to 12x12."""

from functools import partial

import numpy as np
from numpy.lib.stride_tricks import as_strided
from tricks_case import Case, N, Pair, agreeing, normal, stage_of

from numnist.arrays import Array
from numnist.engine.kernels.epilogue import Epilogue, EpilogueWork
from numnist.engine.kernels.input_convolution import InputConvolution
from numnist.engine.kernels.patch_moments import LineSumsWork, PatchMoments
from numnist.engine.kernels.patches import Patches
from numnist.engine.kernels.sums import ColumnSums
from numnist.engine.kernels.tiles import Tile
from numnist.engine.memory import Scratch, aligned
from numnist.engine.stage import Step, run
from numnist.ops.patches import unfold


def convolution() -> tuple[InputConvolution, Patches]:
    """The stage, and the patches of random images, filled once."""
    stage: InputConvolution = stage_of("cnn", 0)
    patches = stage.patches(N, normal(N, 1, 28, 28))
    run(patches.unroll)
    return stage, patches


def unrolled_along_w() -> Pair:
    """Patches and their products with the weight."""
    stage, patches = convolution()
    x, weight = normal(N, 1, 28, 28), stage.layers.conv.parameters["weight"].reshape(16, -1)
    outputs, phases = aligned((N, 16, 24 * 24)), aligned(stage.epilogue.phases_shape(N))
    products = [
        patches.product(stage.weight, phases[:, :, block], block) for block in stage.epilogue.blocks(N)
    ]

    def before() -> None:
        np.matmul(weight, unfold(x, (5, 5), 1, 0), out=outputs)

    return agreeing(
        before,
        partial(run, [*patches.unroll, *products]),
        outputs.reshape(N, 16, 12, 2, 12, 2).transpose(3, 5, 4, 0, 2, 1),
        phases,
    )


def moments() -> Pair:
    """Mean and variance of each channel of the output."""
    stage, patches = convolution()
    c, centred = aligned(stage.epilogue.phases_shape(N)), aligned(stage.epilogue.phases_shape(N))
    patches.product(stage.weight, c, slice(None))()
    tile, total, squares = Tile(c), ColumnSums([(c,)]), ColumnSums([(centred, centred)])
    centre = partial(np.subtract, tile.rows(c), tile.values[0], out=tile.rows(centred))
    count = c.size // 16
    of_shards, outputs = np.empty((1, *stage.lines.shape)), np.empty((2, 16))
    lines = LineSumsWork(patches, stage.lines, of_shards[0])
    moments = PatchMoments(stage.lines, of_shards, None, stage.weight, outputs)

    def before() -> Array:
        mean = total()[0] / count
        tile.set(mean)
        centre()
        return np.stack([mean, squares()[0] / count])

    def after() -> Array:
        run(lines.steps)
        run(moments.steps)
        mean, of_squares = outputs / count
        return np.stack([mean, of_squares - np.square(mean)])

    return agreeing(before, after)


class Undivided(Epilogue):
    """An epilogue that takes all columns at once."""

    def blocks(self, n: int) -> list[slice]:  # noqa: ARG002 -- as many for any n
        """See `Epilogue.blocks`."""
        return [slice(0, self.columns)]


def block_by_block() -> Pair:
    """Convolution, pooling and ReLU."""
    stage, patches = convolution()
    of_stage = stage.epilogue
    undivided = Undivided(of_stage.pool, of_stage.relu, of_stage.columns, of_stage.rows, of_stage.channels)

    def forward(epilogue: Epilogue) -> tuple[Step, Array]:
        phases = epilogue.phases(N, Scratch())
        y, dy = aligned(epilogue.shape(N)), aligned(epilogue.shape(N))
        work = EpilogueWork(epilogue, N, Scratch(), phases, phases, y, dy)
        blocks = zip(phases, epilogue.blocks(N), strict=True)
        fill = [patches.product(stage.weight, of_block, block) for of_block, block in blocks]
        return partial(work.forward, stage.bias[np.newaxis], fill), y

    (before, left), (after, right) = forward(undivided), forward(of_stage)
    return agreeing(before, after, left, right)


def windows() -> Pair:
    """Convolution, pooling, and the gradient of the weight: by phases, or by windows.

    A window's four outputs meet the 6x6 pixels of one patch: columns (a, b, o) of a matrix with 36 rows, of
    which each output needs 25. Its gradient is cut out of that of the matrix. The outputs of the phases are
    then side by side, and pooling goes by 16 values at a time.
    """
    stage, patches = convolution()
    x, epilogue = normal(N, 1, 28, 28), stage.epilogue
    phases, dphases = aligned(epilogue.phases_shape(N)), normal(*epilogue.phases_shape(N))
    dweights, left, right = aligned((2, 2, 12, 25, 16)), aligned((5, 5, 16)), aligned((5, 5, 16))
    adjoint = patches.matrices(slice(None)).swapaxes(-1, -2), patches.outputs(dphases)
    forward: list[Step] = list(patches.unroll)
    for block in epilogue.blocks(N):
        of_block = phases[:, :, block]
        forward += [patches.product(stage.weight, of_block, block), *epilogue.maxima(of_block)]

    def before() -> None:
        run(forward)
        np.matmul(*adjoint, out=dweights)
        np.add.reduce(dweights.reshape(-1, 25 * 16), axis=0, out=left.reshape(-1))

    # U[h, v, (w,n)] = x[n, 0, h, 2w + v]; its 6 rows from 2i on are one matrix (36, W'*N). Two products for
    # each i: BLAS takes those as small as that without copying.
    turned, U = aligned((28, 28, N)), aligned((28, 6, 12, N))
    row, column, one = turned.strides
    of_row = as_strided(turned, U.shape, (row, column, 2 * column, one), writeable=False)
    row, tap, _, one = U.strides
    P = as_strided(U, (12, 2, 36, 6 * N), (2 * row, 6 * N * one, tap, one), writeable=False)
    matrix, dmatrices = aligned((6, 6, 2, 2, 16)), aligned((12, 2, 36, 64))
    matrix[...] = 0
    parts = [(slice(a, a + 5), slice(b, b + 5), a, b) for a in range(2) for b in range(2)]
    for part in parts:
        matrix[part] = stage.weight.reshape(5, 5, 16)
    outputs, doutputs = aligned((12, 2, 6 * N, 64)), aligned((12, 2, 6 * N, 64))
    doutputs.reshape(12, 12, N, 2, 2, 16)[...] = dphases.transpose(4, 2, 3, 0, 1, 5)
    windows = outputs.reshape(12, 12, N, 2, 2, 16).transpose(3, 4, 0, 1, 2, 5)

    def after() -> None:
        np.copyto(turned, x[:, 0].transpose(1, 2, 0))
        np.copyto(U, of_row)
        np.matmul(P.swapaxes(2, 3), matrix.reshape(36, 64), out=outputs)
        run(epilogue.maxima(windows))
        np.matmul(P, doutputs, out=dmatrices)
        dmatrix = np.add.reduce(dmatrices, axis=(0, 1)).reshape(matrix.shape)
        np.copyto(right, dmatrix[parts[0]])
        for part in parts[1:]:
            np.add(right, dmatrix[part], out=right)

    agreeing(before, after, phases[0, 0].transpose(2, 0, 1, 3), windows[0, 0])
    return agreeing(before, after, left, right)


CASES = [
    Case(
        "unroll-w",
        "im2col: every pixel 25 times, then the product",
        "unrolled along W, every pixel 5 times; patches are views",
        unrolled_along_w,
    ),
    Case(
        "moments",
        "two passes over the convolution's output",
        "from mean and covariance of the patches",
        moments,
    ),
    Case(
        "blocks",
        "convolution of all columns, then pooling and ReLU",
        "blocks of columns of at most 1 MiB, each pooled at once",
        block_by_block,
    ),
    Case(
        "windows",
        "four phases, K = 25: products, pooling, and dW",
        "a window's four outputs as one product of 64 columns, K = 36",
        windows,
        kept=False,
    ),
]
