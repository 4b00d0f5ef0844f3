"""A worker: it claims what there is to do of a study, and does it, until nothing is left."""

import gc
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from numnist.data import Dataset
from numnist.errors import InputError
from numnist.study.job import Job
from numnist.study.queue import Claim, Queue
from numnist.study.trial import Interrupted, Measured
from numnist.train import Callback, RunIsGoingOnError, StepReport, TrainState

PATIENCE, LONGEST_PAUSE = 0.5, 8.0
"""Seconds between two looks for work, where others have all that there is: at first, and at last."""

AT_A_TIME = 4
"""Keys that a worker offers at once: others offer too."""

TAKEN = "another worker has taken it"
"""Why a run stops whose worker was silent for too long."""


class Leave(Callback):
    """Stops a run that another worker has taken over; its checkpoint stands."""

    def __init__(self, taken: threading.Event) -> None:
        self.taken = taken

    def on_step_end(self, state: TrainState, report: StepReport) -> None:  # noqa: ARG002
        """Look whether it is still ours."""
        if self.taken.is_set():
            state.interrupted = TAKEN


@dataclass(frozen=True, eq=False)
class Worker:
    """Works at a job. runs: folder for the folders of runs. tell: gets a line for each that has ended.

    Raises: InputError where the study is on other data.
    """

    queue: Queue
    job: Job
    dataset: Dataset
    runs: Path
    threads: int | None
    tell: Callable[[str], None]

    def __post_init__(self) -> None:
        data = self.queue.definition.get("data")
        if data != self.dataset.fingerprint:
            ours = f"{self.dataset.name} of {self.dataset.fingerprint[:12]}"
            raise InputError(
                f"study {self.queue.name} is on data of fingerprint {str(data)[:12]}, got {ours}: "
                "name the same data, by --data"
            )

    def work(self) -> int:
        """Until all is done, here and elsewhere; returns how much was done here.

        Raises: Interrupted on a signal; what was begun goes on from its checkpoint, here or elsewhere.
                OSError and MemoryError where this machine cannot go on; others may.
        """
        done, pause = 0, PATIENCE
        while True:
            claim = self.queue.claim()
            if claim is None:
                self.queue.bury_the_dead()
                rows = self.queue.rows()
                left = [key for key in self.job.due(rows) if key not in rows]
                if self.queue.offer(left, AT_A_TIME):
                    continue
                # What has failed too often is nothing to wait for.
                if set(left) <= self.queue.troubles().keys():
                    return done
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            pause = PATIENCE
            if claim.key in self.job.due(self.queue.rows()):
                done += self._run(claim)
                gc.collect()  # what a run has allocated hangs together in circles, and hundreds follow
            else:
                self.queue.give_back(claim, "it is not of this study")

    def _run(self, claim: Claim) -> int:
        """Do what was claimed; 1 where it counts."""
        with self.queue.beating(claim) as taken:
            try:
                measured = self._measure(claim, taken)
            except Interrupted:
                self.queue.give_back(claim)
                if taken.is_set():
                    return 0
                raise
            except (OSError, MemoryError):
                self.queue.give_back(claim)
                raise
            except ValueError as error:  # of an InputError too: settings that no run can have
                self.queue.give_back(claim, f"{error}"[:300])
                self.tell(f"{claim.key} failed: {error}")
                return 0
        if not self.queue.complete(claim, measured.value, measured.row, measured.clock, measured.pruned):
            return 0
        shutil.rmtree(self.runs / measured.folder, ignore_errors=True)
        self.tell(f"{claim.key}: {measured.in_words()}")
        return 1

    def _measure(self, claim: Claim, taken: threading.Event) -> Measured:
        """Do it, as soon as nobody else does: a worker that was taken for dead may be alive."""
        pause = PATIENCE
        while True:
            try:
                return self.job.run(claim, self.dataset, self.runs, self.threads, [Leave(taken)])
            except RunIsGoingOnError:
                if taken.wait(pause):
                    raise Interrupted(TAKEN) from None
                pause = min(2 * pause, LONGEST_PAUSE)
