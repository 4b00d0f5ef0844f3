"""What shards tell each other, and where a batch is cut into them."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numnist.arrays import Array
from numnist.engine import shard_bounds
from numnist.engine.batch import SPLIT
from numnist.engine.kernels.patch_moments import PatchMoments
from numnist.engine.meeting import Table
from numnist.engine.memory import Allocate, aligned, shared_memory
from numnist.ops import batch_norm
from numnist.ops.batch_norm import Statistics


def statistics(x: Array) -> tuple[int, Array, Array]:
    """Count, mean and squared deviations of (N, C), also of a single row."""
    mean = x.mean(axis=0)
    return len(x), mean, np.square(x - mean).sum(axis=0)


def moments(x: Array) -> tuple[int, Array, Array]:
    mean = x.mean(axis=0)
    return len(x), mean, (x - mean).T @ (x - mean)


@pytest.mark.parametrize(
    ("of", "merged"),
    [(statistics, Statistics.of_parts), (moments, PatchMoments.of_parts)],
    ids=["Statistics", "PatchMoments"],
)
@given(data=st.data(), n=st.integers(2, 12), seed=st.integers(0, 2**32 - 1), mean=st.sampled_from([0, 1e3]))
def test_merging(
    of: Callable[[Array], Any],
    merged: Callable[..., Any],
    data: st.DataObject,
    n: int,
    seed: int,
    mean: float,
) -> None:
    """The same as of the whole at once; the mean does not spoil the deviations."""
    rng = np.random.default_rng(seed)
    x = mean + rng.standard_normal((n, 3)) * [1, 1e-3, 0]
    cuts = data.draw(st.sets(st.integers(1, n - 1), min_size=1))
    parts = [of(x[start:end]) for start, end in pairwise([0, *sorted(cuts), n])]
    together = merged(*(np.asarray(column) for column in zip(*parts, strict=True)))
    for a, b in zip(vars(together).values(), of(x), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12 * n * max(1, mean))


@given(n=st.integers(2, 12), seed=st.integers(0, 2**32 - 1))
def test_statistics_are_those_of_the_op(n: int, seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal((n, 3, 2, 2))
    parts = [batch_norm.batch_statistics(x[i : i + 1]) for i in range(n)]
    columns = ([p.count for p in parts], [p.mean for p in parts], [p.squared_deviations for p in parts])
    merged = Statistics.of_parts(*map(np.array, columns))
    whole = batch_norm.batch_statistics(x)
    assert merged.count == whole.count
    np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(merged.squared_deviations, whole.squared_deviations, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("allocate", [aligned, shared_memory])
def test_a_table_has_a_row_for_every_shard(allocate: Allocate) -> None:
    """They are added in their order, whatever that in which they were put."""
    table = Table(4, allocate, (), (2, 3))
    numbers = [1.0, 2.0**-53, 2.0**-53, 2.0**-53]  # their sum depends on the order
    for shard in (2, 0, 3, 1):
        table.put(shard, numbers[shard], np.full((2, 3), 10.0**shard))
    total, matrix = table.sums()
    assert total == sum(numbers) != sum(reversed(numbers))
    np.testing.assert_array_equal(matrix, np.full((2, 3), 1111.0))
    assert [column.shape for column in table.columns] == [(4,), (4, 2, 3)]


@given(batch=st.integers(1, 2000), shard_size=st.integers(1, 300))
def test_shards(batch: int, shard_size: int) -> None:
    """They cover the batch in order, evenly, and are no more than there must be."""
    bounds = shard_bounds(batch, shard_size)
    sizes = [end - start for start, end in pairwise(bounds)]
    assert (bounds[0], bounds[-1]) == (0, batch)
    assert min(sizes) >= 1
    assert max(sizes) <= min(shard_size, min(sizes) + 1)
    fewest = -(-batch // shard_size)
    assert len(sizes) == (max(fewest, 2) if batch >= SPLIT else fewest)


@pytest.mark.parametrize(("batch", "shard_size"), [(0, 1), (1, 0), (-1, 4)])
def test_no_shards(batch: int, shard_size: int) -> None:
    with pytest.raises(ValueError, match=f"batch, shard_size >= 1, got {batch} and {shard_size}"):
        shard_bounds(batch, shard_size)
