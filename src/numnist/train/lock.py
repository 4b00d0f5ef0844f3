"""One process at a time in a run's folder."""

import os
from contextlib import suppress
from pathlib import Path
from typing import IO, ClassVar, Self

from numnist.errors import InputError
from numnist.files import naming

try:
    import fcntl
except ImportError:  # Windows: nothing is locked there
    fcntl = None  # type: ignore[assignment]

NAME = ".lock"


class RunIsGoingOnError(InputError):
    """Somebody is writing to the folder of this run."""


class RunLock:
    """Held from construction to `release`, to the end of a `with` block, or of the process, however it ends.

    The lock is the system's, on an open file, so that nobody has to find out whether an owner still lives. It
    is of the kind that belongs to a process (fcntl) and not to an open file (flock, which lock libraries
    use): the engine's forked workers would inherit that, and outlive by a moment a process that was killed.
    What this kind does not do, keep a process from locking a folder twice, `_held` does.
    """

    _held: ClassVar[set[Path]] = set()  # of the process, as the lock is

    def __init__(self, folder: Path) -> None:
        """Raises: RunIsGoingOnError where a run writes to this folder; OSError where no file can be."""
        self.path = folder.resolve() / NAME
        if self.path in self._held:
            raise RunIsGoingOnError(f"{folder}: this run is going on in this process")
        while True:
            # A link here would have another file emptied and taken away.
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            self._file = os.fdopen(os.open(self.path, flags, 0o644), "r+", encoding="utf-8")
            if not _locked(self._file):
                self._file.seek(0)
                owner = self._file.read(20).strip()
                self._file.close()
                whose = f" (process {owner})" if owner.isdigit() else ""
                raise RunIsGoingOnError(f"{folder}: this run is going on in another process{whose}")
            if _is_at(self._file, self.path):
                break
            self._file.close()  # its owner took it away after we had opened it
        self._held.add(self.path)
        try:
            with naming(self.path):
                self._file.truncate(0)
                self._file.write(str(os.getpid()))
                self._file.flush()
        except OSError:
            self.release()
            raise

    def release(self) -> None:
        """Let others in."""
        if self.path in self._held:
            self._held.discard(self.path)
            with suppress(OSError):  # the folder may have been taken away
                self.path.unlink()
            with suppress(OSError):  # what could not be written
                self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()


def _locked(file: IO[str]) -> bool:
    """Lock an open file, unless another process has: then False."""
    if fcntl is not None:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        except OSError:  # a file system without locks: a folder of a name of its own is safe all the same
            pass
    return True


def _is_at(file: IO[str], path: Path) -> bool:
    """Whether an open file is still the one of this name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
