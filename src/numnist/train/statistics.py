"""How weights and gradients are spread, epoch by epoch: a histogram of each tensor."""

from pathlib import Path
from typing import Any

import numpy as np

from numnist.arrays import Array
from numnist.nn import Executor, Model
from numnist.train.records import Record, append_line
from numnist.train.state import EpochReport, TrainState

BINS = 24
"""Of each histogram, from the tensor's smallest value to its largest."""


def spread(values: Array) -> dict[str, Any]:
    """Mean, standard deviation, smallest and largest value, and a histogram, as plain values.

    Values that are not finite are counted apart and left out of the rest.
    """
    flat = values.ravel().astype(np.float64)
    finite = flat[np.isfinite(flat)]
    if finite.size == 0:
        return {"not_finite": flat.size, "mean": 0.0, "std": 0.0, "min": 0.0, "max": 0.0, "counts": []}
    low, high = float(finite.min()), float(finite.max())
    around = 0.0 if low < high else max(1.0, abs(low)) / 2
    counts, _ = np.histogram(finite, BINS, (low - around, high + around))
    return {
        "not_finite": int(flat.size - finite.size),
        "mean": float(finite.mean()),
        "std": float(finite.std()),
        "min": low,
        "max": high,
        "counts": counts.tolist(),
    }


class Statistics(Record):
    """Writes statistics.jsonl: after each epoch the spread of every parameter, and of its last gradient."""

    def __init__(self, path: Path, model: Model, executor: Executor) -> None:
        super().__init__(path)
        self.model, self.executor = model, executor

    def on_epoch_end(self, state: TrainState, report: EpochReport) -> None:
        """Append this epoch."""
        gradients = self.model.layout.views(self.executor.gradient)
        append_line(
            self.path,
            {
                "epoch": report.epoch,
                "parameters": {name: spread(view) for name, view in self.model.named_parameters().items()},
                "gradients": {name: spread(view) for name, view in gradients.items()},
            },
        )
