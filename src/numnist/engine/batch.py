"""Batches of one size: their memory, their shards, and the program of each."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise

import numpy as np
from numpy.random import Generator as RandomGenerator

from numnist.arrays import Array
from numnist.engine.crew import Crew, Processes, Threads, can_fork
from numnist.engine.exchange import Exchange, Parts, ShardProgram, Sums, merge_parts
from numnist.engine.kernels.head import Head
from numnist.engine.mailbox import shared_memory
from numnist.engine.memory import Scratch, aligned
from numnist.engine.planner import Plan
from numnist.engine.stage import Ends, Shard
from numnist.engine.team import Team
from numnist.nn import Model

SPLIT = 48
"""From this many samples on there are two shards at least: smaller ones cost more in calls than they save."""


def shard_bounds(batch: int, shard_size: int) -> list[int]:
    """Where the shards of a batch begin, and the end: as few as may be, and as even as may be.

    None has more than `shard_size` samples, and from `SPLIT` samples on there are two at least.

    It depends on nothing else, so one seed gives the same bits on any number of threads.

    Raises: ValueError unless batch and shard_size are at least 1.
    """
    if batch < 1 or shard_size < 1:
        raise ValueError(f"shard_bounds: expected batch, shard_size >= 1, got {batch} and {shard_size}")
    shards = max(-(-batch // shard_size), 2 if batch >= SPLIT else 1)
    return [batch * i // shards for i in range(shards + 1)]


class BatchWork:
    """All that is done for batches of one size, in memory that is allocated once."""

    def __init__(
        self, model: Model, plan: Plan, gradients: dict[str, Array], team: Team, scratch: Sequence[Scratch],
        size: int, shard_size: int, refresh: Callable[[], None],
    ) -> None:  # fmt: skip
        """refresh: lets the stages derive what they need from the parameters."""
        self._model, self._plan, self._gradients, self._refresh = model, plan, gradients, refresh
        self._owner = os.getpid()
        bounds = shard_bounds(size, shard_size)
        count = len(bounds) - 1
        workers = min(team.threads, count)
        forks = workers > 1 and can_fork()
        allocate = shared_memory if forks else aligned
        classes = len(model.preprocess.classes)
        self._x = allocate((size, *model.preprocess.input_shape))
        self._q, self._labels = allocate((size, classes)), allocate((size,), np.int64)
        self._state = allocate((model.parameters.size + model.buffers.size,))
        self._shared = tuple(stage.shared(size, allocate) for stage in plan.stages)
        self._shards = [
            Shard(start, end - start, i, count, size, scratch[i % workers])
            for i, (start, end) in enumerate(pairwise(bounds))
        ]
        self._shares_rows = any(stage.shares_rows for stage in plan.stages)
        ends = [self._ends(shard) for shard in self._shards]
        self._works = [
            tuple(
                stage.training(shard, common, end)
                for stage, common, end in zip(plan.stages, self._shared, of_shard, strict=True)
            )
            for shard, of_shard in zip(self._shards, ends, strict=True)
        ]
        self._heads = [Head(of_shard[-1].y, of_shard[-1].dy, size) for of_shard in ends]
        self._crew: Crew = Threads(team, count, self._program, refresh)
        if forks:
            with suppress(OSError):  # the system may refuse processes, or address space
                self._crew = Processes(workers, count, self._program, self._take_over_state)

    def _ends(self, shard: Shard) -> list[Ends]:
        """Memory for the values between the stages, and for their gradients."""
        stages, first = self._plan.stages, self._plan.trains_from
        shapes = [stage.gives.shape(shard.size, stage.output_shape) for stage in stages]
        values = [self._x[shard.samples], *(aligned(shape) for shape in shapes)]
        # Gradients live from one stage to the next: two slots serve all.
        gradients = [shard.scratch.array(("gradient", i % 2), value.shape) for i, value in enumerate(values)]
        return [
            Ends(values[i], values[i + 1], gradients[i] if i > first else None, gradients[i + 1])
            for i in range(len(stages))
        ]

    def __call__(self, x: Array, q: Array, labels: Array, rng: RandomGenerator | None) -> tuple[float, int]:
        """Fill the gradients for a batch; the sum of its losses, and how many answers are correct.

        Shapes: x (N, C, H, W), q (N, K) distributions, labels (N,).
        """
        self._x[...], self._q[...], self._labels[...] = x, q, labels
        np.concatenate((self._model.parameters, self._model.buffers), out=self._state)
        outcome: Sums | None = None
        reached = self._crew.start(rng)
        while reached:
            parts = merge_parts([exchange.part for exchange in reached])
            answer = reached[0].finish(parts)
            if isinstance(parts, Parts):
                outcome = answer
                if not self._shares_rows:
                    break  # there is nothing left to do for the shards
            reached = self._crew.proceed(answer)
        assert outcome is not None
        loss, correct = outcome.arrays
        return float(loss), int(correct)

    def _take_over_state(self) -> None:
        """Derive what follows from the state of this step, which forked processes take over first."""
        if os.getpid() != self._owner:
            size = self._model.parameters.size
            self._model.parameters[...] = self._state[:size]
            self._model.buffers[...] = self._state[size:]
        self._refresh()

    def _program(self, number: int, rng: RandomGenerator | None) -> ShardProgram:
        """What is done for one shard: forward, loss, backward, its share of what needs the whole batch."""
        samples, works = self._shards[number].samples, self._works[number]
        trained = works[self._plan.trains_from :]
        for work in works:
            yield from work.forward(rng)
        outcome = self._heads[number](self._q[samples], self._labels[samples])
        for work in reversed(trained):
            yield from work.backward()
        yield Exchange(Parts((outcome, *(work.part() for work in trained))), self._finish)
        for work, stage in zip(works, self._plan.stages, strict=True):
            if stage.shares_rows:
                work.share(self._gradients)

    def _finish(self, parts: Parts) -> Sums:
        """Write the gradient, but for the rows that are shared out; returns what the heads came to."""
        outcome, *of_stages = parts.parts
        assert isinstance(outcome, Sums)
        first = self._plan.trains_from
        for stage, shared, part in zip(
            self._plan.stages[first:], self._shared[first:], of_stages, strict=True
        ):
            stage.finish(shared, part, self._gradients)
        for works in self._works:
            for stage, work in zip(self._plan.stages, works, strict=True):
                if not stage.shares_rows:
                    work.share(self._gradients)
        return outcome
