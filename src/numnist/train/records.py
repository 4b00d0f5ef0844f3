"""What a run writes as it goes on: a line of JSON per epoch, and what the clock said in a file of its own."""

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from numnist.errors import InputError
from numnist.files import naming, write_atomic
from numnist.train.callbacks import Callback
from numnist.train.state import EpochReport, StepReport, TrainState


def append_line(path: Path, row: Mapping[str, Any]) -> None:
    """Append one object as a line of JSON, and have it on the disk."""
    with naming(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


class Record(Callback):
    """Writes a file to which each epoch adds; a checkpoint knows how long it was."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def saved(self) -> dict[str, Any]:
        """See `Callback.saved`."""
        return {"bytes": self.path.stat().st_size if self.path.exists() else 0}

    def restore(self, saved: dict[str, Any]) -> None:
        """Take off what was written after the checkpoint.

        Raises: InputError naming the file where it is shorter than it was.
        """
        length = self.path.stat().st_size if self.path.exists() else 0
        if not 0 <= saved["bytes"] <= length:
            raise InputError(f"{self.path}: expected {saved['bytes']} bytes or more, got {length}")
        if saved["bytes"]:
            os.truncate(self.path, saved["bytes"])
        else:
            self.path.unlink(missing_ok=True)


class History(Record):
    """Writes history.jsonl: loss, accuracy, learning rate of each epoch; the same bytes for the same run."""

    def on_epoch_end(self, state: TrainState, report: EpochReport) -> None:
        """Append this epoch."""
        append_line(self.path, report.row())


class Timing(Callback):
    """Writes timing.jsonl: everything that a clock produced, and nothing else.

    seconds of an epoch: from the end of the one before to its own; what of them passed behind its last step,
    in validation and in writing, is validation_seconds. images_per_second: while steps were taken. Of an
    epoch that was interrupted the row is of its end, from `from_step` on.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.started = self.epoch_started = time.perf_counter()
        self.last_step = self.started
        self.images = 0
        self.from_step: int | None = None

    def on_train_begin(self, state: TrainState, steps_per_epoch: int, epochs: int) -> None:
        """Start the clock; rows of epochs that are done again are taken off."""
        self._keep(state.epoch)
        self.from_step = state.step if state.partial else None
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
        row: dict[str, Any] = {"epoch": report.epoch, "seconds": seconds, "validation_seconds": behind}
        if self.from_step is not None:
            row["from_step"], self.from_step = self.from_step, None
        append_line(self.path, {**row, "images_per_second": self.images / max(seconds - behind, 1e-9)})
        self.epoch_started, self.images = now, 0

    def on_train_end(self, state: TrainState) -> None:
        """Append the time of the whole training."""
        append_line(self.path, {"training_seconds": time.perf_counter() - self.started})

    def _keep(self, epochs: int) -> None:
        """Keep the rows of so many epochs, and those of no epoch."""
        if not self.path.exists():
            return
        kept = []
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError, RecursionError):  # one may have been cut off
                row = json.loads(line)
                epoch = row.get("epoch", 0) if isinstance(row, dict) else None
                if isinstance(epoch, int) and epoch <= epochs:
                    kept.append(row)
        write_atomic(self.path, "".join(json.dumps(row) + "\n" for row in kept))
