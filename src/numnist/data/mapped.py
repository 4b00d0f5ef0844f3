"""Images that stay on disk: bytes of a file as an array, brought into memory where they are looked at."""

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np

from numnist.arrays import Array

MAPPED_FROM = 2**26
"""Bytes of data from which on a file is mapped: it is then read many times from the system's memory of files,
which costs little, and need not fit into the memory of the process. MNIST is smaller, EMNIST larger."""

CHUNK = 2**24
"""Bytes that are looked at before they are let go of."""


def map_file(file: Any, offset: int, size: int) -> Array:
    """`size` bytes of an open file from `offset` on, (size,) uint8, read-only.

    The file must stay as it is while the array is used: where it is cut short meanwhile, the system ends the
    process. It may be closed, and on most systems deleted.

    Raises: OSError or ValueError where the file cannot be mapped.
    """
    mapping = mmap.mmap(file.fileno(), offset + size, access=mmap.ACCESS_READ)
    return np.frombuffer(mapping, np.uint8, size, offset)


def expect_random(array: Array) -> None:
    """Have nothing read ahead from now on, since batches are drawn from anywhere."""
    mapping = _mapping(array)
    if mapping is not None and hasattr(mapping, "madvise"):
        mapping.madvise(mmap.MADV_RANDOM)


def release(array: Array) -> None:
    """Let go of what of a mapped array has been brought into memory; it will be again when it is looked at.

    Nothing is done for an array that is not mapped, or where the system cannot be told.
    """
    mapping = _mapping(array)
    if mapping is not None and hasattr(mapping, "madvise"):
        mapping.madvise(mmap.MADV_DONTNEED)


def chunks(array: Array) -> Iterator[Array]:
    """The bytes of a flat array in parts, each let go of when the next is asked for."""
    for start in range(0, len(array), CHUNK):
        yield array[start : start + CHUNK]
        release(array)


def _mapping(array: Array) -> mmap.mmap | None:
    """What an array, or a view of a view of it, is a view of, if that is a mapped file."""
    base: Any = array
    while base is not None and not isinstance(base, mmap.mmap):
        base = base.obj if isinstance(base, memoryview) else getattr(base, "base", None)
    return base
