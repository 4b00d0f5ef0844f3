"""What all tricks have in common: what a case is, its data, and the networks' stages."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from numnist.arrays import Array, Shape
from numnist.engine import plan
from numnist.engine.memory import aligned
from numnist.engine.stage import Stage
from numnist.nn import Model, Preprocess, build

N = 64
"""Images: one shard of a convolutional network."""

CLOSE = 1e-4
"""How far two results may be apart, relative to the largest value: Winograd's methods round more."""

Call = Callable[[], Any]
Pair = tuple[Call, Call]


@dataclass(frozen=True)
class Case:
    """One trick: the same work without it and with it.

    name: for `--only`, and in the rows. before, after: what each of the two is, for a table. make: allocates,
    and gives both; it asserts that their results agree. kept: whether the engine does what `after` says, or
    it was only tried.
    """

    name: str
    before: str
    after: str
    make: Callable[[], Pair]
    kept: bool = True


def agreeing(before: Call, after: Call, left: Array | None = None, right: Array | None = None) -> Pair:
    """Both, once each has been called and the results have been found equal.

    left, right: the arrays, in the same order, that they write all of; where they are None, what the calls
    return.
    """
    for written in (left, right):
        if written is not None:
            written[...] = np.nan  # or what an earlier case left in this memory might be taken for a result
    first, second = before(), after()
    expected, found = (first if left is None else left), (second if right is None else right)
    scale = float(np.abs(expected).max())
    assert np.shape(expected) == np.shape(found)
    assert scale > 0
    assert np.allclose(found, expected, rtol=0, atol=CLOSE * scale)
    return before, after


def normal(*shape: int) -> Array:
    """Random values of float32, the same for the same shape."""
    values = aligned(shape)
    values[...] = np.random.default_rng(0).standard_normal(shape, np.float32)
    return values


def model_of(name: str) -> Model:
    """A network of the zoo for MNIST, with fresh weights."""
    preprocess = Preprocess()
    network = build(name, preprocess.input_shape, len(preprocess.classes))
    return Model(network, preprocess).initialise(np.random.default_rng(0))


def stage_of(name: str, number: int) -> Any:
    """One of the stages of a network, ready for training."""
    model = model_of(name)
    stage: Stage = plan(model.network, model.preprocess.input_shape).stages[number]
    stage.refresh(training=True)
    return stage


POOLED: Shape = (12, N, 12, 16)
"""What the first block of the cnn gives, (W, N, H, C): 147,456 values. Before pooling they are four times as
many, 589,824."""
