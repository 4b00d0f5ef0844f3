"""A worker: it claims what there is to do of a study, and does it, until nothing is left."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from numnist.data import Dataset
from numnist.errors import InputError
from numnist.study.job import Job
from numnist.study.queue import Claim, Queue
from numnist.study.trial import Interrupted, Measured
from numnist.train import RunIsGoingOnError

PATIENCE = 1.0
"""Seconds between two looks for work, where others have all that there is."""


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
        """
        done = 0
        while True:
            self.queue.bury_the_dead()
            rows = self.queue.rows()
            keys = self.job.due(rows)
            left = [key for key in keys if key not in rows]
            self.queue.offer(left)
            claim = self.queue.claim()
            if claim is not None and claim.key in keys:
                done += self._run(claim)
            elif claim is not None:
                self.queue.give_back(claim, "it is not of this study")
            # What has failed too often is nothing to wait for.
            elif set(left) <= self.queue.troubles().keys():
                return done
            else:
                time.sleep(PATIENCE)

    def _run(self, claim: Claim) -> int:
        """Do what was claimed; 1 where it counts."""
        measured: Measured | None = None
        with self.queue.beating(claim):
            try:
                measured = self.job.run(claim, self.dataset, self.runs, self.threads)
            except Interrupted:
                self.queue.give_back(claim)
                raise
            except RunIsGoingOnError:  # whoever was taken for dead is alive
                self.queue.give_back(claim)
                time.sleep(PATIENCE)
                return 0
            except (InputError, MemoryError, OSError) as error:
                self.queue.give_back(claim, f"{type(error).__name__}: {error}"[:300])
                self.tell(f"{claim.key} failed: {error}")
                return 0
        if not self.queue.complete(claim, measured.value, measured.row, measured.clock, measured.pruned):
            return 0
        shutil.rmtree(self.runs / measured.folder, ignore_errors=True)
        self.tell(f"{claim.key}: {measured.in_words()}")
        return 1
