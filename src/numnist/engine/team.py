"""A few threads that run tasks together and wait for each other."""

import contextvars
import threading
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

Work = Callable[[], None]


class Team:
    """`threads` workers, of which the caller is the first.

    Task i is always run by worker i mod `threads`, so what a task keeps in memory stays in the cache of one
    core. NumPy lets go of the interpreter's lock inside its loops, which is where the time goes.
    """

    def __init__(self, threads: int) -> None:
        """Raises: ValueError unless there is at least one thread."""
        if threads < 1:
            raise ValueError(f"Team: expected at least one thread, got {threads}")
        self.threads = threads
        self._queues: list[SimpleQueue[Work | None]] = [SimpleQueue() for _ in range(threads - 1)]
        self._done: SimpleQueue[BaseException | None] = SimpleQueue()
        for queue in self._queues:
            threading.Thread(target=_work, args=(queue, self._done), daemon=True).start()
        self._finalizer = weakref.finalize(self, _dismiss, self._queues)

    def run(self, tasks: Sequence[Callable[[int], T]]) -> list[T]:
        """Run every task with the number of its worker, and wait for all; what they return, in order.

        What the caller has set for its own thread (NumPy's error handling) holds in the tasks too.

        Raises: what a task raised, after the others have ended; of several, that of the caller's own tasks
                or else of the first worker to end.
        """
        results: list[Any] = [None] * len(tasks)

        def share(worker: int) -> Work:
            def work() -> None:
                for i in range(worker, len(tasks), self.threads):
                    results[i] = tasks[i](worker)

            return work

        helpers = range(1, min(self.threads, len(tasks)))
        for worker in helpers:
            self._queues[worker - 1].put(partial(contextvars.copy_context().run, share(worker)))
        errors: list[BaseException | None] = []
        try:
            share(0)()
        finally:
            # Also after an error or Ctrl-C: nobody may still be writing to memory that is used again.
            errors = self._wait(len(helpers))
        for error in errors:
            if error is not None:
                raise error
        return results

    def _wait(self, helpers: int) -> list[BaseException | None]:
        """How the helpers' shares ended, when all have; what interrupts the waiting comes after it."""
        ends: list[BaseException | None] = []
        interruption: KeyboardInterrupt | None = None
        while len(ends) < helpers:
            try:
                ends.append(self._done.get())
            except KeyboardInterrupt as interrupt:
                interruption = interrupt
        if interruption is not None:
            raise interruption
        return ends


def _work(queue: "SimpleQueue[Work | None]", done: "SimpleQueue[BaseException | None]") -> None:
    """What a thread does until it is dismissed."""
    while (work := queue.get()) is not None:
        try:
            work()
        except BaseException as error:  # it is raised again where the work was asked for
            done.put(error)
        else:
            done.put(None)
        del work  # it holds on to the tasks, and they to the executor


def _dismiss(queues: Sequence["SimpleQueue[Work | None]"]) -> None:
    """Let the threads end."""
    for queue in queues:
        queue.put(None)
