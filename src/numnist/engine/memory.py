"""Arrays that are allocated once and written to in every step."""

import mmap
from collections import OrderedDict
from collections.abc import Callable, Hashable
from math import prod
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from numnist.arrays import Array, Shape

K = TypeVar("K")
V = TypeVar("V")

ALIGNMENT = 64
"""Bytes: a line of the cache, and the widest vector register there is."""


def aligned(shape: Shape, dtype: Any = np.float32) -> Array:
    """An uninitialised array that begins at a multiple of `ALIGNMENT`."""
    size = prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    array: Array = memory[start : start + size].view(dtype).reshape(shape)
    return array


class Allocate(Protocol):
    """Makes an array: `aligned` or `shared_memory`."""

    def __call__(self, shape: Shape, dtype: Any = np.float32) -> Array:
        """An array of this shape."""
        ...


def shared_memory(shape: Shape, dtype: Any = np.float32) -> Array:
    """An array of zeros that processes forked from this one see as it is, and may write to."""
    size = prod(shape) * np.dtype(dtype).itemsize
    return np.frombuffer(mmap.mmap(-1, max(size, 1)), dtype, prod(shape)).reshape(shape)


class Scratch:
    """Memory of one worker for what need not outlive a stretch of work between two meetings.

    The shards and stages that a worker runs, one after another, share it: that keeps it in the worker's
    cache.
    """

    def __init__(self) -> None:
        self._buffers: dict[Hashable, Array] = {}

    def array(self, slot: Hashable, shape: Shape, dtype: Any = np.float32) -> Array:
        """An array in the memory of this slot, with whatever stands there.

        Arrays of one slot overlap, those of two do not. (One that was asked for before a larger one of the
        same slot may lie elsewhere; it stays valid.)
        """
        size = prod(shape) * np.dtype(dtype).itemsize
        if slot not in self._buffers or self._buffers[slot].size < size:
            self._buffers[slot] = aligned((size,), np.uint8)
        array: Array = self._buffers[slot][:size].view(dtype).reshape(shape)
        return array


class Recent(Generic[K, V]):
    """What was made for the last few keys that were asked for."""

    def __init__(self, most: int, close: Callable[[V], None] = lambda _: None) -> None:
        """close: called for what is no longer kept."""
        self._most, self._close = most, close
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K, make: Callable[[K], V]) -> V:
        """What `make(key)` gave when this key was new; with a key too many, the longest unused one goes."""
        if key not in self._values:
            if len(self._values) >= self._most:
                self.forget(next(iter(self._values)))  # first, so that not both are in memory
            self._values[key] = make(key)
        self._values.move_to_end(key)
        return self._values[key]

    def clear(self) -> None:
        """Forget all."""
        for key in list(self._values):
            self.forget(key)

    def forget(self, key: K) -> None:
        """Make it anew when it is next asked for."""
        if key in self._values:
            self._close(self._values.pop(key))
