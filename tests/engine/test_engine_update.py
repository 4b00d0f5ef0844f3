"""Updates of the parameters by the engine, which makes large ones on all cores."""

import multiprocessing
import os

import numpy as np
import pytest
from tests.engine.helpers import noise, twins

from numnist.arrays import Array
from numnist.engine import Engine, share_parameters
from numnist.nn import Model, Reference
from numnist.optim import Adam, Momentum, Update
from numnist.optim.base import BLOCK

LARGE, SMALL = "mlp:60,40", "linear"


def new_model(network: str = LARGE, shared: bool = False) -> Model:
    model = twins(network, (28, 28)).model
    if shared:
        share_parameters(model)
    return model


def batch(model: Model, seed: int, n: int = 12) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return noise(rng, n, model), rng.integers(0, 10, n)


def trained(model: Model, engine: Engine, update: Update, steps: int = 5) -> list[bytes]:
    """The parameters after every step, some of them on batches of another size."""
    states = []
    for step in range(steps):
        engine.loss_and_grads(*batch(model, step, 9 if step == 3 else 12), None)
        engine.update(update, 0.01 / (1 + step))
        states.append(model.parameters.tobytes())
    return states


def new_update(model: Model) -> Update:
    optimizer = Adam(weight_decay=1e-3)
    return Update(optimizer, optimizer.init(model.parameters, model.decay_mask()))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("network", [LARGE, SMALL])
def test_any_number_of_processes_makes_the_same_update(network: str, shared: bool) -> None:
    """That of `Optimizer.step`, to the last bit."""
    expected = None
    for threads in (1, 2, 3):
        model = new_model(network, shared)
        update = new_update(model)
        assert (update.parts > 1) == (model.parameters.size > BLOCK)
        states = trained(model, Engine(model, threads=threads, shard_size=4), update)
        assert update.made == update.state.step == 5
        slots = [slot.tobytes() for slot in update.state.slots.values()]
        expected = expected or (states, slots)
        assert (states, slots) == expected


def test_it_is_the_update_that_the_reference_makes() -> None:
    """Of the engine's gradient."""
    model, other = new_model(), new_model()
    engine, reference = Engine(model, threads=2), Reference(other)
    update, others = new_update(model), new_update(other)
    for step in range(3):
        engine.loss_and_grads(*batch(model, step), None)
        reference.gradient[...] = engine.gradient
        version = model.version, other.version
        engine.update(update, 0.1)
        reference.update(others, 0.1)
        np.testing.assert_array_equal(model.parameters, other.parameters)
        assert (model.version, other.version) > version


@pytest.mark.parametrize("shared", [False, True])
def test_what_happens_between_the_steps_counts(shared: bool) -> None:
    """Parameters that are set, a state that is restored, another optimizer: as in one process."""
    results = []
    for threads in (1, 2):
        model = new_model(shared=shared)
        engine, update = Engine(model, threads=threads, shard_size=6), new_update(model)
        trained(model, engine, update, 2)
        saved = {name: slot.copy() for name, slot in update.state.slots.items()}
        trained(model, engine, update, 2)
        update.state.restore(1, saved)
        trained(model, engine, update, 1)
        model.parameters[...] *= np.float32(0.5)
        model.mark_changed()
        trained(model, engine, update, 2)
        momentum = Momentum()
        trained(model, engine, Update(momentum, momentum.init(model.parameters)), 2)
        results.append((trained(model, engine, update, 1), engine.predict(batch(model, 0)[0]).tobytes()))
    assert results[0] == results[1]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_bad_rate_changes_nothing(threads: int) -> None:
    model = new_model()
    engine, update = Engine(model, threads=threads), new_update(model)
    trained(model, engine, update, 2)
    before = model.parameters.tobytes()
    engine.loss_and_grads(*batch(model, 7), None)
    for rate in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="expected lr to be a finite number >= 0"):
            engine.update(update, rate)
    assert model.parameters.tobytes() == before
    assert update.made == 2


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # from Python 3.12 on
def test_a_forked_process_trains_a_model_of_its_own() -> None:
    model = new_model(shared=True)
    engine = Engine(model, threads=2)
    trained(model, engine, new_update(model), 2)
    before = model.parameters.tobytes()
    there, here = multiprocessing.Pipe()

    def work() -> None:
        here.send(trained(model, engine, new_update(model), 2))

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    assert there.poll(30)
    states = there.recv()
    process.join(30)
    assert model.parameters.tobytes() == before
    assert trained(model, engine, new_update(model), 2) == states


class FailingUpdate(Update):
    """One whose parts fail in the first process, or in another."""

    def part(self, params: Array, grads: Array, lr: float, number: int, part: slice) -> None:
        if number == 3 and (part.start == 0) == (os.environ["NUMNIST_TEST_FAILS"] == "here"):
            raise MemoryError("no room")
        super().part(params, grads, lr, number, part)


@pytest.mark.parametrize("where", ["here", "in a worker"])
@pytest.mark.parametrize("shared", [False, True])
def test_after_a_failed_update_all_have_the_same_parameters(
    shared: bool, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever parts of it were made: the next step is one of the parameters that the model has then."""
    monkeypatch.setenv("NUMNIST_TEST_FAILS", where)
    model = new_model(shared=shared)
    engine, good = Engine(model, threads=2), new_update(model)
    update = FailingUpdate(good.optimizer, good.state)
    trained(model, engine, update, 2)
    engine.loss_and_grads(*batch(model, 7), None)
    with pytest.raises(MemoryError, match="no room"):
        engine.update(update, 0.1)
    other = new_model()
    other.parameters[...] = model.parameters
    fresh = Engine(other, threads=1)
    assert engine.loss_and_grads(*batch(model, 8), None) == fresh.loss_and_grads(*batch(model, 8), None)
    np.testing.assert_array_equal(engine.gradient, fresh.gradient)


def test_parameters_that_are_moved_are_those_that_count() -> None:
    """Also under an engine that has been used."""
    model = new_model()
    engine, update = Engine(model, threads=2), new_update(model)
    trained(model, engine, update, 2)
    engine.predict(batch(model, 0)[0])
    share_parameters(model)
    model.parameters[...] = 0
    model.mark_changed()
    assert not engine.predict(batch(model, 0)[0]).any()
    assert engine.loss_and_grads(*batch(model, 0), None).loss == pytest.approx(np.log(10))
    trained(model, engine, update, 2)
    assert model.parameters.any()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # from Python 3.12 on
def test_an_update_in_a_forked_process_is_its_own() -> None:
    """Though it is the first thing that is asked of the engine there."""
    model = new_model(shared=True)
    engine, update = Engine(model, threads=2), new_update(model)
    trained(model, engine, update, 3)
    before, slots = model.parameters.tobytes(), [slot.copy() for slot in update.state.slots.values()]
    there, here = multiprocessing.Pipe()

    def work() -> None:
        engine.update(new_update(model), 0.1)
        here.send(model.parameters.tobytes())

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    assert there.poll(30)
    assert there.recv() != before
    process.join(30)
    assert model.parameters.tobytes() == before
    for slot, old in zip(update.state.slots.values(), slots, strict=True):
        np.testing.assert_array_equal(slot, old)
    trained(model, engine, update, 1)


def test_numpys_errors_are_the_callers_in_every_part() -> None:
    model = new_model()
    engine, update = Engine(model, threads=2), new_update(model)
    trained(model, engine, update, 2)
    engine.loss_and_grads(*batch(model, 7), None)
    engine.gradient[-100:] = 1e30
    with np.errstate(all="ignore", over="raise"), pytest.raises(FloatingPointError):
        engine.update(update, 0.1)


def test_engines_may_take_turns_with_one_update() -> None:
    """Either moves what the update remembers to memory of its own; the other's processes still see theirs."""
    ends = []
    for threads in (1, 2):
        model = new_model()
        update = new_update(model)
        engines = [Engine(model, threads=threads) for _ in range(2)]
        for step in range(8):
            engine = engines[step // 2 % 2]
            engine.loss_and_grads(*batch(model, step), None)
            engine.update(update, 0.01)
        ends.append(model.parameters.tobytes())
    assert ends[0] == ends[1]
