"""What shards of a batch tell each other: numbers in memory that all see, and when they are there."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise
from math import prod
from typing import Any

import numpy as np

from numnist.arrays import Array, Shape
from numnist.engine.memory import Allocate
from numnist.engine.reducer import ALONE, Reducer


def nothing() -> None:
    """What there is to be made of a meeting where nothing is asked for but that all have come."""


@dataclass(frozen=True)
class Meeting:
    """What a shard's program yields where it needs to know of the others.

    By then it has written what it has to tell to memory that all see. When every shard has come as far,
    `merge` is called; what it returns is what the `yield` gives the program.

    merge: called once in every process that runs shards, always to the same effect. once: whether it is
    called in the first process alone, because it may not happen twice (random numbers, a gathering over
    ranks); it returns None then. across: called before it, in the first process alone: brings what the other
    ranks have to tell to memory that all see (see `Table.exchange`); None where there are no others.
    """

    merge: Callable[[], Any] = nothing
    once: bool = False
    across: Callable[[], None] | None = None


HERE = Meeting()
"""Where all have to be, and nothing else; made once for all the programs that meet so."""

ShardProgram = Generator[Meeting, Any, None]
"""All that is done for one shard of a batch; it yields where it must know of the other shards."""


def advance(program: ShardProgram, answer: Any) -> Meeting | None:
    """Run a program to its next meeting; None at its end."""
    try:
        return program.send(answer)
    except StopIteration:
        return None


class Table:
    """A row of numbers for every shard of a batch, in memory that all see.

    It may be written anew when there has been another meeting behind the one at which it was read.
    """

    def __init__(
        self,
        shards: int,
        allocate: Allocate,
        *shapes: Shape,
        dtype: type[np.floating[Any]] = np.float64,
        reducer: Reducer = ALONE,
    ) -> None:
        """shapes: of the arrays that each shard brings. reducer: of the ranks that `exchange` theirs."""
        self.columns: list[Array] = [allocate((shards, *shape), dtype) for shape in shapes]
        """Each of the arrays, of all shards: (shards, *shape)."""
        self.of_all: list[Array] = self.columns
        """Those that make up the whole batch: of all shards, or of all ranks behind `exchange`."""
        self._reducer = reducer
        if reducer.ranks > 1:
            ends = [0, *accumulate(map(prod, shapes))]
            self._rows = allocate((reducer.ranks, ends[-1]), dtype)
            self.of_all = [
                self._rows[:, start:end].reshape(-1, *shape)
                for (start, end), shape in zip(pairwise(ends), shapes, strict=True)
            ]

    def put(self, shard: int, *arrays: Array | float) -> None:
        """Write the row of a shard."""
        for column, array in zip(self.columns, arrays, strict=True):
            column[shard] = array

    def sums(self) -> list[Array]:
        """Each of the arrays, added from the first shard to the last: the order decides the last bits."""
        return [np.add.reduce(column, axis=0) for column in self.columns]

    @property
    def is_exchanged(self) -> bool:
        """Whether there are other ranks."""
        return self._reducer.ranks > 1

    def exchange(self, merged: Callable[[], Sequence[Array | float]]) -> Callable[[], None] | None:
        """What fills `of_all` with a row for every rank, for `Meeting.across`; None where there is but one.

        merged: makes one row of those of the shards.
        """
        return partial(self._exchange, merged) if self.is_exchanged else None

    def _exchange(self, merged: Callable[[], Sequence[Array | float]]) -> None:
        row = np.concatenate([np.ravel(array) for array in merged()]).astype(self._rows.dtype, copy=False)
        self._reducer.gather(row, self._rows)
