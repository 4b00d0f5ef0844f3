"""Which examples make up which batch."""

from collections.abc import Iterator

import numpy as np

from numnist.arrays import Array


def batches(n: int, batch_size: int, rng: np.random.Generator | None) -> Iterator[Array]:
    """The indices 0 ... n-1 in batches: in a random order drawn from `rng`, or ascending where that is None.

    Shapes: each (batch_size,) int64, the last one shorter where batch_size does not divide n; none is empty.
    Raises: ValueError, at the call, unless n >= 0 and batch_size >= 1.
    """
    _check(n, batch_size)
    order = np.arange(n) if rng is None else rng.permutation(n)
    return (order[start : start + batch_size] for start in range(0, n, batch_size))


def number_of_batches(n: int, batch_size: int) -> int:
    """How many batches `batches` gives: ceil(n / batch_size)."""
    _check(n, batch_size)
    return -(-n // batch_size)


def _check(n: int, batch_size: int) -> None:
    if n < 0 or batch_size < 1:
        raise ValueError(f"expected n >= 0 and batch_size >= 1, got {n} and {batch_size}")
