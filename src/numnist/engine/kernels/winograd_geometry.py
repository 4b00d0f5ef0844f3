"""Sizes and matrices of a convolution by Winograd's method, and their application."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from numnist.arrays import Array
from numnist.engine.stage import Step
from numnist.engine.winograd import tile_width, transform

CHUNK = 2048
"""Columns that a transform takes at once: BLAS has a path without copying for products as small as this."""


@dataclass(frozen=True)
class Geometry:
    """Sizes that the kernel's arrays share, in the letters of `WinogradConvolution`."""

    C: int
    H: int
    W: int
    O: int  # noqa: E741 -- the formula's letter
    r: int
    padding: int
    k: int
    rows: int
    columns: int

    @property
    def m(self) -> int:
        """Outputs per tile."""
        return tile_width(self.k * self.columns, self.r)

    @property
    def P(self) -> int:
        """Points of all tiles of a row together."""
        tiles = -(-self.k * self.columns // self.m)
        return tiles * (self.m + self.r - 1)

    @property
    def Hp(self) -> int:
        """Rows of the padded image."""
        return self.H + 2 * self.padding

    @property
    def band(self) -> int:
        """Rows of dx that one product gives: two share most of the rows of dM that they need."""
        return 2 if self.Hp % 2 == 0 else 1

    def matrices(self) -> tuple[Array, Array, Array]:
        """A, G and B for a whole row: those of its tiles, side by side.

        Outputs are in the order of the phases: first those of even columns. Columns of B that would meet the
        padding are left out, and so are outputs of the last tile beyond the row.

        Shapes: A (k*columns, P), G (P, r), B (P, W).
        """
        tile = transform(self.m, self.r)
        width = self.m + self.r - 1
        tiles = self.P // width
        A = np.zeros((tiles * self.m, self.P), np.float32)
        B = np.zeros((self.P, max((tiles - 1) * self.m + width, self.W + 2 * self.padding)), np.float32)
        for t in range(tiles):
            A[t * self.m : (t + 1) * self.m, t * width : (t + 1) * width] = tile.A
            B[t * width : (t + 1) * width, t * self.m : t * self.m + width] = tile.B
        A = A[: self.k * self.columns]
        A = np.concatenate([A[part :: self.k] for part in range(self.k)])
        B = np.ascontiguousarray(B[:, self.padding : self.padding + self.W])
        return A, np.tile(tile.G, (tiles, 1)), B


def along_columns(matrix: Array, x: Array, out: Array) -> Step:
    """The step out[a, i, ...] = sum over j of matrix[i, j] x[a, j, ...], in chunks of samples.

    Axes between the first and the samples may be several; together they are i or j.

    Shapes: matrix (I, J), x (A, J, N, H, C) and out (A, I, N, H, C), contiguous at least along (H, C).
    """
    n, row = x.shape[-3], x.shape[-2] * x.shape[-1]
    parts = _parts(n, row) if _is_dense(x) and _is_dense(out) else n
    I, J = matrix.shape  # noqa: E741 -- the formula's letter
    chunked_x, chunked_out = x.reshape(len(x), J, parts, -1), out.reshape(len(x), I, parts, -1)
    assert np.may_share_memory(x, chunked_x)
    assert np.may_share_memory(out, chunked_out)
    return partial(np.matmul, matrix, chunked_x.swapaxes(1, 2), out=chunked_out.swapaxes(1, 2))


def _is_dense(x: Array) -> bool:
    """Whether the last three axes are contiguous."""
    *_, sample, row, one = x.strides
    return bool(sample == x.shape[-2] * row and row == x.shape[-1] * one)


def _parts(n: int, row: int) -> int:
    """In how many parts n samples are taken: the least divisor that leaves at most `CHUNK` values, or n."""
    return next(p for p in range(1, n + 1) if n % p == 0 and (n // p * row <= CHUNK or p == n))
