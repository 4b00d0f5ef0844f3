"""Learning-rate schedules: from the number of updates already made to the learning rate of the next one.

Step 0 is the first update. Every schedule is a closed form without state, defined for every step >= 0, so
that resuming a run needs the step and nothing else. Up to the end of a schedule the values are PyTorch's, as
tests show; past it the last value is held, where PyTorch's cosine rises again and its one-cycle raises an
error.
"""

import math
import operator
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral
from typing import Literal, final

from numnist.optim.hyperparameters import Count, Factor, Fraction, Hyperparameters, NonNegative, Positive


@dataclass(frozen=True)
class Schedule(Hyperparameters, ABC):
    """A frozen set of hyperparameters, called with a step to give a learning rate."""

    def __call__(self, step: int) -> float:
        """The learning rate of the update that follows `step` updates.

        Raises: ValueError when step < 0.
        """
        t = operator.index(step)
        if t < 0:
            raise ValueError(f"{type(self).__name__}: expected step >= 0, got {t}")
        return self.rate(t)

    @abstractmethod
    def rate(self, t: int) -> float:
        """The learning rate after t >= 0 updates: the formula of the schedule."""


@final
@dataclass(frozen=True)
class Constant(Schedule):
    """The same learning rate for ever.

    rate(t) = lr
    """

    lr: Positive

    def rate(self, t: int) -> float:  # noqa: ARG002  (constant)
        """The same for every t."""
        return self.lr


@final
@dataclass(frozen=True)
class Step(Schedule):
    """A factor γ after every `size` updates.

        rate(t) = lr · γ^⌊t / size⌋

    Source: torch.optim.lr_scheduler.StepLR.
    """

    lr: Positive
    size: Count
    gamma: Factor = 0.1

    def rate(self, t: int) -> float:
        """One factor γ per `size` updates."""
        return self.lr * self.gamma ** (t // self.size)


@final
@dataclass(frozen=True)
class MultiStep(Schedule):
    """A factor γ at each of several milestones.

        rate(t) = lr · γ^(number of milestones <= t)

    milestones: increasing steps, each >= 1.

    Source: torch.optim.lr_scheduler.MultiStepLR.
    """

    lr: Positive
    milestones: tuple[int, ...]
    gamma: Factor = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        integers = all(isinstance(m, Integral) for m in self.milestones)
        if not integers or any(later <= earlier for earlier, later in pairwise((0, *self.milestones))):
            raise self._error("milestones", "increasing integers >= 1", self.milestones)
        object.__setattr__(self, "milestones", tuple(map(int, self.milestones)))

    def rate(self, t: int) -> float:
        """One factor γ per milestone reached."""
        return self.lr * self.gamma ** bisect_right(self.milestones, t)


@final
@dataclass(frozen=True)
class Exponential(Schedule):
    """A factor γ after every update.

        rate(t) = lr · γ^t

    Source: torch.optim.lr_scheduler.ExponentialLR.
    """

    lr: Positive
    gamma: Factor

    def rate(self, t: int) -> float:
        """One factor γ per update."""
        return self.lr * self.gamma**t


@final
@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from `lr` down to `eta_min`, without restarts.

        rate(t) = eta_min + (lr − eta_min) · (1 + cos(π·t / T)) / 2        for t <= T = total_steps

    and eta_min from there on. The last of T updates has t = T − 1, one step short of eta_min.

    Source: Loshchilov & Hutter 2017, arXiv:1608.03983, equation 5;
            torch.optim.lr_scheduler.CosineAnnealingLR.
    """

    lr: Positive
    total_steps: Count
    eta_min: NonNegative = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.eta_min > self.lr:
            raise self._error("eta_min", f"at most lr = {self.lr}", self.eta_min)

    def rate(self, t: int) -> float:
        """From lr at 0 to eta_min at total_steps."""
        return _anneal_cosine(self.lr, self.eta_min, min(t, self.total_steps) / self.total_steps)


@final
@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up from a low learning rate to the peak, and down to a far lower one, in one cycle of T = total_steps.

        rate(t) = anneal(peak / div_factor, peak, t / a)            for t <  a = pct_start·T − 1
                  anneal(peak, end, (t − a) / (T − 1 − a))          for t >= a
        end     = peak / div_factor / final_div_factor              for t >= T − 1

    where anneal(x, y, s) goes from x to y as s goes from 0 to 1, along half a cosine or a line. The last of
    the T updates (t = T − 1) has the rate `end`. The peak itself occurs when a is an integer >= 0; otherwise
    it lies between two steps, or before the first where pct_start·T < 1.

    peak: the highest learning rate.
    pct_start: the share of the cycle that rises.
    div_factor: how far below the peak the cycle starts.
    final_div_factor: how far below its start it ends.
    anneal: the form of the rise and of the fall.

    Momentum is not cycled.

    Source: Smith & Topin 2019, arXiv:1708.07120, section 3; in two phases as fastai and
            torch.optim.lr_scheduler.OneCycleLR have it.
    """

    peak: Positive
    total_steps: Count
    pct_start: Fraction = 0.3
    div_factor: Positive = 25.0
    final_div_factor: Positive = 1e4
    anneal: Literal["cosine", "linear"] = "cosine"

    def rate(self, t: int) -> float:
        """Up to the peak, then down to the end, then held."""
        anneal = _anneal_cosine if self.anneal == "cosine" else _anneal_linear
        start = self.peak / self.div_factor
        end = start / self.final_div_factor
        top, last = self.pct_start * self.total_steps - 1, self.total_steps - 1
        if t < top:
            return anneal(start, self.peak, t / top)
        if t < last:
            return anneal(self.peak, end, (t - top) / (last - top))
        return end


@final
@dataclass(frozen=True)
class WarmUp(Schedule):
    """A linear rise over `steps` updates to where another schedule starts, then that schedule.

        rate(t) = after(0) · (f + (1 − f)·t / steps)        for t <  steps
                  after(t − steps)                          for t >= steps

    after: any function from step to learning rate. It does not see the steps of the warm-up, so a total of
           its own is that of the run less `steps`.
    steps: length of the rise.
    start_factor: f, the share of after(0) at which the rise starts.

    Source: Goyal et al. 2017, arXiv:1706.02677, section 2.2; torch.optim.lr_scheduler.SequentialLR of a
            LinearLR and another.
    """

    after: Callable[[int], float]
    steps: Count
    start_factor: Factor = 1 / 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if not callable(self.after):
            raise self._error("after", "a schedule", self.after)

    def rate(self, t: int) -> float:
        """The rise, then `after`."""
        if t < self.steps:
            return self.after(0) * _anneal_linear(self.start_factor, 1.0, t / self.steps)
        return self.after(t - self.steps)


def _anneal_cosine(x: float, y: float, s: float) -> float:
    """From x at s = 0 to y at s = 1 along half a cosine."""
    return y + (x - y) * (1 + math.cos(math.pi * s)) / 2


def _anneal_linear(x: float, y: float, s: float) -> float:
    """From x at s = 0 to y at s = 1 along a line."""
    return x + (y - x) * s


SCHEDULES: Mapping[str, type[Schedule]] = {
    "constant": Constant,
    "step": Step,
    "multi-step": MultiStep,
    "exponential": Exponential,
    "cosine": Cosine,
    "one-cycle": OneCycle,
    "warm-up": WarmUp,
}
"""The schedules by the names that configuration files use."""
