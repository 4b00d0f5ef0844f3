"""What is set for the caller holds in a step, and what a step sets for itself holds there alone."""

import gc
import time
import weakref
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from tests.engine.helpers import noise, twins
from tests.engine.layers import FLATTEN, NORM, RELU, conv, linear

from numnist.arrays import Array, Shape
from numnist.engine import Engine, batch, context
from numnist.engine.kernels.convolution import Convolution
from numnist.engine.kernels.normaliser import Normaliser
from numnist.nn import Flatten, Layer, Linear, Model, Preprocess, Sequential

SIZE = (12, 10)
OF_CALLER: ContextVar[Any] = ContextVar("of_caller", default=0)


@dataclass(eq=False)
class Observer(Layer):
    """A layer that no kernel knows, and which passes on NumPy's buffer size and `OF_CALLER`."""

    per_sample: ClassVar[bool] = True

    def forward(self, x: Array, training: bool, rng: Any) -> tuple[Array, None]:
        y = np.zeros_like(x)
        y[:, 0], y[:, 1] = np.getbufsize(), OF_CALLER.get()
        return y, None

    def backward(self, dy: Array, cache: None) -> tuple[Array, dict[str, Array]]:
        return np.zeros_like(dy), {}

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


def seen(engine: Engine, n: int) -> Array:
    """What the observer passes on for each sample, as the gradient of the layer behind it tells: its sums."""
    model, x = engine.model, np.ones((n, 1, 4, 4), np.float32)
    engine.loss_and_grads(x, np.full(n, 3), None)
    gradients = model.layout.views(engine.gradient)
    observed: Array = gradients["2.weight"][3, :2] / gradients["2.bias"][3]
    return observed


@pytest.mark.parametrize("threads", [1, 2])
def test_the_buffer_is_small_in_a_step_and_the_callers_outside(threads: int) -> None:
    network = Sequential([Flatten(), Observer(), Linear(16, 10)])
    engine = Engine(Model(network, Preprocess(image_size=(4, 4))), threads=threads, shard_size=4)
    before = np.getbufsize()
    assert seen(engine, 8)[0] == pytest.approx(context.BUFFER)
    assert np.getbufsize() == before != context.BUFFER


def test_a_layer_sees_what_the_caller_has_set_now() -> None:
    network = Sequential([Flatten(), Observer(), Linear(16, 10)])
    engine = Engine(Model(network, Preprocess(image_size=(4, 4))), threads=1)
    token = OF_CALLER.set(0)
    try:
        for value in (1, 2, 3):
            OF_CALLER.set(value)
            assert seen(engine, 4)[1] == pytest.approx(value)
    finally:
        OF_CALLER.reset(token)


@pytest.fixture(params=[True, False])
def finds_variable(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether NumPy's context variable is found."""
    assert context.VARIABLE is not None
    if not request.param:
        monkeypatch.setattr(context, "VARIABLE", None)


@pytest.mark.usefixtures("finds_variable")
def test_a_context_is_current_until_errors_are_handled_otherwise() -> None:
    of_engine, handling, before = context.NumPyContext(), np.geterr(), np.getbufsize()
    assert of_engine.is_current()
    with np.errstate(over="raise" if handling["over"] != "raise" else "ignore"):
        assert not of_engine.is_current()
    for _ in range(2):
        with np.errstate(**handling):  # another object, and the same handling
            assert of_engine.is_current()
            assert of_engine.run(np.getbufsize) == context.BUFFER
            assert of_engine.run(np.geterr) == handling
        assert of_engine.is_current()
        assert np.getbufsize() == before


@pytest.mark.usefixtures("finds_variable")
@pytest.mark.parametrize("threads", [1, 2])
def test_the_callers_objects_are_seen_and_not_kept(threads: int) -> None:
    """Also one that equals that of the step before."""
    seen_by_layer: list[Any] = []

    class Kept(list[int]):
        """A list that can be referred to weakly."""

    class Listener(Observer):
        def forward(self, x: Array, training: bool, rng: Any) -> tuple[Array, Any]:
            seen_by_layer.append(weakref.ref(OF_CALLER.get()))
            return x, None

    network = Sequential([Flatten(), Listener(), Linear(16, 10)])
    engine = Engine(Model(network, Preprocess(image_size=(4, 4))), threads=threads, shard_size=4)
    for _ in range(2):
        mine = Kept()
        token = OF_CALLER.set(mine)
        engine.loss_and_grads(np.zeros((8, 1, 4, 4), np.float32), np.zeros(8, np.int64), None)
        assert seen_by_layer[-1]() is mine
        OF_CALLER.reset(token)
        del mine, token
        gc.collect()
        assert seen_by_layer[-1]() is None


def test_threads_make_what_shards_have_in_common_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    of_stage = Convolution.normaliser

    def slowly(stage: Convolution, count: int, batch: int) -> Normaliser:
        made.append(count)
        time.sleep(0.05)  # until the other thread is there
        return of_stage(stage, count, batch)

    pair = twins([conv(3, 3), NORM, RELU, conv(4, 3), NORM, FLATTEN, linear()], SIZE)
    x, y = noise(np.random.default_rng(0), 8, pair.model), np.arange(8)
    engine = Engine(pair.again(), threads=1, shard_size=4)
    expected = engine.loss_and_grads(x, y, None), engine.gradient.tobytes()
    monkeypatch.setattr(batch, "can_fork", lambda: False)
    monkeypatch.setattr(Convolution, "normaliser", slowly)
    engine = Engine(pair.again(), threads=2, shard_size=4)
    assert (engine.loss_and_grads(x, y, None), engine.gradient.tobytes()) == expected
    assert len(made) == 2


@pytest.mark.parametrize("label_smoothing", [-0.5, 1.5, float("nan")])
def test_label_smoothing_is_a_share(label_smoothing: float) -> None:
    model = twins([FLATTEN, linear()], SIZE).model
    with pytest.raises(ValueError, match=r"label_smoothing in 0\.\.1"):
        Engine(model, label_smoothing)
