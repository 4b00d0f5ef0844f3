"""What a worker works at: a study of factors, or a search."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numnist.data import Dataset
from numnist.study.plan import Plan, Row
from numnist.study.queue import Claim
from numnist.study.trial import Measured, run_trial
from numnist.train import Callback

Rows = Mapping[str, Row]
Clocks = Mapping[str, Mapping[str, Any]]


class Job(Protocol):
    """Keys of what is to be done, and how each is done. rows: what came of them so far."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    def due(self, rows: Rows) -> list[str]:
        """All keys that are known by now, done ones too, in the order in which they are to be done."""
        ...

    def count(self, rows: Rows) -> int:
        """How many there will be in all."""
        ...

    def run(
        self,
        claim: Claim,
        dataset: Dataset,
        runs: Path,
        threads: int | None,
        observers: Sequence[Callback] = (),
    ) -> Measured:
        """Do one; see `trial.run_trial`."""
        ...

    def seconds_left(self, rows: Rows, clocks: Clocks) -> float | None:
        """What is left would take one worker so long; None as long as nothing tells."""
        ...


@dataclass(frozen=True, eq=False)
class StudyJob:
    """The runs of a plan."""

    plan: Plan

    @property
    def name(self) -> str:
        """The study's."""
        return self.plan.name

    def due(self, rows: Rows) -> list[str]:
        """See `Job.due`."""
        return [trial.key for trial in self.plan.trials(rows)]

    def count(self, rows: Rows) -> int:
        """See `Job.count`."""
        return self.plan.count(rows)

    def run(
        self,
        claim: Claim,
        dataset: Dataset,
        runs: Path,
        threads: int | None,
        observers: Sequence[Callback] = (),
    ) -> Measured:
        """See `Job.run`."""
        return run_trial(self.plan.trial(claim.key), dataset, runs, threads, observers)

    def seconds_left(self, rows: Rows, clocks: Clocks) -> float | None:
        """By what an epoch of each network has taken so far."""
        found: dict[str, list[float]] = {}
        for key, clock in clocks.items():
            if key in rows and "seconds" in clock:
                settings = rows[key]["settings"]
                epochs = rows[key]["epochs"] or settings["epochs"]
                found.setdefault(settings["model"], []).append(clock["seconds"] / epochs)
        if not found:
            return None
        epoch = {model: sum(each) / len(each) for model, each in found.items()}
        usual = sum(epoch.values()) / len(epoch)
        left = [trial.config for trial in self.plan.trials(rows) if trial.key not in rows]
        left += self.plan.waiting(rows)
        return sum(config.epochs * epoch.get(config.model, usual) for config in left)
