"""BLAS has one thread while the engine works, and as many as before afterwards."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

from numnist.engine.blas import OneBlasThread


def threads() -> set[int]:
    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    return {library.get_num_threads() for library in libraries}


pytestmark = pytest.mark.skipif(not threads(), reason="threadpoolctl does not know this BLAS")


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    with threadpool_limits(3, user_api="blas"):
        yield


def test_it_is_one_and_then_what_it_was() -> None:
    one = OneBlasThread()
    for _ in range(2):
        with one:
            assert threads() == {1}
        assert threads() == {3}


def test_it_may_be_entered_again() -> None:
    one, other = OneBlasThread(), OneBlasThread()
    with one, other, one:
        assert threads() == {1}
    assert threads() == {3}


def test_an_error_passes_through() -> None:
    with pytest.raises(KeyError), OneBlasThread():
        raise KeyError
    assert threads() == {3}


def test_another_thread_may_enter_it_while_the_first_lives() -> None:
    """To threadpoolctl the first thread that has set a limit is the only one that can."""

    def entered() -> set[int]:
        with OneBlasThread():
            return threads()

    entered()
    with ThreadPoolExecutor(1) as other:
        assert other.submit(entered).result() == {1}
    assert threads() == {3}
