"""An optimizer with its state, as one thing that can be handed to whoever makes the updates."""

from collections.abc import Callable
from dataclasses import dataclass

from numnist.arrays import Array
from numnist.optim.base import Optimizer, State


@dataclass(frozen=True)
class Update:
    """The updates of one array of parameters: those of `Optimizer.step`, as a whole or a part at a time.

    An executor that has several cores makes one update on all of them: `check`, then `part` for each, in
    processes: all parts have the same workspaces. Two are equal if they are of equal optimizers with the same
    state.
    """

    optimizer: Optimizer
    state: State

    def __call__(self, params: Array, grads: Array, lr: float) -> None:
        """Make the next update; see `Optimizer.step`."""
        self.optimizer.step(params, grads, self.state, lr)

    @property
    def parts(self) -> int:
        """In how many parts an update can be made: fewer for an array so small that it does not pay."""
        return len(self.state.blocks())

    @property
    def made(self) -> int:
        """How many updates have been made."""
        return self.state.step

    def check(self, params: Array, grads: Array, lr: float) -> None:
        """Raises what `Optimizer.step` raises for such arguments."""
        self.optimizer.check(params, grads, self.state, lr)

    def check_rate(self, lr: float) -> None:
        """Raises what `check` raises for the rate; the rest is the same for every update of these arrays."""
        self.optimizer.check_rate(lr)

    def part(self, params: Array, grads: Array, lr: float, number: int, part: slice) -> None:
        """Make these parts of the update of this number (1 for the first), of flat arrays."""
        self.optimizer.step_blocks(params, grads, self.state, lr, number, part)

    @property
    def moves(self) -> int:
        """How often what it leaves for the next one has been moved to other memory."""
        return self.state.moves

    def move(self, empty: Callable[..., Array]) -> None:
        """Have what an update leaves for the next one in memory from `empty(shape, dtype)`."""
        self.state.move(empty)
