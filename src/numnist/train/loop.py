"""The training loop."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from numnist.arrays import Array
from numnist.data import Split
from numnist.nn import Executor, Model
from numnist.optim import Optimizer, Schedule, Update, WeightAverage, clip_gradient_norm
from numnist.train.batches import TrainingImages
from numnist.train.callbacks import Callback
from numnist.train.divergence import ADVICE, DivergenceError, first_not_finite, require_finite
from numnist.train.interrupts import Asked, stop_on_signals
from numnist.train.metrics import evaluate
from numnist.train.prefetch import prefetch
from numnist.train.ranks import ONE_RANK, Ranks, strongest
from numnist.train.state import EpochReport, StepReport, TrainState
from numnist.train.streams import Stream, generator


@dataclass(frozen=True, eq=False)
class Trainer:
    """A model and all that its training takes; `fit` runs the loop.

    executor: runs the model. images: what is trained on. validation: what is looked at after each epoch, or
    None. clip_norm: largest norm of the gradient, or None. ranks: those that train this model together; all
    of them run the same loop, with the same decisions in it.
    """

    model: Model
    executor: Executor
    images: TrainingImages
    validation: Split | None
    optimizer: Optimizer
    schedule: Schedule
    clip_norm: float | None
    ranks: Ranks = ONE_RANK

    def fit(self, state: TrainState, epochs: int, callbacks: Sequence[Callback] = ()) -> None:
        """Train from where `state` stands until `epochs` are done or a stop is wanted.

        Ctrl-C asks for a stop, and so does SIGTERM: the step under way is finished, so the weights are those
        of a whole number of steps.

        Raises: DivergenceError when the loss becomes infinite or NaN.
        """
        if state.average is not None and state.average.is_swapped:  # it has been the end before
            exchange(self.model, state.average)
        asked: Asked = state
        if self.ranks.ranks > 1:
            asked = self.ranks
            self.ranks.interrupted = ""
        for callback in callbacks:
            callback.on_train_begin(state, self.images.steps_per_epoch, epochs)
        self._agree(state)
        # A diverging run overflows before its loss is looked at; that look is the warning.
        with stop_on_signals(asked), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            while state.epoch < epochs and not state.is_over:
                self._epoch(state, callbacks)
        if state.average is not None:
            exchange(self.model, state.average)
        for callback in callbacks:
            callback.on_train_end(state)

    def _epoch(self, state: TrainState, callbacks: Sequence[Callback]) -> None:
        """One pass over the images, and the validation after it."""
        epoch = state.partial or EpochReport(state.epoch + 1, state.step)
        state.partial = epoch
        done = state.step - state.epoch * self.images.steps_per_epoch
        with closing(prefetch(self.images.epoch(state.epoch, done))) as batches:
            finished = self._steps(batches, state, epoch, callbacks)
        if not finished:
            for callback in callbacks:
                callback.on_stop(state)
            return
        state.epoch += 1
        if self.validation is not None:
            with averaged(self.model, state.average):
                outcome = evaluate(
                    self.executor,
                    self.model.preprocess,
                    self.validation.images,
                    self.validation.labels,
                    self.ranks,
                )
            require_finite(outcome.loss, f"on the validation images after epoch {state.epoch}")
            epoch.val_loss, epoch.val_accuracy = outcome.loss, outcome.accuracy
        state.report, state.partial = epoch, None
        for callback in callbacks:
            callback.on_epoch_end(state, epoch)
        self._agree(state)

    def _agree(self, state: TrainState) -> None:
        """Have on all ranks what the callbacks of the first and signals to any of them have asked for."""
        if self.ranks.ranks > 1:
            of_ranks = self.ranks.collect(((state.stop, state.lr_scale), self.ranks.interrupted))
            state.stop, state.lr_scale = of_ranks[0][0]
            state.interrupted = strongest(asked for _, asked in of_ranks)

    def _steps(
        self,
        batches: Iterable[tuple[Array, Array]],
        state: TrainState,
        epoch: EpochReport,
        callbacks: Sequence[Callback],
    ) -> bool:
        """A step for each batch; whether all were taken, or a stop was wanted before the last."""
        last_step = (state.epoch + 1) * self.images.steps_per_epoch
        decided = state.stop, state.lr_scale  # the same on all ranks
        update = Update(self.optimizer, state.optimizer)
        for x, y in batches:
            if self.ranks.ranks > 1:
                self.ranks.decided = (state.stop, state.lr_scale) != decided
            result = self.executor.loss_and_grads(
                x, y, generator(self.images.seed, Stream.DROPOUT, state.step)
            )
            if self.ranks.ranks > 1:
                state.interrupted = self.ranks.agreed
                if self.ranks.decided:
                    state.stop, state.lr_scale = decided = self.ranks.share((state.stop, state.lr_scale))
            lr = self.schedule(state.step) * state.lr_scale
            if not math.isfinite(result.loss):
                self._explain(result.loss, x, len(y), state, lr)
            gradient = self.executor.gradient
            norm = None if self.clip_norm is None else clip_gradient_norm(gradient, self.clip_norm)
            self.executor.update(update, lr)
            if state.average is not None:
                state.average.update(self.model.parameters, self.model.buffers)
            state.step += 1
            is_over = state.is_over  # by what all ranks know

            step = StepReport(result.loss, result.correct, len(y), lr, norm)
            epoch.add(step)
            for callback in callbacks:
                callback.on_step_end(state, step)
            if self.ranks.ranks == 1:
                is_over = state.is_over
            if is_over and state.step < last_step:
                return False
        return True

    def _explain(self, loss: float, x: Array, n: int, state: TrainState, lr: float) -> NoReturn:
        """Raise the DivergenceError of a step: nothing of it has been added to the weights yet."""
        if len(x) < n:
            x = np.concatenate(self.ranks.collect(x))
        first = first_not_finite(self.model, x, generator(self.images.seed, Stream.DROPOUT, state.step))
        raise DivergenceError(
            f"the loss became {loss} at step {state.step + 1}, with a learning rate of {lr:.3g}: "
            f"{first} is the first that is not finite; {ADVICE}"
        )


def exchange(model: Model, average: WeightAverage) -> None:
    """Put the average in the place of the model's weights, or these back."""
    average.swap(model.parameters, model.buffers)
    model.mark_changed()


@contextmanager
def averaged(model: Model, average: WeightAverage | None) -> Iterator[None]:
    """Have the average in the place of the model's weights meanwhile, where there is one."""
    if average is None:
        yield
        return
    exchange(model, average)
    try:
        yield
    finally:
        exchange(model, average)
