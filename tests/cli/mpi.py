"""The MPI of the tests."""

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

PROBE = "import sys; from mpi4py import MPI; sys.exit(MPI.COMM_WORLD.size != 2)"


@cache
def mpiexec() -> str | None:
    """The program that starts ranks, of the MPI that mpi4py has; None where there is none that works."""
    beside = Path(sys.executable).with_name("mpiexec")
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    if found is None:
        return None
    command = [found, "-n", "2", sys.executable, "-c", PROBE]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    return found if done.returncode == 0 else None
