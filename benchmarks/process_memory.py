"""Memory of a process and all that descend from it, as Linux counts it.

A page that several of them share must count once, or what is forked would count twice. PSS, the proportional
set size, does that: each process has its part of a page. But a page of a library is shared with strangers,
this script among them, and would then count too little. So:

    memory = sum over the processes of the PSS of anonymous and shared memory
             + the largest of their resident sizes of mapped files

which takes it that the processes map the same files, as forked ones do.
"""

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

INTERVAL = 0.05
"""Seconds between two looks."""

PROC = Path("/proc")


def descendants(pid: int) -> list[int]:
    """A process and its children, theirs, and so on, as far as they are there."""
    found = [pid]
    for process in found:
        for children in (PROC / str(process) / "task").glob("*/children"):
            try:
                found += map(int, children.read_text().split())
            except OSError:
                continue  # the thread, or its process, has just ended
    return found


def taken(pid: int) -> tuple[int, int]:
    """kB of one process: its part of memory that is no file's, and its mapped files; 0 where it has ended."""
    try:
        proportional = (PROC / str(pid) / "smaps_rollup").read_text()
        resident = (PROC / str(pid) / "status").read_text()
    except OSError:
        return 0, 0
    sizes: dict[str, int] = {
        name: int(value.split()[0])
        for name, _, value in (line.partition(":") for line in (proportional + resident).splitlines())
        if value.endswith(" kB")
    }
    # A process that is ending has no sizes any more.
    return sizes.get("Pss_Anon", 0) + sizes.get("Pss_Shmem", 0), sizes.get("RssFile", 0)


def tree_memory(pid: int) -> int:
    """Bytes that a process and its descendants take."""
    sizes = [taken(process) for process in descendants(pid)]
    return 1024 * (sum(own for own, _ in sizes) + max(files for _, files in sizes))


class PeakMemory:
    """Watches a process and its descendants between `with` and its end; `peak_mb` is the most they took.

    A look takes a millisecond or two from a core, and holds the process up where it asks for memory:
    what is watched often is not timed.
    """

    def __init__(self, pid: int, interval: float = INTERVAL) -> None:
        self._pid, self._interval = pid, interval
        self._peak = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def peak_mb(self) -> float:
        """The most so far, in units of 10⁶ bytes."""
        return round(self._peak / 1e6, 1)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self._peak = max(self._peak, tree_memory(self._pid))
            if self._stopped.wait(self._interval):
                return
