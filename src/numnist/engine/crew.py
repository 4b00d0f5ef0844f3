"""Who runs the programs of a batch's shards: threads of this process, or processes (see `Processes`)."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from numpy.random import Generator as RandomGenerator

from numnist.engine.meeting import Meeting, ShardProgram, advance
from numnist.engine.team import Team

Start = Callable[[int, RandomGenerator | None], ShardProgram]
"""The program of a shard, by its number."""

Share = Callable[[int, int], None]
"""A process's share, by number of so many, of what is done once for all shards before they first meet."""


class Crew(Protocol):
    """Runs the programs of all shards of a batch, from meeting to meeting, to their end."""

    def run(self, rng: RandomGenerator | None, prepare: Callable[[], None]) -> None:
        """Begin and end all programs; rng is for those in the first process.

        prepare: fetches what the programs need behind their first meeting.
        """
        ...

    def derive(self) -> None:
        """Have those who would only wait do their share of what is done once, for the next run."""
        ...

    def settle(self) -> None:
        """Wait until what `derive` has begun is done. Raises: see `run`."""
        ...

    def close(self) -> None:
        """Let go of everybody: nobody writes to the batch's memory from then on."""
        ...


class Threads:
    """A crew of threads. Wherever Python is, but one of them can run at a time."""

    def __init__(self, team: Team, shards: int, start: Start, derive: Share) -> None:
        self._team, self._shards, self._start, self._derive = team, shards, start, derive

    def run(self, rng: RandomGenerator | None, prepare: Callable[[], None]) -> None:
        """See `Crew.run`."""
        prepare()
        self._derive(0, 1)
        programs = [self._start(number, rng) for number in range(self._shards)]
        answer = None
        while (meeting := self._advance(programs, answer)) is not None:
            if meeting.across is not None:
                meeting.across()
            answer = meeting.merge()

    def _advance(self, programs: Sequence[ShardProgram], answer: Any) -> Meeting | None:
        """Run all programs to their next meeting; None when they have ended."""
        return self._team.run([partial(self._next, program, answer) for program in programs])[0]

    @staticmethod
    def _next(program: ShardProgram, answer: Any, worker: int) -> Meeting | None:  # noqa: ARG004
        return advance(program, answer)

    def derive(self) -> None:
        """See `Crew.derive`: nobody is waiting."""

    def settle(self) -> None:
        """See `Crew.settle`."""

    def close(self) -> None:
        """See `Crew.close`."""
