import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numnist.data import batches, number_of_batches


@given(n=st.integers(0, 300), batch_size=st.integers(1, 70), seed=st.none() | st.integers(0, 5))
def test_every_example_once_in_full_batches(n: int, batch_size: int, seed: int | None) -> None:
    rng = None if seed is None else np.random.default_rng(seed)
    result = list(batches(n, batch_size, rng))
    assert len(result) == number_of_batches(n, batch_size)
    assert all(len(batch) == batch_size for batch in result[:-1])
    assert all(1 <= len(batch) <= batch_size for batch in result)
    indices = np.concatenate([np.empty(0, np.int64), *result])
    assert indices.dtype == np.int64
    np.testing.assert_array_equal(indices if seed is None else np.sort(indices), np.arange(n))


def test_no_empty_batch_at_the_end() -> None:
    """The original yielded one when the batch size divided the number of examples."""
    assert [len(batch) for batch in batches(96, 32, None)] == [32, 32, 32]
    assert [len(batch) for batch in batches(97, 32, None)] == [32, 32, 32, 1]
    assert list(batches(0, 32, None)) == []
    assert [number_of_batches(n, 32) for n in (0, 1, 32, 33, 96, 97)] == [0, 1, 1, 2, 3, 4]


def test_the_order_is_the_generators() -> None:
    def order(seed: int) -> list[int]:
        return [int(i) for batch in batches(100, 7, np.random.default_rng(seed)) for i in batch]

    assert order(0) == order(0)
    assert order(0) != order(1)
    assert order(0) != list(range(100))


@pytest.mark.parametrize(("n", "batch_size"), [(-1, 3), (3, 0), (3, -2)])
def test_refused_at_the_call(n: int, batch_size: int) -> None:
    with pytest.raises(ValueError, match=f"got {n} and {batch_size}"):
        batches(n, batch_size, None)
    with pytest.raises(ValueError, match=f"got {n} and {batch_size}"):
        number_of_batches(n, batch_size)
