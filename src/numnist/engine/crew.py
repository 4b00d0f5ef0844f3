"""Who runs the programs of a batch's shards: threads of this process, or processes forked from it."""

import mmap
import multiprocessing
import os
import pickle
import signal
import sys
import warnings
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Semaphore
from typing import Any, Protocol

import numpy as np
from numpy.random import Generator as RandomGenerator
from threadpoolctl import threadpool_limits

from numnist.engine import rendezvous
from numnist.engine.meeting import Meeting, ShardProgram
from numnist.engine.rendezvous import Rendezvous
from numnist.engine.shared_model import SharedModel
from numnist.engine.team import Team

Start = Callable[[int, RandomGenerator | None], ShardProgram]
"""The program of a shard, by its number."""


LONGEST = 2048
"""Bytes of an error: several processes may send one through the same pipe, which takes so many at once."""

RUN, UPDATE = range(2)
"""What processes are asked to do."""


class Crew(Protocol):
    """Runs the programs of all shards of a batch, from meeting to meeting, to their end."""

    def run(self, rng: RandomGenerator | None, prepare: Callable[[], None]) -> None:
        """Begin and end all programs; rng is for those in the first process.

        prepare: fetches what the programs need behind their first meeting.
        """
        ...

    @property
    def is_current(self) -> bool:
        """Whether NumPy treats its errors in all of it as it does for the caller now."""
        ...

    def close(self) -> None:
        """Let go of everybody: nobody writes to the batch's memory from then on."""
        ...


class Threads:
    """A crew of threads. Wherever Python is, but one of them can run at a time."""

    def __init__(self, team: Team, shards: int, start: Start) -> None:
        self._team, self._shards, self._start = team, shards, start

    def run(self, rng: RandomGenerator | None, prepare: Callable[[], None]) -> None:
        """See `Crew.run`."""
        prepare()
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
        return _advance(program, answer)

    is_current = True
    """See `Crew.is_current`; a `Team` takes the caller's handling over with every task."""

    def close(self) -> None:
        """See `Crew.close`."""


class Processes:
    """A crew of processes: this one, and others forked from it when all memory was laid out.

    Process p runs the shards i with i mod `processes` = p. What shards tell each other, and all that has
    changed since the fork, lies in memory from `shared_memory`; whatever a meeting makes of it is computed in
    every process, to the same bits, so nothing is ever sent but errors.

    Threads would do, but for the interpreter's lock: between any two calls of NumPy a thread has to have it,
    and with calls of 5 to 500 µs two threads wait for each other a fifth of their time (docs/engine.md).
    """

    def __init__(self, processes: int, shards: int, start: Start, model: SharedModel) -> None:
        """Raises: OSError where the system refuses another process."""
        fork = multiprocessing.get_context("fork")
        self._begin = [rendezvous.signal() for _ in range(1, processes)]
        self._errors, errors = fork.Pipe(duplex=False)
        self._failure, self._task = mmap.mmap(-1, 1), mmap.mmap(-1, 1)
        self._model = model
        self._error_handling = np.geterr()
        self._others: list[Any] = []
        others, owner, meetings = self._others, os.getpid(), Rendezvous(processes)

        def is_there() -> bool:
            return os.getppid() == owner

        def member(number: int, are_there: Callable[[], bool]) -> _Member:
            own = range(number, shards, processes)
            return _Member(number, own, start, model, processes, meetings, self._failure, are_there)

        self._own = member(0, lambda: all(other.is_alive() for other in others))
        self._finalizer = weakref.finalize(self, _dismiss, others, owner)
        for p, begin in enumerate(self._begin, start=1):
            work = partial(_serve, member(p, is_there), self._task, begin, is_there, errors)
            process = fork.Process(target=work, daemon=True)
            with warnings.catch_warnings():
                # Forking beside other threads is safe for what is done there: mostly NumPy, and semaphores.
                warnings.simplefilter("ignore", DeprecationWarning)
                others.append(process)
                process.start()
        errors.close()

    @property
    def is_current(self) -> bool:
        """See `Crew.is_current`: processes have it from when they were forked."""
        return np.geterr() == self._error_handling

    def run(self, rng: RandomGenerator | None, prepare: Callable[[], None]) -> None:
        """See `Crew.run`.

        Raises: what was raised in any of the processes, of several that of this one; EOFError when another
                one has ended.
        """
        self._model.send()
        self._together(RUN, partial(self._own.run, rng, prepare))

    def update(self) -> None:
        """Make the model's update. Raises: see `run`."""
        self._together(UPDATE, self._own.update)

    def _together(self, task: int, own: Callable[[], None]) -> None:
        """Do what is this process's in a task, with the others."""
        try:
            self._task[0] = task
            for begin in self._begin:
                begin.release()
            own()
        except (_FailedElsewhereError, EOFError) as ended:
            raise self._error_elsewhere() or ended from None
        except BaseException:
            self._own.fail()
            raise

    def _error_elsewhere(self) -> BaseException | None:
        """What another process has said before it ended."""
        if self._failure[0]:
            with suppress(EOFError):
                error: BaseException = self._errors.recv()
                return error
        return None

    def close(self) -> None:
        """See `Crew.close`."""
        self._finalizer()


class _FailedElsewhereError(Exception):
    """The work of another process has failed, and so has the step."""

    def __init__(self) -> None:
        super().__init__("another process has failed, and did not say why")


class _Member:
    """One process of a crew."""

    def __init__(
        self, number: int, shards: Sequence[int], start: Start, model: SharedModel, processes: int,
        meetings: Rendezvous, failure: mmap.mmap, are_there: Callable[[], bool],
    ) -> None:  # fmt: skip
        """failure: a byte that all see, 1 when any has failed. are_there: whether the others are."""
        self._number, self._shards, self._start = number, shards, start
        self.model, self._processes = model, processes
        self._meetings, self._failure, self._are_there = meetings, failure, are_there

    def run(self, rng: RandomGenerator | None, prepare: Callable[[], None]) -> None:
        """Run this process's programs, meeting the others, to their end."""
        prepare()
        programs = [self._start(number, rng) for number in self._shards]
        answer = None
        while (meeting := _advance_all(programs, answer)) is not None:
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
        self._meetings.wait(self._number, self._are_there)
        if self._failure[0]:
            raise _FailedElsewhereError


def can_fork() -> bool:
    """Whether this system forks safely, as Apple's does not, and this process may."""
    return sys.platform == "linux" and not multiprocessing.current_process().daemon


def _advance(program: ShardProgram, answer: Any) -> Meeting | None:
    """Run a program to its next meeting; None at its end."""
    try:
        return program.send(answer)
    except StopIteration:
        return None


def _advance_all(programs: Sequence[ShardProgram], answer: Any) -> Meeting | None:
    """Run programs to their next meeting, the same for all."""
    meetings = [_advance(program, answer) for program in programs]
    return meetings[0]


def _serve(
    member: _Member, task: mmap.mmap, begin: Semaphore, is_there: Callable[[], bool], errors: Connection
) -> None:
    """What a forked process does until it is dismissed, or something has failed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)  # it is the first one's
    with threadpool_limits(1, user_api="blas"), suppress(EOFError):
        member.model.adopt()
        while True:
            rendezvous.wait(begin, is_there)
            try:
                if task[0] == RUN:
                    member.run(None, member.model.receive)
                else:
                    member.update()
            except EOFError:
                raise
            except _FailedElsewhereError:
                member.fail()  # nobody need wait for this one
                return
            except BaseException as error:
                member.fail()
                errors.send(_transferable(error))
                return


def _transferable(error: BaseException) -> BaseException:
    """The error, or one that says the same, if it cannot be pickled, or not be read again, or is large."""
    with suppress(Exception):
        pickled = pickle.dumps(error)
        if len(pickled) <= LONGEST:
            return pickle.loads(pickled)  # type: ignore[no-any-return]
    return RuntimeError(f"in a worker process: {type(error).__name__}: {error}"[: LONGEST // 4])


def _dismiss(processes: Sequence[Any], owner: int) -> None:
    """End the processes, unless this is one that was forked from their owner."""
    if os.getpid() != owner:
        return
    begun = [process for process in processes if process.pid is not None]
    for process in begun:
        process.kill()  # there is nothing that it would have to put in order
    for process in begun:
        process.join()
