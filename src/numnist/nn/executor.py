"""Running a model: the seam between the mathematics and the engine, and the specification of what runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, final

import numpy as np
from numpy.random import Generator
from threadpoolctl import ThreadpoolController

from numnist.arrays import Array
from numnist.nn.model import Model
from numnist.ops import softmax_cross_entropy


@dataclass(frozen=True)
class StepResult:
    """What one batch gave: its mean loss, in nats, and how many of its samples were classified correctly."""

    loss: float
    correct: int


class Update(Protocol):
    """What changes parameters by their gradient, as a whole or a part at a time: see `optim.Update`."""

    def __call__(self, params: Array, grads: Array, lr: float) -> None: ...

    @property
    def parts(self) -> int: ...

    @property
    def made(self) -> int: ...

    @property
    def moves(self) -> int: ...

    def check(self, params: Array, grads: Array, lr: float) -> None: ...

    def check_rate(self, lr: float) -> None: ...

    def part(self, params: Array, grads: Array, lr: float, number: int, part: slice) -> None: ...

    def move(self, empty: Callable[..., Array]) -> None: ...


class Executor(Protocol):
    """A model that can be trained and asked. The training loop takes any."""

    gradient: Array
    """Flat, in the layout of the model's parameters; what `loss_and_grads` fills."""

    def loss_and_grads(self, x: Array, y: Array, rng: Generator | None) -> StepResult:
        """One batch in training mode: fill `gradient`, move the running statistics, return loss and correct.

        Shapes: x (N, 1, H, W), preprocessed; y (N,) labels or (N, K) distributions, which may have weights
                (see `ops.softmax_cross_entropy`).
        """
        ...

    def update(self, update: Update, lr: float) -> None:
        """Change the model's parameters by `gradient`, at this learning rate."""
        ...

    def predict(self, x: Array) -> Array:
        """Logits (N, K) in evaluation mode; keeps nothing for backward and changes nothing."""
        ...


@final
class Reference:
    """Runs the layers' ops one after another: slow, plain, right. The engine is held against it.

    BLAS is held to one thread meanwhile: how it splits a sum among threads changes the last bits, and here
    one seed gives the same bits on any number of cores. (Its products are small, too: two threads gain little
    on them, and lose much when another process wants a core.)
    """

    def __init__(self, model: Model, label_smoothing: float = 0.0) -> None:
        self.model = model
        self.label_smoothing = label_smoothing
        self.gradient: Array = np.zeros_like(model.parameters)
        self._named_gradient = model.layout.views(self.gradient)
        self._blas = ThreadpoolController()

    def loss_and_grads(self, x: Array, y: Array, rng: Generator | None) -> StepResult:
        """See `Executor.loss_and_grads`."""
        with self._blas.limit(limits=1, user_api="blas"):
            logits, cache = self.model.network.forward(x, True, rng)
            loss, loss_cache = softmax_cross_entropy.forward(logits, y, self.label_smoothing)
            dlogits = softmax_cross_entropy.backward(1.0, loss_cache)
            _, gradients = self.model.network.backward(dlogits, cache)
        self.model.mark_changed()  # the running statistics have moved
        for name, view in self._named_gradient.items():
            view[...] = gradients[name]
        labels = y if y.ndim == 1 else y.argmax(axis=1)
        return StepResult(loss, int((logits.argmax(axis=1) == labels).sum()))

    def update(self, update: Update, lr: float) -> None:
        """See `Executor.update`."""
        update(self.model.parameters, self.gradient, lr)
        self.model.mark_changed()

    def predict(self, x: Array) -> Array:
        """See `Executor.predict`."""
        with self._blas.limit(limits=1, user_api="blas"):
            return self.model.network.predict(x)
