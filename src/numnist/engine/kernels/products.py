"""Matrix products in the shapes that BLAS likes."""

from functools import partial

import numpy as np

from numnist.arrays import Array
from numnist.engine.stage import Step

SMALL_PRODUCT = 10**6
"""Multiply-adds up to which OpenBLAS does not copy matrices first, where both have their rows in order."""

FEWEST_ROWS = 16
"""Rows, or columns, of a block below which such small products are slower than one that is copied."""


def by_blocks(left: Array, right: Array, out: Array) -> Step:
    """The step out = left @ right: in blocks of rows so small that BLAS does not copy them, or in one.

    Shapes: left (M, K), right (K, N), out (M, N).
    """
    (M, K), N = left.shape, right.shape[1]
    most = SMALL_PRODUCT // max(K * N, 1)
    block = max((rows for rows in range(1, M + 1) if M % rows == 0 and rows <= most), default=0)
    if 0 in (M, K) or block < FEWEST_ROWS:
        return partial(np.matmul, left, right, out=out)
    return partial(np.matmul, left.reshape(-1, block, K), right, out=out.reshape(-1, block, N))


def by_columns(left: Array, right: Array, out: Array) -> Step:
    """The step out = left @ right in blocks of columns as small as that, or in one, where there is no such.

    Shapes: left (M, K), right (K, N), out (M, N).
    """
    (M, K), N = left.shape, right.shape[1]
    block = max((n for n in range(1, N + 1) if N % n == 0 and M * K * n <= SMALL_PRODUCT), default=0)
    if 0 in (M, K) or block < FEWEST_ROWS:
        return partial(np.matmul, left, right, out=out)
    blocks, of_out = right.reshape(K, -1, block), out.reshape(M, -1, block)
    return partial(np.matmul, left, blocks.swapaxes(0, 1), out=of_out.swapaxes(0, 1))
