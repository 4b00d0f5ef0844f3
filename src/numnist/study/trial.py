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
from numnist.study.plan import Role, Row, Trial
from numnist.train import (
    Callback,
    DivergenceError,
    Run,
    RunFolder,
    RunIsGoingOnError,
    evaluate,
    prepare,
    to_toml,
    train,
)


class Interrupted(Exception):  # noqa: N818 -- no error: somebody asked for it
    """A signal has stopped the run after a step; its checkpoint stands."""


@dataclass(frozen=True)
class Measured:
    """What came of a trial. row: the same whoever runs it, and whenever. clock: what is not.

    folder: name of its folder. stopped: why the run ended early, or "". pruned: whether that was because it
    was not promising.
    """

    row: Row
    clock: dict[str, Any]
    folder: str
    stopped: str = ""
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
    begun = (path / "config.toml").is_file()
    text = to_toml(trial.recipe, trial.config)
    folder = (
        RunFolder.existing(path) if begun else RunFolder(runs, trial.key, "", first={"config.toml": text})
    )
    run = _prepared(trial, dataset, threads)
    row: Row = {"key": trial.key, **trial.plain(), "parameters": run.model.layout.size}
    try:
        try:
            outcome = train(run, folder, observers, resume=True)
        except RunIsGoingOnError:
            raise
        except InputError:  # checkpoints of which none can be used
            run = _prepared(trial, dataset, threads)
            outcome = train(run, folder, observers)
    except DivergenceError as error:
        row |= _guessing(dataset, str(error), trial.role)
        stopped = ""
    else:
        if outcome.test is None:
            raise Interrupted(run.state.interrupted)
        stopped = outcome.stopped
        row |= {
            "diverged": None,
            **_validated(run),
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
        # Of this process alone: with more threads others work for it.
        "cpu_seconds": round(time.process_time() - busy, 2) if threads == 1 else None,
        "threads": threads,
        "environment": environment(),
    }
    return Measured(row, clock, trial.key, stopped)


def _prepared(trial: Trial, dataset: Dataset, threads: int | None) -> Run:
    """The run of a trial, ready to start, its defect in it."""
    run = prepare(trial.recipe, trial.config, dataset, threads=threads)
    return run if trial.defect is None else DEFECTS[trial.defect](run, threads)


def _validated(run: Run) -> Row:
    """How the network that the run ended with does on validation, which may not be that of the last epoch."""
    report, validation = run.state.report, run.trainer.validation
    if run.keep_best is None and report is not None:
        return {"val_accuracy": report.val_accuracy, "val_loss": report.val_loss}
    if validation is None:
        return {"val_accuracy": None, "val_loss": None}
    found = evaluate(run.trainer.executor, run.model.preprocess, validation.images, validation.labels)
    return {"val_accuracy": found.accuracy, "val_loss": found.loss}


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


def _guessing(dataset: Dataset, words: str, role: Role) -> Row:
    """What stands for the measurements of a run whose loss was no longer finite."""
    accuracy, loss = 1 / dataset.classes, float(np.log(dataset.classes))
    return {
        "diverged": words,
        "val_accuracy": accuracy,
        "val_loss": loss,
        "test_accuracy": accuracy if role == "measure" else None,
        "test_errors": None,
        "test_loss": loss if role == "measure" else None,
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
