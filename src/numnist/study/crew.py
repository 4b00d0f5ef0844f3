"""Several workers on one machine: processes that are started, watched, and replaced when they die."""

import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from numnist.study.plan import Plan
from numnist.study.queue import Queue

LOOK = 1.0
"""Seconds between two looks at how far the workers are."""

DEATHS = 5
"""Workers in a row that die without anything being done, after which no more are started."""


class WorkersDied(Exception):  # noqa: N818 -- it says what happened
    """Workers die as soon as they are started."""


@dataclass(frozen=True)
class Progress:
    """How far a study is. seconds_left: None as long as nothing tells. workers: that run now, here."""

    done: int
    total: int
    running: int
    workers: int
    seconds_left: float | None


def progress(queue: Queue, plan: Plan, workers: int = 0) -> Progress:
    """How far a study is by now."""
    rows = queue.rows()
    trials = plan.trials(rows)
    running = queue.running()
    left = [trial for trial in trials if trial.key not in rows]
    seconds = _seconds_per_epoch(queue, rows)
    need = None
    if seconds:
        usual = sum(seconds.values()) / len(seconds)
        work = sum(trial.config.epochs * seconds.get(trial.config.model, usual) for trial in left)
        need = work / max(1, workers or running)
    done = sum(trial.key in rows for trial in trials)
    return Progress(done, plan.count(rows), running, workers, need)


def _seconds_per_epoch(queue: Queue, rows: dict[str, dict[str, object]]) -> dict[str, float]:
    """What an epoch of each network has taken so far, on average."""
    found: dict[str, list[float]] = {}
    for key, clock in queue.clocks().items():
        settings = rows[key]["settings"] if key in rows else None
        if isinstance(settings, dict) and "seconds" in clock:
            found.setdefault(settings["model"], []).append(clock["seconds"] / settings["epochs"])
    return {model: sum(each) / len(each) for model, each in found.items()}


def run_workers(
    commands: Sequence[Sequence[str]],
    look: Callable[[int], bool],
    tell: Callable[[str], None],
) -> None:
    """Run a worker for each command until all have ended by themselves.

    A worker that was killed, or has failed, is replaced. look: is called now and then with the number of
    workers that run; returns whether anything has been done since it was called last.

    Raises: WorkersDied when `DEATHS` workers have died one after another and nothing was done meanwhile.
            KeyboardInterrupt is passed on, when the workers have ended.
    """
    running: dict[int, subprocess.Popen[bytes]] = {
        number: subprocess.Popen(command) for number, command in enumerate(commands)
    }
    deaths = 0
    try:
        while running:
            time.sleep(LOOK)
            if look(len(running)):
                deaths = 0
            for number, process in list(running.items()):
                status = process.poll()
                if status is None:
                    continue
                del running[number]
                if status == 0:
                    continue
                deaths += 1
                how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
                if deaths >= DEATHS or status == 2:  # 2: what a person handed in; another would say the same
                    raise WorkersDied(f"worker {number + 1} {how}")
                tell(f"worker {number + 1} {how}: another takes its place")
                running[number] = subprocess.Popen(commands[number])
    finally:
        for process in running.values():
            with suppress(ProcessLookupError):
                process.terminate()
        for process in running.values():
            process.wait()
