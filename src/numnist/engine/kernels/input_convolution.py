"""The first convolution of a network, with what follows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.lib.stride_tricks import as_strided

from numnist.arrays import Array
from numnist.engine.exchange import Exchange, ShardProgram, Sums
from numnist.engine.kernels.convolution import Convolution, Normalisation, Shared
from numnist.engine.kernels.epilogue import EpilogueWork
from numnist.engine.kernels.sums import ColumnSums
from numnist.engine.memory import Scratch, aligned
from numnist.engine.stage import Ends, Order, Shard, Step, Work, run
from numnist.ops.batch_norm import Statistics


@dataclass(frozen=True)
class PatchMoments:
    """Mean p̄ (K,) and summed outer products S (K, K) of the deviations of `count` patches, in float64."""

    count: int
    mean: Array
    deviations: Array

    def merged(self, other: "PatchMoments") -> "PatchMoments":
        """The moments of both: the rule of `Statistics.merged`, for vectors."""
        count = self.count + other.count
        delta = other.mean - self.mean
        weight = self.count * other.count / count
        return PatchMoments(
            count,
            self.mean + delta * (other.count / count),
            self.deviations + other.deviations + weight * np.outer(delta, delta),
        )


class InputConvolution(Convolution):
    """A convolution with few input channels, whose input needs no gradient; and what follows it.

    **Unrolled along W alone**, samples innermost: with k = 2 where pooling follows, else 1,

        U[b, h, c, v, (w,n)] = xp[n, c, h, k*w + b + v]

    so the patches under the kernel, for the outputs of phase (a, b) in row k*i + a, are a view: the K =
    KH*C*KW rows of U[b] from (k*i + a) on are one matrix P (K, W'*N), and its product with the weight gives
    those outputs with the channels innermost. The copy holds every pixel KW times and not KH*KW times.

    **Statistics before the convolution.** It is linear, so mean and variance of its output follow from the
    mean p̄ and the covariance S/M of the patches:

        mean = W p̄        var = W (S/M) Wᵀ, its diagonal

    S is built from products of rows with the KH - 1 rows below them, a fifth of what all pairs would take.
    The convolution can then be normalised as it is pooled, and need never be read again:

        do/dc = scale * (do - mean(do) - ẑ mean(do ẑ))   gives, with D = sum of do P over all positions,
        dweight_norm = (sum of D * W - mean dbias) / deviation
        dW = scale * (D - dbias p̄ - (dweight_norm / deviation) W S/M)

    where do, the gradient behind the normalisation, is 0 in three of four positions where pooling follows.
    Pixels are taken relative to the shard's first one: a batch of one constant value is then
    exactly 0. Where var is far smaller than |W|² times that of the pixels, products in float32 still cancel.
    """

    INPUT_ORDER: ClassVar[Order] = Order.IMAGES

    MOST_TAPS = 64
    """Kernels with more taps (C*KH*KW) have a covariance that costs more than it saves."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        conv = self.layers.conv
        self.K = conv.in_channels * conv.kernel_size**2
        self.pairs = _row_pairs(conv.kernel_size, conv.in_channels * conv.kernel_size)
        self.ranges = _row_ranges(conv.kernel_size, self.input_shape[1] + 2 * conv.padding)
        self.weight: Array = aligned((self.K, conv.out_channels))

    def refresh(self, training: bool) -> None:
        """See `Stage.refresh`: the weight as (K, O), its taps in the order of U's rows, (u, c, v)."""
        weight, self.bias[...] = self.effective(training)
        KH = KW = self.layers.conv.kernel_size
        np.copyto(
            self.weight.reshape(KH, -1, KW, len(self.bias)), weight.transpose(2, 1, 3, 0), casting="same_kind"
        )

    def restore(self, weight: Array) -> Array:
        """From the form that `refresh` brings it to, (K, O), to a view (O, C, KH, KW)."""
        KH = KW = self.layers.conv.kernel_size
        return weight.reshape(KH, -1, KW, weight.shape[1]).transpose(3, 1, 0, 2)

    def training(self, shard: Shard, shared: Shared, ends: Ends) -> Work:
        """See `Stage.training`."""
        return InputConvolutionWork(self, shard, shared, ends)

    def finish(self, shared: Shared, part: Sums, gradients: dict[str, Array]) -> None:
        """See `Stage.finish`; the formulas are those of the class."""
        D, dbias = part.arrays
        if shared.normalisation is None:
            gradients[self.path["weight"]][...] = self.restore(D)
            gradients[self.path["bias"]][...] = dbias
            return
        moments, norm = shared.moments, shared.norm
        W = self.weight.astype(np.float64)
        dweight = ((D * W).sum(axis=0) - norm.mean * dbias) / norm.deviation
        through_mean = np.outer(moments.mean, dbias)
        through_variance = (moments.deviations / moments.count) @ W * (dweight / norm.deviation)
        dW = self.sign * norm.scale * (D - through_mean - through_variance)
        gradients[self.path["weight"]][...] = self.restore(dW)
        self.write_normalisation(dweight, dbias, gradients)

    def predicting(self, n: int, scratch: Scratch, x: Array, y: Array) -> Sequence[Step]:
        """See `Stage.predicting`."""
        patches = Patches(self, n, x)
        phases = scratch.array("phases", self.epilogue.phases_shape(n))
        steps = list(patches.unroll)
        for block in self.epilogue.blocks(n):
            steps += [patches.product(self.weight, phases, block), *self.epilogue.maxima(phases[:, :, block])]
        return [*steps, *self.epilogue.affine(phases[0, 0], self.bias, y)]


class Patches:
    """The array U of `InputConvolution` for n samples, and the steps that fill it from x, less `shift`."""

    def __init__(self, stage: InputConvolution, n: int, x: Array) -> None:
        conv, (C, H, W) = stage.layers.conv, stage.input_shape
        KH, KW, p = conv.kernel_size, conv.kernel_size, conv.padding
        k, columns = stage.epilogue.k, stage.epilogue.columns
        Hp, Wp = H + 2 * p, W + 2 * p
        self.k, self.n, self.rows, self.columns = k, n, stage.epilogue.rows, columns
        self.shape = (KH, C * KW)
        self.shift = np.zeros((), np.float32)

        # The padded image, samples innermost, and as it is read for U: [b, h, c, v, w, n].
        padded = aligned((Hp, C, Wp, n))
        row, channel, column, one = padded.strides
        windows = as_strided(
            padded,
            (k, Hp, C, KW, columns, n),
            (column, row, channel, column, k * column, one),
            writeable=False,
        )
        # KH - 1 rows of zeros below, so that every row has KH rows from it on.
        self.U = aligned((k, Hp + KH - 1, C, KW, columns, n))
        self.U[:, Hp:] = 0
        inside = padded[p : p + H, :, p : p + W]
        self.unroll: list[Step] = [
            partial(np.subtract, x.transpose(2, 1, 3, 0), self.shift, out=inside),
            partial(np.copyto, self.U[:, :Hp], windows),
        ]
        if p:
            zero = np.zeros((), np.float32)
            self.unroll.insert(0, partial(np.subtract, zero, self.shift, out=padded))

    def matrices(self, block: slice) -> Array:
        """View [a, b, i, (w,n), (u,c,v)]: the patches for the outputs of each phase in row i."""
        U = self.U[:, :, :, :, block]
        part, row, _, tap, _, one = U.strides
        KH, taps = self.shape
        positions = U.shape[4] * self.n
        shape = (self.k, self.k, self.rows, positions, KH * taps)
        return as_strided(U, shape, (row, part, self.k * row, one, tap), writeable=False)

    def outputs(self, phases: Array, block: slice) -> Array:
        """View of the phases [a, b, i, (w,n), o]."""
        of_block = phases[:, :, block]
        return of_block.reshape(self.k, self.k, -1, *of_block.shape[4:]).swapaxes(2, 3)

    def product(self, weight: Array, phases: Array, block: slice) -> Step:
        """The step that fills a block of columns of the phases: the patches' products with the weight."""
        return partial(np.matmul, self.matrices(block), weight, out=self.outputs(phases, block))


class Moments:
    """Computes the moments of the patches of one shard."""

    def __init__(self, stage: InputConvolution, patches: Patches) -> None:
        k, KH, taps = patches.k, *patches.shape
        Hp = stage.ranges.shape[1]
        positions = patches.columns * patches.n
        lines = patches.U.reshape(k, -1, taps, positions)
        part, row, tap, one = lines.strides
        below = as_strided(lines, (k, Hp, positions, KH * taps), (part, row, one, tap), writeable=False)
        # products[b, h, t, (d,t')] = sum over positions of U[b, h, t] U[b, h+d, t'], with t = (c,v).
        products = np.empty((k, Hp, taps, KH * taps), np.float32)
        sums = np.empty((k, Hp, taps), np.float32)
        self._steps: list[Step] = [
            partial(np.matmul, lines[:, :Hp], below, out=products),
            partial(np.matmul, lines[:, :Hp], np.ones(positions, np.float32), out=sums),
        ]
        self._products, self._sums = products.reshape(k, Hp, -1), sums
        self._ranges, self._pairs = stage.ranges, stage.pairs
        self._count = k * k * patches.rows * positions
        self._shift = patches.shift

    def __call__(self) -> PatchMoments:
        """The moments of what U holds now."""
        run(self._steps)
        mean = (self._ranges @ np.add.reduce(self._sums, axis=0, dtype=np.float64)).reshape(-1) / self._count
        by_pair = self._ranges @ np.add.reduce(self._products, axis=0, dtype=np.float64)
        deviations = by_pair.reshape(-1)[self._pairs] - self._count * np.outer(mean, mean)
        return PatchMoments(self._count, mean + self._shift, deviations)


class InputConvolutionWork(Work):
    """The work of an `InputConvolution` for one shard."""

    def __init__(self, stage: InputConvolution, shard: Shard, shared: Shared, ends: Ends) -> None:
        n, scratch, epilogue = shard.size, shard.scratch, stage.epilogue
        self._stage, self._shared, self._x = stage, shared, ends.x
        self._patches = patches = Patches(stage, n, ends.x)
        self._moments = None if stage.layers.norm is None else Moments(stage, patches)
        # What is written here is read before the next exchange, forwards and backwards.
        phases = scratch.array("phases", epilogue.phases_shape(n))
        self._epilogue = EpilogueWork(
            epilogue, n, scratch, phases=phases, dphases=phases, y=ends.y, dy=ends.dy, keeps=False
        )
        blocks, k, O = self._epilogue.blocks, epilogue.k, epilogue.channels  # noqa: E741 -- the formula's letter
        dweights = scratch.array("dweight", (len(blocks), k, k, epilogue.rows, stage.K, O))
        self._forward: list[Step] = []
        self._backward: list[Step] = []
        for i, block in enumerate(blocks):
            self._forward += [patches.product(stage.weight, phases, block), *self._epilogue.pool[i]]
            adjoint = patches.matrices(block).swapaxes(-1, -2), patches.outputs(phases, block)
            self._backward += [
                *self._epilogue.pool_backward[i],
                partial(np.matmul, *adjoint, out=dweights[i]),
            ]
        self._dbias = ColumnSums(self._epilogue.do)
        partial_sums = dweights.reshape(-1, stage.K * O)
        self._sum_dweights = partial(np.matmul, np.ones(len(partial_sums), np.float32), partial_sums)
        self._part: Sums | None = None

    def forward(self, rng: np.random.Generator | None) -> ShardProgram:
        """See `Work.forward`."""
        stage, patches = self._stage, self._patches
        scale, offset = None, stage.bias
        if self._moments is None:
            run(patches.unroll)
        else:
            patches.shift[...] = self._x[0, 0, 0, 0]
            run(patches.unroll)
            norm: Normalisation = yield Exchange(self._moments(), self._normalise)
            # The weight sees pixels relative to the shift, so its output lacks shift * (sum of the taps).
            lacking = float(patches.shift) * stage.weight.sum(axis=0, dtype=np.float64)
            scale, offset = norm.scale, norm.offset + norm.scale * lacking
        run(self._forward)
        self._epilogue.affine(scale, offset)

    def _normalise(self, moments: PatchMoments) -> Normalisation:
        """The affine map that follows from the moments of the whole batch."""
        W = self._stage.weight.astype(np.float64)
        squares = (W * (moments.deviations @ W)).sum(axis=0)
        statistics = Statistics(moments.count, moments.mean @ W, np.maximum(squares, 0))
        self._shared.moments = moments
        self._shared.normalisation = self._stage.normalise(statistics)
        return self._shared.normalisation

    def backward(self) -> ShardProgram:
        """See `Work.backward`; there is no dx."""
        self._epilogue.relu_backward()
        dbias = self._dbias()
        run(self._backward)
        D = self._sum_dweights().astype(np.float64).reshape(self._stage.K, -1)
        # As if the pixels had not been shifted.
        self._part = Sums((D + float(self._patches.shift) * dbias, dbias))
        return
        yield  # nothing to exchange, but a program all the same

    def part(self) -> Sums | None:
        """See `Work.part`."""
        return self._part


def _row_pairs(KH: int, taps: int) -> Array:
    """For each pair of taps (u,t), (u',t') of a patch, where to look among products [u, t, d, t'] of rows.

    The product of rows u and u' is found at the upper one of them, with d = |u' - u|.

    Shapes: t and t' count the `taps` of a row -> (K, K), K = KH * taps.
    """
    u, t, u2, t2 = np.indices((KH, taps, KH, taps))
    upper, d = np.minimum(u, u2), abs(u2 - u)
    of_upper, of_lower = np.where(u <= u2, t, t2), np.where(u <= u2, t2, t)
    index: Array = ((upper * taps + of_upper) * KH + d) * taps + of_lower
    return index.reshape(KH * taps, KH * taps)


def _row_ranges(KH: int, Hp: int) -> Array:
    """Which rows a kernel's row u meets: 1 for rows u to u + Hp - KH, else 0. Shape (KH, Hp)."""
    u, h = np.indices((KH, Hp))
    return ((h >= u) & (h <= u + Hp - KH)).astype(np.float64)
