"""Memory that is allocated once."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.helpers import noise, twins

from numnist.engine import Engine
from numnist.engine.memory import ALIGNMENT, Recent, Scratch, aligned
from numnist.nn import ARCHITECTURES
from numnist.optim import Adam, clip_gradient_norm


@pytest.mark.parametrize("network", [*ARCHITECTURES, "mlp:30,20"])
def test_a_step_of_training_allocates_less_than_a_megabyte(network: str) -> None:
    """At its peak: everything, down to the optimizer, once batches of this size have been seen."""
    model = twins(network, (28, 28)).model
    engine = Engine(model, threads=1)
    rng = np.random.default_rng(0)
    x, y = noise(rng, 128, model), rng.integers(0, 10, 128)
    optimizer = Adam()
    state = optimizer.init(model.parameters)

    def peak() -> int:
        tracemalloc.start()
        engine.loss_and_grads(x, y, rng)
        clip_gradient_norm(engine.gradient, 1.0)
        optimizer.step(model.parameters, engine.gradient, state, lr=0.001)
        model.mark_changed()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    first, _, steady = peak(), peak(), peak()
    assert first > x.nbytes  # what it needs is seen here
    assert steady < 1e6


def test_aligned_memory_of_no_size() -> None:
    assert aligned((0, 3)).shape == (0, 3)


@given(st.lists(st.integers(1, 7), max_size=3), st.sampled_from([np.float32, np.int8, np.float64]))
def test_aligned(shape: list[int], dtype: type[np.generic]) -> None:
    array = aligned(tuple(shape), dtype)
    assert array.shape == tuple(shape)
    assert array.dtype == dtype
    assert array.ctypes.data % ALIGNMENT == 0
    assert array.flags.c_contiguous
    assert array.flags.writeable


def test_scratch_of_one_slot_is_the_same_memory_and_of_two_slots_is_not() -> None:
    scratch = Scratch()
    large, small = scratch.array("a", (4, 5)), scratch.array("a", (7,), np.int32)
    other = scratch.array("b", (4, 5))
    assert np.shares_memory(large, small)
    assert not np.shares_memory(large, other)
    assert not np.shares_memory(large, Scratch().array("a", (4, 5)))
    larger = scratch.array("a", (30,))
    large[...], larger[...] = 1, 2
    assert (large == 1).all()
    assert np.shares_memory(larger, scratch.array("a", (2, 2)))


def test_recent_keeps_what_was_used_last() -> None:
    recent: Recent[str, str] = Recent(2)
    made: list[str] = []

    def make(key: str) -> str:
        made.append(key)
        return key.upper()

    assert [recent.get(key, make) for key in "ababcacbc"] == list("ABABCACBC")
    assert made == ["a", "b", "c", "a", "b"]
    recent.forget("b")
    recent.forget("never seen")
    assert [recent.get(key, make) for key in "cb"] == ["C", "B"]
    assert made == ["a", "b", "c", "a", "b", "b"]


def test_recent_makes_room_before_it_makes_something_new() -> None:
    recent: Recent[int, list[int]] = Recent(1)
    recent.get(1, lambda key: [key])

    def fails(key: int) -> list[int]:
        raise MemoryError

    with pytest.raises(MemoryError):
        recent.get(2, fails)
    assert recent.get(1, lambda key: [key, key]) == [1, 1]
