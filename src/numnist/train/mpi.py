"""Ranks that are processes on one machine or several: MPI, by mpi4py. Needs the extra `mpi`."""

import os
import warnings
from typing import NoReturn, TypeVar

import numpy as np

from numnist.arrays import Array
from numnist.engine import available_cores
from numnist.errors import InputError
from numnist.train.ranks import ASKED, strongest

T = TypeVar("T")

EXTRA = (
    'ranks speak MPI, by mpi4py and an MPI library: pip install "numnist[mpi]" (or pip install mpi4py, where '
    "a cluster has MPI of its own)"
)

RANK_AND_SIZE = (("PMI_RANK", "PMI_SIZE"), ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"))
"""Variables in which mpiexec says which process this is, of how many: MPICH and its kin, Open MPI."""

FLAGS = len(ASKED) + 1
"""Numbers behind what is added up: whether signals have asked for this or that, or callbacks decided."""


def launched() -> tuple[int, int]:
    """Which process this is of how many that mpiexec has started; (0, 1) without it."""
    for names in RANK_AND_SIZE:
        rank, size = (os.environ.get(name, "") for name in names)
        if rank.isdigit() and size.isdigit():
            return int(rank), int(size)
    return 0, 1


class MPIRanks:
    """The processes that mpiexec has started; see `Ranks`.

    All calls come from the main thread of the process that was started: those that the engine forks know
    nothing of MPI.
    """

    def __init__(self) -> None:
        """Begin with MPI.

        Raises: InputError without mpi4py or an MPI library, or where that is not mpiexec's.
        """
        try:
            import mpi4py

            mpi4py.rc.thread_level = "funneled"
            with warnings.catch_warnings():  # of an mpiexec that is another MPI's: it is told below
                warnings.simplefilter("ignore", RuntimeWarning)
                from mpi4py import MPI
        except (ImportError, RuntimeError) as error:  # RuntimeError: there is mpi4py, and no library
            raise InputError(EXTRA) from error
        self._in_place, self._comm = MPI.IN_PLACE, MPI.COMM_WORLD
        self.rank: int = self._comm.rank
        self.ranks: int = self._comm.size
        _, started = launched()
        if started != self.ranks and started > 1:
            raise InputError(
                f"mpiexec has started {started} processes, but they see {self.ranks}: it is of another MPI "
                "than mpi4py's: use the mpiexec that was installed with it"
            )
        tasks = os.environ.get("SLURM_STEP_NUM_TASKS", "")
        by_mpiexec = any(size in os.environ for _, size in RANK_AND_SIZE)  # inside a step of srun's
        if self.ranks == 1 and not by_mpiexec and tasks.isdigit() and int(tasks) > 1:
            raise InputError(
                f"srun has started {tasks} processes, and each sees itself alone: srun --mpi=list names what "
                "it can begin MPI with (--mpi=pmi2, --mpi=pmix); or use mpiexec"
            )
        self.interrupted = self.agreed = ""
        self.decided = False
        self.threads: int | None = self._cores()
        self._sums: Array = np.empty(0, np.float32)

    def _cores(self) -> int:
        """A fair share of the cores of this rank's machine, or those that mpiexec has bound it to."""
        from mpi4py import MPI

        machine = self._comm.Split_type(MPI.COMM_TYPE_SHARED)
        if not hasattr(os, "sched_getaffinity"):
            return max(1, available_cores() // machine.size)
        cores = set().union(*machine.allgather(os.sched_getaffinity(0)))
        return max(1, min(len(cores) // machine.size, available_cores()))

    def gather(self, row: Array, rows: Array) -> None:
        """See `Reducer.gather`."""
        self._comm.Allgather(row, rows)

    def add(self, values: Array, *numbers: float) -> tuple[float, ...]:
        """See `Reducer.add`: one all-reduce for all of it, and for `interrupted` and `decided`."""
        n, flags = len(values), [float(self.interrupted == word) for word in ASKED] + [float(self.decided)]
        if len(self._sums) != n + len(numbers) + FLAGS:
            self._sums = np.empty(n + len(numbers) + FLAGS, np.float32)
        self._sums[:n], self._sums[n:] = values, [*numbers, *flags]
        self._comm.Allreduce(self._in_place, self._sums)
        values[...] = self._sums[:n]
        *sums, interrupted, terminated, decided = self._sums[n:].tolist()
        asked = zip(ASKED, (interrupted, terminated), strict=True)
        self.agreed = strongest(word if ranks else "" for word, ranks in asked)
        self.decided = bool(decided)
        return tuple(sums)

    def collect(self, value: T) -> list[T]:
        """See `Ranks.collect`."""
        values: list[T] = self._comm.allgather(value)
        return values

    def share(self, value: T) -> T:
        """See `Ranks.share`."""
        shared: T = self._comm.bcast(value)
        return shared

    def abort(self, status: int) -> NoReturn:
        """End all ranks now."""
        self._comm.Abort(status)
        raise SystemExit(status)  # never comes to it
