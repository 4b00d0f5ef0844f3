"""Batches of one size: their memory, their shards, and the program of each."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from threading import Lock

from numpy.random import Generator as RandomGenerator

from numnist.arrays import Array
from numnist.engine.context import NumPyContext
from numnist.engine.crew import Crew, Threads
from numnist.engine.kernels.head import Head
from numnist.engine.meeting import HERE, ShardProgram, Table
from numnist.engine.memory import Allocate, Scratch, aligned, shared_memory
from numnist.engine.planner import Plan
from numnist.engine.processes import Processes, can_fork
from numnist.engine.reducer import ALONE, Reducer, part_of
from numnist.engine.shared_model import SharedModel
from numnist.engine.stage import Ends, Shard, Step, Work, run
from numnist.engine.targets import Targets
from numnist.engine.team import Team

SPLIT = 8
"""From this many samples on there are two shards at least."""


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


@dataclass(frozen=True)
class ShardWork:
    """What works for a shard: for each stage, on the way forward and back; for the loss; and at the end.

    last: writes its part of the gradient, and its share of what is written once for all.
    """

    forward: Sequence[Work]
    head: Head
    backward: Sequence[Work]
    last: Sequence[Step]


class BatchWork:
    """All that is done for batches of one size, or this rank's part of them, in memory allocated once."""

    def __init__(
        self,
        model: SharedModel,
        plan: Plan,
        team: Team,
        scratch: Sequence[Scratch],
        batch: int,
        shard_size: int,
        label_smoothing: float,
        reducer: Reducer = ALONE,
    ) -> None:
        """batch: samples of all ranks together."""
        self._model, self._plan, self._label_smoothing = model, plan, label_smoothing
        self.samples = batch
        self._part = part_of(batch, reducer.rank, reducer.ranks)
        self._reducer = reducer
        size = self._part.stop - self._part.start
        bounds = shard_bounds(size, shard_size)
        count = len(bounds) - 1
        workers = min(team.threads, count)
        forks = workers > 1 and can_fork()
        allocate = shared_memory if forks else aligned
        preprocess = model.model.preprocess
        self._targets = Targets(size, len(preprocess.classes), label_smoothing, allocate)
        # The shard that looks whether labels are right: one of the last process, which waits for the first.
        # Or the first process does, where it waits for others that derive.
        self._checks_targets = None if plan.derives else workers - 1
        # The state of the model (see `SharedModel.derivation`) that this process has derived its share from.
        self._derived_for: int | None = None
        self._outcome = Table(count, allocate, (), ())
        # What every rank does in full needs nothing of the others.
        self._is_whole = size == batch
        among = ALONE if self._is_whole else reducer
        self._shared = tuple(stage.shared(size, count, allocate, among) for stage in plan.stages)
        self._concluding = [pair for pair in zip(plan.stages, self._shared, strict=True) if pair[0].concludes]
        self._x = allocate((size, *preprocess.input_shape))
        self._seen_by_all = self._values_seen_by_all(size, allocate)
        self._shards = [
            Shard(start, end - start, i, count, batch, scratch[i % workers])
            for i, (start, end) in enumerate(pairwise(bounds))
        ]
        # Made by the process that works with it, in memory of its own.
        self._works: dict[int, ShardWork] = {}
        self._making = Lock()
        self._context = NumPyContext()
        self._crew: Crew = Threads(team, count, self._program, self._derive)
        if forks:
            arguments = workers, count, self._program, self._derive, model
            with suppress(OSError):  # the system may refuse processes
                self._crew = self._context.run(Processes, *arguments)

    @property
    def is_current(self) -> bool:
        """Whether NumPy treats its errors in all of it as it does for the caller now."""
        return self._context.is_current()

    @property
    def is_shared_out(self) -> bool:
        """Whether other processes work for it."""
        return isinstance(self._crew, Processes)

    def close(self) -> None:
        """End what runs for it: nobody writes to memory of its own or of the engine from then on."""
        self._crew.close()

    def _work(self, number: int) -> ShardWork:
        """What works for a shard."""
        made = self._works.get(number)
        if made is None:
            with self._making:  # what shards have in common is made by the first of them
                made = self._works[number] = self._new_work(number)
        return made

    def _new_work(self, number: int) -> ShardWork:
        shard, first, gradients = self._shards[number], self._plan.trains_from, self._model.gradients
        stages, ends = self._plan.stages, self._ends(shard)
        works = [
            stage.training(shard, shared, end)
            for stage, shared, end in zip(stages, self._shared, ends, strict=True)
        ]
        finishing: list[Step] = [
            partial(stage.finish, shared, gradients)
            for stage, shared in zip(stages[first:], self._shared[first:], strict=True)
            if stage.finishes
        ]
        # From the last shard on: the first process has more to do behind the step than others.
        share = finishing[shard.shards - 1 - number :: shard.shards]
        return ShardWork(
            works,
            Head(ends[-1].y, ends[-1].dy, shard.batch, self._label_smoothing),
            works[first:][::-1],
            [*share, *(step for work in works for step in work.sharing(gradients))],
        )

    def _values_seen_by_all(self, size: int, allocate: Allocate) -> list[Array | None]:
        """The values before each stage and behind the last, where they are of all shards; else None."""
        stages = self._plan.stages
        seen = [True, *(stage.writes_all for stage in stages)]
        for i, stage in reversed(list(enumerate(stages))):
            seen[i] |= stage.reads_all or (stage.is_view and seen[i + 1])
        found: list[Array | None] = [self._x]
        for i, stage in enumerate(stages):
            shape, before, behind = stage.gives.shape(size, stage.output_shape), found[i], None
            if seen[i + 1]:
                is_view = stage.is_view and before is not None
                behind = before.reshape(shape) if is_view and before is not None else allocate(shape)
            found.append(behind)
            stage.see(self._shared[i], before, behind)
        return found

    def _ends(self, shard: Shard) -> list[Ends]:
        """Memory for the values between the stages, and for their gradients."""
        stages, first = self._plan.stages, self._plan.trains_from
        values = [self._x[shard.samples]]
        for stage, of_all in zip(stages, self._seen_by_all[1:], strict=True):
            shape = stage.gives.shape(shard.size, stage.output_shape)
            if of_all is not None:
                values.append(stage.gives.part(of_all, shard.samples))
            else:
                values.append(values[-1].reshape(shape) if stage.is_view else aligned(shape))
        # Gradients live from one stage to the next: two slots serve all.
        slot, gradients = 0, [shard.scratch.array(("gradient", 0), values[-1].shape)]
        for stage, value in zip(reversed(stages), reversed(values[:-1]), strict=True):
            if stage.is_view:
                gradients.insert(0, gradients[0].reshape(value.shape))
            else:
                slot = 1 - slot
                gradients.insert(0, shard.scratch.array(("gradient", slot), value.shape))
        return [
            Ends(values[i], values[i + 1], gradients[i] if i > first else None, gradients[i + 1])
            for i in range(len(stages))
        ]

    def __call__(self, x: Array, y: Array, rng: RandomGenerator | None) -> tuple[float, int]:
        """Fill the gradients for a batch; the sum of its losses, and how many answers are correct.

        Shapes: x (n, C, H, W), the part of this rank; y (n,) labels or (n, K) distributions.
        """
        return self._context.run(self._step, x, y, rng)

    def _step(self, x: Array, y: Array, rng: RandomGenerator | None) -> tuple[float, int]:
        self._targets.take(y)
        if not self.is_shared_out:  # threads see what has become of the model without being told
            self._derived_for = None

        def prepare() -> None:
            self._x[...] = x
            if self._checks_targets is None:
                self._targets.check()

        self._crew.run(rng, prepare)
        for stage, shared in self._concluding:
            stage.conclude(shared)
        losses, answers = self._outcome.columns
        loss, correct = sum(losses.tolist()), sum(answers.tolist())
        if self._reducer.ranks > 1:
            if self._is_whole and self._reducer.rank > 0:  # the first one has it all already
                self._model.gradient[...] = loss = correct = 0
            loss, correct = self._reducer.add(self._model.gradient, loss, correct)
        return loss, int(correct)

    def update(self, lr: float) -> None:
        """Make the update that the model has learned, in all processes."""
        assert isinstance(self._crew, Processes)
        self._model.begin_update(lr)
        self._crew.update()
        self._model.end_update()

    def begin_next(self) -> None:
        """Have those who would wait for the next batch derive what follows from the parameters.

        They stand in memory that all batches share: see `settle`. If the parameters are others by then, it is
        done again.
        """
        if self._plan.derives and self.is_current:
            self._crew.derive()

    def settle(self) -> None:
        """Wait until what `begin_next` has begun is done.

        Before that, nobody may run another batch, or refresh the stages, or update the parameters, or close
        this.
        """
        self._crew.settle()

    def _derive(self, process: int, processes: int) -> None:
        """A process's share of what is done once for all shards.

        That is to have some of the stages derive what they need, if what they have is too old.
        """
        derivation = self._model.derivation
        if self._derived_for != derivation:
            self._derived_for = derivation
            for stage in self._plan.stages[process::processes]:
                stage.refresh(training=True)

    def _program(self, number: int, rng: RandomGenerator | None) -> ShardProgram:
        """What is done for one shard: forward, loss, backward; and its share of what is done once for all."""
        if number == self._checks_targets:
            self._targets.check()
        yield HERE  # what stages have derived is there, and so is the batch
        shard_work = self._work(number)
        for work in shard_work.forward:
            yield from work.forward(rng)
        outcome = self._targets.outcome(shard_work.head, self._shards[number].samples)
        self._outcome.put(number, *outcome)
        for work in shard_work.backward:
            yield from work.backward()
        if self._plan.meets_at_the_end:
            yield HERE  # all have put down what they add to the gradient
        run(shard_work.last)
