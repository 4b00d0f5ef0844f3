"""Twin models, draws whose comparison in float32 is fair, and the comparison itself."""

from dataclasses import dataclass
from math import inf, prod
from typing import Any

import numpy as np
from hypothesis import assume

from numnist.arrays import Array
from numnist.engine import Engine
from numnist.nn import (
    BatchNorm,
    Conv2d,
    Executor,
    Layer,
    LeakyReLU,
    MaxPool2d,
    Model,
    Preprocess,
    Reference,
    ReLU,
    build,
    network_from,
)
from numnist.ops.windows import pooled_size, window_elements

TOLERANCE = 1e-4
"""Largest ‖a - b‖ / ‖b‖ of any tensor, a from the engine in float32, b from the reference in float64."""

FLOOR = 1e-5
"""Largest norm, relative to the whole gradient's, of a tensor that is 0 but for rounding (see `ZERO`)."""

ZERO = 1e-9
"""A tensor whose norm is below this part of the whole gradient's is 0 but for rounding.

Such is the gradient of a bias in front of a BatchNorm, which takes every constant out again: in float64 it is
rounding noise then (1e-17), in float32 exactly 0 or noise too (1e-7), and their ratio says nothing.
"""

NEAR, NEAR_BEHIND_WINOGRAD = 3e-6, 5e-5
"""How near to a kink a value may not be, relative to its channel's root mean square.

Values have an error of 3e-7 on the average, and of 5e-6 behind a convolution by Winograd's method; now and
then of ten times that. One that is nearer than that to a kink may end up on its other side, and the gradients
then differ by all that it contributes, whatever the precision elsewhere. Both are right: at a kink there is
no derivative.
"""

SMALL = 0.1
"""On networks drawn at random a tensor with less than this part of the whole gradient counts as that much.

There it may be a number or two, sums of many terms that happen to cancel; in front of a BatchNorm a kernel
with a single tap has no gradient but for eps.
"""

CONDITIONED = 1e-6
"""Largest error of any tensor that the reference itself may have in float32, for a comparison to be fair.

Where it has more, float32 has no answer within `TOLERANCE`, however it is computed. Winograd's convolutions
lose ten times as much as others, and may.
"""

FEWEST = 8
"""Values per channel that a BatchNorm must have for a comparison to be fair.

Of fewer the variance can be small by chance, and what little there is of it then comes from rounding.
"""

Network = str | list[dict[str, Any]]
"""A name of the zoo, or descriptions of layers."""


@dataclass(frozen=True)
class Twins:
    """The same model twice, with equal parameters: in float32, and in float64 for the reference."""

    model: Model
    wide: Model

    def again(self) -> Model:
        """Another model like the one in float32."""
        network = network_from(self.model.network.describe()["layers"], self.model.preprocess.input_shape, 0)
        model = Model(network, self.model.preprocess)
        model.parameters[...], model.buffers[...] = self.model.parameters, self.model.buffers
        model.mark_changed()
        return model

    def set(self, name: str, values: Any) -> None:
        """Give a parameter these values, numbers of float32."""
        for model in (self.model, self.wide):
            model.named_parameters()[name][...] = np.asarray(values, np.float32)
            model.mark_changed()


def twins(network: Network, image_size: tuple[int, int], seed: int = 0, classes: int = 10) -> Twins:
    """Models of this network with parameters drawn, none of them 0 or 1.

    Scales of BatchNorm are of both signs; running statistics are as if there had been training.
    """
    preprocess = Preprocess(image_size, classes=tuple(map(str, range(classes))))

    def model(dtype: type[np.floating[Any]]) -> Model:
        make: Any = build if isinstance(network, str) else network_from
        return Model(make(network, preprocess.input_shape, classes), preprocess, dtype)

    narrow, wide = model(np.float32), model(np.float64)
    rng = np.random.default_rng(seed)
    narrow.initialise(rng)
    narrow.parameters[...] += rng.normal(0, 0.1, narrow.parameters.size)
    for _, layer, _, _ in narrow.network.leaves(preprocess.input_shape):
        if isinstance(layer, BatchNorm):
            layer.parameters["weight"][...] *= rng.choice((-1, 1), layer.num_features)
            layer.buffers["running_mean"][...] = rng.normal(0, 0.5, layer.num_features)
            layer.buffers["running_var"][...] = rng.uniform(0.5, 2, layer.num_features)
    wide.parameters[...], wide.buffers[...] = narrow.parameters, narrow.buffers
    narrow.mark_changed()
    wide.mark_changed()
    return Twins(narrow, wide)


def noise(rng: np.random.Generator, n: int, model: Model) -> Array:
    """A batch of n images for a model."""
    return rng.standard_normal((n, *model.preprocess.input_shape), dtype=np.float32)


def off_kinks(model: Model, x: Array, dropout: int | None = None) -> tuple[Array, bool]:
    """Whether no value that a sample has in front of a ReLU or in a window is `NEAR` a kink.

    And whether no sample's two largest logits are that near each other. Runs a model of float64 in training
    mode, layer by layer, and looks at what enters each; leaves the running statistics as they were.

    dropout: seed of the random numbers that the layers draw. Shapes: x (N, 1, H, W) -> (N,) booleans.
    """
    buffers, rng = model.buffers.copy(), generator(dropout)
    off, near, convolutions = np.ones(len(x), bool), NEAR, 0
    value: Array = x.astype(np.float64)
    for _, layer, _, _ in model.network.leaves(model.preprocess.input_shape):
        distances = _distances_to_kinks(layer, value)
        if distances is not None:
            off &= _relative(distances, value) >= near
        if isinstance(layer, Conv2d):
            convolutions += 1
            near = NEAR if convolutions == 1 else NEAR_BEHIND_WINOGRAD
        value, _ = layer.forward(value, True, rng)
    model.buffers[...] = buffers
    second, first = np.partition(value, -2, axis=1)[:, -2:].T
    return off, bool((first - second >= near * np.abs(value).max(axis=1)).all())


def drawn_off_kinks(pair: Twins, n: int, mean: float = 0.0) -> Array:
    """A batch of noise around this mean that is off all kinks: the first of many draws."""
    for seed in range(500):
        x = noise(np.random.default_rng(seed), n, pair.model) + np.float32(mean)
        off, decided = off_kinks(pair.wide, x)
        if decided and off.all():
            return x
    raise AssertionError("every batch has a value near a kink")


def _distances_to_kinks(layer: Layer, x: Array) -> Array | None:
    """How far values are from where the layer's derivative jumps, (N, C, ...); None where it has no jump.

    Exact ties and exact zeros are no matter of precision (copies of one value; what ReLU or dropout has made
    0): they are the same in float32.
    """
    if isinstance(layer, ReLU | LeakyReLU):
        return np.where(x == 0, inf, np.abs(x))
    if isinstance(layer, MaxPool2d):
        stride = layer.stride or layer.size
        rows, columns = pooled_size("max_pool2d", x, layer.size, stride)
        elements = np.stack(list(window_elements(x, layer.size, stride, rows, columns)))
        largest = elements.max(axis=0)
        gaps: Array = largest - np.where(elements < largest, elements, -inf).max(axis=0)
        return gaps
    return None


def _relative(distances: Array, x: Array) -> Array:
    """The smallest distance of each sample (N,), relative to the root mean square of its channel in x."""
    scale = np.sqrt(np.square(x).mean(axis=(0, *range(2, x.ndim)), keepdims=True))
    ratio = np.divide(distances, scale, out=np.full(distances.shape, inf), where=scale > 0)
    smallest: Array = ratio.reshape(len(x), -1).min(axis=1)
    return smallest


def distributions(rng: np.random.Generator, n: int, classes: int = 10) -> Array:
    """Targets that are no labels, (N, K)."""
    return rng.dirichlet(np.full(classes, 0.5), n).astype(np.float32)


def generator(seed: int | None) -> np.random.Generator | None:
    """A generator of this seed, or none."""
    return None if seed is None else np.random.default_rng(seed)


@dataclass(frozen=True)
class Outcome:
    """All that an executor says of a batch: logits, then a step of training, then logits again."""

    correct: int
    tensors: dict[str, Array]
    gradients: dict[str, Array]

    @classmethod
    def of(cls, executor: Executor, model: Model, x: Array, y: Array, dropout: int | None) -> "Outcome":
        """Run it on the batch, in the model's dtype; puts the running statistics back."""
        dtype, buffers = model.parameters.dtype, model.buffers.copy()
        x, y = x.astype(dtype), y.astype(dtype) if y.ndim == 2 else y
        before = executor.predict(x)
        result = executor.loss_and_grads(x, y, generator(dropout))
        behind = executor.predict(x)
        tensors = {"logits": before, "loss": np.asarray(result.loss), "logits behind the step": behind}
        tensors |= {name: buffer.copy() for name, buffer in model.named_buffers().items()}
        model.buffers[...] = buffers
        model.mark_changed()
        return cls(result.correct, tensors, model.layout.views(executor.gradient.copy()))

    def errors(self, expected: "Outcome", small: float = 0.0) -> dict[str, float]:
        """‖a - b‖ / ‖b‖ of every tensor, in units of what is allowed (see `TOLERANCE`, `FLOOR`, `SMALL`)."""
        pairs = {name: (a, expected.tensors[name]) for name, a in self.tensors.items()}
        errors = {name: error(a, b) / TOLERANCE for name, (a, b) in pairs.items()}
        whole = norm(*expected.gradients.values())
        for name, b in expected.gradients.items():
            is_zero = norm(b) <= ZERO * whole
            allowed = FLOOR * whole if is_zero else TOLERANCE * max(norm(b), small * whole)
            errors[name] = norm(self.gradients[name] - b) / allowed
        return errors


def norm(*arrays: Array) -> float:
    """‖a‖ of all arrays together, in float64."""
    return float(np.linalg.norm(np.concatenate([a.ravel() for a in arrays]).astype(np.float64)))


def error(a: Array, b: Array) -> float:
    """‖a - b‖ / ‖b‖, in float64."""
    return norm(a.astype(np.float64) - b) / norm(b)


def fewest_samples(pair: Twins) -> int:
    """How many samples give every BatchNorm `FEWEST` values per channel."""
    leaves = pair.model.network.leaves(pair.model.preprocess.input_shape)
    positions = [prod(shape[1:]) for _, layer, shape, _ in leaves if isinstance(layer, BatchNorm)]
    return -(-FEWEST // min(positions, default=FEWEST))


def is_well_conditioned(pair: Twins, x: Array, y: Array, dropout: int | None = None) -> bool:
    """Whether the reference in float32 comes within `CONDITIONED` of that in float64."""
    narrow, wide = (Outcome.of(Reference(m), m, x, y, dropout) for m in (pair.model, pair.wide))
    return max(narrow.errors(wide, SMALL).values()) <= CONDITIONED / TOLERANCE


def fair_batch(pair: Twins, n: int, seed: int, dropout: int | None = None) -> tuple[Array, Array]:
    """Noise and targets that engine and reference can be compared on; rejects the example where not."""
    rng = np.random.default_rng(seed)
    x, y = noise(rng, n, pair.model), distributions(rng, n, len(pair.model.preprocess.classes))
    assume(n >= fewest_samples(pair))
    off, decided = off_kinks(pair.wide, x, dropout)
    assume(off.all() and decided and is_well_conditioned(pair, x, y, dropout))
    return x, y


def require_equal(
    pair: Twins,
    x: Array,
    y: Array,
    *,
    dropout: int | None = None,
    label_smoothing: float = 0.0,
    threads: int = 1,
    shard_size: int | None = 3,
    small: float = 0.0,
) -> None:
    """Assert that the engine and the reference in float64 agree on everything in `Outcome`."""
    engine = Engine(pair.model, label_smoothing, threads, shard_size)
    ours = Outcome.of(engine, pair.model, x, y, dropout)
    theirs = Outcome.of(Reference(pair.wide, label_smoothing), pair.wide, x, y, dropout)
    # `not <=`, so that a NaN fails.
    assert not {name: value for name, value in ours.errors(theirs, small).items() if not value <= 1}
    assert ours.correct == theirs.correct
