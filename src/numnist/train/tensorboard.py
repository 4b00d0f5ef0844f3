"""A run as TensorBoard shows it, while it goes on. Needs the extra `tensorboard`."""

from pathlib import Path
from typing import Any

import numpy as np

from numnist.arrays import Array
from numnist.errors import InputError
from numnist.nn import Conv2d, Executor, Model
from numnist.train.callbacks import Callback
from numnist.train.state import EpochReport, StepReport, TrainState

EVERY = 20
"""Steps between two points of a curve."""

ENLARGED = 8
"""Pixels for each weight of a filter."""


class TensorBoard(Callback):
    """Writes loss, accuracy and learning rate, and after each epoch histograms and the first filters."""

    def __init__(self, folder: Path, model: Model, executor: Executor) -> None:
        """Raises: InputError without tensorboardX, or where the folder cannot be written to."""
        writer = summary_writer()
        self.model, self.executor = model, executor
        try:
            self._writer = writer(logdir=str(folder))
        except OSError as error:
            raise InputError(f"--tensorboard: {folder}: {error.strerror or error}") from error

    def on_step_end(self, state: TrainState, report: StepReport) -> None:
        """A point of each curve, now and then."""
        if state.step % EVERY == 1:
            self._writer.add_scalar("train/loss", report.loss, state.step)
            self._writer.add_scalar("train/accuracy", report.correct / report.n, state.step)
            self._writer.add_scalar("train/learning rate", report.lr, state.step)

    def on_epoch_end(self, state: TrainState, report: EpochReport) -> None:
        """Validation, histograms, filters."""
        if report.val_loss is not None and report.val_accuracy is not None:
            self._writer.add_scalar("validation/loss", report.val_loss, state.step)
            self._writer.add_scalar("validation/accuracy", report.val_accuracy, state.step)
        gradients = self.model.layout.views(self.executor.gradient)
        for kind, arrays in (("weights", self.model.named_parameters()), ("gradients", gradients)):
            for name, array in arrays.items():
                finite = array[np.isfinite(array)]
                if finite.size:
                    self._writer.add_histogram(f"{kind}/{name}", finite, report.epoch)
        filters = first_filters(self.model)
        if filters is not None:
            self._writer.add_image("first filters", filters, report.epoch)
        self._writer.flush()

    def on_train_end(self, state: TrainState) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Write what is left and close the file; for a run that did not come to its end."""
        self._writer.close()


def summary_writer() -> Any:
    """tensorboardX's class of this name; InputError where it is not installed."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise InputError('--tensorboard: it takes pip install "numnist[tensorboard]"') from error
    return SummaryWriter


def first_filters(model: Model) -> Array | None:
    """The filters of the first convolution side by side, (1, H, W) uint8, grey being 0; None without one."""
    for _, layer, _, _ in model.network.leaves(model.preprocess.input_shape):
        if isinstance(layer, Conv2d):
            weight = layer.parameters["weight"][:, 0]
            largest = float(np.abs(weight).max()) or 1.0
            grey = np.clip(127.5 * (1 + weight / largest), 0, 255).astype(np.uint8)
            framed = np.pad(grey, ((0, 0), (0, 1), (0, 1)), constant_values=255)
            row = framed.transpose(1, 0, 2).reshape(framed.shape[1], -1)
            return np.asarray(np.kron(row, np.ones((ENLARGED, ENLARGED), np.uint8))[np.newaxis])
    return None
