"""One command on several ranks: who speaks, and what ends them all."""

import contextlib
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn, TextIO

from numnist.cli import explained
from numnist.errors import InputError
from numnist.train import ONE_RANK, MPIRanks, OtherRankError, Ranks, launched


def begin(arguments: Sequence[str]) -> Ranks:
    """The ranks of a command line that is not looked at yet.

    MPI begins before anything can be wrong with it on one rank: the others wait for that one while MPI
    begins, and cannot be told any more.

    Raises: InputError where --distributed is given and there is no MPI.
    """
    is_asked = "--distributed" in arguments
    if not is_asked and launched()[1] == 1:
        return ONE_RANK
    try:
        return MPIRanks()
    except InputError:
        if is_asked:
            raise
        return ONE_RANK


@contextmanager
def one_of_many() -> Iterator[None]:
    """Have each process that mpiexec has started say which one it is when it fails on its own."""
    try:
        yield
    except InputError as error:
        rank, started = launched()
        if started == 1 or isinstance(error, OtherRankError):
            raise
        raise InputError(f"rank {rank} on {platform.node()}: {error}") from error


def require_alone() -> None:
    """InputError where mpiexec has started several of this command, which know nothing of each other."""
    _, started = launched()
    if started > 1:
        raise InputError(
            f"mpiexec has started {started} of this run, which would fight for one folder: give "
            "--distributed to train one model on all of them, or start it without mpiexec"
        )


def on_ranks(ranks: MPIRanks, command: Callable[[], int]) -> int:
    """Run a command that all ranks have been given; the exit status.

    The first one alone prints. An error that all of them know of (OtherRankError) is told by it; any other
    ends all of them at once: they would wait for this rank for ever.
    """
    if ranks.ranks == 1:
        return command()
    said = sys.stderr
    with contextlib.ExitStack() as stack:
        if ranks.rank > 0:
            silence = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123
            stack.enter_context(contextlib.redirect_stdout(silence))
            stack.enter_context(contextlib.redirect_stderr(silence))
        try:
            return command()
        except OtherRankError:
            if ranks.rank == 0:
                raise
            return 2
        except BrokenPipeError:  # nobody reads any more
            ranks.abort(1)
        except (InputError, OSError, MemoryError, KeyboardInterrupt) as error:
            words, status = explained(error)
            _say_and_abort(ranks, f"numnist: rank {ranks.rank}: {words}\n", said, status)
        except Exception as error:
            words = f"rank {ranks.rank} has failed, and so has the job: {type(error).__name__}: {error}"
            _say_and_abort(ranks, f"{traceback.format_exc()}numnist: {' '.join(words.split())}\n", said, 1)


def _say_and_abort(ranks: MPIRanks, words: str, to: TextIO, status: int) -> NoReturn:
    """End all ranks with these words, once mpiexec has had time to pass them on: it drops what comes late."""
    to.write(words)
    to.flush()
    time.sleep(0.2)
    ranks.abort(status)
