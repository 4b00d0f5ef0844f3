"""A worker: it claims trials of a study and runs them, until there are none left."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from numnist.data import Dataset
from numnist.errors import InputError
from numnist.study.plan import Plan, Trial
from numnist.study.queue import Claim, Queue
from numnist.study.study_file import parse_study
from numnist.study.trial import Interrupted, Measured, run_trial
from numnist.train import RunIsGoingOnError

PATIENCE = 1.0
"""Seconds between two looks for work, where others have all that there is."""


def definition(plan: Plan, dataset: Dataset) -> dict[str, object]:
    """What a study is: whoever works for it has to agree with it."""
    return {
        "study": plan.study.model_dump(mode="json"),
        "data": dataset.fingerprint,
    }


def plan_of(queue: Queue) -> Plan:
    """The plan of a study that has begun, from its storage: a worker elsewhere has no file of it.

    Raises: InputError where the storage holds something else.
    """
    found = queue.definition
    if "study" not in found:
        raise InputError(f"study {queue.name}: this storage holds something else under that name")
    return Plan(queue.name, parse_study(found["study"], queue.name))


@dataclass(frozen=True, eq=False)
class Worker:
    """Runs the trials of a study.

    runs: folder for the folders of runs. tell: is called with a line for each trial that has ended.
    """

    queue: Queue
    plan: Plan
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
        """Until all is done, here and elsewhere; returns the number of trials that were done here.

        Raises: Interrupted on a signal; what was begun goes on from its checkpoint, here or elsewhere.
        """
        done = 0
        while True:
            self.queue.bury_the_dead()
            rows = self.queue.rows()
            trials = {trial.key: trial for trial in self.plan.trials(rows)}
            self.queue.offer(key for key in trials if key not in rows)
            claim = self.queue.claim()
            if claim is not None and claim.key in trials:
                done += self._run(claim, trials[claim.key])
            elif claim is not None:
                self.queue.give_back(claim, "this trial is not of this study")
            elif self.plan.is_complete(rows) or self._is_stuck(trials, rows):
                return done
            else:
                time.sleep(PATIENCE)

    def _is_stuck(self, trials: dict[str, Trial], rows: dict[str, dict[str, object]]) -> bool:
        """Whether what is left has failed too often, so that there is nothing to wait for."""
        left = trials.keys() - rows.keys()
        return bool(left) and left <= self.queue.troubles().keys()

    def _run(self, claim: Claim, trial: Trial) -> int:
        """Run a trial that was claimed; 1 where its row counts."""
        measured: Measured | None = None
        with self.queue.beating(claim):
            try:
                measured = run_trial(trial, self.dataset, self.runs, self.threads)
            except Interrupted:
                self.queue.give_back(claim)
                raise
            except RunIsGoingOnError:  # whoever was taken for dead is alive
                self.queue.give_back(claim)
                time.sleep(PATIENCE)
                return 0
            except (InputError, MemoryError, OSError) as error:
                self.queue.give_back(claim, f"{type(error).__name__}: {error}"[:300])
                self.tell(f"trial {claim.key} failed: {error}")
                return 0
        if not self.queue.complete(claim, measured.value, measured.row, measured.clock):
            return 0
        shutil.rmtree(self.runs / claim.key, ignore_errors=True)
        self.tell(f"trial {claim.key}: {_in_words(trial, measured)}")
        return 1


def _in_words(trial: Trial, measured: Measured) -> str:
    """What a person wants to know of a trial that has ended."""
    row = measured.row
    if row["diverged"]:
        return f"{row['diverged']}"
    accuracy = row["val_accuracy"] if trial.role == "choose" else row["test_accuracy"]
    where = "validation" if trial.role == "choose" else "test"
    return f"{where} {accuracy:.2%}, {measured.clock['seconds']:.1f} s"
