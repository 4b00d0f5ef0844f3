"""Images that stay on disk: bytes of a file as an array, brought into memory where they are looked at."""

import mmap
import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from numnist.arrays import Array
from numnist.data._paths import shown
from numnist.errors import InputError

MAPPED_FROM = 2**26
"""Bytes of data from which on a file is mapped: it is then read many times from the system's memory of files,
which costs little, and need not fit into the memory of the process. MNIST is smaller, EMNIST larger."""

CHUNK = 2**24
"""Bytes that are looked at before they are let go of."""


class MappedFile(mmap.mmap):
    """A mapped file that can be read as well: what is read does not stay among the pages of the process.

    path: as it was opened. descriptor: of the file, as long as this lives.
    """

    path: Path
    descriptor: int


def map_file(file: Any, offset: int, size: int) -> Array:
    """`size` bytes of an open file from `offset` on, (size,) uint8, read-only.

    The file must stay as it is while the array is used: where it is cut short meanwhile, to look at what is
    gone ends the process (`take` reads, and says so). It may be closed, and on most systems deleted.

    Raises: OSError or ValueError where the file cannot be mapped.
    """
    mapping = MappedFile(file.fileno(), offset + size, access=mmap.ACCESS_READ)
    mapping.path, mapping.descriptor = Path(file.name), os.dup(file.fileno())
    weakref.finalize(mapping, os.close, mapping.descriptor)
    return np.frombuffer(mapping, np.uint8, size, offset)


def take(array: Array, indices: Array) -> Array:
    """array[indices] in memory of its own; of a mapped array integers (n,) are read from the file.

    To look at one image of a mapped file has the system bring in up to megabytes around it, which count as
    the process's until it lets go of them.

    Raises: IndexError for an index out of bounds. InputError that names a file that has been cut short, or
            cannot be read.
    """
    mapping = _mapping(array)
    reads = mapping is not None and hasattr(os, "preadv") and array[:1].flags.c_contiguous
    if mapping is None or not reads or not np.issubdtype(indices.dtype, np.integer):
        chosen: Array = array[indices]
        return chosen
    places = indices.astype(np.intp, copy=False)
    if places.size and not -len(array) <= places.min() <= places.max() < len(array):
        raise IndexError(f"expected indices within {len(array)} images, got {places.min()} to {places.max()}")
    size, stride = array[:1].nbytes, array.strides[0]
    begin = _address(array) - _address(np.frombuffer(mapping, np.uint8))
    taken = np.empty((len(places), *array.shape[1:]), array.dtype)
    rows = taken.reshape(-1).view(np.uint8).data
    try:
        for i, place in enumerate((places % len(array)).tolist()):
            _read(mapping, rows[i * size : (i + 1) * size], begin + place * stride)
    except OSError as error:
        raise InputError(f"{shown(mapping.path)}: cannot be read ({error.strerror or error})") from error
    return taken


def _read(mapping: MappedFile, row: memoryview, offset: int) -> None:
    """Fill a row with the bytes of the file from `offset` on."""
    while row:
        found = os.preadv(mapping.descriptor, [row], offset)  # some file systems give a part at a time
        if not found:
            raise InputError(f"{shown(mapping.path)}: it has been cut short while it was used")
        row, offset = row[found:], offset + found


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


def _mapping(array: Array) -> MappedFile | None:
    """What an array, or a view of a view of it, is a view of, if that is a mapped file."""
    base: Any = array
    while base is not None and not isinstance(base, MappedFile):
        base = base.obj if isinstance(base, memoryview) else getattr(base, "base", None)
    return base


def _address(array: Array) -> int:
    """Where in memory an array begins."""
    return int(array.ctypes.data)
