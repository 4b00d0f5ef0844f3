"""Ranks: processes that train one model together, each on its part of every batch."""

from typing import Protocol

import numpy as np

from numnist.arrays import Array


class Reducer(Protocol):
    """Combines what the ranks of a job have come to, to the same values on each of them.

    rank, ranks: which one this is, from 0, of how many. All of them call the same methods in the same order,
    each from the main thread of its first process.
    """

    rank: int
    ranks: int

    def gather(self, row: Array, rows: Array) -> None:
        """Fill rows[r] with the row of rank r.

        Shapes: row (...), rows (ranks, ...), both contiguous and of the same dtype.
        """
        ...

    def add(self, values: Array, *numbers: float) -> tuple[float, ...]:
        """Replace values, of float32, by their sums over the ranks; returns the sums of the numbers.

        What is counted may be rounded to float32 on the way.
        """
        ...


class Alone:
    """The reducer of a rank that is the only one."""

    rank = 0
    ranks = 1

    def gather(self, row: Array, rows: Array) -> None:
        """See `Reducer.gather`."""
        rows[0] = row

    def add(self, values: Array, *numbers: float) -> tuple[float, ...]:  # noqa: ARG002
        """See `Reducer.add`."""
        return numbers


ALONE = Alone()


def part_of(batch: int, rank: int, ranks: int) -> slice:
    """The samples of a batch that are a rank's: the parts are as even as may be, and in the ranks' order.

    Of a batch with fewer samples than ranks it is all, on each of them: so no part is empty.
    """
    if batch < ranks:
        return slice(0, batch)
    return slice(batch * rank // ranks, batch * (rank + 1) // ranks)


def gather_samples(reducer: Reducer, part: Array, batch: int) -> Array:
    """The samples of a whole batch, from this rank's part of it and those of the others.

    Shapes: part (n, ...), as `part_of` says -> (batch, ...).
    """
    row = np.zeros((-(-batch // reducer.ranks), *part.shape[1:]), part.dtype)
    row[: len(part)] = part
    rows = np.empty((reducer.ranks, *row.shape), part.dtype)
    reducer.gather(row, rows)
    parts = [part_of(batch, rank, reducer.ranks) for rank in range(reducer.ranks)]
    return np.concatenate([rows[rank, : of.stop - of.start] for rank, of in enumerate(parts)])
