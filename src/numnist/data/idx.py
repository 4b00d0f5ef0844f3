"""IDX files, the format of MNIST: every promise checked before it is believed, written in one step."""

import gzip
import hashlib
import io
import math
import os
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from numnist.arrays import Array, Shape
from numnist.data._paths import os_errors, shown
from numnist.data.mapped import MAPPED_FROM, chunks, map_file
from numnist.errors import InputError
from numnist.files import write_atomic

MAX_BYTES = 2**31
"""Most bytes of data that are read into memory: 45 times MNIST's training images, 4 times all of EMNIST.

A plain file cannot hold more than it is large, and a large one of bytes is mapped, not read. A gzip file of
2 MB can hold 2 GB of zeros.
"""

_DTYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
_CODES = {dtype.newbyteorder("="): code for code, dtype in _DTYPES.items()}
_MAX_RANK = 64  # of a NumPy array; IDX itself allows 255
_MAX_SIZE = 2**32 - 1
_GZIP = b"\x1f\x8b"
_CHUNK = 2**20


@dataclass(frozen=True, eq=False)
class IdxFile:
    """What one IDX file held: its array, and the size in bytes and SHA-256 of its uncompressed contents."""

    path: Path
    array: Array
    size: int
    sha256: str


def read_idx(path: Path, *, max_bytes: int = MAX_BYTES) -> Array:
    """The array in an IDX file, plain or gzip-compressed (told by the content, not by the name).

        0 0 code rank | size_1 ... size_rank | data in C order
        one byte each   uint32, big-endian     big-endian

    with the data types 0x08 uint8, 0x09 int8, 0x0B int16, 0x0C int32, 0x0D float32, 0x0E float64.

    Memory: one copy of the data; but a plain file of `MAPPED_FROM` bytes or more, of type uint8 or int8,
    stays on disk (see `map_file`), however large it is. The size that the header promises is checked before
    anything of that size is allocated: in a plain file against the file's size; a gzip file is unpacked piece
    by piece, up to one byte more than was promised.
    Returns: an array of the native byte order, writable unless it is mapped.
    Raises: InputError, one line that names the file, when it cannot be read, is no IDX file, holds fewer or
            more bytes than it promises, promises more than `max_bytes`, or is corrupt gzip.
    Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", file formats.
    """
    header, data = _contents(path, max_bytes)
    return _as_array(header, data)


def read_idx_file(path: Path, *, max_bytes: int = MAX_BYTES) -> IdxFile:
    """As `read_idx`, with the SHA-256 of what was read, taken from the memory that becomes the array."""
    header, data = _contents(path, max_bytes)
    digest = hashlib.sha256(header.raw)
    content = np.frombuffer(data, np.uint8)
    for chunk in chunks(content):
        digest.update(chunk.data)
    return IdxFile(path, _as_array(header, data), len(header.raw) + len(data), digest.hexdigest())


def read_images(path: Path) -> IdxFile:
    """Grey images from an IDX file.

    Shapes: array (N, H, W), each at least 1.
    Raises: InputError as `read_idx`; also for another rank, an empty array, or values that are not finite.
    """
    file = read_idx_file(path)
    array = file.array
    if array.ndim != 3:
        hint = ": is this a file of labels?" if array.ndim == 1 else ""
        raise InputError(f"{shown(path)}: expected images of shape (N, H, W), got {array.shape}{hint}")
    if array.size == 0:
        raise InputError(
            f"{shown(path)}: expected at least one image of at least one pixel, got {array.shape}"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"{shown(path)}: expected finite grey values, got NaN or infinity")
    return file


def read_labels(path: Path) -> IdxFile:
    """Class labels from an IDX file.

    Shapes: array (N,), N at least 1, int64.
    Raises: InputError as `read_idx`; also for another rank, no labels, a dtype that is not integer, negative
            labels.
    """
    file = read_idx_file(path)
    array = file.array
    if array.ndim != 1:
        hint = ": is this a file of images?" if array.ndim == 3 else ""
        raise InputError(f"{shown(path)}: expected labels of shape (N,), got {array.shape}{hint}")
    if array.size == 0:
        raise InputError(f"{shown(path)}: expected at least one label, got none")
    if array.dtype.kind not in "iu":
        raise InputError(f"{shown(path)}: expected labels of an integer type, got {array.dtype}")
    if array.min() < 0:
        raise InputError(f"{shown(path)}: expected labels of 0 and more, got {array.min()}")
    return replace(file, array=array.astype(np.int64))


def write_idx(path: Path, array: Array) -> None:
    """Write `array` as an IDX file, gzip-compressed if the name ends in .gz; the same array, the same bytes.

    Raises: ValueError for a dtype or size that IDX cannot hold; InputError when the file cannot be written.
    Source: as `read_idx`.
    """
    code = _CODES.get(array.dtype.newbyteorder("="))
    if code is None:
        known = ", ".join(str(dtype) for dtype in _CODES)
        raise ValueError(f"write_idx: expected a dtype of {known}, got {array.dtype}")
    if max(array.shape, default=0) > _MAX_SIZE:
        raise ValueError(f"write_idx: expected sizes up to {_MAX_SIZE}, got {array.shape}")
    header = bytes([0, 0, code, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    content = header + array.astype(_DTYPES[code], copy=False).tobytes()
    if path.name.endswith(".gz"):
        packed = io.BytesIO()
        # Not `gzip.compress`, whose header differs between versions of Python. No name, no date: same bytes.
        with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as stream:
            stream.write(content)
        content = packed.getvalue()
    with os_errors(path, "written"):
        write_atomic(path, content)


def unpacked(file: io.BufferedIOBase) -> io.BufferedIOBase:
    """`file` itself, or its uncompressed contents if it begins as gzip does (RFC 1952, section 2.3.1)."""
    magic = file.read(len(_GZIP))
    file.seek(0)
    return gzip.GzipFile(fileobj=file, mode="rb") if magic == _GZIP else file


class _NotIdxError(Exception):
    """Why a file is refused; `_contents` adds its name."""


class _Header(NamedTuple):
    raw: bytes
    dtype: np.dtype[Any]
    shape: Shape

    @property
    def promised(self) -> int:
        """Bytes of data; Python's integers do not overflow."""
        return self.dtype.itemsize * math.prod(self.shape)


def _contents(path: Path, max_bytes: int) -> tuple[_Header, bytearray | Array]:
    """Header and data of the file, in full agreement with each other; a large one of bytes is mapped."""
    try:
        if path.is_dir():
            raise _NotIdxError("got a folder")
        if not path.is_file():  # a pipe or a device has no size to check against
            raise InputError(f"{shown(path)}: {'not a regular' if path.exists() else 'no such'} file")
        with path.open("rb") as file:
            stream = unpacked(file)
            header = _read_header(stream)
            promised = header.promised
            is_mapped = stream is file and header.dtype.itemsize == 1 and promised >= MAPPED_FROM
            if not is_mapped:
                _check_promise(header, max_bytes)
            if stream is file:
                _check_length(promised, os.fstat(file.fileno()).st_size - len(header.raw))
            if is_mapped:
                try:
                    return header, map_file(file, len(header.raw), promised)
                except (OSError, ValueError):  # not every file system can; or it has just been cut short
                    _check_promise(header, max_bytes)
            data = _read_at_most(stream, promised + 1)
        _check_length(promised, len(data))
    except _NotIdxError as error:
        raise InputError(f"{shown(path)}: expected an IDX file, {error}") from error
    except EOFError as error:
        raise InputError(f"{shown(path)}: truncated gzip file") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{shown(path)}: corrupt gzip file ({error})") from error
    except OSError as error:
        raise InputError(f"{shown(path)}: cannot be read ({error.strerror or error})") from error
    return header, data


def _read_header(stream: io.BufferedIOBase) -> _Header:
    magic = stream.read(4)
    if not magic:
        raise _NotIdxError("got an empty one")
    if magic[:2] != b"\0\0":
        raise _NotIdxError(f"which begins with two zero bytes, got {magic.hex(' ')}")
    if len(magic) < 4:
        raise _NotIdxError(f"got one of {len(magic)} bytes")
    code, rank = magic[2:]
    if code not in _DTYPES:
        raise _NotIdxError(f"got the unknown data type code 0x{code:02X}")
    if rank > _MAX_RANK:
        raise _NotIdxError(f"of at most {_MAX_RANK} dimensions, got {rank}")
    sizes = stream.read(4 * rank)
    if len(sizes) < 4 * rank:
        raise _NotIdxError(f"got one that ends within its header of {4 + 4 * rank} bytes")
    shape = tuple(np.frombuffer(sizes, ">u4").tolist())
    return _Header(magic + sizes, _DTYPES[code], shape)


def _check_promise(header: _Header, max_bytes: int) -> None:
    # A size of zero hides the others, which NumPy multiplies all the same.
    if header.dtype.itemsize * math.prod(size or 1 for size in header.shape) > max_bytes:
        promise = f"{header.dtype.name} {header.shape}"
        raise _NotIdxError(f"of at most {max_bytes:,} bytes of data, got one that promises {promise}")


def _read_at_most(stream: io.BufferedIOBase, limit: int) -> bytearray:
    """Up to `limit` bytes; memory grows with what is there, not with what was promised."""
    data = bytearray()
    while len(data) < limit and (chunk := stream.read(min(_CHUNK, limit - len(data)))):
        data += chunk
    return data


def _check_length(promised: int, there: int) -> None:
    if there < promised:
        raise _NotIdxError(f"got a truncated one: {promised:,} bytes of data promised, {there:,} there")
    if there > promised:
        raise _NotIdxError(f"got one with more than the {promised:,} bytes of data that its header promises")


def _as_array(header: _Header, data: bytearray | Array) -> Array:
    """The array that lives in the memory of `data`, its bytes swapped in place where the machine needs it."""
    array = np.frombuffer(data, header.dtype).reshape(header.shape)
    if not array.dtype.isnative:
        array = array.byteswap(inplace=True).view(array.dtype.newbyteorder("="))
    return array
