"""What shards tell each other, and where a batch is cut into them."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numnist.engine import shard_bounds
from numnist.engine.batch import SPLIT
from numnist.engine.meeting import Table
from numnist.engine.memory import Allocate, aligned, shared_memory


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
