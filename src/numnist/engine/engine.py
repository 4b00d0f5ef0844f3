"""The fast executor."""

import os
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, final

import numpy as np
from numpy.random import Generator as RandomGenerator
from threadpoolctl import ThreadpoolController

from numnist.arrays import Array
from numnist.engine.exchange import Exchange, Part, merge_parts
from numnist.engine.kernels.head import Head
from numnist.engine.memory import Recent, Scratch, aligned
from numnist.engine.planner import Plan, plan
from numnist.engine.stage import Ends, Shard, Step, Work, run
from numnist.engine.team import Team
from numnist.nn import Model, StepResult
from numnist.ops import softmax_cross_entropy

SHARD_SIZE = 64
"""Most samples in a shard: what a layer works on then fits into the cache of one core."""

MOST_SIZES = 2
"""Sizes of batches that memory is kept for: the usual one, and the last of an epoch."""


def shard_bounds(batch: int, shard_size: int) -> list[int]:
    """Where the shards of a batch begin, and the end: as few as may be, and as even as may be.

    It depends on nothing else, so one seed gives the same bits on any number of threads.

    Raises: ValueError unless batch and shard_size are at least 1.
    """
    if batch < 1 or shard_size < 1:
        raise ValueError(f"shard_bounds: expected batch, shard_size >= 1, got {batch} and {shard_size}")
    shards = -(-batch // shard_size)
    return [batch * i // shards for i in range(shards + 1)]


@dataclass(frozen=True)
class Batch:
    """Memory for batches of one size, and all that is done in it.

    shared: for each stage what all shards share. x: for each shard where its images go. works, heads: the work
    of each shard, stage by stage, and its loss.
    """

    shards: tuple[Shard, ...]
    shared: tuple[Any, ...]
    x: tuple[Array, ...]
    works: tuple[tuple[Work, ...], ...]
    heads: tuple[Head, ...]


@dataclass(frozen=True)
class Prediction:
    """The same for evaluation: one worker's memory for so many images, and the steps from x to the logits."""

    x: Array
    logits: Array
    steps: tuple[Step, ...]


@final
class Engine:
    """The same function as `nn.Reference`, made fast, in float32.

    A batch is cut into shards. Each runs through the stages of a plan, on one of a few threads; where a stage
    must know of the whole batch (batch statistics), the shards meet, and what they bring is merged in their
    order. BLAS has one thread in each.

    threads: None for as many as the process may use. They never change a bit of the result; the shard size
    does.
    Raises: ValueError for a model that is not float32, or for fewer than one thread or image per shard.
    """

    def __init__(
        self,
        model: Model,
        label_smoothing: float = 0.0,
        threads: int | None = None,
        shard_size: int = SHARD_SIZE,
    ) -> None:
        if model.parameters.dtype != np.float32:
            raise ValueError(f"Engine: expected a float32 model, got {model.parameters.dtype}")
        shard_bounds(1, shard_size)
        self.model = model
        self.shard_size = shard_size
        self.gradient: Array = np.zeros_like(model.parameters)
        self.plan: Plan = plan(model.network, model.preprocess.input_shape)
        self._gradients = model.layout.views(self.gradient)
        self._label_smoothing = label_smoothing
        self._team = Team(available_cores() if threads is None else threads)
        self._scratch = [Scratch() for _ in range(self._team.threads)]
        self._blas = ThreadpoolController()
        self._batches: Recent[int, Batch] = Recent(MOST_SIZES)
        self._predictions: list[Recent[int, Prediction]] = [Recent(MOST_SIZES) for _ in self._scratch]
        self._derived_for: tuple[int, bool] | None = None

    @property
    def threads(self) -> int:
        """Number of threads."""
        return self._team.threads

    def loss_and_grads(self, x: Array, y: Array, rng: RandomGenerator | None) -> StepResult:
        """See `nn.Executor.loss_and_grads`."""
        self._check(x)
        x = np.asarray(x, np.float32)
        batch = self._batches.get(len(x), self._new_batch)
        largest = np.empty((len(x), len(self.model.preprocess.classes)), np.float32)
        q = softmax_cross_entropy.target_distribution(y, largest, self._label_smoothing)
        labels = y if y.ndim == 1 else y.argmax(axis=1)
        with self._blas.limit(limits=1, user_api="blas"):
            self._derive(training=True)
            programs = [self._program(batch, i, x, q, labels, rng) for i in range(len(batch.shards))]
            total = self._run(programs)
            self._finish(batch)
        self.model.mark_changed()  # the running statistics have moved
        loss, correct = total.arrays
        return StepResult(float(loss) / len(x), int(correct))

    def predict(self, x: Array) -> Array:
        """See `nn.Executor.predict`."""
        self._check(x)
        logits = np.empty((len(x), len(self.model.preprocess.classes)), np.float32)

        def part(start: int, worker: int) -> None:
            images = x[start : start + self.shard_size]
            prediction = self._predictions[worker].get(len(images), partial(self._new_prediction, worker))
            prediction.x[...] = images
            run(prediction.steps)
            logits[start : start + self.shard_size] = prediction.logits

        # Full shards and a rest, not even ones: so there are few sizes to keep memory for.
        starts = range(0, len(x), self.shard_size)
        with self._blas.limit(limits=1, user_api="blas"):
            self._derive(training=False)
            self._team.run([partial(part, start) for start in starts])
        return logits

    def _check(self, x: Array) -> None:
        """ValueError naming the shape where x is not a batch of the model's images."""
        expected = self.model.preprocess.input_shape
        if x.ndim != 4 or x.shape[1:] != expected:
            words = ", ".join(map(str, expected))
            raise ValueError(f"Engine: expected x of shape (N, {words}), got {x.shape}")

    def _derive(self, training: bool) -> None:
        """Let the stages derive what they need from the parameters, if these have changed."""
        if self._derived_for != (self.model.version, training):
            for stage in self.plan.stages:
                stage.refresh(training)
            self._derived_for = (self.model.version, training)

    def _new_batch(self, size: int) -> Batch:
        """Allocate the memory for batches of this size."""
        bounds = shard_bounds(size, self.shard_size)
        count = len(bounds) - 1
        shards = tuple(
            Shard(start, end - start, i, count, size, self._scratch[i % self.threads])
            for i, (start, end) in enumerate(pairwise(bounds))
        )
        stages = self.plan.stages
        shared = tuple(stage.shared(size) for stage in stages)
        x, works, heads = [], [], []
        for shard in shards:
            ends = self._ends(shard)
            x.append(ends[0].x)
            works.append(
                tuple(
                    stage.training(shard, common, end)
                    for stage, common, end in zip(stages, shared, ends, strict=True)
                )
            )
            heads.append(Head(ends[-1].y, ends[-1].dy, size))
        return Batch(shards, shared, tuple(x), tuple(works), tuple(heads))

    def _ends(self, shard: Shard) -> list[Ends]:
        """Memory for the values between the stages, and for their gradients."""
        stages, first = self.plan.stages, self.plan.trains_from
        shapes = [stage.takes.shape(shard.size, stage.input_shape) for stage in stages]
        shapes.append(stages[-1].gives.shape(shard.size, stages[-1].output_shape))
        values = [aligned(shape) for shape in shapes]
        # Gradients live from one stage to the next: two slots serve all.
        gradients = [shard.scratch.array(("gradient", i % 2), shape) for i, shape in enumerate(shapes)]
        return [
            Ends(values[i], values[i + 1], gradients[i] if i > first else None, gradients[i + 1])
            for i in range(len(stages))
        ]

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

    def _program(
        self, batch: Batch, number: int, x: Array, q: Array, labels: Array, rng: RandomGenerator | None
    ) -> Generator[Exchange, Any, Part]:
        """What is done for one shard: forward, loss, backward. Returns the shard's loss and correct answers."""
        samples, works = batch.shards[number].samples, batch.works[number]
        batch.x[number][...] = x[samples]
        for work in works:
            yield from work.forward(rng)
        outcome = batch.heads[number](q[samples], labels[samples])
        for work in reversed(works[self.plan.trains_from :]):
            yield from work.backward()
        return outcome

    def _run(self, programs: list[Generator[Exchange, Any, Part]]) -> Any:
        """Advance the programs of all shards from exchange to exchange; their merged results."""
        answer: Any = None
        while True:
            reached = self._team.run([partial(advance, program, answer) for program in programs])
            merged = merge_parts([part for part, _ in reached])
            finish = reached[0][1]
            if finish is None:
                return merged
            answer = finish(merged)

    def _finish(self, batch: Batch) -> None:
        """Write the gradient: what the shards' parts come to, and what is computed from the whole batch."""
        for position in range(self.plan.trains_from, len(self.plan.stages)):
            parts = [part for works in batch.works if (part := works[position].part()) is not None]
            merged = merge_parts(parts) if parts else None
            self.plan.stages[position].finish(batch.shared[position], merged, self._gradients)

        def share(works: tuple[Work, ...], worker: int) -> None:
            for work in works:
                work.share(self._gradients)

        self._team.run([partial(share, works) for works in batch.works])


def advance(
    program: Generator[Exchange, Any, Part], answer: Any, worker: int
) -> tuple[Part, Callable[[Any], Any] | None]:
    """Run a program to its next exchange or its end: what it brings, and what finishes that (None: the end)."""
    try:
        exchange = program.send(answer)
    except StopIteration as end:
        return end.value, None
    return exchange.part, exchange.finish


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
