"""Who runs the programs of a batch's shards: threads of this process, or processes forked from it."""

import multiprocessing
import os
import signal
import sys
import warnings
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.random import Generator as RandomGenerator
from threadpoolctl import threadpool_limits

from numnist.engine.exchange import Exchange, Part, ShardProgram
from numnist.engine.mailbox import Mailbox
from numnist.engine.team import Team

Start = Callable[[int, RandomGenerator | None], ShardProgram]
"""The program of a shard, by its number."""


class Crew(Protocol):
    """Runs the programs of all shards of a batch from exchange to exchange."""

    def start(self, rng: RandomGenerator | None) -> list[Exchange]:
        """Begin anew, and run every program to its first exchange; in the order of the shards."""
        ...

    def proceed(self, answer: Any) -> list[Exchange]:
        """Send every program the answer, and run it to its next exchange; nothing when they have ended."""
        ...


class Threads:
    """A crew of threads. Wherever Python is, but one of them can run at a time."""

    def __init__(self, team: Team, shards: int, start: Start, refresh: Callable[[], None]) -> None:
        """refresh: called before each start."""
        self._team, self._shards, self._start, self._refresh = team, shards, start, refresh
        self._programs: list[ShardProgram] = []

    def start(self, rng: RandomGenerator | None) -> list[Exchange]:
        """See `Crew.start`."""
        self._refresh()
        self._programs = [self._start(number, rng) for number in range(self._shards)]
        return self.proceed(None)

    def proceed(self, answer: Any) -> list[Exchange]:
        """See `Crew.proceed`."""
        reached = self._team.run([partial(self._next, program, answer) for program in self._programs])
        return [exchange for exchange in reached if exchange is not None]

    @staticmethod
    def _next(program: ShardProgram, answer: Any, worker: int) -> Exchange | None:  # noqa: ARG004
        return _advance(program, answer)


class Processes:
    """A crew of processes: this one, and others forked from it when all memory was laid out.

    Process p runs the shards i with i mod `processes` = p. What has changed since the fork must lie in memory
    from `shared_memory`; what shards tell each other goes through mailboxes.

    Threads would do, but for the interpreter's lock: between any two calls of NumPy a thread has to have it,
    and with calls of 5 to 500 µs two threads wait for each other a fifth of their time (docs/engine.md).
    """

    def __init__(self, processes: int, shards: int, start: Start, refresh: Callable[[], None]) -> None:
        """refresh: called in every process before each start, to take over what has changed.

        Raises: OSError where the system refuses another process.
        """
        self._start, self._refresh, self._shards, self._processes = start, refresh, shards, processes
        self._own = range(0, shards, processes)
        self._programs: list[ShardProgram] = []
        fork = multiprocessing.get_context("fork")
        self._mailboxes: list[Mailbox] = []
        self._others: list[Any] = []
        for p in range(1, min(processes, shards)):
            here, there = Mailbox.pair()
            work = partial(_serve, there, start, range(p, shards, processes), refresh, os.getpid())
            process = fork.Process(target=work, daemon=True)
            with warnings.catch_warnings():
                # Forking beside other threads is safe for what is done there: NumPy, and pipes of its own.
                warnings.simplefilter("ignore", DeprecationWarning)
                process.start()
            self._mailboxes.append(here)
            self._others.append(process)
        self._finalizer = weakref.finalize(self, _dismiss, self._others, os.getpid())

    def start(self, rng: RandomGenerator | None) -> list[Exchange]:
        """See `Crew.start`."""
        self._tell("start", None)
        self._refresh()
        self._programs = [self._start(number, rng) for number in self._own]
        return self._advance(None)

    def proceed(self, answer: Any) -> list[Exchange]:
        """See `Crew.proceed`."""
        self._tell("answer", answer)
        return self._advance(answer)

    def _tell(self, kind: str, answer: Any) -> None:
        """Set the other processes to work."""
        for mailbox in self._mailboxes:
            mailbox.send((kind, answer))

    def _advance(self, answer: Any) -> list[Exchange]:
        """Do here what they do, and wait for them."""
        reached: list[Exchange | None] = [None] * self._shards
        try:
            reached[:: self._processes] = [_advance(program, answer) for program in self._programs]
        finally:
            # Also after an error: nobody may still be writing to memory that is used again.
            replies = [
                mailbox.receive(other.is_alive)
                for mailbox, other in zip(self._mailboxes, self._others, strict=True)
            ]
        for p, reply in enumerate(replies, start=1):
            if isinstance(reply, BaseException):
                raise reply
            reached[p :: self._processes] = [
                None if part is None else Exchange(part, _nothing) for part in reply
            ]
        return [exchange for exchange in reached if exchange is not None]


def can_fork() -> bool:
    """Whether this system forks safely, as Apple's does not, and this process may."""
    return sys.platform == "linux" and not multiprocessing.current_process().daemon


def _advance(program: ShardProgram, answer: Any) -> Exchange | None:
    """Run a program to its next exchange; None at its end."""
    try:
        return program.send(answer)
    except StopIteration:
        return None


def _nothing(part: Part) -> None:
    """What a part that came from elsewhere is finished with: nothing, that is done by the first shard's."""


def _serve(
    mailbox: Mailbox,
    start: Start,
    shards: Sequence[int],
    refresh: Callable[[], None],
    parent: int,
) -> None:
    """What a forked process does until it is dismissed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one decides
    programs: list[ShardProgram] = []
    with threadpool_limits(1, user_api="blas"), np.errstate(all="ignore"):
        while True:
            try:
                kind, answer = mailbox.receive(lambda: os.getppid() == parent)
            except EOFError:
                return
            try:
                if kind == "start":
                    refresh()
                    programs = [start(number, None) for number in shards]
                reached = [_advance(program, answer) for program in programs]
                mailbox.send([exchange and exchange.part for exchange in reached])
            except BaseException as error:  # it is raised again in the first process
                mailbox.send(RuntimeError(f"in a worker process: {type(error).__name__}: {error}"))


def _dismiss(processes: Sequence[Any], owner: int) -> None:
    """End the processes, unless this is one that was forked from their owner."""
    if os.getpid() != owner:
        return
    for process in processes:
        process.terminate()
        process.join(1)
