"""A crew of processes."""

import mmap
import multiprocessing
import os
import sys
import warnings
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from numpy.random import Generator as RandomGenerator

from numnist.engine import rendezvous
from numnist.engine.crew import Share, Start
from numnist.engine.member import DERIVE, MOST_TASKS, RUN, UPDATE, FailedElsewhereError, Member, serve
from numnist.engine.rendezvous import Rendezvous
from numnist.engine.shared_model import SharedModel


class Processes:
    """A crew of processes: this one, and others forked from it when all memory was laid out.

    Process p runs the shards i with i mod `processes` = p. What shards tell each other, and all that has
    changed since the fork, lies in memory from `shared_memory`; whatever a meeting makes of it is computed in
    every process, to the same bits, so nothing is ever sent but errors.

    Threads would do, but for the interpreter's lock: between any two calls of NumPy a thread has to have it,
    and with calls of 5 to 500 µs two threads wait for each other a fifth of their time (docs/engine.md).
    """

    def __init__(self, processes: int, shards: int, start: Start, derive: Share, model: SharedModel) -> None:
        """Raises: OSError where the system refuses another process."""
        fork = multiprocessing.get_context("fork")
        self._begin = [rendezvous.signal() for _ in range(1, processes)]
        self._errors, errors = fork.Pipe(duplex=False)
        self._failure, self._tasks, self._given = mmap.mmap(-1, 1), mmap.mmap(-1, MOST_TASKS), 0
        self._derived, self._is_deriving = rendezvous.signal(), False
        # The state of the model (see `SharedModel.derivation`) that `derive` was last called for.
        self._derived_for: int | None = None
        self._model = model
        self._others: list[Any] = []
        others, owner, meetings = self._others, os.getpid(), Rendezvous(processes)

        def is_there() -> bool:
            return os.getppid() == owner

        def member(number: int, are_there: Callable[[], bool]) -> Member:
            own = range(number, shards, processes)
            return Member(number, own, start, derive, model, processes, meetings, self._failure, are_there)

        self._own = member(0, lambda: all(other.is_alive() for other in others))
        self._finalizer = weakref.finalize(self, _dismiss, others, owner)
        for p, task in enumerate(self._begin, start=1):
            work = partial(serve, member(p, is_there), self._tasks, task, self._derived, is_there, errors)
            process = fork.Process(target=work, daemon=True)
            with warnings.catch_warnings():
                # Forking beside other threads is safe for what is done there: mostly NumPy, and semaphores.
                warnings.simplefilter("ignore", DeprecationWarning)
                others.append(process)
                process.start()
        errors.close()

    def run(self, rng: RandomGenerator | None, prepare: Callable[[], None]) -> None:
        """See `Crew.run`.

        Raises: what was raised in any of the processes, of several that of this one; EOFError when another
                one has ended.
        """
        if not self._model.is_sent:
            self.settle()  # or what is derived meanwhile might be taken for what is sent now
        self._model.send()
        if self._derived_for != self._model.derivation:
            self._model.mark_derived_stale()
        self._derived_for = None

        def prepare_and_derive() -> None:
            prepare()
            self._own.derive()
            self._wait_until_derived()

        self._give(RUN)
        self._together(partial(self._own.run, rng, prepare_and_derive))

    def update(self) -> None:
        """Make the model's update. Raises: see `run`."""
        self._give(UPDATE)
        self._together(self._own.update)

    def derive(self) -> None:
        """See `Crew.derive`: all but this process begin."""
        self.settle()
        self._model.send()
        self._is_deriving, self._derived_for = True, self._model.derivation
        self._give(DERIVE)

    def settle(self) -> None:
        """See `Crew.settle`."""
        if self._is_deriving:
            self._together(self._wait_until_derived)

    def _wait_until_derived(self) -> None:
        if self._is_deriving:
            for _ in self._others:
                rendezvous.wait(self._derived, self._own.are_there)
            self._is_deriving = False
            self._own.check()

    def _give(self, task: int) -> None:
        """Have the others begin with a task, when they are done with those before."""
        self._tasks[self._given % MOST_TASKS] = task
        self._given += 1
        for begin in self._begin:
            begin.release()

    def _together(self, own: Callable[[], None]) -> None:
        """Do what is this process's; have the others fail where it does, and say what failed elsewhere."""
        try:
            own()
        except (FailedElsewhereError, EOFError) as ended:
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


def can_fork() -> bool:
    """Whether this system forks safely, as Apple's does not, and this process may."""
    return sys.platform == "linux" and not multiprocessing.current_process().daemon


def _dismiss(processes: Sequence[Any], owner: int) -> None:
    """End the processes, unless this is one that was forked from their owner."""
    if os.getpid() != owner:
        return
    begun = [process for process in processes if process.pid is not None]
    for process in begun:
        process.kill()  # there is nothing that it would have to put in order
    for process in begun:
        process.join()
