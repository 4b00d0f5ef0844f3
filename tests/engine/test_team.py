"""Threads that run tasks together."""

import gc
import signal
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numnist.engine.team import Team


@pytest.fixture(scope="module")
def teams() -> dict[int, Team]:
    return {threads: Team(threads) for threads in (1, 2, 3, 5)}


@given(threads=st.sampled_from([1, 2, 3, 5]), count=st.integers(0, 12))
def test_results_are_in_order_and_task_i_is_run_by_worker_i_mod_threads(
    teams: dict[int, Team], threads: int, count: int
) -> None:
    def task(number: int) -> Callable[[int], tuple[int, int]]:
        return lambda worker: (number, worker)

    results = teams[threads].run([task(i) for i in range(count)])
    assert results == [(i, i % threads) for i in range(count)]


def test_tasks_run_at_the_same_time_and_the_first_in_the_thread_of_the_caller() -> None:
    """Each waits for the other; were they run one after another, neither would get through."""
    meeting = threading.Barrier(3)

    def task(worker: int) -> int:
        meeting.wait(timeout=30)
        return threading.get_ident()

    identities = Team(3).run([task] * 3)
    assert identities[0] == threading.get_ident()
    assert len(set(identities)) == 3


@pytest.mark.parametrize("failing", [[0], [1], [2], [1, 2], [0, 1, 2], [3]])
def test_errors_are_raised_when_all_have_ended_and_the_team_still_works(failing: list[int]) -> None:
    team = Team(3)
    ended: list[int] = []

    def task(number: int) -> Callable[[int], int]:
        def run(worker: int) -> int:
            if number in failing:
                raise KeyError(number)
            time.sleep(0.01)
            ended.append(number)
            return number

        return run

    with pytest.raises(KeyError) as caught:
        team.run([task(i) for i in range(4)])
    assert caught.value.args[0] in failing
    if 0 in failing:
        assert caught.value.args == (0,)
    behind = {3} if 0 in failing else set()  # task 3 is behind task 0, in the same thread
    assert set(ended) == set(range(4)) - set(failing) - behind
    assert team.run([lambda worker: worker] * 4) == [0, 1, 2, 0]


@pytest.mark.parametrize("threads", [1, 2])
def test_errors_of_numpy_are_what_the_caller_wants_them_to_be(threads: int) -> None:
    team = Team(threads)

    def task(worker: int) -> bool:
        return bool(np.isinf(np.float32(1) / np.zeros(1, np.float32)).all())

    with np.errstate(divide="ignore"):
        assert team.run([task] * 2) == [True] * 2
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        team.run([lambda worker: True, task])


def test_an_interrupted_run_is_waited_for() -> None:
    """Ctrl-C while the caller waits for another thread: what that writes must not come in the next run."""
    team, go_on = Team(2), threading.Event()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def second(worker: int) -> int:
        time.sleep(0.05)
        return 2

    timer = threading.Timer(0.2, go_on.set)
    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        timer.start()
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            team.run([lambda worker: True, lambda worker: go_on.wait(30)])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        timer.join()
    for _ in range(2):
        assert team.run([lambda worker: 1, second]) == [1, 2]


def test_threads_end_with_their_team() -> None:
    before = set(threading.enumerate())
    team = Team(4)
    team.run([lambda worker: worker] * 4)
    own = set(threading.enumerate()) - before
    assert len(own) == 3
    assert all(thread.daemon for thread in own)
    del team
    gc.collect()
    for thread in own:
        thread.join(timeout=30)
    assert not any(thread.is_alive() for thread in own)


def test_a_team_of_nobody() -> None:
    with pytest.raises(ValueError, match="Team: expected at least one thread, got 0"):
        Team(0)
