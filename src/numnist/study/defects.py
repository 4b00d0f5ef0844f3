"""The original's mistakes, made on purpose: to see whether its verdicts come back with them.

Nothing else in numnist uses these.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import final

import numpy as np

from numnist.arrays import Array
from numnist.engine import make_executor
from numnist.nn import BatchNorm, Executor, Model, StepResult, Update
from numnist.optim import Adam, Optimizer, State
from numnist.optim.optimizers import adam_direction, corrections
from numnist.train import Run

Defect = Callable[[Run, int | None], Run]
"""From a run that is ready to start, and its number of threads, to the same with the mistake in it."""


def smoothing_not_in_the_gradient(run: Run, threads: int | None) -> Run:
    """The loss that is reported is smoothed, and the gradient is that of the plain labels.

        dlogits = p − y instead of p − q

    A reported loss moves no weight, so what is trained is the network without label smoothing.
    """
    config = run.config
    executor = make_executor(config.executor, run.model, 0.0, threads, config.shard_size)
    return replace(run, trainer=replace(run.trainer, executor=executor))


def decay_twice(run: Run, threads: int | None) -> Run:  # noqa: ARG001 -- as every defect
    """Weight decay from the layer and once more from the optimizer, which decays the biases as well.

    g + 2λW for weights, g + λb for the biases beside them; normalisation has none.
    """
    state, model = run.state, run.model
    weights = np.asarray(model.decay_mask(), model.parameters.dtype)
    normalised = {
        f"{position}.{name}"
        for position, layer, _, _ in model.network.leaves(model.preprocess.input_shape)
        if isinstance(layer, BatchNorm)
        for name in layer.parameter_shapes()
    }
    mask = weights.copy()
    for name, view in model.layout.views(mask).items():
        if name not in normalised:
            view += 1
    optimizer = replace(state.optimizer, decay_mask=mask, _blocks=[])
    return replace(run, state=replace(state, optimizer=optimizer))


def rotation_always_ten_degrees(run: Run, threads: int | None) -> Run:  # noqa: ARG001
    """Every training image is turned by +10°, none by another angle, and the test images by none."""
    augmentation = replace(run.trainer.images.augmentation, rotation=(10.0, 10.0))
    images = replace(run.trainer.images, augmentation=augmentation)
    return replace(run, trainer=replace(run.trainer, images=images))


def bias_correction_one_step_off(run: Run, threads: int | None) -> Run:  # noqa: ARG001
    """Adam corrects as if one more step had been made: 1 − βᵗ⁺¹ in the place of 1 − βᵗ.

    Raises: ValueError for another optimizer.
    """
    adam = run.trainer.optimizer
    if not isinstance(adam, Adam):
        raise ValueError(f"bias_correction_one_step_off: expected Adam, got {type(adam).__name__}")
    values = {field.name: getattr(adam, field.name) for field in fields(adam)}
    return replace(run, trainer=replace(run.trainer, optimizer=_OneStepOff(**values)))


def normalised_by_its_own_batch(run: Run, threads: int | None) -> Run:  # noqa: ARG001
    """Batch normalisation never switched to evaluation: images are normalised by those tested with them."""
    executor = _NeverEvaluates(run.trainer.executor, run.model)
    return replace(run, trainer=replace(run.trainer, executor=executor))


def check_defect(name: str, optimizer: str) -> None:
    """ValueError where a run with this optimizer has no place for the mistake."""
    if DEFECTS[name] is bias_correction_one_step_off and optimizer != "adam":
        raise ValueError(f"{name}: expected optim.kind adam, got {optimizer}")


DEFECTS: dict[str, Defect] = {
    "smoothing-not-in-the-gradient": smoothing_not_in_the_gradient,
    "decay-twice": decay_twice,
    "rotation-always-ten-degrees": rotation_always_ten_degrees,
    "bias-correction-one-step-off": bias_correction_one_step_off,
    "normalised-by-its-own-batch": normalised_by_its_own_batch,
}
"""The mistakes by the name that a study gives them."""


@final
@dataclass(frozen=True, kw_only=True)
class _OneStepOff(Optimizer):
    """Adam, its corrections those of the step after."""

    SLOTS = Adam.SLOTS

    beta1: float
    beta2: float
    eps: float

    def direction(self, g: Array, state: State) -> Array:
        return adam_direction(g, replace(state, step=state.step + 1), self.beta1, self.beta2, self.eps)

    def scale(self, step: int) -> float:
        a, b = corrections(step + 1, self.beta1, self.beta2)
        return a / b


@final
class _NeverEvaluates:
    """An executor whose predictions are made in training mode; the running statistics stay as they are."""

    def __init__(self, executor: Executor, model: Model) -> None:
        self._executor, self._model = executor, model
        self.gradient = executor.gradient

    def loss_and_grads(self, x: Array, y: Array, rng: np.random.Generator | None) -> StepResult:
        return self._executor.loss_and_grads(x, y, rng)

    def update(self, update: Update, lr: float) -> None:
        self._executor.update(update, lr)

    def predict(self, x: Array) -> Array:
        buffers = self._model.buffers.copy()
        logits, _ = self._model.network.forward(x, True, np.random.default_rng(0))
        self._model.buffers[...] = buffers
        return logits
