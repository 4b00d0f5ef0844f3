"""Preparing what comes next while the present is worked on."""

import threading
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numnist.train.prefetch import AHEAD, prefetch


@given(st.lists(st.integers()))
def test_the_same_items_in_the_same_order(items: list[int]) -> None:
    assert list(prefetch(items)) == items


def test_the_next_item_is_made_while_this_one_is_used() -> None:
    made = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        made.set()
        yield 2

    with closing(prefetch(items())) as ahead:
        assert next(ahead) == 1
        assert made.wait(timeout=10)


def test_no_more_are_made_than_there_is_room_for() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(100):
            made.append(i)
            yield i

    with closing(prefetch(items())) as ahead:
        for used, _ in enumerate(ahead, start=1):
            assert len(made) <= used + AHEAD + 1  # those used, those ready, one under way


def test_an_error_comes_in_the_place_of_the_item() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise LookupError("the second")

    ahead = prefetch(items())
    assert next(ahead) == 1
    with pytest.raises(LookupError, match="the second"):
        next(ahead)


def test_who_stops_half_way_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    with closing(prefetch(range(10**9))) as ahead:
        assert next(ahead) == 0
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_numpy_handles_errors_there_as_here() -> None:
    def items() -> Iterator[float]:
        yield float(np.float64(1) / np.float64(0))

    with np.errstate(divide="ignore"):
        assert list(prefetch(items())) == [np.inf]
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        list(prefetch(items()))
