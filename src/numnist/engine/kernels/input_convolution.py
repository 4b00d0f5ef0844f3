"""The first convolution of a network, with what follows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np

from numnist.arrays import Array
from numnist.engine.kernels.convolution import Convolution, Shared
from numnist.engine.kernels.epilogue import EpilogueWork
from numnist.engine.kernels.normaliser import Normaliser
from numnist.engine.kernels.patch_moments import LineSums, LineSumsWork, PatchMoments
from numnist.engine.kernels.patches import Patches
from numnist.engine.kernels.sums import ColumnSums
from numnist.engine.meeting import HERE, Meeting, ShardProgram, Table
from numnist.engine.memory import Allocate, Scratch, aligned, shared_memory
from numnist.engine.reducer import ALONE, Reducer
from numnist.engine.stage import Ends, Order, Shard, Step, Work, run

CANCELLING = 2**9
"""A variance this much smaller than the squares it is left of has lost so much of float32's precision."""

AS_THEY_ARE, SHIFTED, IN_FLOAT64 = range(3)
"""What the moments are computed of: pixels; pixels less one from their middle; the same, in float64."""

MOST_ROWS = 128
"""Rows of patches that one product for dW takes.

The rows of do that it meets lie far apart; more of them push each other out of the innermost cache.
"""


@dataclass(kw_only=True)
class InputShared(Shared):
    """What the shards of this kernel have in common, too.

    of_ranks: line sums that ranks have merged. shifts: what each shard proposes to subtract from all pixels.
    moments: of the patches.
    """

    of_ranks: Table
    shifts: Table
    moments: PatchMoments | None = None


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

        dc = scale * (do - mean(do) - ẑ mean(do ẑ))   gives, with D = sum of do P over all positions,
        dweight_norm = (sum of D * W - mean dbias) / deviation
        dW = scale * (D - dbias p̄ - (dweight_norm / deviation) W S/M)

    where do, the gradient behind the normalisation, is 0 in three of four positions where pooling follows;
    and with S/M = R/M - p̄ p̄ᵀ, R = sum of P Pᵀ. R is computed in float32. It is computed once more of pixels
    relative to one in the middle of them, where they are far from 0; and in float64, where Wᵀ R W cancels, as
    it does for a filter that is all but blind to the images.
    """

    INPUT_ORDER: ClassVar[Order] = Order.IMAGES

    MOST_TAPS = 64
    """Kernels with more taps (C*KH*KW) have a covariance that costs more than it saves."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        conv = self.layers.conv
        self.K = conv.in_channels * conv.kernel_size**2
        self.weight = shared_memory((self.K, conv.out_channels))
        C, H, W = self.input_shape
        self.lines = LineSums(C, conv.kernel_size, H + 2 * conv.zeros, W + 2 * conv.zeros)

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

    def shared(self, batch: int, shards: int, allocate: Allocate, reducer: Reducer = ALONE) -> InputShared:
        """See `Stage.shared`."""
        return InputShared(
            Table(shards, allocate, self.lines.shape),
            Table(shards, allocate),
            Table(shards, allocate, self.weight.shape, self.bias.shape),
            of_ranks=Table(1, allocate, self.lines.merged, reducer=reducer),
            shifts=Table(shards, allocate, (), reducer=reducer),
        )

    def training(self, shard: Shard, shared: InputShared, ends: Ends) -> Work:
        """See `Stage.training`."""
        return InputConvolutionWork(self, shard, shared, ends)

    def finish(self, shared: Shared, gradients: dict[str, Array]) -> None:
        """See `Stage.finish`; the formulas are those of the class.

        They are linear in D and dbias, so the sums of this rank give what it adds to the gradient.
        """
        D, dbias = shared.of_weight.sums()
        if shared.norm is None:
            gradients[self.path["weight"]][...] = self.restore(D)
            gradients[self.path["bias"]][...] = dbias
            return
        assert isinstance(shared, InputShared)
        norm, moments = shared.norm, shared.moments
        assert moments is not None
        dweight = norm.dweight(np.add.reduce(D * moments.weight, axis=0), dbias)
        share = dweight / (norm.deviation * norm.count)
        D -= moments.projected * share
        D -= np.multiply.outer(moments.of_taps, dbias / norm.count - norm.mean * share)
        D *= self.sign * norm.scale
        gradients[self.path["weight"]][...] = self.restore(D)
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

    def __init__(self, stage: InputConvolution, shard: Shard, shared: InputShared, ends: Ends) -> None:
        n, scratch, epilogue = shard.size, shard.scratch, stage.epilogue
        self._stage, self._shared, self._shard = stage, shared, shard
        self._patches = patches = stage.patches(n, ends.x)
        self._lines: LineSumsWork | None = None
        if stage.layers.norm is not None:
            [of_shards], of_ranks = shared.statistics.columns, shared.of_ranks
            self._lines = LineSumsWork(patches, stage.lines, of_shards[shard.number])
            if shared.norm is None:
                shared.norm = norm = stage.normaliser(shard.batch * patches.positions, shard.batch)
                shared.moments = PatchMoments(
                    stage.lines,
                    of_shards,
                    of_ranks.of_all[0] if of_ranks.is_exchanged else None,
                    stage.weight,
                    norm.sums,
                )
        # What is written here is read before the next block, forwards and backwards.
        phases = epilogue.phases(n, scratch)
        self._epilogue = EpilogueWork(
            epilogue, n, scratch, phases=phases, dphases=phases, y=ends.y, dy=ends.dy, by_differences=True
        )
        blocks, k, O = self._epilogue.blocks, epilogue.k, epilogue.channels  # noqa: E741 -- the formula's letter
        parts = [_parts(block.stop - block.start, n) for block in blocks]
        dweights = scratch.array("dweight", (sum(parts), k, k, epilogue.rows, stage.K, O))
        # Where this shard's D and dbias go.
        self._D, dbias = (column[shard.number] for column in shared.of_weight.columns)
        self._dbias = ColumnSums([(pair,) for block in phases for pair in block[:, 0]], out=dbias[np.newaxis])
        self._forward: list[Step] = []
        # Of each block: how its phases' gradient is filled, and what is to be multiplied with what then.
        self._factors: list[tuple[Sequence[Step], Array, Array]] = []
        self._backward: list[Step] = []
        for i, block in enumerate(blocks):
            self._forward.append(patches.product(stage.weight, phases[i], block))
            matrices, outputs = patches.matrices(block), patches.outputs(phases[i])
            adjoint = _split(matrices, parts[i]).swapaxes(-1, -2), _split(outputs, parts[i])
            of_pairs = self._dbias.of_parts[k * i : k * (i + 1)]
            fill = [*self._epilogue.unpool[i], *(step for steps in of_pairs for step in steps)]
            self._factors.append((fill, *adjoint))
            first = sum(parts[:i])
            dweights_of_block = dweights[first : first + parts[i]]
            self._backward += [*fill, partial(np.matmul, *adjoint, out=dweights_of_block)]
        self._is_cancelling = False
        partial_sums, total = dweights.reshape(-1, stage.K * O), aligned((stage.K, O))
        ones = np.ones(len(partial_sums), np.float32)
        self._backward += [
            partial(np.matmul, ones, partial_sums, out=total.reshape(-1)),
            partial(np.copyto, self._D, total),
        ]

    def forward(self, rng: np.random.Generator | None) -> ShardProgram:
        """See `Work.forward`."""
        self._patches.shift[...] = 0
        run(self._patches.unroll)
        offset_and_scale = self._stage.bias[np.newaxis]
        if self._lines is not None:
            run(self._lines.steps)
            norm = yield self._meeting(AS_THEY_ARE)
            if norm is None:
                yield from self._shift()
                run(self._lines.steps)
                norm = yield self._meeting(SHIFTED)
            self._is_cancelling = norm is None
            if norm is None:
                yield HERE  # all have read what is written anew now
                self._lines.in_float64()
                norm = yield self._meeting(IN_FLOAT64)
            offset_and_scale = norm.offset_and_scale
        self._epilogue.forward(offset_and_scale, self._forward)

    def _meeting(self, pixels: int) -> Meeting:
        """That at which line sums become the affine map, or turn out to be not good enough."""
        across = self._shared.of_ranks.exchange(self._merged)
        return Meeting(partial(self._normalise, pixels), across=across)

    def _merged(self) -> list[Array]:
        """What this rank's shards have come to."""
        [sums] = self._shared.statistics.sums()
        return [self._stage.lines.lines @ sums]

    def _shift(self) -> ShardProgram:
        """Take all pixels relative to one of them, the same for all shards."""
        shifts = self._shared.shifts
        [of_shards] = shifts.columns
        of_shards[self._shard.number] = self._patches.middle_pixel()
        yield Meeting(across=shifts.exchange(lambda: [of_shards[0]]))
        self._patches.shift[...] = shifts.of_all[0][0]
        run(self._patches.unroll)

    def _normalise(self, pixels: int) -> Normaliser | None:
        """The affine map that follows from the moments of the whole batch; None if they must be better."""
        norm, moments = self._shared.norm, self._shared.moments
        assert norm is not None
        assert moments is not None
        run(moments.steps)
        norm.run()
        if pixels == AS_THEY_ARE and moments.is_bright(norm.count):
            return None
        if pixels != IN_FLOAT64:
            least = norm.squared_deviations * CANCELLING
            if np.count_nonzero(least < moments.uncorrelated()):
                return None
        if pixels != AS_THEY_ARE:
            # The weight sees pixels relative to the shift, so its output lacks shift * (sum of the taps).
            norm.reference = self._patches.shift * self._stage.weight.sum(axis=0, dtype=np.float64)
        return norm

    def backward(self) -> ShardProgram:
        """See `Work.backward`; there is no dx."""
        self._patches.subtract_left()
        if self._is_cancelling:
            self._in_float64()
        else:
            run(self._backward)
        self._dbias.total()
        return
        yield  # there is no meeting, but it is a program all the same

    def _in_float64(self) -> None:
        """The same as `_backward`, from products in float64: those with W cancel."""
        self._D[...] = 0
        for fill, patches, do in self._factors:
            run(fill)
            self._D += np.add.reduce(np.matmul(patches, do, dtype=np.float64), axis=(0, 1, 2, 3))


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
