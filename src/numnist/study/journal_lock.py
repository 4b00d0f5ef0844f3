"""One writer at a time in a journal file, also after one was killed in the midst of a line."""

import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class JournalLock:
    """The lock that Optuna's journal takes around every line that it appends.

    It is the system's, so it is gone with the process that had it: Optuna's own is a file, which a killed
    process leaves behind, and all others wait half a minute for it. What a process that was killed, or a full
    disk, left of a line is cut off by the next one, since a line behind it could never be read.
    """

    def __init__(self, journal: Path) -> None:
        self._journal, self._path = journal, journal.with_name(f"{journal.name}.locked")
        self._descriptor = -1

    @staticmethod
    def is_possible() -> bool:
        """Whether the system has such locks."""
        return fcntl is not None

    def acquire(self) -> bool:
        """Wait until nobody else writes."""
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
            self._cut_off_half_a_line()
        except BaseException:
            self.release()
            raise
        return True

    def release(self) -> None:
        """Let others write."""
        os.close(self._descriptor)  # which ends the lock

    def _cut_off_half_a_line(self) -> None:
        with self._journal.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            if size == 0:
                return
            file.seek(size - 1)
            if file.read(1) == b"\n":
                return
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
