"""What a stage of the fast executor is: a few layers, made one."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from numnist.arrays import Array, Shape
from numnist.engine.meeting import ShardProgram
from numnist.engine.memory import Allocate, Scratch
from numnist.engine.reducer import ALONE, Reducer

Step = Callable[[], object]
"""One call of NumPy with its arguments, bound when memory is allocated.

Threads can run Python one at a time only, and who has to wait for that sleeps: so what is done between two
calls of NumPy must be next to nothing. Making a view takes as long as summing a thousand numbers.
"""


def run(steps: Iterable[Step]) -> None:
    """Take the steps in order."""
    for step in steps:
        step()


class Order(Enum):
    """The order in which a batch of activations lies in memory, slowest axis first.

    IMAGES is that of the ops. COLUMNS has the columns of the images outermost and the channels innermost:
    a transform along W is then a matrix product with everything else as its columns, and the channels of the
    rows under a kernel are neighbours. ROWS is a row of features per sample, FEATURES a row of samples per
    feature.
    """

    IMAGES = "N C H W"
    COLUMNS = "W N H C"
    ROWS = "N F"
    FEATURES = "F N"

    def shape(self, n: int, sample: Shape) -> Shape:
        """Shape of n samples, each (C, H, W) or (F,)."""
        if self is Order.COLUMNS:
            C, H, W = sample
            return (W, n, H, C)
        return (*sample, n) if self is Order.FEATURES else (n, *sample)

    def part(self, values: Array, samples: slice) -> Array:
        """View of these samples of a batch of values; not for COLUMNS, of which a shard has its own."""
        return values[:, samples] if self is Order.FEATURES else values[samples]


@dataclass(frozen=True)
class Shard:
    """A part of a batch, and whose scratch memory it uses.

    start, size: its samples, among those of this rank. number of so many shards: its place among them.
    batch: samples of all shards of all ranks.
    """

    start: int
    size: int
    number: int
    shards: int
    batch: int
    scratch: Scratch

    @property
    def samples(self) -> slice:
        """Its samples in an array of all shards of this rank."""
        return slice(self.start, self.start + self.size)


@dataclass(frozen=True)
class Ends:
    """Where a shard's values enter and leave a stage, each in the order that the stage takes or gives.

    x, y: input and output, kept until the backward pass is done. dx, dy: their gradients, scratch memory that
    does not outlive a meeting; dx is None where nobody needs it.
    """

    x: Array
    y: Array
    dx: Array | None
    dy: Array


class Work(ABC):
    """A stage's work for one shard, in memory of its own: made once, done in every step."""

    @abstractmethod
    def forward(self, rng: np.random.Generator | None) -> ShardProgram:
        """Fill y from x, in training mode."""

    @abstractmethod
    def backward(self) -> ShardProgram:
        """Fill dx, where there is one, from dy; put what `Stage.finish` needs where all see it."""

    def sharing(self, gradients: dict[str, Array]) -> Sequence[Step]:
        """The steps that write this shard's part of a gradient, where each has some for the whole batch."""
        return ()


class Stage(ABC):
    """A run of layers that is computed as one.

    It holds what follows from the parameters, in memory that processes forked from this one see, so that one
    of them can `refresh` it for all.

    names: positions of the layers ("0", "3.1"). input_shape, output_shape: of one sample, as the ops count
    them. takes, gives: the order of the values that come in and go out.
    """

    REPLACES: ClassVar[tuple[ModuleType, ...]] = ()
    """The ops that it computes."""

    def __init__(
        self, names: Sequence[str], input_shape: Shape, output_shape: Shape, takes: Order, gives: Order
    ) -> None:
        self.names = tuple(names)
        self.takes, self.gives = takes, gives
        self.input_shape, self.output_shape = input_shape, output_shape

    @property
    def label(self) -> str:
        """What it is, for `numnist summary`."""
        return type(self).__name__

    is_view: bool = False
    """Whether what it gives is what it takes, in another shape: then there is nothing to do."""

    reads_all: bool = False
    """Whether a shard needs the inputs of all: they then lie in memory that all see."""

    writes_all: bool = False
    """Whether a shard writes to the outputs of all: they then lie in such memory."""

    finishes: bool = True
    """Whether `finish` has anything to do."""

    shares_behind_meeting: bool = False
    """Whether `Work.sharing` needs what others have come to on the way back."""

    @property
    def derives(self) -> bool:
        """Whether `refresh` has anything to do."""
        return type(self).refresh is not Stage.refresh

    @property
    def concludes(self) -> bool:
        """Whether `conclude` has anything to do."""
        return type(self).conclude is not Stage.conclude

    def refresh(self, training: bool) -> None:  # noqa: B027 -- most have nothing to derive
        """Derive what depends on parameters and buffers, in shared memory; called before it is asked for."""

    def shared(self, batch: int, shards: int, allocate: Allocate, reducer: Reducer = ALONE) -> Any:
        """What so many shards of a batch have in common; `allocate` makes arrays that all can see.

        batch: samples of this rank. reducer: what a statistic of the whole batch has to go through.
        """
        return None

    def see(self, shared: Any, x: Array | None, y: Array | None) -> None:  # noqa: B027
        """Take note of the inputs and outputs of all shards, (batch, ...), where they are seen by all."""

    @abstractmethod
    def training(self, shard: Shard, shared: Any, ends: Ends) -> Work:
        """The work for one shard in training."""

    def finish(self, shared: Any, gradients: dict[str, Array]) -> None:  # noqa: B027
        """Write the parameters' gradient, from what all shards have come to, but for rows they share out.

        Where there are several ranks: what this one adds to it; the engine has it summed over all.
        """

    def conclude(self, shared: Any) -> None:  # noqa: B027
        """What is left to do behind a step, once, in the first process: move running statistics."""

    @abstractmethod
    def predicting(self, n: int, scratch: Scratch, x: Array, y: Array) -> Sequence[Step]:
        """The steps that fill y from x in evaluation mode."""
