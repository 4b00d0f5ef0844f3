"""Runs that are stopped and go on, for the tests of it."""

from typing import Any

from tests.train.test_checkpoint import EVERYTHING

from numnist.data import Dataset
from numnist.train import (
    Callback,
    EpochReport,
    Outcome,
    RunFolder,
    StepReport,
    TrainState,
    prepare,
    resolve,
    train,
)

SAME = ("model.safetensors", "history.jsonl", "result.json", "statistics.jsonl")
ALL: dict[str, Any] = {**EVERYTHING, "epochs": 3, "average": 0.9, "clean_epochs": 1, "label_smoothing": 0.1}
STEPS = 3 * 7
"""Of a whole run."""


class Killed(BaseException):
    """What nobody catches: the end of a process."""


class KillAt(Callback):
    """Ends the process behind a step, or at the end of the epoch of this number."""

    def __init__(self, step: int = -1, epoch: int = -1) -> None:
        self.step, self.epoch = step, epoch

    def on_step_end(self, state: TrainState, report: StepReport) -> None:
        if state.step == self.step:
            raise Killed

    def on_epoch_end(self, state: TrainState, report: EpochReport) -> None:
        if state.epoch == self.epoch:
            raise Killed


def go(
    dataset: Dataset,
    where: RunFolder,
    *observers: Callback,
    resume: bool = True,
    every: int | None = None,
    threads: int | None = None,
    **changed: Any,
) -> Outcome:
    job = prepare(*resolve({**ALL, **changed}), dataset, threads=threads)
    return train(job, where, observers, resume=resume, checkpoint_every=every)


def contents(folder: RunFolder) -> dict[str, bytes]:
    return {name: folder.file(name).read_bytes() for name in SAME}


class Warnings(Callback):
    def __init__(self) -> None:
        self.words: list[str] = []

    def on_warning(self, words: str) -> None:
        self.words.append(words)
