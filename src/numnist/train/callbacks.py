"""What happens around the loop: callbacks watch it, and may ask it to stop or to slow down."""

from typing import Any

from numnist.arrays import Array
from numnist.nn import Model
from numnist.train.state import EpochReport, StepReport, TrainState


class Callback:
    """Hooks that do nothing; override what you need.

    A callback changes the run through `state` alone: `state.stop = "reason"` ends it after the current step,
    `state.lr_scale` multiplies the schedule's learning rate. What the first of several ranks sets behind a
    step holds on all of them from the next one on, which is the last one where it is a stop.

    One that has to remember something over an interruption says so in `saved` and takes it back in
    `restore`; arrays and plain values are both welcome. It raises ValueError for values that cannot be.
    """

    def on_warning(self, words: str) -> None:
        """Something that a person should know, before training begins."""

    def on_train_begin(self, state: TrainState, steps_per_epoch: int, epochs: int) -> None:
        """Before the first step of this process."""

    def on_step_end(self, state: TrainState, report: StepReport) -> None:
        """After every update."""

    def on_epoch_end(self, state: TrainState, report: EpochReport) -> None:
        """After every epoch and its validation."""

    def on_stop(self, state: TrainState) -> None:
        """After a step behind which the run stops in the midst of an epoch."""

    def on_train_end(self, state: TrainState) -> None:
        """After the last step, also when the run was stopped."""

    def saved(self) -> dict[str, Any]:
        """What a checkpoint has to hold for this callback: arrays, numbers, text."""
        return {}

    def restore(self, saved: dict[str, Any]) -> None:
        """Take back what `saved` returned."""


class KeepBest(Callback):
    """Ends with the weights of the epoch that did best on validation: highest accuracy, first of equals."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.best: float | None = None
        self.epoch = 0
        self.parameters: Array = model.parameters.copy()
        self.buffers: Array = model.buffers.copy()

    def on_epoch_end(self, state: TrainState, report: EpochReport) -> None:
        """Remember this epoch's weights if they are the best so far."""
        if report.val_accuracy is not None and (self.best is None or report.val_accuracy > self.best):
            self.best, self.epoch = report.val_accuracy, report.epoch
            validated = state.average or self.model
            self.parameters[...] = validated.parameters
            self.buffers[...] = validated.buffers

    def on_train_end(self, state: TrainState) -> None:
        """Put the best weights into the model."""
        if self.best is not None:
            self.model.parameters[...] = self.parameters
            self.model.buffers[...] = self.buffers
            self.model.mark_changed()

    def saved(self) -> dict[str, Any]:
        """See `Callback.saved`."""
        return {
            "best": self.best,
            "epoch": self.epoch,
            "parameters": self.parameters,
            "buffers": self.buffers,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """See `Callback.restore`."""
        best = saved["best"]
        if best is not None and not (type(best) is float and 0 <= best <= 1):
            raise ValueError(f"expected the best accuracy to be from 0 to 1, got {str(best)[:40]!r}")
        self.best, self.epoch = best, saved["epoch"]
        self.parameters[...] = saved["parameters"]
        self.buffers[...] = saved["buffers"]


class EarlyStopping(Callback):
    """Stops when the validation accuracy has not risen for `patience` epochs.

    Source: Prechelt 1998, Early Stopping - But When?, section 2 (the criterion UP, on accuracy).
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.best = -1.0
        self.waited = 0

    def on_epoch_end(self, state: TrainState, report: EpochReport) -> None:
        """Count the epochs since the best one."""
        if report.val_accuracy is None:
            return
        if report.val_accuracy > self.best:
            self.best, self.waited = report.val_accuracy, 0
        else:
            self.waited += 1
            if self.waited >= self.patience:
                state.stop = f"validation accuracy has not risen for {self.waited} epochs"

    def saved(self) -> dict[str, Any]:
        """See `Callback.saved`."""
        return {"best": self.best, "waited": self.waited}

    def restore(self, saved: dict[str, Any]) -> None:
        """See `Callback.restore`."""
        self.best, self.waited = saved["best"], saved["waited"]


class ReduceOnPlateau(Callback):
    """Multiplies the learning rate by `factor` when the validation loss has not fallen for too long.

    As in PyTorch's ReduceLROnPlateau: an epoch is a bad one unless loss < best * (1 - threshold); after more
    than `patience` bad ones the rate is lowered and the count starts anew.

    Source: PyTorch documentation, torch.optim.lr_scheduler.ReduceLROnPlateau (mode min, threshold_mode rel).
    """

    def __init__(self, patience: int, factor: float = 0.1, threshold: float = 1e-4) -> None:
        self.patience, self.factor, self.threshold = patience, factor, threshold
        self.best = float("inf")
        self.bad_epochs = 0

    def on_epoch_end(self, state: TrainState, report: EpochReport) -> None:
        """Count the bad epochs, and lower the rate when there have been too many."""
        if report.val_loss is None:
            return
        if report.val_loss < self.best * (1 - self.threshold):
            self.best, self.bad_epochs = report.val_loss, 0
        else:
            self.bad_epochs += 1
        if self.bad_epochs > self.patience:
            state.lr_scale *= self.factor
            self.bad_epochs = 0

    def saved(self) -> dict[str, Any]:
        """See `Callback.saved`."""
        return {"best": self.best, "bad_epochs": self.bad_epochs}

    def restore(self, saved: dict[str, Any]) -> None:
        """See `Callback.restore`."""
        self.best, self.bad_epochs = saved["best"], saved["bad_epochs"]
