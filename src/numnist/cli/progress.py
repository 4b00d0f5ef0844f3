"""The training as one watches it: a bar on a terminal, a line per epoch anywhere else."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

from numnist.train import Callback, EpochReport, StepReport, TrainState

SMOOTHING = 0.02
"""Weight of the newest step in the loss and accuracy that the bar shows."""

NARROW = 75
"""Columns of a terminal below which there is no room for all that the bar shows."""


class TrainingProgress(Callback):
    """Shows loss, accuracy, images per second and the time left."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar: Progress | None = None
        self.loss = self.accuracy = 0.0
        self.images = 0
        self.epoch_started = 0.0

    def on_warning(self, words: str) -> None:
        """One line that stays."""
        self.console.print(words, soft_wrap=True)

    def on_train_begin(self, state: TrainState, steps_per_epoch: int, epochs: int) -> None:
        """Draw the bar, if this is a terminal."""
        self.epochs, self.steps_per_epoch = epochs, steps_per_epoch
        self.epoch_started = time.perf_counter()
        if self.console.is_interactive:
            self.bar = Progress(*_columns(self.console.width), console=self.console, transient=True)
            self.bar.add_task(
                "train",
                total=epochs * steps_per_epoch,
                completed=state.step,
                epoch=self._epoch_text(state),
                loss=0.0,
                accuracy=0.0,
                rate=0.0,
            )
            self.bar.start()

    def on_step_end(self, state: TrainState, report: StepReport) -> None:
        """Move the bar."""
        self.images += report.n
        weight = max(SMOOTHING, 1 / state.step)
        self.loss += weight * (report.loss - self.loss)
        self.accuracy += weight * (report.correct / report.n - self.accuracy)
        if self.bar is not None:
            rate = self.images / (time.perf_counter() - self.epoch_started)
            self.bar.update(
                self.bar.task_ids[0],
                completed=state.step,
                epoch=self._epoch_text(state),
                loss=self.loss,
                accuracy=self.accuracy,
                rate=rate,
            )

    def on_epoch_end(self, state: TrainState, report: EpochReport) -> None:
        """One line that stays."""
        now = time.perf_counter()
        line = f"epoch {report.epoch}/{self.epochs}"
        line += f"  loss {report.train_loss:.4f}  accuracy {report.train_accuracy:.2%}"
        if report.val_accuracy is not None:
            line += f"  validation {report.val_loss:.4f} {report.val_accuracy:.2%}"
        self.console.print(f"{line}  {now - self.epoch_started:.1f} s", soft_wrap=True)
        self.epoch_started, self.images = now, 0

    def on_train_end(self, state: TrainState) -> None:
        """Take the bar away."""
        self.close()

    def close(self) -> None:
        """Take the bar away; also after an error."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def _epoch_text(self, state: TrainState) -> str:
        return f"{min(state.epoch + 1, self.epochs)}/{self.epochs}"


def _columns(width: int) -> list[ProgressColumn]:
    """What is shown on a terminal of this width: on a narrow one the figures, and no bar."""
    figures = TextColumn("loss {task.fields[loss]:.4f}  accuracy {task.fields[accuracy]:.2%}")
    if width < NARROW:
        return [TextColumn("{task.fields[epoch]}"), figures, TimeRemainingColumn()]
    return [
        TextColumn("epoch {task.fields[epoch]}"),
        BarColumn(),
        figures,
        TextColumn("{task.fields[rate]:,.0f} images/s"),
        TimeRemainingColumn(),
    ]
