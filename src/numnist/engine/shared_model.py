"""A model as forked processes see it."""

import mmap

import numpy as np

from numnist.arrays import Array
from numnist.engine.memory import shared_memory
from numnist.nn import Model, Update


def share_parameters(model: Model) -> None:
    """Move the parameters to memory that an engine's processes see, so that it need not copy them.

    That saves a few percent of a step of a large network. Views of the parameters from before are no longer
    of the model. A process that is forked from this one shares them too, and sees what becomes of them, until
    it calls this again; an engine does so there as soon as it is used.
    """
    parameters = shared_memory(model.parameters.shape)
    parameters[...] = model.parameters
    model.move(parameters)


def are_shared(array: Array) -> bool:
    """Whether this array is one from `shared_memory`, or a view of one."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base.obj if isinstance(base, memoryview) else base, mmap.mmap)


class SharedModel:
    """A model's parameters, buffers and gradient in memory that forked processes see, and its updates.

    The model itself stays where it is, in the first process: whoever else forks gets a copy of it, as always,
    unless its parameters have been shared (see `share_parameters`).
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.gradient: Array = shared_memory(model.parameters.shape)
        self.gradients = model.layout.views(self.gradient)
        self._copies = not are_shared(model.parameters)
        self._parameters = shared_memory(model.parameters.shape) if self._copies else model.parameters
        self._buffers: Array = shared_memory(model.buffers.shape)
        self._version: int | None = None
        self._update: Update | None = None
        self._moves = 0
        self._rate_and_number: Array = shared_memory((2,), np.float64)
        self._derivation: Array = shared_memory((1,), np.int64)

    # In the first process:

    @property
    def is_sent(self) -> bool:
        """Whether the others see the parameters as they are now."""
        return self._version == self.model.version

    def send(self) -> None:
        """Let the others see the model as it is now."""
        if not self.is_sent:
            if self._copies:
                self._parameters[...] = self.model.parameters
            self._version = self.model.version
            self.mark_derived_stale()
        if self._buffers.size:
            self._buffers[...] = self.model.buffers

    def mark_buffers_changed(self) -> None:
        """As `Model.mark_changed`, where the parameters have not changed."""
        was_sent = self.is_sent
        self.model.mark_changed()
        if was_sent:
            self._version = self.model.version

    def mark_derived_stale(self) -> None:
        """Have stages derive anew what they need for training: something else stands there now."""
        self._derivation[0] += 1

    def knows(self, update: Update) -> bool:
        """Whether it is this update that processes know which are forked now."""
        is_known = self._update is update or self._update == update
        return is_known and self._moves == update.moves  # another engine may have moved it

    def learn(self, update: Update) -> None:
        """Have the update known to processes that are forked from now on."""
        update.move(shared_memory)
        self._update, self._moves = update, update.moves

    def begin_update(self, lr: float) -> None:
        """Say which update is made next, and at which rate."""
        assert self._update is not None
        self.send()
        self._version = None  # until all have made their part
        self.mark_derived_stale()
        self._rate_and_number[...] = lr, self._update.made + 1

    def end_update(self) -> None:
        """Take over the parameters that all have updated."""
        if self._copies:
            self.model.parameters[...] = self._parameters
        self.model.mark_changed()
        self._version = self.model.version

    # In any process:

    @property
    def derivation(self) -> int:
        """A number that changes when what stages have derived for training is too old, or written over."""
        return int(self._derivation[0])

    def update_part(self, process: int, processes: int) -> None:
        """Make the part of this process in the update."""
        assert self._update is not None
        lr, number = self._rate_and_number.tolist()
        parts = self._update.parts
        # In sequence: most are rows of a large weight that this process works with.
        part = slice(parts * process // processes, parts * (process + 1) // processes)
        self._update.part(self._parameters, self.gradient, lr, int(number), part)

    # In forked processes:

    def adopt(self) -> None:
        """Have the copy of the model that is in this process use the parameters that all see."""
        self.model.move(self._parameters)

    def receive(self) -> None:
        """Take over what else has changed."""
        self.model.buffers[...] = self._buffers
