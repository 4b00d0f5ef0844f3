"""What changes while a model is trained, and what one epoch came to."""

import math
from dataclasses import dataclass, field
from types import NoneType
from typing import Any

from numnist.optim import State, WeightAverage


@dataclass
class TrainState:
    """Where a run stands. With the model's two flat vectors this is all that going on needs.

    average: of the weights, where one is kept: it is what is validated, and what the run ends with.
    epoch, step: epochs and updates completed. lr_scale: what callbacks have made of the schedule's rate.
    stop: why the run has come to its end, or "". interrupted: "interrupted" or "terminated" where a signal
    asks for a stop after this step, which is no end: the run may go on later.
    report: what the last epoch came to. partial: what the one under way has come to, in the midst of it.
    """

    optimizer: State
    average: WeightAverage | None = None
    epoch: int = 0
    step: int = 0
    lr_scale: float = 1.0
    stop: str = ""
    interrupted: str = ""
    report: "EpochReport | None" = None
    partial: "EpochReport | None" = None

    @property
    def is_over(self) -> bool:
        """Whether no further step is to be taken."""
        return bool(self.stop or self.interrupted)


@dataclass(frozen=True)
class StepReport:
    """One step: its mean loss in nats, its number of samples, and how many of them were right."""

    loss: float
    correct: int
    n: int
    lr: float
    gradient_norm: float | None


@dataclass
class EpochReport:
    """One epoch: means over its samples as they were trained on, and the validation after it, if any."""

    epoch: int
    step: int = 0
    lr: float = 0.0
    train_loss: float = 0.0
    train_accuracy: float = 0.0
    val_loss: float | None = None
    val_accuracy: float | None = None
    _n: int = field(default=0, repr=False, compare=False)

    @property
    def n(self) -> int:
        """Samples so far."""
        return self._n

    def add(self, step: StepReport) -> None:
        """Bring in one more step; the means weigh every sample alike, so a small last batch weighs less."""
        self._n += step.n
        self.step += 1
        self.lr = step.lr
        self.train_loss += (step.loss - self.train_loss) * step.n / self._n
        self.train_accuracy += (step.correct / step.n - self.train_accuracy) * step.n / self._n

    def row(self) -> dict[str, int | float | None]:
        """The report as plain values, for a line of history.jsonl."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def saved(self) -> dict[str, int | float | None]:
        """The report and what `add` needs to go on with it, for a checkpoint."""
        return {**self.row(), "n": self._n}

    @classmethod
    def from_saved(cls, saved: Any) -> "EpochReport":
        """The report that was saved; ValueError where these are not its values."""
        fresh = cls(0).saved()
        if not isinstance(saved, dict) or saved.keys() != fresh.keys():
            raise ValueError(f"expected the report of an epoch, got {str(saved)[:80]}")
        for name, value in saved.items():
            kinds = {type(fresh[name])} - {NoneType} or {NoneType, float}
            if type(value) not in kinds and not (type(value) is int and float in kinds):
                raise ValueError(f"expected {name} of an epoch to be a number, got {str(value)[:80]}")
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"expected {name} of an epoch to be finite and at least 0, got {value}")
        values = dict(saved)
        return cls(_n=values.pop("n"), **values)
