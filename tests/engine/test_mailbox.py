"""Messages between processes."""

import multiprocessing
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from numnist.arrays import Array
from numnist.engine import mailbox
from numnist.engine.exchange import Parts, Rows, Sums
from numnist.engine.kernels.input_convolution import PatchMoments
from numnist.engine.mailbox import Channel, Mailbox, shared_memory
from numnist.ops.batch_norm import Statistics


@dataclass(frozen=True)
class Nested:
    name: str
    values: dict[str, Any]


ARRAYS = st_numpy.arrays(
    st.sampled_from([np.float32, np.float64, np.int8, np.bool_]),
    st_numpy.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
)


def same(a: Any, b: Any) -> bool:
    """Whether two objects are equal to the last bit, with arrays anywhere in them."""
    if isinstance(a, np.ndarray):
        return bool(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes())
    if isinstance(a, tuple | list):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if hasattr(a, "__dict__"):
        return type(a) is type(b) and same(sorted(vars(a).items()), sorted(vars(b).items()))
    return bool(a == b)


@pytest.fixture(scope="module")
def channel() -> Channel:
    return Channel()


@given(arrays=st.lists(ARRAYS, max_size=4), number=st.integers())
def test_what_is_taken_is_what_was_put(channel: Channel, arrays: list[Array], number: int) -> None:
    """The parts of all kernels, arrays in any number, of any shape and order in memory."""
    message = (
        "answer",
        [Sums(tuple(arrays)), None, Rows(tuple(array.T for array in arrays))],
        Parts((Statistics(number, np.arange(3.0), np.ones(3)), PatchMoments(1, np.ones(2), np.eye(2)))),
        [array[..., ::2] if array.ndim else array for array in arrays],
    )
    channel.put(message)
    taken = channel.take()
    assert same(taken, message)


def test_arrays_are_the_receivers_own(channel: Channel) -> None:
    sent = np.zeros(100, np.float32)
    channel.put(sent)
    first = channel.take()
    channel.put(sent + 1)
    second = channel.take()
    assert (first == 0).all()
    first[...] = 5
    assert (second == 1).all()
    assert (sent == 0).all()


@pytest.mark.parametrize("message", [np.zeros(1000), "x" * 5000])
def test_messages_that_are_too_large(message: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "BYTES", 4096)
    channel = Channel()
    with pytest.raises(ValueError, match="bytes is more than there is room for"):
        channel.put(message)
    channel.put("short")
    assert channel.take() == "short"


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # from Python 3.12 on
def test_two_processes_take_turns_and_see_the_same_memory() -> None:
    here, there = Mailbox.pair()
    shared = shared_memory((2, 3), np.float64)
    assert not shared.any()

    def echo() -> None:
        while (message := there.receive(lambda: True)) is not None:
            shared[...] += message
            there.send((message, shared.copy()))

    process = multiprocessing.get_context("fork").Process(target=echo, daemon=True)
    process.start()
    for i in range(1, 50):
        here.send(i)
        message, copy = here.receive(process.is_alive)
        assert message == i
        np.testing.assert_array_equal(copy, np.full((2, 3), i * (i + 1) / 2))
        np.testing.assert_array_equal(shared, copy)
    here.send(None)
    process.join(30)
    assert process.exitcode == 0


def test_whoever_waits_for_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "CHECK", 0.01)
    here, _ = Mailbox.pair()
    asked = iter([True, True, False])
    with pytest.raises(EOFError, match="has ended"):
        here.receive(lambda: next(asked))
    assert next(asked, None) is None


def test_shared_memory_without_values() -> None:
    assert shared_memory((0, 3)).shape == (0, 3)
