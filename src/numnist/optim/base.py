"""What all optimizers share: their state, and the frame of a step around the rule of each."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from numnist.arrays import Array
from numnist.optim.decay import Decay, apply_weight_decay
from numnist.optim.hyperparameters import Hyperparameters, NonNegative

BLOCK = 2**15
"""Most values that a step takes at a time: those of all its arrays then fit into the cache of one core."""

EVEN = 4
"""Several blocks are a multiple of this in number, so that two processes, or four, have equally many."""

LINE = 16
"""Values in a line of the cache: blocks begin where lines do."""


@dataclass(eq=False)
class State:
    """What an optimizer keeps from one step to the next; every array has the layout of the parameters.

    step: number of updates made so far.
    slots: the optimizer's own arrays by name, such as {"velocity": ...}.
    decay_mask: 1 where weight decay acts and 0 where not, in the parameters' dtype; None for everywhere.
    decayed, scratch: workspaces, so that a step allocates nothing. Their contents mean nothing between steps.
    moves: how often the slots have been moved to other memory.

    `step` and `slots` are all that a checkpoint stores: `restore` puts them into a state fresh from `init`.
    """

    step: int
    slots: dict[str, Array]
    decay_mask: Array | None
    decayed: Array
    scratch: Array
    moves: int = 0
    _blocks: list[tuple[slice, "State"]] = field(default_factory=list, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: not the blocks, which would no longer be views of the arrays."""
        return {**self.__dict__, "_blocks": []}

    def blocks(self) -> list[tuple[slice, "State"]]:
        """The state of each block of values, as views, with the place of the block in the flat vector.

        A rule has a dozen passes over its arrays. Block by block they go through memory once, and not a dozen
        times. All blocks have the same workspaces, which stay in the cache.
        """
        if not self._blocks:
            size = self.scratch.size
            length = _block_length(size)
            for start in range(0, size, length):
                place = slice(start, min(start + length, size))
                workspace = slice(place.stop - start)
                slots = {name: _part(slot, place) for name, slot in self.slots.items()}
                mask = None if self.decay_mask is None else _part(self.decay_mask, place)
                decayed, scratch = (_part(array, workspace) for array in (self.decayed, self.scratch))
                self._blocks.append((place, State(self.step, slots, mask, decayed, scratch)))
        return self._blocks

    def move(self, empty: Callable[..., Array]) -> None:
        """Have the slots in memory from `empty(shape, dtype)`, which the state then owns."""
        moved = {name: empty(slot.shape, slot.dtype) for name, slot in self.slots.items()}
        for name, slot in self.slots.items():
            moved[name][...] = slot
        self.slots.update(moved)
        self.moves += 1
        self._blocks.clear()

    def restore(self, step: int, slots: Mapping[str, Array]) -> None:
        """Copy a saved step count and saved slots into this state.

        Raises: ValueError when the names, shapes or dtypes of the slots are not this state's, or step < 0;
                the state is then unchanged.
        """
        if step < 0:
            raise ValueError(f"State: expected step >= 0, got {step}")
        if slots.keys() != self.slots.keys():
            raise ValueError(f"State: expected slots {sorted(self.slots)}, got {sorted(slots)}")
        for name, saved in slots.items():
            _check_layout("State", f"slot {name}", saved, like=self.slots[name])
        for name, saved in slots.items():
            self.slots[name][...] = saved
        self.step = int(step)


@dataclass(frozen=True, kw_only=True)
class Optimizer(Hyperparameters, ABC):
    """A frozen set of hyperparameters and the rule that turns gradients into an update.

        g = the gradient, with coupled weight decay if any
        d = direction(g, state)
        p ← p − lr·d

    `step` does this in place on one array that holds all parameters: in numnist the model's flat vector, but
    any shape works, and stepping over a concatenation is the same as stepping over its parts. The learning
    rate is an argument of `step`, so schedules never touch the optimizer.

    weight_decay: λ, the strength of weight decay; 0 for none.
    decay: "coupled" adds λ·p to the gradient; "decoupled" subtracts lr·λ·p from the parameters before the
           update (see `numnist.optim.decay`).

    A new optimizer names its arrays in `SLOTS` and writes `direction`:

        @final
        @dataclass(frozen=True, kw_only=True)
        class SignSGD(Optimizer):
            def direction(self, g, state):
                return np.sign(g, out=state.scratch)
    """

    SLOTS: ClassVar[tuple[str, ...]] = ()
    """Names of the arrays that `direction` keeps in `state.slots`; they start at zero."""

    weight_decay: NonNegative = 0.0
    decay: Decay = "coupled"

    @abstractmethod
    def direction(self, g: Array, state: State) -> Array:
        """The direction d of the update p ← p − lr·d, from the gradient g and the slots, which it updates.

        `state.step` is the number of this update, 1 for the first. g must not be changed; d may be g itself,
        a slot, or be written to `state.scratch`.
        """

    def scale(self, step: int) -> float:  # noqa: ARG002 -- for most it is always the same
        """A factor of the update of this number that `direction` leaves out: a pass less over d."""
        return 1.0

    def init(self, params: Array, decay_mask: Array | None = None) -> State:
        """The state before the first step.

        Shapes: params any shape, float32 or float64; decay_mask the same shape, bool or 0 and 1, true where
                weight decay acts (usually not on biases and normalisation); None lets it act everywhere.
        Raises: ValueError when params are neither float32 nor float64, or the mask has another shape or other
                values.
        """
        who = type(self).__name__
        if not isinstance(params, np.ndarray) or params.dtype not in (np.float32, np.float64):
            raise ValueError(f"{who}: expected params of dtype float32 or float64, got {_described(params)}")
        mask = None
        if decay_mask is not None:
            mask = np.array(decay_mask, dtype=params.dtype, order="C")
            if mask.shape != params.shape or not np.isin(mask, (0, 1)).all():
                raise ValueError(
                    f"{who}: expected decay_mask of shape {params.shape} with values 0 and 1, "
                    f"got {_described(decay_mask)}"
                )
        # In C order whatever that of params, so that blocks of the flat vector are views.
        slots = {name: np.zeros(params.shape, params.dtype) for name in self.SLOTS}
        decayed, scratch = (np.empty(params.shape, params.dtype) for _ in range(2))
        return State(0, slots, mask, decayed, scratch)

    def step(self, params: Array, grads: Array, state: State, lr: float) -> None:
        """Make one update: change `params` and `state` in place, and leave `grads` as they are.

        Raises: ValueError when the shape or dtype of params or grads is not that of the state, or lr is
                negative or not finite; nothing has changed then.
        """
        self.check(params, grads, state, lr)
        # Views: an array with gaps has no flat one, and is one block.
        if params.flags.c_contiguous and grads.flags.c_contiguous:
            flat_params, flat_grads = params.reshape(-1), grads.reshape(-1)
            self.step_blocks(flat_params, flat_grads, state, lr, state.step + 1, slice(None))
        else:
            state.step += 1
            self._update(params, grads, state, float(lr))

    def check(self, params: Array, grads: Array, state: State, lr: float) -> None:
        """Raises what `step` raises for such arguments."""
        who = type(self).__name__
        _check_layout(who, "params", params, like=state.scratch)
        _check_layout(who, "grads", grads, like=state.scratch)
        self.check_rate(lr)

    def check_rate(self, lr: float) -> None:
        """Raises: ValueError when the learning rate is negative or not finite."""
        if not 0 <= float(lr) < math.inf:
            who = type(self).__name__
            raise ValueError(f"{who}: expected lr to be a finite number >= 0, got {float(lr)}")

    def step_blocks(
        self, params: Array, grads: Array, state: State, lr: float, number: int, blocks: slice
    ) -> None:
        """Make these of the state's blocks (see `State.blocks`) of the update of this number.

        One after another, or in processes that share the memory, they make up a `step`.

        Shapes: params and grads flat.
        """
        state.step = number
        lr = float(lr)  # a NumPy float64 would compute a float32 update in float64
        for place, block in state.blocks()[blocks]:
            block.step = number
            self._update(params[place], grads[place], block, lr)

    def _update(self, params: Array, grads: Array, state: State, lr: float) -> None:
        """Make the update number `state.step` of these parameters."""
        g = apply_weight_decay(
            self.decay, self.weight_decay, state.decay_mask, params, grads, lr, out=state.decayed
        )
        d = self.direction(g, state)
        params -= np.multiply(lr * self.scale(state.step), d, out=state.scratch)


def _part(array: Array, place: slice) -> Array:
    """View of these values of an array in C order."""
    return array.reshape(-1)[place]


def _block_length(size: int) -> int:
    """Values in a block, of so many in all."""
    if size <= BLOCK:
        return max(1, size)
    blocks = -(-size // (BLOCK * EVEN)) * EVEN
    return -(-size // (blocks * LINE)) * LINE


def _check_layout(who: str, name: str, array: Array, like: Array) -> None:
    if not isinstance(array, np.ndarray) or array.shape != like.shape or array.dtype != like.dtype:
        raise ValueError(f"{who}: expected {name} of {_described(like)}, got {_described(array)}")


def _described(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"shape {value.shape} and dtype {value.dtype}"
    return f"a {type(value).__name__}"
