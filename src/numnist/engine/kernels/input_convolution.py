"""The first convolution of a network, with what follows it."""

from collections.abc import Sequence
from dataclasses import astuple
from functools import partial
from typing import Any, ClassVar

import numpy as np

from numnist.arrays import Array
from numnist.engine.kernels.convolution import Convolution, Normalisation, Shared
from numnist.engine.kernels.epilogue import EpilogueWork
from numnist.engine.kernels.patch_moments import Moments, PatchMoments
from numnist.engine.kernels.patches import Patches
from numnist.engine.kernels.sums import ColumnSums, total_of
from numnist.engine.meeting import Meeting, ShardProgram, Table
from numnist.engine.memory import Allocate, Scratch, shared_memory
from numnist.engine.reducer import ALONE, Reducer
from numnist.engine.stage import Ends, Order, Shard, Step, Work, run
from numnist.ops.batch_norm import Statistics

CANCELLING = 2**9
"""A variance this much smaller than if the taps were uncorrelated has lost so much of float32's precision."""

MOST_ROWS = 128
"""Rows of patches that one product for dW takes.

The rows of do that it meets lie far apart; more of them push each other out of the innermost cache.
"""


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
    S is computed in float32, of pixels relative to one in the middle of them; and once more in float64 where
    W (S/M) Wᵀ cancels, as it does for a filter that is all but blind to the images.
    """

    INPUT_ORDER: ClassVar[Order] = Order.IMAGES

    MOST_TAPS = 64
    """Kernels with more taps (C*KH*KW) have a covariance that costs more than it saves."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        conv = self.layers.conv
        self.K = conv.in_channels * conv.kernel_size**2
        self.weight = shared_memory((self.K, conv.out_channels))

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

    def shared(self, batch: int, shards: int, allocate: Allocate, reducer: Reducer = ALONE) -> Shared:
        """See `Stage.shared`."""
        K, O = self.weight.shape  # noqa: E741 -- the formula's letter
        statistics = Table(shards, allocate, (), (K,), (K, K), reducer=reducer)
        return Shared(statistics, Table(shards, allocate), Table(shards, allocate, (K, O), (O,)))

    def training(self, shard: Shard, shared: Shared, ends: Ends) -> Work:
        """See `Stage.training`."""
        return InputConvolutionWork(self, shard, shared, ends)

    def finish(self, shared: Shared, gradients: dict[str, Array]) -> None:
        """See `Stage.finish`; the formulas are those of the class.

        They are linear in D and dbias, so the sums of this rank give what it adds to the gradient.
        """
        D, dbias = shared.of_weight.sums()
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

    def patches(self, n: int, x: Array) -> Patches:
        """Those of n samples x, and how to fill them."""
        conv, epilogue = self.layers.conv, self.epilogue
        return Patches(x, conv.kernel_size, conv.zeros, epilogue.k, epilogue.rows, epilogue.columns)

    def predicting(self, n: int, scratch: Scratch, x: Array, y: Array) -> Sequence[Step]:
        """See `Stage.predicting`."""
        patches = self.patches(n, x)
        steps, epilogue = list(patches.unroll), self.epilogue
        for block, phases in zip(epilogue.blocks(n), epilogue.phases(n, scratch), strict=True):
            if epilogue.pool:
                steps.append(patches.product(self.weight, phases, block))
                steps += epilogue.maxima(phases, out=y[block])
            else:
                steps.append(patches.product(self.weight, y[block][None, None], block))
        return [*steps, *epilogue.affine(y, self.bias, y)]


class InputConvolutionWork(Work):
    """The work of an `InputConvolution` for one shard."""

    def __init__(self, stage: InputConvolution, shard: Shard, shared: Shared, ends: Ends) -> None:
        n, scratch, epilogue = shard.size, shard.scratch, stage.epilogue
        self._stage, self._shared, self._shard = stage, shared, shard
        self._patches = patches = stage.patches(n, ends.x)
        self._moments = None
        if stage.layers.norm is not None:
            self._moments = Moments(patches, partial(shared.statistics.put, shard.number))
        # What is written here is read before the next block, forwards and backwards.
        phases = epilogue.phases(n, scratch)
        self._epilogue = EpilogueWork(
            epilogue, n, scratch, phases=phases, dphases=phases, y=ends.y, dy=ends.dy, by_differences=True
        )
        blocks, k, O = self._epilogue.blocks, epilogue.k, epilogue.channels  # noqa: E741 -- the formula's letter
        parts = [_parts(block.stop - block.start, n) for block in blocks]
        dweights = scratch.array("dweight", (sum(parts), k, k, epilogue.rows, stage.K, O))
        self._forward: list[Step] = []
        # Of each block: how its phases' gradient is filled, and what is to be multiplied with what then.
        self._factors: list[tuple[Sequence[Step], Array, Array]] = []
        self._backward: list[Step] = []
        self._dbias: list[ColumnSums] = []
        for i, block in enumerate(blocks):
            self._forward.append(patches.product(stage.weight, phases[i], block))
            matrices, outputs = patches.matrices(block), patches.outputs(phases[i])
            adjoint = _split(matrices, parts[i]).swapaxes(-1, -2), _split(outputs, parts[i])
            sums = [ColumnSums(of_pairs) for of_pairs in phases[i][:, 0]]
            self._dbias += sums
            fill = [*self._epilogue.unpool[i], *(step for each in sums for step in each.steps)]
            self._factors.append((fill, *adjoint))
            first = sum(parts[:i])
            dweights_of_block = dweights[first : first + parts[i]]
            self._backward += [*fill, partial(np.matmul, *adjoint, out=dweights_of_block)]
        self._is_cancelling = False
        partial_sums = dweights.reshape(-1, stage.K * O)
        self._sum_dweights = partial(np.matmul, np.ones(len(partial_sums), np.float32), partial_sums)

    def forward(self, rng: np.random.Generator | None) -> ShardProgram:
        """See `Work.forward`."""
        stage, patches, moments = self._stage, self._patches, self._moments
        scale, offset = None, stage.bias
        if moments is not None:
            patches.choose_shift()
        run(patches.unroll)
        if moments is not None:
            moments.put(np.float32)
            across = self._shared.statistics.exchange(self._merged)
            norm: Normalisation | None = yield Meeting(self._normalise, across=across)
            self._is_cancelling = norm is None
            if norm is None:
                yield Meeting()  # all have read what is written anew now
                moments.put(np.float64)
                norm = yield Meeting(partial(self._normalise, is_precise=True), across=across)
            assert norm is not None
            # The weight sees pixels relative to the shift, so its output lacks shift * (sum of the taps).
            lacking = float(patches.shift) * stage.weight.sum(axis=0, dtype=np.float64)
            scale, offset = norm.scale, norm.offset + norm.scale * lacking
        self._epilogue.forward(scale, offset, self._forward)

    def _merged(self) -> tuple[Any, ...]:
        """The moments of this rank's shards."""
        return astuple(PatchMoments.of_parts(*self._shared.statistics.columns))

    def _normalise(self, is_precise: bool = False) -> Normalisation | None:
        """The affine map that follows from the moments of the whole batch; None if they must be better."""
        moments = PatchMoments.of_parts(*self._shared.statistics.of_all)
        W = self._stage.weight.astype(np.float64)
        squares = (W * (moments.deviations @ W)).sum(axis=0)
        if not is_precise:
            uncorrelated = moments.deviations.diagonal() @ np.square(W)
            if (squares * CANCELLING < uncorrelated).any():
                return None
        statistics = Statistics(moments.count, moments.mean @ W, np.maximum(squares, 0))
        self._shared.moments = moments
        self._shared.normalisation = self._stage.normalise(statistics, self._shard.batch)
        return self._shared.normalisation

    def backward(self) -> ShardProgram:
        """See `Work.backward`; there is no dx."""
        self._patches.subtract_left()
        D = self._products_with_do()
        dbias = total_of(self._dbias)
        # As if the pixels had not been shifted.
        D += float(self._patches.shift) * dbias
        self._shared.of_weight.put(self._shard.number, D, dbias)
        return
        yield  # there is no meeting, but it is a program all the same

    def _products_with_do(self) -> Array:
        """D of the class, (K, O), in float64; from products in float64 too where those with W cancel."""
        if not self._is_cancelling:
            run(self._backward)
            D = self._sum_dweights().astype(np.float64)
            return np.asarray(D.reshape(self._stage.K, -1))
        D = np.zeros(self._stage.weight.shape)
        for fill, patches, do in self._factors:
            run(fill)
            D += np.add.reduce(np.matmul(patches, do, dtype=np.float64), axis=(0, 1, 2, 3))
        return D


def _parts(columns: int, n: int) -> int:
    """In how many parts so many columns of n samples are taken: the fewest with `MOST_ROWS` each, or all."""
    return next(
        p
        for p in range(1, columns + 1)
        if columns % p == 0 and (columns // p * n <= MOST_ROWS or p == columns)
    )


def _split(rows: Array, parts: int) -> Array:
    """View of matrices (..., P, T) as (parts, ..., P / parts, T)."""
    *others, P, T = rows.shape
    return np.moveaxis(rows.reshape(*others, parts, P // parts, T), -3, 0)
