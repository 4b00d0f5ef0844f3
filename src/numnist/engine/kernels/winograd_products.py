"""The way through a convolution by Winograd's method, and the way back."""

from functools import partial

import numpy as np
from numpy.lib.stride_tricks import as_strided

from numnist.arrays import Array
from numnist.engine.kernels.winograd_geometry import Geometry, along_columns
from numnist.engine.memory import Scratch, aligned
from numnist.engine.stage import Step

SUMMED_BYTES = 2**19
"""What dU may take, row by row, before the rows are summed up: it is still in the cache then."""


class Products:
    """V and M of `WinogradConvolution` for n samples, and the steps from x to the phases of the output."""

    def __init__(
        self,
        g: Geometry,
        matrices: tuple[Array, Array, Array],
        n: int,
        scratch: Scratch,
        x: Array,
        phases: Array,
    ) -> None:
        """matrices: A, U and B."""
        A, U, B = matrices
        self.V = aligned((g.P, n, g.Hp, g.C))
        self.V[...] = 0  # the rows of padding stay so
        point, sample, row, one = self.V.strides
        # [p, a, i, n, (u,c)]: the r rows of channels from row k*i + a on, neighbours in memory.
        self.bands = as_strided(
            self.V,
            (g.P, g.k, g.rows, n, g.r * g.C),
            (point, row, g.k * row, sample, one),
            writeable=False,
        )
        M = scratch.array("products", (g.P, g.k, n, g.rows, g.O))
        self.steps: list[Step] = [
            along_columns(B, x[None], self.V[None, :, :, g.padding : g.padding + g.H]),
            partial(np.matmul, self.bands, U, out=M.swapaxes(2, 3)),
            along_columns(A, M.swapaxes(0, 1), phases),
        ]


class Adjoint:
    """The steps from the gradient of the phases to that of the taps, and to dx."""

    def __init__(
        self,
        g: Geometry,
        matrices: tuple[Array, Array, Array, Array],
        n: int,
        scratch: Scratch,
        bands: Array,
        dphases: Array,
        dx: Array | None,
        dtaps: Array,
    ) -> None:
        """matrices: A, G, the weight as dV gathers it (see `WinogradConvolution`), and B. bands: of V.

        dtaps: where Gᵀ dU goes, (r, r*C*O).
        """
        self._geometry = g
        A, G, self._gather, B = matrices
        # dM with the rows of the image in sequence, as dV needs them; [a, p, n, i] is row k*i + a.
        rows = scratch.array("products", (g.P, n, g.k * g.rows, g.O))
        dM = rows.reshape(g.P, n, g.rows, g.k, g.O).transpose(3, 0, 1, 2, 4)
        if g.k == 1:
            self.steps = [along_columns(A.T, dphases, dM)]
        else:
            # A small product for each row, written where it belongs: one large one, and a copy, take longer.
            of_rows = dphases.reshape(g.k, -1, n, g.rows, g.O).transpose(0, 2, 3, 1, 4)
            self.steps = [partial(np.matmul, A.T, of_rows, out=dM.transpose(0, 2, 3, 1, 4))]
        # To the shard's gradient of the taps: the sum over the rows, and Gᵀ.
        taps = g.r * g.C * g.O
        sums = scratch.array("dU", (g.P, taps))
        ones = np.ones(g.k * g.rows, np.float32)
        V, of_rows = bands.swapaxes(-1, -2), dM.transpose(1, 0, 3, 2, 4)
        at_once = min(g.P, max(1, SUMMED_BYTES // (4 * g.k * g.rows * taps)))
        dU = scratch.array("dweight", (at_once, g.k, g.rows, g.r * g.C, g.O))
        for first in range(0, g.P, at_once):
            points = slice(first, min(first + at_once, g.P))
            some = dU[: points.stop - first]
            self.steps += [
                partial(np.matmul, V[points], of_rows[points], out=some),
                partial(np.matmul, ones, some.reshape(len(some), -1, taps), out=sums[points]),
            ]
        self.steps.append(partial(np.matmul, G.T, sums, out=dtaps))
        if dx is None:
            return
        dV = scratch.array("dV", (g.P, n, g.Hp, g.C))
        self.steps += self.gathering(rows, dV)
        inside = dV[None, :, :, g.padding : g.padding + g.H]
        self.steps.append(along_columns(B.T, inside, dx[None]))

    def gathering(self, rows: Array, dV: Array) -> list[Step]:
        """The steps from dM, its rows in sequence, to dV."""
        return [self._band(rows, dV, first, last) for first, last in self._bands()]

    def _bands(self) -> list[tuple[int, int]]:
        """Which bands of dV one product gives: each at the edges alone, all between them together."""
        g = self._geometry
        count = g.Hp // g.band
        inner = [j for j in range(count) if g.r - 1 <= g.band * j <= g.k * g.rows - g.band]
        edges = [(j, j) for j in range(count) if j not in inner]
        return [*edges, (inner[0], inner[-1])] if inner else edges

    def _band(self, rows: Array, dV: Array, first: int, last: int) -> Step:
        """The step that fills bands `first` to `last` of dV, which need equally many rows of dM."""
        g = self._geometry
        # Band j needs rows g.band * j - (r - 1) and the r - 1 + g.band - 1 behind it, as far as there are
        # such.
        start = g.band * first - (g.r - 1)
        lowest, highest = max(start, 0), min(start + g.r - 1 + g.band, g.k * g.rows)
        point, sample, row, one = rows.strides
        needed = as_strided(
            rows[:, :, lowest:],
            (g.P, last - first + 1, rows.shape[1], (highest - lowest) * g.O),
            (point, g.band * row, sample, one),
            writeable=False,
        )
        taps = self._gather[:, :, (lowest - start) * g.O : (highest - start) * g.O]
        out = dV[:, :, g.band * first : g.band * (last + 1)].reshape(g.P, rows.shape[1], last - first + 1, -1)
        return partial(np.matmul, needed, taps, out=out.swapaxes(1, 2))
