"""What a run writes as it goes on: a line of JSON per epoch, and what the clock said in a file of its own."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numnist.train.callbacks import Callback
from numnist.train.state import EpochReport, StepReport, TrainState


def append_line(path: Path, row: Mapping[str, Any]) -> None:
    """Append one object as a line of JSON."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, allow_nan=False) + "\n")


class History(Callback):
    """Writes history.jsonl: loss, accuracy, learning rate of each epoch; the same bytes for the same run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_epoch_end(self, state: TrainState, report: EpochReport) -> None:
        """Append this epoch."""
        append_line(self.path, report.row())


class Timing(Callback):
    """Writes timing.jsonl: everything that a clock produced, and nothing else.

    seconds of an epoch: from the end of the one before to its own; what of them passed behind its last step,
    in validation and in writing, is validation_seconds. images_per_second: while steps were taken.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.started = self.epoch_started = time.perf_counter()
        self.last_step = self.started
        self.images = 0

    def on_train_begin(self, state: TrainState, steps_per_epoch: int, epochs: int) -> None:
        """Start the clock."""
        self.started = self.epoch_started = time.perf_counter()

    def on_step_end(self, state: TrainState, report: StepReport) -> None:
        """Count the images."""
        self.images += report.n
        self.last_step = time.perf_counter()

    def on_epoch_end(self, state: TrainState, report: EpochReport) -> None:
        """Append this epoch's time."""
        now = time.perf_counter()
        seconds = now - self.epoch_started
        behind = now - self.last_step
        row = {"epoch": report.epoch, "seconds": seconds, "validation_seconds": behind}
        append_line(self.path, {**row, "images_per_second": self.images / max(seconds - behind, 1e-9)})
        self.epoch_started, self.images = now, 0

    def on_train_end(self, state: TrainState) -> None:
        """Append the time of the whole training."""
        append_line(self.path, {"training_seconds": time.perf_counter() - self.started})
