"""What a run needs of the ranks that train one model together."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from numnist.engine import Alone, Reducer
from numnist.errors import InputError

T = TypeVar("T")


ASKED = ("interrupted", "terminated")
"""What a signal may ask for, the stronger one last."""


class OtherRankError(InputError):
    """What all ranks have agreed on that keeps the job from going on; the first one tells it."""


class Ranks(Reducer, Protocol):
    """The ranks of a job; real ones are `mpi.MPIRanks`.

    interrupted: what a signal has asked this rank for, see `TrainState`. agreed: what signals had asked any
    rank for by the last `add`; so all of them stop behind the same step. decided: whether callbacks of this
    rank have decided on something since the last step; behind an `add`, whether those of any have.
    threads: cores for each of them; None for all that this process may use.
    """

    interrupted: str
    agreed: str
    decided: bool
    threads: int | None

    def collect(self, value: T) -> list[T]:
        """The values of all ranks, in their order, on each of them."""
        ...

    def share(self, value: T) -> T:
        """The first rank's value."""
        ...


class OneRank(Alone):
    """A process that trains a model on its own."""

    interrupted = agreed = ""
    decided = False
    threads: int | None = None

    def collect(self, value: T) -> list[T]:
        """See `Ranks.collect`."""
        return [value]

    def share(self, value: T) -> T:
        """See `Ranks.share`."""
        return value


ONE_RANK = OneRank()


def strongest(asked: Iterable[str]) -> str:
    """What is to be done where signals have asked for these; "" is for nothing."""
    return max(asked, key=("", *ASKED).index)


@contextmanager
def together(ranks: Ranks) -> Iterator[None]:
    """Go on behind the `with` block when all ranks have come to its end; or none of them, where one fails.

    Nothing in the block may wait for other ranks.

    Raises: what was raised in the block where there is one rank; else OtherRankError on all of them, naming
            the rank where it is another than the first.
    """
    if ranks.ranks == 1:
        yield
        return
    words = ""
    try:
        yield
    except InputError as error:
        words = str(error)
    except OSError as error:
        words = f"{error.filename or 'output'}: {error.strerror or error}"
    except MemoryError:
        words = "not enough memory"
    said = ranks.collect(words)
    for rank, words in enumerate(said):
        if words:
            is_known = rank == 0 or said == [words] * len(said)
            raise OtherRankError(words if is_known else f"rank {rank}: {words}")


def on_the_first(ranks: Ranks, work: Callable[[], T]) -> T:
    """What `work` returns, done on the first rank and known to all; raises as `together`."""
    result: list[T] = []
    with together(ranks):
        if ranks.rank == 0:
            result.append(work())
    return ranks.share(result)[0]
