"""Behind an update other processes derive what the next step needs: nothing that comes between harms that."""

import os
import time
from collections.abc import Callable

import numpy as np
import pytest
from tests.engine.helpers import twins
from tests.engine.layers import FLATTEN, NORM, RELU, Description, conv, linear, pool
from tests.engine.test_engine import ALL_KINDS, SIZE, batch

from numnist.arrays import Array
from numnist.engine import Engine, share_parameters
from numnist.engine.kernels.winograd_convolution import WinogradConvolution
from numnist.nn import Model
from numnist.optim import SGD, Update

LONG = 0.02
"""Seconds that others take to derive what they need."""

LARGE = [
    conv(4, 3), NORM, RELU, pool(), conv(5, 3, padding=1), NORM, RELU, FLATTEN, linear(600), RELU, linear(),
]  # fmt: skip
"""A network with so many parameters that all processes update them."""


class Scene:
    """An engine, its model and an update; `seen` is all that came of what was done with them."""

    def __init__(self, threads: int, shared: bool, network: list[Description] = ALL_KINDS) -> None:
        self.model: Model = twins(network, SIZE).model
        if shared:
            share_parameters(self.model)
        self.engine = Engine(self.model, threads=threads, shard_size=4)
        self._update = Update(SGD(), SGD().init(self.model.parameters))
        self.seen: list[bytes] = []
        for n in (5, 7):
            self.step(n)
            self.update()

    def step(self, n: int = 7, y: Array | None = None) -> None:
        x, labels = batch(n)[0], np.arange(n) % 10
        result = self.engine.loss_and_grads(x, labels if y is None else y, np.random.default_rng(n))
        self.seen += [np.float64(result.loss).tobytes(), self.engine.gradient.tobytes()]

    def update(self) -> None:
        self.engine.update(self._update, 0.5)

    def predict(self) -> None:
        self.seen.append(self.engine.predict(batch(3)[0]).tobytes())


def another_size(scene: Scene) -> None:
    scene.step(5)
    scene.step(7)


def a_failed_batch_of_another_size(scene: Scene) -> None:
    with pytest.raises(ValueError, match="expected"):
        scene.step(5, np.zeros((5, 3), np.float32))
    scene.step(7)


def labels_that_do_not_exist(scene: Scene) -> None:
    with pytest.raises(ValueError, match=r"expected labels in 0\.\.9, got 4\.\.11"):
        scene.step(7, np.array([4, 5, 6, 7, 8, 9, 11]))
    scene.step(7)


def no_images(scene: Scene) -> None:
    with pytest.raises(ValueError, match="expected a batch of N >= 1"):
        scene.step(0)
    scene.predict()
    time.sleep(2 * LONG)
    scene.predict()
    scene.step(7)


def another_handling_of_errors(scene: Scene) -> None:
    with np.errstate(over="raise"):
        scene.step(7)
    scene.step(7)


def distributions_behind_labels(scene: Scene) -> None:
    scene.step(7, batch(7)[1])
    scene.step(7)


def another_update(scene: Scene) -> None:
    scene.update()
    scene.step(7)


def a_prediction(scene: Scene) -> None:
    scene.predict()
    scene.step(7)


def parameters_set_and_marked(scene: Scene) -> None:
    scene.model.parameters[...] *= np.float32(0.5)
    scene.model.mark_changed()
    scene.step(7)


def parameters_set_behind_a_step(scene: Scene) -> None:
    scene.step(7)
    scene.model.parameters[...] *= np.float32(0.5)
    scene.model.mark_changed()
    scene.step(7)


@pytest.mark.parametrize("network", [ALL_KINDS, LARGE], ids=["all kinds", "large"])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(
    "what",
    [
        another_size, a_failed_batch_of_another_size, labels_that_do_not_exist, no_images,
        another_handling_of_errors, distributions_behind_labels, another_update, a_prediction,
        parameters_set_and_marked, parameters_set_behind_a_step,
    ],
)  # fmt: skip
def test_it_is_as_in_one_process(
    what: Callable[[Scene], None],
    shared: bool,
    network: list[Description],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where the others take their time."""
    here, original = os.getpid(), WinogradConvolution.refresh

    def slow(stage: WinogradConvolution, training: bool) -> None:
        if os.getpid() != here:
            stage.U[...] = stage.gather[...] = 0  # what would be seen too early
            time.sleep(LONG)
        original(stage, training)

    monkeypatch.setattr(WinogradConvolution, "refresh", slow)
    seen = []
    for threads in (1, 2):
        scene = Scene(threads, shared, network)
        scene.step(7)
        scene.update()
        what(scene)
        scene.update()
        scene.step(7)
        scene.predict()
        seen.append(scene.seen)
    assert seen[0] == seen[1]


@pytest.mark.parametrize("threads", [1, 2])
def test_parameters_that_are_shared_may_be_set_without_a_word_between_two_steps(threads: int) -> None:
    """As long as it is the caller who updates them: a step then looks at them as they are."""
    seen = []
    for marks in (False, True):
        scene = Scene(threads, shared=True)
        scene.step(7)
        scene.model.parameters[...] *= np.float32(0.5)
        if marks:
            scene.model.mark_changed()
        scene.step(7)
        seen.append(scene.seen)
    assert seen[0] == seen[1]
