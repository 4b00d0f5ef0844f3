"""Messages between two processes, through memory that both see."""

import mmap
import multiprocessing
import pickle
import select
import struct
import time
from collections.abc import Callable
from math import prod
from multiprocessing.synchronize import Semaphore
from typing import Any

import numpy as np

from numnist.arrays import Array, Shape
from numnist.engine.memory import ALIGNMENT

BYTES = 2**28
"""Address space for a message with its arrays; memory is used only as far as one has ever reached."""

SPIN = 1e-3
"""Seconds to look for a message again and again before going to sleep.

Shards take almost equally long, so one that has to wait seldom waits for more than a few dozen µs; to be
woken takes longer than that.
"""

CHECK = 5.0
"""Seconds asleep after which to look whether the other process is still there."""

_COUNTS = struct.Struct("<qq")
_PLACE = struct.Struct("<qq")


class Mailbox:
    """One end of a connection between two processes that take turns to send a message."""

    def __init__(self, outgoing: "Channel", incoming: "Channel") -> None:
        self._outgoing, self._incoming = outgoing, incoming

    @classmethod
    def pair(cls) -> tuple["Mailbox", "Mailbox"]:
        """Both ends; one of them is to be used in a forked process."""
        here, there = Channel(), Channel()
        return cls(here, there), cls(there, here)

    def send(self, message: Any) -> None:
        """Send an object; its arrays are copied once, and not pickled."""
        self._outgoing.put(message)

    def receive(self, is_there: Callable[[], bool]) -> Any:
        """The next object, with arrays of its own.

        is_there: tells whether the other process is; asked now and then.
        Raises: EOFError when it is not.
        """
        started = time.perf_counter()
        while not self._incoming.arrived.acquire(block=False):
            if time.perf_counter() - started < SPIN:
                select.select([], [], [], 0)  # lets other threads run; time.sleep(0) sleeps for 80 µs
            elif self._incoming.arrived.acquire(timeout=CHECK):
                break
            elif not is_there():
                raise EOFError("the process at the other end of a mailbox has ended")
        return self._incoming.take()


class Channel:
    """Memory for one message at a time, and a semaphore that says that it is there."""

    def __init__(self) -> None:
        self.arrived: Semaphore = multiprocessing.get_context("fork").Semaphore(0)
        self._memory = mmap.mmap(-1, BYTES)

    def put(self, message: Any) -> None:
        """Write a message; the one before must have been taken.

        Layout: number of arrays and length of the pickle, begin and end of each array, the pickle, the
        arrays.
        Raises: ValueError for one that is too large.
        """
        buffers: list[pickle.PickleBuffer] = []
        body = pickle.dumps(message, protocol=5, buffer_callback=buffers.append)
        memory, start = self._memory, _COUNTS.size + len(buffers) * _PLACE.size
        _COUNTS.pack_into(memory, 0, len(buffers), len(body))
        end = start + len(body)
        if end > BYTES:
            raise ValueError(f"Mailbox: a message of {end:,} bytes is more than there is room for")
        memory[start:end] = body
        for i, buffer in enumerate(buffers):
            raw = buffer.raw()
            start = -(-end // ALIGNMENT) * ALIGNMENT
            end = start + raw.nbytes
            if end > BYTES:
                raise ValueError(f"Mailbox: a message of {end:,} bytes is more than there is room for")
            memory[start:end] = raw
            _PLACE.pack_into(memory, _COUNTS.size + i * _PLACE.size, start, end)
        self.arrived.release()

    def take(self) -> Any:
        """The message that is there."""
        memory = self._memory
        arrays, length = _COUNTS.unpack_from(memory)
        start = _COUNTS.size + arrays * _PLACE.size
        places = [_PLACE.unpack_from(memory, _COUNTS.size + i * _PLACE.size) for i in range(arrays)]
        buffers = [bytearray(memory[first:last]) for first, last in places]
        return pickle.loads(memory[start : start + length], buffers=buffers)


def shared_memory(shape: Shape, dtype: Any = np.float32) -> Array:
    """An array of zeros that processes forked from this one see as it is, and may write to."""
    size = prod(shape) * np.dtype(dtype).itemsize
    return np.frombuffer(mmap.mmap(-1, max(size, 1)), dtype, prod(shape)).reshape(shape)
