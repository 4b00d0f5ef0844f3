"""One run of a study: training, what is measured of it, and the row that is left."""

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from numnist import __version__
from numnist.data import Dataset, default_validation, split_validation
from numnist.errors import InputError
from numnist.study.defects import DEFECTS
from numnist.study.plan import Row, Trial
from numnist.train import Callback, DivergenceError, RunFolder, prepare, to_toml, train


class Interrupted(Exception):  # noqa: N818 -- no error: somebody asked for it
    """A signal has stopped the run after a step; its checkpoint stands."""


@dataclass(frozen=True)
class Measured:
    """What came of a trial. row: the same whoever runs it, and whenever. clock: what is not.

    folder: name of its folder. pruned: whether it was stopped because it was not promising.
    """

    row: Row
    clock: dict[str, Any]
    folder: str
    pruned: bool = False

    @property
    def value(self) -> float:
        """What a choice goes by: the accuracy on validation; 0 where nothing is held out."""
        return float(self.row["val_accuracy"] or 0)

    def in_words(self) -> str:
        """What a person wants to know."""
        if self.row["diverged"]:
            return str(self.row["diverged"])
        chosen = self.row["role"] == "choose"
        accuracy = self.row["val_accuracy" if chosen else "test_accuracy"]
        where = "validation" if chosen else "test"
        return f"{where} {accuracy:.2%}, {self.clock['seconds']:.1f} s{', pruned' if self.pruned else ''}"


def run_trial(
    trial: Trial, dataset: Dataset, runs: Path, threads: int | None, observers: Sequence[Callback] = ()
) -> Measured:
    """Train and measure; go on from a checkpoint where there is one of this trial.

    A run that chooses a setting has the validation images in the place of the test set, which it never sees.
    One whose loss is no longer finite is a result too: it counts as guessing, with an accuracy of one in K.

    runs: folder that holds the folders of the trials.
    Raises: InputError where the settings do not fit the data; RunIsGoingOnError where another process runs
            the trial in this folder; Interrupted on a signal.
    """
    started, busy = time.perf_counter(), time.process_time()
    if trial.role == "choose":
        dataset = without_test_set(trial, dataset)
    path = runs / trial.key
    text = to_toml(trial.recipe, trial.config)
    begun = (path / "config.toml").is_file()
    folder = (
        RunFolder.existing(path) if begun else RunFolder(runs, trial.key, "", first={"config.toml": text})
    )
    run = prepare(trial.recipe, trial.config, dataset, threads=threads)
    if trial.defect is not None:
        run = DEFECTS[trial.defect](run, threads)
    row: Row = {"key": trial.key, **trial.plain(), "parameters": run.model.layout.size}
    try:
        outcome = train(run, folder, observers, resume=True)
    except DivergenceError as error:
        row |= _guessing(dataset, str(error))
    else:
        if outcome.test is None:
            raise Interrupted(run.state.interrupted)
        report = run.state.report
        assert report is not None  # there was an epoch
        row |= {
            "diverged": None,
            "val_accuracy": report.val_accuracy,
            "val_loss": report.val_loss,
            "test_accuracy": None,
            "test_errors": None,
            "test_loss": None,
            "epochs": run.state.epoch,
            "steps": run.state.step,
        }
        if trial.role == "measure":
            test = outcome.test
            row |= {"test_accuracy": test.accuracy, "test_errors": test.errors, "test_loss": test.loss}
    clock = {
        "seconds": round(time.perf_counter() - started, 2),
        "cpu_seconds": round(time.process_time() - busy, 2),
        "threads": threads,
        "environment": environment(),
    }
    return Measured(row, clock, trial.key)


def without_test_set(trial: Trial, dataset: Dataset) -> Dataset:
    """The data with its validation images in the place of the test set."""
    assert dataset.train is not None
    limit = trial.config.limit
    part = dataset.train if limit is None else dataset.train.take(slice(limit))
    held_out = trial.config.validation
    held_out = default_validation(len(part)) if held_out is None else held_out
    _, validation = split_validation(len(part), held_out)
    if len(validation) == 0:
        raise InputError("--validation: 0 images leave none to choose by")
    return replace(dataset, test=part.take(validation))


def _guessing(dataset: Dataset, words: str) -> Row:
    """What stands for the measurements of a run whose loss was no longer finite."""
    accuracy, loss = 1 / dataset.classes, float(np.log(dataset.classes))
    return {
        "diverged": words,
        "val_accuracy": accuracy,
        "val_loss": loss,
        "test_accuracy": accuracy,
        "test_errors": None,
        "test_loss": loss,
        "epochs": None,
        "steps": None,
    }


def environment() -> dict[str, Any]:
    """What the last bits, and the time, may depend on besides the code."""
    blas = [info for info in threadpool_info() if info["user_api"] == "blas"]
    return {
        "numnist": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": [
            f"{info['internal_api']} {info['version']} {info.get('architecture', '')}".strip()
            for info in blas
        ],
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }
