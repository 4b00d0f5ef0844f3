"""The fast executor."""

import os
import weakref
from dataclasses import dataclass
from functools import partial
from typing import final

import numpy as np
from numpy.random import Generator as RandomGenerator

from numnist.arrays import Array
from numnist.engine.batch import BatchWork, shard_bounds
from numnist.engine.blas import OneBlasThread
from numnist.engine.memory import Recent, Scratch, aligned
from numnist.engine.planner import Plan, plan
from numnist.engine.reducer import ALONE, Reducer, part_of
from numnist.engine.shared_model import SharedModel, are_shared, share_parameters
from numnist.engine.stage import Step, run
from numnist.engine.team import Team
from numnist.nn import Model, StepResult, Update
from numnist.ops import softmax_cross_entropy

MOST_SIZES = 2
"""Sizes of batches that memory is kept for: the usual one, and the last of an epoch."""

MANY_SHARDS = 4
"""So many shards of images that are predicted keep all cores busy, though twice as large ones would not."""


@dataclass(frozen=True)
class Prediction:
    """One worker's memory for so many images in evaluation, and the steps from x to the logits (K, n)."""

    x: Array
    logits: Array
    steps: tuple[Step, ...]


@final
class Engine:
    """The same function as `nn.Reference`, made fast, in float32.

    A batch is cut into shards. Each runs through the stages of a plan, on one of a few cores; where a stage
    must know of the whole batch (batch statistics), the shards meet, and what they bring is merged in their
    order. BLAS has one thread in each.

    threads: how many cores to use; None for all that the process may use. They never change a bit of the
    result. shard_size: most samples in a shard; None for what suits the network (`Plan.shard_size`). It does
    change the last bits. reducer: of the ranks that have the other parts of each batch.
    Raises: ValueError for a model that is not float32, for label_smoothing that is not in 0..1, or for fewer
            than one thread or image per shard.
    """

    def __init__(
        self,
        model: Model,
        label_smoothing: float = 0.0,
        threads: int | None = None,
        shard_size: int | None = None,
        reducer: Reducer = ALONE,
    ) -> None:
        if model.parameters.dtype != np.float32:
            raise ValueError(f"Engine: expected a float32 model, got {model.parameters.dtype}")
        self.model = model
        softmax_cross_entropy.require_smoothing(label_smoothing)
        self._label_smoothing = float(label_smoothing)
        self.threads = available_cores() if threads is None else threads
        self._reducer = reducer
        self._one_blas_thread = OneBlasThread()
        self._set_up()
        self.shard_size = self.plan.shard_size if shard_size is None else shard_size
        shard_bounds(1, self.shard_size)

    def _set_up(self) -> None:
        """Begin without threads, processes and memory from elsewhere."""
        self._process, self._parameters = os.getpid(), self.model.parameters
        self.plan: Plan = plan(self.model.network, self.model.preprocess.input_shape)
        self._shared = SharedModel(self.model)
        self.gradient: Array = self._shared.gradient
        self._latest: BatchWork | None = None
        self._team = Team(self.threads)
        self._scratch = [Scratch() for _ in range(self.threads)]
        self._batches: Recent[int, BatchWork] = Recent(MOST_SIZES, BatchWork.close)
        weakref.finalize(self, self._batches.clear)  # does nothing in another process
        self._predictions: list[Recent[int, Prediction]] = [Recent(MOST_SIZES) for _ in self._scratch]
        # The model's version that evaluation has been derived from, if that has not been overwritten since.
        self._derived_for: int | None = None

    def loss_and_grads(self, x: Array, y: Array, rng: RandomGenerator | None) -> StepResult:
        """See `nn.Executor.loss_and_grads`.

        Of several ranks each hands in the part of x that is its own (`part_of`), and y of the whole batch.
        """
        self._check(x)
        ranks = self._reducer.ranks
        n = len(x) if ranks == 1 else len(y)
        part = part_of(n, self._reducer.rank, ranks)
        if ranks > 1 and len(x) != part.stop - part.start:
            raise ValueError(f"Engine: expected samples {part.start} to {part.stop} of {n}, got {len(x)}")
        if n < 1:
            raise ValueError(f"Engine: expected a batch of N >= 1 images, got x of shape {x.shape}")
        with self._one_blas_thread:
            batch = self._batch(n)
            self._derived_for = self._latest = None
            try:
                loss, correct = batch(x, y if ranks == 1 else y[part], rng)
            except BaseException:
                self._batches.forget(n)  # its shards stand where they were when it happened
                raise
        self._latest = batch
        self._shared.mark_buffers_changed()
        return StepResult(loss / n, correct)

    def _batch(self, n: int) -> BatchWork:
        """What works for batches of n samples."""
        latest = self._latest
        if latest is not None and latest.samples == n and latest.is_current:
            return latest
        self._settle()
        batch = self._batches.get(n, self._new_batch)
        if not batch.is_current:
            self._batches.forget(n)
            batch = self._batches.get(n, self._new_batch)
        return batch

    def update(self, update: Update, lr: float) -> None:
        """See `Executor.update`: on all cores, where there is enough to do.

        What follows from the parameters is then derived for the next step, by processes that would only wait:
        who changes the parameters before that has to `Model.mark_changed`, as always.

        The update's memory is then shared with the processes that the engine forks. In a process that was
        forked from this one otherwise, an engine gives it memory of its own; who updates without an engine
        there has to `Update.move` it.
        """
        self._come_home()
        self._settle()
        batch = self._latest
        if update.parts > 1 and batch is not None and batch.is_shared_out and batch.is_current:
            if self._shared.knows(update):
                update.check_rate(lr)
                self._update_together(batch, lr)
                self._begin_next()
                return
            update.check(self.model.parameters, self.gradient, lr)
            self._drop_batches()  # theirs are processes that do not know it
            self._shared.learn(update)
        update(self.model.parameters, self.gradient, lr)
        self.model.mark_changed()
        self._begin_next()

    def _update_together(self, batch: BatchWork, lr: float) -> None:
        """Make the update in all processes that work for a batch."""
        try:
            batch.update(lr)
        except BaseException:
            self._drop_batches()  # some parts may be made, and others not
            self.model.mark_changed()
            raise

    def _begin_next(self) -> None:
        """Have what follows from the parameters derived, while others see to the next batch."""
        try:
            if self._latest is not None:
                self._latest.begin_next()
        except BaseException:
            self._drop_batches()
            raise

    def _settle(self) -> None:
        """Wait until nobody derives anything any more."""
        try:
            if self._latest is not None:
                self._latest.settle()
        except BaseException:
            self._drop_batches()
            raise

    def _drop_batches(self) -> None:
        """End what runs for batches."""
        self._latest = None
        self._batches.clear()

    def predict(self, x: Array) -> Array:
        """See `nn.Executor.predict`."""
        self._check(x)
        logits = np.empty((len(x), len(self.model.preprocess.classes)), np.float32)

        # Without a way back a shard takes less memory; the fewer there are, the less Python is between them.
        size = self.shard_size * (2 if len(x) > MANY_SHARDS * self.shard_size else 1)

        def part(start: int, worker: int) -> None:
            images = x[start : start + size]
            prediction = self._predictions[worker].get(len(images), partial(self._new_prediction, worker))
            prediction.x[...] = images
            run(prediction.steps)
            logits[start : start + size] = prediction.logits.T

        # Full shards and a rest, not even ones: so there are few sizes to keep memory for.
        starts = range(0, len(x), size)
        with self._one_blas_thread:
            if self._derived_for != self.model.version:
                self._settle()
                self._shared.mark_derived_stale()
                for stage in self.plan.stages:
                    stage.refresh(training=False)
                self._derived_for = self.model.version
            self._team.run([partial(part, start) for start in starts])
        return logits

    def _check(self, x: Array) -> None:
        """ValueError naming the shape where x is not a batch of the model's images."""
        self._come_home()
        expected = self.model.preprocess.input_shape
        if x.ndim != 4 or x.shape[1:] != expected:
            words = ", ".join(map(str, expected))
            raise ValueError(f"Engine: expected x of shape (N, {words}), got {x.shape}")

    def _come_home(self) -> None:
        """Begin anew where the engine finds itself in another process, or the parameters in other memory."""
        forked = os.getpid() != self._process  # threads and processes stayed with the other
        if not forked and self.model.parameters is self._parameters:
            return
        gradient = self.gradient.copy()
        if forked and are_shared(self.model.parameters):
            share_parameters(self.model)
        if not forked:
            self._drop_batches()
        self._set_up()
        self.gradient[...] = gradient

    def _new_batch(self, size: int) -> BatchWork:
        """Allocate the memory for batches of this size."""
        return BatchWork(
            self._shared,
            self.plan,
            self._team,
            self._scratch,
            size,
            self.shard_size,
            self._label_smoothing,
            self._reducer,
        )

    def _new_prediction(self, worker: int, size: int) -> Prediction:
        """Allocate a worker's memory for this many images, and bind the steps."""
        stages, scratch = self.plan.stages, self._scratch[worker]
        x = value = aligned(stages[0].takes.shape(size, stages[0].input_shape))
        steps: list[Step] = []
        for i, stage in enumerate(stages):
            y = scratch.array(("value", i % 2), stage.gives.shape(size, stage.output_shape))
            steps += stage.predicting(size, scratch, value, y)
            value = y
        return Prediction(x, value, tuple(steps))


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
