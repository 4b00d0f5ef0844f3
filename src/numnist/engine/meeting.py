"""What shards of a batch tell each other: numbers in memory that all see, and when they are there."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from numnist.arrays import Array, Shape
from numnist.engine.memory import Allocate


def nothing() -> None:
    """What there is to be made of a meeting where nothing is asked for but that all have come."""


@dataclass(frozen=True)
class Meeting:
    """What a shard's program yields where it needs to know of the others.

    By then it has written what it has to tell to memory that all see. When every shard has come as far,
    `merge` is called; what it returns is what the `yield` gives the program.

    merge: called once in every process that runs shards, always to the same effect. once: whether it is
    called in the first process alone, because it may not happen twice (random numbers); it returns None then.
    """

    merge: Callable[[], Any] = nothing
    once: bool = False


ShardProgram = Generator[Meeting, Any, None]
"""All that is done for one shard of a batch; it yields where it must know of the other shards."""


class Table:
    """A row of numbers for every shard of a batch, in memory that all see.

    It may be written anew when there has been another meeting behind the one at which it was read.
    """

    def __init__(
        self, shards: int, allocate: Allocate, *shapes: Shape, dtype: type[np.floating[Any]] = np.float64
    ) -> None:
        """shapes: of the arrays that each shard brings."""
        self.columns: list[Array] = [allocate((shards, *shape), dtype) for shape in shapes]
        """Each of the arrays, of all shards: (shards, *shape)."""

    def put(self, shard: int, *arrays: Array | float) -> None:
        """Write the row of a shard."""
        for column, array in zip(self.columns, arrays, strict=True):
            column[shard] = array

    def sums(self) -> list[Array]:
        """Each of the arrays, added from the first shard to the last: the order decides the last bits."""
        return [np.asarray(np.add.reduce(column, axis=0)) for column in self.columns]
