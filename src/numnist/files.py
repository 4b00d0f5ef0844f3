"""Reading settings, and writing files so that nobody ever sees half of one."""

import os
import tomllib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from numnist.errors import InputError


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """The contents of a TOML file.

    what: what the file should be, for the error.
    Raises: InputError naming the file when it cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = str(error.strerror)
    except RecursionError:
        reason = "nested too deeply"
    except ValueError as error:  # not UTF-8, or not TOML
        reason = " ".join(str(error).split())
    raise InputError(f"{path}: expected {what}: {reason}")


def write_atomic(path: Path, content: bytes | str, keep: Path | None = None) -> None:
    """Write `content` to `path`: the old file or the whole new one, also after a crash or a power cut.

    The content goes to a temporary file in the same folder, is flushed to the disk, and takes the name in
    one step; then the folder is flushed, since the name lives there. Text is written as UTF-8.

    keep: what a file that was there is called from then on, in the same folder. Between the two renamings
    there is no file of the name `path`, and one of the name `keep`.
    Raises: OSError that names `path`, when the folder cannot be written or the disk is full; no temporary
            file is left behind.
    Source: POSIX.1-2017, rename() and fsync().
    """
    data = content.encode() if isinstance(content, str) else content
    # Not `tempfile`: its files are private (mode 0600); these are for whoever may read the folder.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with naming(path):
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if keep is not None and path.exists():
                path.replace(keep)
            temporary.replace(path)
    except BaseException:
        _remove(temporary)
        raise
    with naming(path):
        _flush_folder(path.parent)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have an OSError name this file: that of a full disk names none by itself."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _remove(path: Path) -> None:
    """Take a file away; where that cannot be, what came before is the error to be told."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk, on systems where a folder can be opened."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
