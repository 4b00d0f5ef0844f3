"""The state of an optimizer is a step count and a few arrays, and that is all a checkpoint needs."""

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numnist.arrays import Array
from numnist.optim import OPTIMIZERS, SGD, Adam, Momentum, OneCycle, State
from numnist.optim.base import BLOCK, EVEN

RNG = np.random.default_rng(0)
PARAMS = RNG.normal(size=30).astype(np.float32)
GRADIENTS = RNG.normal(size=(12, 30)).astype(np.float32)
MASK = RNG.random(30) < 0.5


@pytest.mark.parametrize("copied", [lambda state: pickle.loads(pickle.dumps(state)), copy.deepcopy])
def test_a_copy_goes_on_as_the_original(copied: Callable[[State], State]) -> None:
    """It steps block by block through views, which have to be of its own arrays."""
    size = BLOCK + 5
    g = np.ones(size, np.float32)
    first, second = np.zeros(size, np.float32), np.zeros(size, np.float32)
    state = Adam().init(first)
    Adam().step(first, g, state, 0.1)
    second[...] = first
    other = copied(state)
    for _ in range(3):
        Adam().step(first, g, state, 0.1)
        Adam().step(second, g, other, 0.1)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(state.slots["m"], other.slots["m"])
    assert not np.shares_memory(state.slots["m"], other.slots["m"])


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_saved_and_restored_is_uninterrupted_bit_for_bit(kind: str) -> None:
    optimizer, schedule = OPTIMIZERS[kind](weight_decay=0.1), OneCycle(0.05, total_steps=12)

    uninterrupted = PARAMS.copy()
    state = optimizer.init(uninterrupted, MASK)
    file, saved = io.BytesIO(), dict[str, Any]()
    for g in GRADIENTS:
        if state.step == 5:
            saved = {"params": uninterrupted, "step": state.step, **state.slots}
            np.savez(file, **saved)
        optimizer.step(uninterrupted, g, state, schedule(state.step))

    file.seek(0)
    saved = dict(np.load(file))
    resumed = saved.pop("params")
    fresh = optimizer.init(resumed, MASK)
    fresh.restore(int(saved.pop("step")), saved)
    for g in GRADIENTS[5:]:
        optimizer.step(resumed, g, fresh, schedule(fresh.step))

    np.testing.assert_array_equal(resumed, uninterrupted)
    assert fresh.step == state.step == 12
    assert fresh.slots.keys() == state.slots.keys()
    for slot in state.slots:
        np.testing.assert_array_equal(fresh.slots[slot], state.slots[slot])


def test_slots_start_at_zero_and_have_the_layout_of_the_parameters() -> None:
    state = Adam().init(np.ones((2, 3), np.float32))
    assert state.step == 0
    assert state.slots.keys() == {"m", "v"}
    for slot in state.slots.values():
        assert slot.dtype == np.float32
        np.testing.assert_array_equal(slot, np.zeros((2, 3)))


def test_the_state_shares_no_memory_with_what_it_was_made_from() -> None:
    params, mask = np.ones(3), np.ones(3)
    state = Momentum(weight_decay=0.1).init(params, mask)
    mask[:] = 0
    assert state.decay_mask is not None
    np.testing.assert_array_equal(state.decay_mask, np.ones(3))

    saved = {"velocity": np.ones(3)}
    state.restore(1, saved)
    Momentum().step(params, np.ones(3), state, 0.1)
    np.testing.assert_array_equal(saved["velocity"], np.ones(3))


@pytest.mark.parametrize(
    ("step", "slots", "message"),
    [
        (-1, {"m": np.ones(3), "v": np.ones(3)}, "State: expected step >= 0, got -1"),
        (1, {"m": np.ones(3)}, r"State: expected slots \['m', 'v'\], got \['m'\]"),
        (1, {"m": np.ones(3), "velocity": np.ones(3)}, r"expected slots .*, got \['m', 'velocity'\]"),
        (
            1,
            {"m": np.ones(3), "v": np.ones(4)},
            r"State: expected slot v of shape \(3,\) .*, got shape \(4,\)",
        ),
        (1, {"m": np.ones(3), "v": np.ones(3, "f4")}, "State: expected slot v .*, got .* dtype float32"),
    ],
)
def test_restore_refuses_what_does_not_fit_and_changes_nothing(
    step: int, slots: dict[str, Array], message: str
) -> None:
    state = Adam().init(np.ones(3))
    with pytest.raises(ValueError, match=message):
        state.restore(step, slots)
    assert state.step == 0
    np.testing.assert_array_equal([state.slots["m"], state.slots["v"]], np.zeros((2, 3)))


def test_a_state_of_step_zero_is_restored_too() -> None:
    optimizer = Momentum()
    state = optimizer.init(PARAMS)
    state.step = 4
    state.restore(0, {"velocity": np.ones(30, np.float32)})
    assert state.step == 0


def test_the_mask_has_the_type_of_the_parameters() -> None:
    """So that an update of float32 stays one."""
    mask = Adam().init(PARAMS, MASK).decay_mask
    assert mask is not None
    assert mask.dtype == np.float32


def test_a_wrong_mask_is_described() -> None:
    with pytest.raises(ValueError, match=r"got shape \(29,\) and dtype bool$"):
        Adam().init(PARAMS, MASK[1:])


@pytest.mark.parametrize("with_gaps", ["params", "grads"])
def test_one_of_two_arrays_with_gaps_is_enough(with_gaps: str) -> None:
    """An array with gaps has no flat view: reshaping it would update a copy."""
    given = {"params": PARAMS.reshape(15, 2), "grads": GRADIENTS[0].reshape(15, 2)}
    arrays = {name: array.copy() for name, array in given.items()}
    wide = np.zeros((15, 4), np.float32)
    wide[:, :2] = given[with_gaps]
    arrays[with_gaps] = wide[:, :2]
    optimizer, expected = Adam(), PARAMS.copy()
    optimizer.step(expected, GRADIENTS[0], optimizer.init(expected), 0.1)
    optimizer.step(arrays["params"], arrays["grads"], optimizer.init(arrays["params"]), 0.1)
    np.testing.assert_array_equal(arrays["params"].reshape(30), expected)


def test_moving_keeps_type_and_values() -> None:
    state = Momentum().init(PARAMS)
    Momentum().step(PARAMS.copy(), GRADIENTS[0], state, 0.1)
    before = {name: slot.copy() for name, slot in state.slots.items()}
    asked: list[Any] = []

    def empty(shape: Any, dtype: Any) -> Array:
        asked.append(dtype)
        return np.empty(shape, dtype)

    state.move(empty)
    assert asked == [np.float32]
    for name, slot in state.slots.items():
        np.testing.assert_array_equal(slot, before[name])


def test_a_vector_of_several_blocks_is_stepped_over_once() -> None:
    """Block by block, each value once, as if each block had been alone."""
    n = 2 * BLOCK + 5
    rng = np.random.default_rng(1)
    params, grads = (rng.normal(size=n).astype(np.float32) for _ in range(2))
    mask = rng.random(n) < 0.5
    optimizer = Adam(weight_decay=0.1)
    alone = []
    for start in range(0, n, BLOCK):
        part = slice(start, start + BLOCK)
        p = params[part].copy()
        state = optimizer.init(p, mask[part])
        for _ in range(3):
            optimizer.step(p, grads[part], state, 0.01)
        alone.append(p)
    state = optimizer.init(params, mask)
    for _ in range(3):
        optimizer.step(params, grads, state, 0.01)
    assert len(state.blocks()) > 1
    np.testing.assert_array_equal(params, np.concatenate(alone))


def test_blocks_have_their_workspaces_in_common() -> None:
    """So they stay in the cache; what the optimizer remembers is of each block's own values."""
    n = 2 * BLOCK
    state = Adam(weight_decay=0.1).init(np.zeros(n, np.float32), np.ones(n, bool))
    (_, first), (place, second), *_ = state.blocks()
    for name in ("decayed", "scratch"):
        assert np.shares_memory(getattr(first, name), getattr(second, name)), name
        assert getattr(second, name).size == place.stop - place.start
    assert not np.shares_memory(first.slots["m"], second.slots["m"])


@given(size=st.integers(1, 40 * BLOCK))
def test_blocks_are_small_and_shared_out_evenly(size: int) -> None:
    """None begins in the midst of a line of the cache, and half of them are half of the values."""
    places = [place for place, _ in SGD().init(np.empty(size, np.float32)).blocks()]
    assert [place.start for place in places] == [0, *(place.stop for place in places[:-1])]
    assert places[-1].stop == size
    assert all(0 < place.stop - place.start <= BLOCK and place.start % 16 == 0 for place in places)
    assert len(places) == 1 or len(places) % EVEN == 0
    if len(places) > 1:
        assert abs(places[len(places) // 2].start - size / 2) <= 16 * len(places)
