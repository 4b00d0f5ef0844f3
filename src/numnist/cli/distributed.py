"""One command on several ranks: who speaks, and what ends them all."""

import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from numnist.cli import explained
from numnist.errors import InputError
from numnist.train import MPIRanks, OtherRankError, launched


@contextmanager
def first_speaks() -> Iterator[None]:
    """Have what is wrong with a command line told by the first process that mpiexec has started alone."""
    try:
        yield
    except InputError:
        if launched()[0] == 0:
            raise
        raise SystemExit(2) from None


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
            print(f"numnist: rank {ranks.rank}: {words}", file=said, flush=True)
            ranks.abort(status)
        except Exception as error:
            traceback.print_exc(file=said)
            words = f"rank {ranks.rank} has failed, and so has the job: {type(error).__name__}: {error}"
            print(f"numnist: {' '.join(words.split())}", file=said, flush=True)
            ranks.abort(1)
