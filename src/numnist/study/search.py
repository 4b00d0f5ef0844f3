"""A search for good settings: trials that learn from those before them, bad ones stopped early."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from numnist.data import Dataset
from numnist.errors import InputError
from numnist.study.job import Clocks, Rows
from numnist.study.plan import Row, Trial
from numnist.study.queue import Claim, Queue
from numnist.study.search_file import SearchFile
from numnist.study.storage import optuna
from numnist.study.trial import Measured, run_trial
from numnist.train import Callback, Config, EpochReport, TrainState, to_toml

if TYPE_CHECKING:
    from optuna import Trial as OptunaTrial

PRUNED = "not promising: worse than half of the trials before it at this epoch"
"""Why a run stops that is not worth its time."""


class Pruning(Callback):
    """Tells the search how a run does, and stops it where the search has no hope for it."""

    def __init__(self, trial: "OptunaTrial") -> None:
        self.trial = trial

    def on_epoch_end(self, state: TrainState, report: EpochReport) -> None:
        """Report the accuracy on validation of this epoch."""
        if report.val_accuracy is None:
            return
        with suppress(optuna().exceptions.UpdateFinishedTrialError):  # taken for dead: the worker will leave
            self.trial.report(report.val_accuracy, report.epoch)
            if self.trial.should_prune():
                state.stop = PRUNED


@dataclass(frozen=True, eq=False)
class SearchJob:
    """The trials of a search; the accuracy on validation decides, and the test set is never seen.

    Source: Bergstra, Bardenet, Bengio & Kégl 2011, Algorithms for hyper-parameter optimization, section 4
            (tree-structured Parzen estimators); Golovin et al. 2017, Google Vizier, section 3.5.2 (the
            median rule).
    """

    name: str
    search: SearchFile
    queue: Queue

    def due(self, rows: Rows) -> list[str]:  # noqa: ARG002 -- see `Job.due`
        """A key for each trial; what is tried under it is decided when its turn has come."""
        return [f"{number:05}" for number in range(self.search.trials)]

    def count(self, rows: Rows) -> int:  # noqa: ARG002
        """See `Job.count`."""
        return self.search.trials

    def run(
        self,
        claim: Claim,
        dataset: Dataset,
        runs: Path,
        threads: int | None,
        observers: Sequence[Callback] = (),
    ) -> Measured:
        """Let the search choose, train, and tell it what came of that."""
        library = optuna()
        study = self.queue.fresh_study(
            # Another worker with the same seed would draw the same: each trial has a seed of its own.
            sampler=library.samplers.TPESampler(
                n_startup_trials=self.search.startup,
                multivariate=True,
                constant_liar=True,
                seed=self.search.seed + 1_000_003 * claim.number,
            ),
            pruner=library.pruners.MedianPruner(n_startup_trials=min(4, self.search.startup)),
        )
        suggested = library.Trial(study, claim.id)
        values = {name: each.suggest(suggested, name) for name, each in self.search.space.items()}
        try:
            config = self.search.config(values)
        except ValidationError as error:
            raise InputError(f"no run has {values} together: {error.errors()[0]['msg']}") from error
        trial = Trial(self.search.recipe, config, None, "choose")
        pruning = [Pruning(suggested)] if self.search.prune else []
        measured = run_trial(trial, dataset, runs / claim.key, threads, [*observers, *pruning])
        pruned = measured.stopped == PRUNED
        row = {**measured.row, "values": values, "number": claim.number, "pruned": pruned}
        return replace(measured, row=row, folder=claim.key, pruned=pruned)

    def seconds_left(self, rows: Rows, clocks: Clocks) -> float | None:
        """By what a trial has taken so far."""
        seconds = [clock["seconds"] for clock in clocks.values() if "seconds" in clock]
        return sum(seconds) / len(seconds) * (self.search.trials - len(rows)) if seconds else None

    def best(self, rows: Rows) -> dict[str, Any] | None:
        """The row of the trial with the highest accuracy on validation, the first of equals; or None."""
        return max(whole(rows), key=lambda row: float(row["val_accuracy"]), default=None)

    def recipe(self, row: dict[str, Any]) -> str:
        """A TOML file of the settings of a trial, which `numnist train --config` takes."""
        words = ", ".join(f"{key} = {value}" for key, value in row["values"].items())
        header = (
            f"# Found by the search {self.name}, the best of {self.search.trials} trials: {words}\n"
            f"# {row['val_accuracy']:.2%} of the validation images, {row['epochs']} epochs, seed "
            f"{self.search.seed}.\n"
        )
        return header + to_toml(row["recipe"], Config.model_validate(row["settings"]))


def whole(rows: Rows) -> list[Row]:
    """The rows of trials that came to their own end, in the order of their keys."""
    return [row for _, row in sorted(rows.items()) if not row["pruned"] and not row["diverged"]]
