"""Sums per channel, and numbers per channel as an operand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numnist.arrays import Shape
from numnist.engine.kernels.sums import ColumnSums
from numnist.engine.kernels.tiles import Tile

SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 9), st.integers(1, 40))
SEEDS = st.integers(0, 2**32 - 1)


@given(shape=SHAPES, seed=SEEDS)
def test_sums_of_columns_and_of_products(shape: Shape, seed: int) -> None:
    """Bound once, computed from what stands there at each call."""
    x, y = np.empty(shape, np.float32), np.empty(shape, np.float32)
    sums, products = ColumnSums(x), ColumnSums(x, y)
    rng = np.random.default_rng(seed)
    for _ in range(2):
        x[...], y[...] = rng.standard_normal(shape), rng.standard_normal(shape)
        wide, wide_y = x.reshape(-1, shape[-1]).astype(np.float64), y.reshape(-1, shape[-1])
        for ours, terms in ((sums(), wide), (products(), wide * wide_y)):
            assert ours.dtype == np.float64
            np.testing.assert_allclose(ours, terms.sum(axis=0), atol=1e-6 * np.abs(terms).sum(axis=0).max())


@pytest.mark.parametrize("rows", [1, 255, 256, 257, 513, 100_000])
@pytest.mark.parametrize("channels", [1, 3, 16, 700])
def test_long_sums_of_one_sign_lose_little(rows: int, channels: int) -> None:
    """Added up one after another in float32, 100,000 values would be off by 1e-4."""
    x = np.full((rows if channels < 700 else min(rows, 513), channels), 0.1, np.float32)
    expected = len(x) * float(np.float32(0.1))
    np.testing.assert_allclose(ColumnSums(x)(), expected, rtol=2e-6)
    np.testing.assert_allclose(ColumnSums(x, x)(), expected * float(np.float32(0.1)), rtol=2e-6)


@given(shape=SHAPES, seed=SEEDS)
def test_a_tile_has_its_numbers_for_every_channel(shape: Shape, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape, dtype=np.float32)
    first, second = rng.standard_normal((2, shape[-1])).astype(np.float32)
    tile = Tile(x, count=2)
    tile.set(first, second)
    rows = tile.rows(x)
    assert np.shares_memory(rows, x)
    scaled = (rows * tile.values[0] + tile.values[1]).reshape(shape)
    np.testing.assert_array_equal(scaled, x * first + second)
