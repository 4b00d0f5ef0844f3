"""What each process of a crew does: the programs of its shards, and its part of what is done once for all."""

import mmap
import pickle
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Semaphore
from typing import Any

from numpy.random import Generator as RandomGenerator
from threadpoolctl import threadpool_limits

from numnist.engine import rendezvous
from numnist.engine.crew import Share, Start
from numnist.engine.meeting import Meeting, ShardProgram, advance
from numnist.engine.rendezvous import Rendezvous
from numnist.engine.shared_model import SharedModel

LONGEST = 2048
"""Bytes of an error: several processes may send one through the same pipe, which takes so many at once."""

RUN, UPDATE, DERIVE = range(3)
"""What processes are asked to do."""

MOST_TASKS = 8
"""More tasks than are ever given before the first of them is done, which is two."""


class FailedElsewhereError(Exception):
    """The work of another process has failed, and so has the step."""

    def __init__(self) -> None:
        super().__init__("another process has failed, and did not say why")


class Member:
    """One process of a crew."""

    def __init__(
        self, number: int, shards: Sequence[int], start: Start, derive: Share,
        model: SharedModel, processes: int, meetings: Rendezvous, failure: mmap.mmap,
        are_there: Callable[[], bool],
    ) -> None:  # fmt: skip
        """failure: a byte that all see, 1 when any has failed. are_there: whether the others are."""
        self._number, self._shards, self._start = number, shards, start
        self._derive = derive
        self.model, self._processes = model, processes
        self._meetings, self._failure, self.are_there = meetings, failure, are_there

    def derive(self) -> None:
        """Do this process's share of what is done once for all shards."""
        self._derive(self._number, self._processes)

    def run(self, rng: RandomGenerator | None, prepare: Callable[[], None]) -> None:
        """Run this process's programs, meeting the others, to their end."""
        prepare()
        programs = [self._start(number, rng) for number in self._shards]
        answer = None
        while (meeting := advance_all(programs, answer)) is not None:
            self._meet()
            if meeting.across is not None:
                if self._number == 0:
                    meeting.across()
                self._meet()
            answer = None
            if not meeting.once or self._number == 0:
                answer = meeting.merge()
            if meeting.once:
                self._meet()
        self._meet()

    def update(self) -> None:
        """Make this process's part of the model's update, and wait for the others."""
        self.model.update_part(self._number, self._processes)
        self._meet()

    def fail(self) -> None:
        """Have all others fail when they next meet."""
        self._failure[0] = 1
        self._meetings.arrive(self._number)

    def _meet(self) -> None:
        self._meetings.arrive(self._number)
        self._meetings.wait(self._number, self.are_there)
        self.check()

    def check(self) -> None:
        """Raises: FailedElsewhereError where another process has failed."""
        if self._failure[0]:
            raise FailedElsewhereError


def advance_all(programs: Sequence[ShardProgram], answer: Any) -> Meeting | None:
    """Run programs to their next meeting, the same for all."""
    meetings = [advance(program, answer) for program in programs]
    return meetings[0]


def serve(
    member: Member, tasks: mmap.mmap, begin: Semaphore, derived: Semaphore, is_there: Callable[[], bool],
    errors: Connection,
) -> None:  # fmt: skip
    """What a forked process does until it is dismissed, or something has failed."""

    def prepare() -> None:
        member.model.receive()
        member.derive()

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)  # it is the first one's
    with threadpool_limits(1, user_api="blas"), suppress(EOFError):
        member.model.adopt()
        for number in count():
            rendezvous.wait(begin, is_there)
            task = tasks[number % MOST_TASKS]
            try:
                if task == RUN:
                    member.run(None, prepare)
                elif task == UPDATE:
                    member.update()
                else:
                    member.derive()
            except EOFError:
                raise
            except FailedElsewhereError:
                member.fail()  # nobody need wait for this one
                return
            except BaseException as error:
                member.fail()
                errors.send(_transferable(error))
                return
            finally:
                if task == DERIVE:
                    derived.release()


def _transferable(error: BaseException) -> BaseException:
    """The error, or one that says the same, if it cannot be pickled, or not be read again, or is large."""
    with suppress(Exception):
        pickled = pickle.dumps(error)
        if len(pickled) <= LONGEST:
            return pickle.loads(pickled)  # type: ignore[no-any-return]
    return RuntimeError(f"in a worker process: {type(error).__name__}: {error}"[: LONGEST // 4])
