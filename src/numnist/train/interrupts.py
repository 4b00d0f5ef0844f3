"""A person or a system that asks a run to stop."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

SAME_SIGNAL = 0.5
"""Seconds in which a second signal counts as the first."""

ASKING = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
"""Signals that ask for a stop: Ctrl-C, and what systems and schedulers send before they kill."""


class Asked(Protocol):
    """Where a signal leaves what it asks for: the state of a run, or a rank that tells the others."""

    interrupted: str


Handler = Callable[[int, FrameType | None], object]


@contextmanager
def stop_on_signals(asked_of: Asked) -> Iterator[None]:
    """Let the first signal ask for a stop, and a second one end the process as it does elsewhere.

    A second signal at once is the same one, passed on by a wrapper, and where a signal is ignored (Ctrl-C
    under nohup, or in a job in the background) it stays so.
    """
    if threading.current_thread() is not threading.main_thread():  # no other may set a handler
        yield
        return
    before = {number: signal.getsignal(number) for number in ASKING}
    asked = math.inf

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if time.monotonic() - asked > SAME_SIGNAL:
            _as_elsewhere(number, frame, before[signal.Signals(number)])
        asked_of.interrupted = ASKING[signal.Signals(number)]
        asked = min(asked, time.monotonic())

    ours = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    for number in ours:
        signal.signal(number, ask)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])


def _as_elsewhere(number: int, frame: FrameType | None, handler: Handler | int | None) -> None:
    """What the signal did before."""
    if callable(handler):
        handler(number, frame)
    else:
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
