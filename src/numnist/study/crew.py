"""Several workers on one machine: processes that are started, watched, and replaced when they die."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from numnist.study.job import Job
from numnist.study.queue import Queue

LOOK = 1.0
"""Seconds between two looks at how far the workers are."""

REFUSED = 2
"""Status of a worker that cannot use what it was given: another one would say the same."""

DEATHS = 5
"""Workers in a row that die without anything being done, after which no more are started."""


class WorkersDied(Exception):  # noqa: N818 -- it says what happened
    """Workers die as soon as they are started. refused: because they cannot use what they were given."""

    def __init__(self, words: str, refused: bool) -> None:
        super().__init__(words)
        self.refused = refused


@dataclass(frozen=True)
class Progress:
    """How far a study is. seconds_left: None as long as nothing tells."""

    done: int
    total: int
    running: int
    seconds_left: float | None


def progress(queue: Queue, job: Job, workers: int = 0) -> Progress:
    """How far a job is by now."""
    rows = queue.rows()
    running = queue.running()
    seconds = job.seconds_left(rows, queue.clocks())
    left = None if seconds is None else seconds / max(1, workers, running)
    done = sum(key in rows for key in job.due(rows))
    return Progress(done, job.count(rows), running, left)


def run_workers(
    commands: Sequence[Sequence[str]],
    look: Callable[[int], bool],
    tell: Callable[[str], None],
) -> None:
    """Run a worker for each command until all have ended by themselves.

    A worker that was killed, or has failed, is replaced. look: is called now and then with the number of
    workers that run; returns whether anything has been done since it was called last.

    Raises: WorkersDied when `DEATHS` workers have died one after another and nothing was done meanwhile.
            KeyboardInterrupt on Ctrl-C, and SystemExit on SIGTERM, when the workers have ended.
    """
    running: dict[int, subprocess.Popen[bytes]] = {}
    deaths = 0
    with _exit_on_sigterm():
        try:
            for number, command in enumerate(commands):
                running[number] = _start(command)
            while running:
                time.sleep(LOOK)
                if look(len(running)):
                    deaths = 0
                for number in [number for number, process in running.items() if process.poll() is not None]:
                    status = _close(running.pop(number))
                    if status == 0:
                        continue
                    deaths += 1
                    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
                    if deaths >= DEATHS or status == REFUSED:
                        raise WorkersDied(f"worker {number + 1} {how}", status == REFUSED)
                    tell(f"worker {number + 1} {how}: another takes its place")
                    running[number] = _start(commands[number])
        finally:
            for process in running.values():
                with suppress(ProcessLookupError):
                    process.terminate()
            for process in running.values():
                _close(process)


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """A worker whose standard input ends when this process does: see `end_with_the_input`."""
    return subprocess.Popen([*command, "--leash"], stdin=subprocess.PIPE)


def _close(process: subprocess.Popen[bytes]) -> int:
    """Wait for a worker; its exit status."""
    assert process.stdin is not None
    process.stdin.close()
    return process.wait()


@contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """Let SIGTERM end the process like Ctrl-C does, with what has to be done at the end."""

    def leave(number: int, frame: object) -> None:  # noqa: ARG001
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():  # no other may set a handler
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def end_with_the_input() -> None:
    """Have this process asked to end (SIGTERM) when its standard input does: whoever started it is gone."""

    def wait() -> None:
        while os.read(0, 1024):  # not `sys.stdin`, whose lock a thread may not hold when the process ends
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()
