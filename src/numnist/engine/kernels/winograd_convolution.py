"""A convolution between hidden layers, by Winograd's method along W, with what follows it."""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from numnist.arrays import Array
from numnist.engine.kernels.convolution import Convolution, Shared
from numnist.engine.kernels.direct_convolution import fill_phases
from numnist.engine.kernels.epilogue import EpilogueWork
from numnist.engine.kernels.normaliser import Normaliser
from numnist.engine.kernels.sums import ColumnSums
from numnist.engine.kernels.tiles import Tile
from numnist.engine.kernels.winograd_geometry import Geometry
from numnist.engine.kernels.winograd_products import Adjoint, Products
from numnist.engine.meeting import HERE, Meeting, ShardProgram, Table
from numnist.engine.memory import Allocate, Scratch, aligned, shared_memory
from numnist.engine.reducer import ALONE, Reducer
from numnist.engine.stage import Ends, Order, Shard, Step, Work, run
from numnist.engine.winograd import MOST_POINTS

CANCELLING = 128
"""Where the mean is so much larger than the deviation (squared), the error of the transforms shows."""


class WinogradConvolution(Convolution):
    """A convolution with stride 1, and what follows it.

    A row of W' outputs is cut into tiles of m; F(m, r) of `winograd.transform` gives each of them from
    m + r - 1 products per pair of channels and row of the kernel, in place of m*r. All the rest is sums:

        V[p, n, h, c]   = sum over w of B[p, w] x[w, n, h, c]                    along W
        U[p, (u,c), o]  = sum over v of G[p, v] W[o, c, u, v]
        M[p, n, i, o]   = sum over u,c of V[p, n, i+u, c] U[p, (u,c), o]         all of the work
        y[w, n, i, o]   = sum over p of A[w, p] M[p, n, i, o]

    where p counts the points of all tiles, and A and B hold the tiles' matrices as blocks, which overlap in
    B. In the order (W, N, H, C) the transforms are matrix products with everything but W as columns, and
    the r*C values V[p, n, i : i+r, :] are neighbours: a row of a matrix that is a view. Nothing is
    unrolled.

    The backward pass is the adjoint of each line, from the last to the first:

        dM = Aᵀ dy     dU[p] = sum over n,i of V[p, n, i : i+r]ᵀ dM[p, n, i]     dW = Gᵀ dU
        dV[p, n, h, c] = sum over u,o of dM[p, n, h-u, o] U[p, (u,c), o]         dx = Bᵀ dV

    where dV gathers: dM[p, n, h-r+1 : h+1, :] is again a row of a view, shorter at the edges. A `band` of
    rows of dV is one product, since neighbours need almost the same rows of dM.

    Source: Lavin & Gray 2016, arXiv:1509.09308, sections 3 and 4.
    """

    INPUT_ORDER: ClassVar[Order] = Order.COLUMNS

    MOST_TAPS = MOST_POINTS // 2 + 1
    """Wider kernels leave no room for a tile that saves anything."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        conv, (C, H, W) = self.layers.conv, self.input_shape
        self.geometry = g = Geometry(
            C, H, W, conv.out_channels, conv.kernel_size, conv.zeros,
            self.epilogue.k, self.epilogue.rows, self.epilogue.columns,
        )  # fmt: skip
        self.A, self.G, self.B = g.matrices()
        self.U = shared_memory((g.P, 1, 1, g.r * g.C, g.O))
        # [p, (u', o), (q, c)] for row q of a band: row u' of those that the band needs meets it through tap
        # u = r - 1 + q - u' of the kernel, or not at all.
        window = g.r - 1 + g.band
        self.gather = shared_memory((g.P, 1, window * g.O, g.band * g.C))
        self._bands = np.zeros((g.r, window, g.O, g.band, g.C), np.float32)

    def refresh(self, training: bool) -> None:
        """See `Stage.refresh`: U, and U in the order that dV asks for."""
        weight, self.bias[...] = self.effective(training)
        self._transform(weight.transpose(3, 2, 1, 0), self.U)
        if training:
            flipped = weight[:, :, ::-1].transpose(3, 2, 0, 1)
            for q in range(self.geometry.band):
                self._bands[:, q : q + self.geometry.r, :, q] = flipped
            self._transform(self._bands, self.gather)

    def _transform(self, taps: Array, out: Array) -> None:
        """G along the first axis of the weight's taps, (v, ...)."""
        np.matmul(self.G, taps.reshape(len(taps), -1), out=out.reshape(self.geometry.P, -1))

    def shared(self, batch: int, shards: int, allocate: Allocate, reducer: Reducer = ALONE) -> Shared:
        """See `Stage.shared`; what is put at each meeting is what the methods of the work say."""
        g = self.geometry
        statistics, of_bias = (Table(shards, allocate, (2, g.O), reducer=reducer) for _ in range(2))
        taps = (g.r, g.r * g.C * g.O)
        return Shared(statistics, of_bias, Table(shards, allocate, taps, dtype=np.float32))

    def training(self, shard: Shard, shared: Shared, ends: Ends) -> Work:
        """See `Stage.training`."""
        return WinogradConvolutionWork(self, shard, shared, ends)

    def finish(self, shared: Shared, gradients: dict[str, Array]) -> None:
        """See `Stage.finish`."""
        [dtaps] = shared.of_weight.sums()
        dW = gradients[self.path["weight"]]
        g = self.geometry
        dW[...] = self.signed(dtaps.reshape(g.r, g.r, g.C, g.O).transpose(3, 2, 1, 0))
        [(products, dbias)] = shared.of_bias.sums()
        if shared.norm is None:
            gradients[self.path["bias"]][...] = dbias
        else:
            self.write_normalisation(shared.norm.dweight(products, dbias), dbias, gradients)

    def products(self, n: int, scratch: Scratch, x: Array, phases: Array) -> Products:
        """The way from x to the phases of the output."""
        return Products(self.geometry, (self.A, self.U, self.B), n, scratch, x, phases)

    def adjoint(
        self, n: int, scratch: Scratch, products: Products, dphases: Array, dx: Array | None, dtaps: Array
    ) -> Adjoint:
        """The way back, to the gradients of the weight's taps and x."""
        matrices = self.A, self.G, self.gather, self.B
        return Adjoint(self.geometry, matrices, n, scratch, products.bands, dphases, dx, dtaps)

    def predicting(self, n: int, scratch: Scratch, x: Array, y: Array) -> Sequence[Step]:
        """See `Stage.predicting`."""
        phases = scratch.array("phases", self.epilogue.phases_shape(n))
        products = self.products(n, scratch, x, phases)
        return [
            *products.steps,
            *self.epilogue.maxima(phases),
            *self.epilogue.affine(phases[0, 0], self.bias, y),
        ]


class WinogradConvolutionWork(Work):
    """The work of a `WinogradConvolution` for one shard."""

    def __init__(self, stage: WinogradConvolution, shard: Shard, shared: Shared, ends: Ends) -> None:
        n, scratch, epilogue, g = shard.size, shard.scratch, stage.epilogue, stage.geometry
        self._stage, self._shared, self._shard, self._x = stage, shared, shard, ends.x
        self._has_norm = stage.layers.norm is not None
        shape = epilogue.phases_shape(n)
        # With a normalisation the output of the convolution is needed again, behind a meeting.
        self._phases = aligned(shape) if self._has_norm else scratch.array("phases", shape)
        dphases = scratch.array("dphases", shape)
        self._products = stage.products(n, scratch, ends.x, self._phases)
        self._epilogue = EpilogueWork(
            epilogue,
            n,
            scratch,
            phases=[self._phases[:, :, block] for block in epilogue.blocks(n)],
            dphases=[dphases[:, :, block] for block in epilogue.blocks(n)],
            y=ends.y,
            dy=ends.dy,
            keeps=self._has_norm,
        )
        self._to_dbias = [*self._epilogue.relu_backward]
        if self._has_norm:
            if shared.norm is None:
                shared.norm = stage.normaliser(shard.batch * (self._phases.size // (n * g.O)), shard.batch)
            self._bind_normalisation(shared.norm, dphases)
        else:
            of_bias = shared.of_bias.columns[0][shard.number]
            self._to_dbias += ColumnSums([(self._epilogue.do,)], out=of_bias[1:]).steps
        dtaps = shared.of_weight.columns[0][shard.number]
        self._adjoint = stage.adjoint(n, scratch, self._products, dphases, ends.dx, dtaps)

    def _bind_normalisation(self, norm: Normaliser, dphases: Array) -> None:
        """Bind the steps that need all of the convolution's output, and its gradient before they are done."""
        epilogue, c, number = self._epilogue, self._phases, self._shard.number
        self._tiles = tiles = Tile(c, count=3)
        first, second, third = tiles.values
        statistics, of_bias = self._shared.statistics, self._shared.of_bias
        self._to_statistics = ColumnSums([(c,)], [(c, c)], out=statistics.columns[0][number]).steps
        pooled = epilogue.pooled if self._stage.layers.pool is not None else c[0, 0]
        self._to_dbias += ColumnSums(
            [(epilogue.do, pooled)], [(epilogue.do,)], out=of_bias.columns[0][number]
        ).steps
        do, rows = tiles.rows(epilogue.do), tiles.rows(c)
        # What a meeting comes to, and from there on.
        self._merge = partial(np.add.reduce, statistics.of_all[0], axis=0, out=norm.sums)
        self._merge_back: list[Step] = [
            partial(np.add.reduce, of_bias.of_all[0], axis=0, out=norm.dsums),
            *norm.backward,
        ]
        self._scale_do = partial(np.multiply, do, first, out=do)
        self._through_statistics: list[Step] = [
            partial(np.multiply, rows, second, out=rows),
            partial(np.add, rows, third, out=rows),
            partial(np.add, dphases, c, out=dphases),
        ]

    def forward(self, rng: np.random.Generator | None) -> ShardProgram:
        """See `Work.forward`."""
        run(self._products.steps)
        offset_and_scale = self._stage.bias[np.newaxis]
        if self._has_norm:
            run(self._to_statistics)
            statistics = self._shared.statistics
            across = statistics.exchange(statistics.sums)
            norm: Normaliser | Array = yield Meeting(self._normalise, across=across)
            if not isinstance(norm, Normaliser):
                reference = norm
                self._recompute(reference)
                yield HERE  # all have read what is written anew now
                run(self._to_statistics)
                norm = yield Meeting(partial(self._normalise, reference), across=across)
                assert isinstance(norm, Normaliser)
            offset_and_scale = norm.offset_and_scale
        self._epilogue.forward(offset_and_scale, ())

    def _normalise(self, reference: Array | None = None) -> Normaliser | Array:
        """The affine map that follows from the statistics of the whole batch.

        Where the mean is far larger than the deviation, c in float32 is not good enough. What is returned
        then is a reference (O,) near the mean; c is to be computed anew, less that, and this called again.
        """
        norm = self._shared.norm
        assert norm is not None
        self._merge()
        if reference is not None:
            return norm.run(reference)
        norm.run()
        # All of them together first, which is one call.
        if (
            np.vdot(norm.relative, norm.relative) > CANCELLING
            and np.abs(norm.relative).max() > CANCELLING**0.5
        ):
            return norm.mean.copy()
        return norm

    def _recompute(self, reference: Array) -> None:
        """Fill the phases without transforms, in float64, less the reference."""
        stage = self._stage
        weight = stage.signed(stage.layers.conv.parameters["weight"])
        fill_phases(self._phases, self._x, weight, stage.geometry.padding, reference)

    def backward(self) -> ShardProgram:
        """See `Work.backward`."""
        run(self._to_dbias)
        if self._has_norm:
            of_bias = self._shared.of_bias
            yield Meeting(partial(run, self._merge_back), across=of_bias.exchange(of_bias.sums))
            assert self._shared.norm is not None
            self._tiles.set(self._shared.norm.scale_slope_and_constant)
            self._scale_do()
        for steps in self._epilogue.unpool:
            run(steps)
        if self._has_norm:
            run(self._through_statistics)
        run(self._adjoint.steps)
