"""Preparing what comes next while the present is worked on."""

import contextvars
import threading
from collections.abc import Generator, Iterable
from queue import Queue
from typing import TypeVar

T = TypeVar("T")

AHEAD = 2
"""How many items are ready at most: enough for an uneven pace, and little memory."""


def prefetch(items: Iterable[T]) -> Generator[T, None, None]:
    """The same items in the same order, each made by a thread of its own while those before it are used.

    Whoever stops half-way closes the generator (`contextlib.closing`); the thread then ends with the item
    that it is making.

    Raises: what making an item raised, in its place.
    """
    ready: Queue[tuple[T, None] | tuple[None, BaseException] | None] = Queue(AHEAD)
    stopped = threading.Event()

    def make() -> None:
        try:
            for item in items:
                ready.put((item, None))
                if stopped.is_set():
                    return
        except BaseException as error:  # it is raised where the items are used
            ready.put((None, error))
        ready.put(None)

    context = contextvars.copy_context()  # NumPy's error handling is the caller's
    thread = threading.Thread(target=context.run, args=(make,), daemon=True)
    thread.start()
    try:
        while (made := ready.get()) is not None:
            item, error = made
            if error is not None:
                raise error
            yield item  # type: ignore[misc]  # it is there where there is no error
    finally:
        stopped.set()
        while thread.is_alive():  # it may be waiting for room
            while not ready.empty():
                ready.get()
            thread.join(0.01)
