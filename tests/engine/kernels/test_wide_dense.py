"""Products in blocks of rows, and the orders in which fully connected layers hand values on."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.helpers import drawn_off_kinks, require_equal, twins
from tests.engine.layers import FLATTEN, NORM, RELU, TANH, linear

from numnist.engine import plan
from numnist.engine.kernels import dense_pair, products, wide_dense
from numnist.engine.kernels.products import by_blocks, by_columns
from numnist.engine.kernels.wide_dense import WideDense

SIZE = (11, 9)


@given(M=st.integers(0, 90), K=st.integers(0, 9), N=st.integers(1, 90), most=st.integers(1, 3000))
def test_blocks_give_the_product(M: int, K: int, N: int, most: int) -> None:
    rng = np.random.default_rng(0)
    left, right, out = rng.normal(size=(M, K)), rng.normal(size=(K, N)), np.empty((M, N))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "SMALL_PRODUCT", most)
        for product in (by_blocks, by_columns):
            out[...] = np.nan
            product(left, right, out)()
            np.testing.assert_allclose(out, left @ right, rtol=1e-12, atol=1e-12)


def test_a_small_batch_is_multiplied_in_blocks_and_a_large_one_is_not() -> None:
    def left(samples: int) -> tuple[int, ...]:
        step = by_blocks(np.ones((300, 784)), np.ones((784, samples)), np.ones((300, samples)))
        return tuple(step.args[0].shape)  # type: ignore[attr-defined]

    assert left(32) == (10, 30, 784)
    assert left(512) == (300, 784)


@pytest.mark.parametrize("most", [0, 2**17])
@pytest.mark.parametrize("n", [7, 13])
def test_it_is_the_same_whether_the_images_are_turned(
    most: int, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wide_dense, "FEW_VALUES", most)
    pair = twins([FLATTEN, linear(700), RELU, linear(200), RELU, linear()], SIZE)
    require_equal(pair, drawn_off_kinks(pair, n), np.arange(n) % 10)


def test_a_network_may_end_with_one() -> None:
    pair = twins([FLATTEN, linear(700)], SIZE, classes=700)
    assert isinstance(plan(pair.model.network, (1, *SIZE)).stages[-1], WideDense)
    require_equal(pair, drawn_off_kinks(pair, 7), np.arange(7) * 100)


def test_there_may_be_more_shards_than_features() -> None:
    size = (182, 182)
    pair = twins([FLATTEN, linear(2), TANH], size, classes=2)
    require_equal(pair, drawn_off_kinks(pair, 7), np.arange(7) % 2, shard_size=2)


def test_there_may_be_more_shards_than_hidden_features() -> None:
    pair = twins([FLATTEN, linear(4), RELU, linear(3)], (128, 128), classes=3)
    require_equal(pair, drawn_off_kinks(pair, 40), np.arange(40) % 3, shard_size=5)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("behind", [[], [NORM]], ids=["pair", "wide"])
def test_there_may_be_more_shards_than_parts(
    behind: list[Any], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What shards put together does not grow with the square of the batch."""
    monkeypatch.setattr(wide_dense, "MOST_PARTS", 4)
    monkeypatch.setattr(dense_pair, "MOST_PARTS", 4)
    pair = twins([FLATTEN, linear(700), RELU, *behind, linear()], SIZE)
    require_equal(pair, drawn_off_kinks(pair, 13), np.arange(13) % 10, shard_size=2, threads=threads)
