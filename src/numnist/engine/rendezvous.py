"""Where processes wait for each other."""

import multiprocessing
import select
import time
from collections.abc import Callable
from multiprocessing.synchronize import Semaphore

SPIN = 1e-3
"""Seconds to look again and again before going to sleep.

Shards take almost equally long, so one that has to wait seldom waits for more than a few dozen µs; to be
woken takes longer than that.
"""

CHECK = 5.0
"""Seconds asleep after which to look whether the others are still there."""


def signal() -> Semaphore:
    """What one process releases and another, forked from it, waits for (or the other way round)."""
    return multiprocessing.get_context("fork").Semaphore(0)


def wait(arrived: Semaphore, are_there: Callable[[], bool]) -> None:
    """Wait for a signal.

    are_there: tells whether those who may give it are; asked now and then.
    Raises: EOFError when they are not.
    """
    if arrived.acquire(block=False):
        return
    started = time.perf_counter()
    while not arrived.acquire(block=False):
        if time.perf_counter() - started < SPIN:
            select.select([], [], [], 0)  # lets other threads run; time.sleep(0) sleeps for 80 µs
        elif arrived.acquire(timeout=CHECK):
            break
        elif not are_there():
            raise EOFError("a process that shares the work of the engine has ended")


class Rendezvous:
    """Where `parties` processes meet, any number of times: none goes on before all have come.

    Semaphores see to it that what one has written before it came is what the others read after.
    """

    def __init__(self, parties: int) -> None:
        self._parties = parties
        self._arrivals = [signal() for _ in range(parties)]

    def arrive(self, party: int) -> None:
        """Let the others know that this one has come."""
        for other, arrivals in enumerate(self._arrivals):
            if other != party:
                arrivals.release()

    def wait(self, party: int, are_there: Callable[[], bool]) -> None:
        """Wait until all others have come as often as this one; see `wait` for are_there and errors."""
        for _ in range(self._parties - 1):
            wait(self._arrivals[party], are_there)
