"""What shards of a batch tell each other: partial results, combined in a fixed order."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Protocol, Self

import numpy as np

from numnist.arrays import Array


class Part(Protocol):
    """A shard's share of a result over the whole batch. Merging is associative up to rounding."""

    def merged(self, other: Self) -> Self:
        """The share of both; `other` comes later in the batch."""
        ...


@dataclass(frozen=True)
class Sums:
    """Sums over samples, one array each."""

    arrays: tuple[Array, ...]

    def merged(self, other: "Sums") -> "Sums":
        """Element by element."""
        return Sums(tuple(a + b for a, b in zip(self.arrays, other.arrays, strict=True)))


@dataclass(frozen=True)
class Rows:
    """Samples of a batch, one after another along the first axis."""

    arrays: tuple[Array, ...]

    def merged(self, other: "Rows") -> "Rows":
        """Those of both."""
        return Rows((*self.arrays, *other.arrays))

    def together(self) -> Array:
        """All of them in one array."""
        return np.concatenate(self.arrays)


@dataclass(frozen=True)
class Exchange:
    """What a shard's program yields where it needs to know of the others.

    The executor waits for the same exchange of every shard, merges the parts in the order of the shards,
    calls `finish` of the first with what came of it, once, and sends what that returns to every shard.
    """

    part: Part
    finish: Callable[[Any], Any]


ShardProgram = Generator[Exchange, Any, None]
"""All that is done for one shard of a batch; it yields where it must know of the other shards."""


@dataclass(frozen=True)
class Parts:
    """Several parts at once, some of which may be missing (from all shards)."""

    parts: tuple[Part | None, ...]

    def merged(self, other: "Parts") -> "Parts":
        """Each with its counterpart."""
        return Parts(
            tuple(
                None if mine is None or theirs is None else mine.merged(theirs)
                for mine, theirs in zip(self.parts, other.parts, strict=True)
            )
        )


def merge_parts(parts: Sequence[Part]) -> Part:
    """All parts, from the first shard to the last: the order decides the last bits, so it never varies."""
    return reduce(lambda total, part: total.merged(part), parts)
