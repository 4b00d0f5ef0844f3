"""Sums per channel, and numbers per channel as an operand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numnist.arrays import Shape
from numnist.engine.kernels.sums import ColumnSums
from numnist.engine.kernels.tiles import Tile

SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 9))
SEEDS = st.integers(0, 2**32 - 1)


@given(shapes=st.lists(SHAPES, min_size=1, max_size=3), channels=st.integers(1, 40), seed=SEEDS)
def test_sums_of_columns_and_of_products(shapes: list[Shape], channels: int, seed: int) -> None:
    """Of several parts of any sizes; bound once, computed from what stands there at each call."""
    parts = [np.empty((2, *shape, channels), np.float32) for shape in shapes]
    sums = ColumnSums([(x,) for x, _ in parts], [(x, y) for x, y in parts])
    rng = np.random.default_rng(seed)
    for _ in range(2):
        for part in parts:
            part[...] = rng.standard_normal(part.shape)
        wide = np.concatenate([part.reshape(2, -1, channels).astype(np.float64) for part in parts], axis=1)
        assert sums().dtype == np.float64
        for ours, terms in zip(sums(), (wide[0], wide[0] * wide[1]), strict=True):
            np.testing.assert_allclose(ours, terms.sum(axis=0), atol=1e-6 * np.abs(terms).sum(axis=0).max())


def test_where_the_sums_go() -> None:
    table = np.zeros((3, 2, 4))
    x = np.ones((5, 4), np.float32)
    ColumnSums([(x,)], [(x, x)], out=table[1])()
    assert table.tolist() == [[[0.0] * 4] * 2, [[5.0] * 4] * 2, [[0.0] * 4] * 2]


@pytest.mark.parametrize("rows", [1, 255, 256, 257, 513, 100_000])
@pytest.mark.parametrize("channels", [1, 3, 16, 700])
def test_long_sums_of_one_sign_lose_little(rows: int, channels: int) -> None:
    """Added up one after another in float32, 100,000 values would be off by 1e-4."""
    x = np.full((rows if channels < 700 else min(rows, 513), channels), 0.1, np.float32)
    total, squares = ColumnSums([(x,)], [(x, x)])()
    expected = len(x) * float(np.float32(0.1))
    np.testing.assert_allclose(total, expected, rtol=2e-6)
    np.testing.assert_allclose(squares, expected * float(np.float32(0.1)), rtol=2e-6)


@given(shape=SHAPES, channels=st.integers(1, 40), seed=SEEDS)
def test_a_tile_has_its_numbers_for_every_channel(shape: Shape, channels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (*shape, channels)
    x = rng.standard_normal(shape, dtype=np.float32)
    first, second = rng.standard_normal((2, shape[-1])).astype(np.float32)
    tile = Tile(x, count=2)
    tile.set(np.stack([first, second]))
    rows = tile.rows(x)
    assert np.shares_memory(rows, x)
    scaled = (rows * tile.values[0] + tile.values[1]).reshape(shape)
    np.testing.assert_array_equal(scaled, x * first + second)
