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
from numnist.engine.exchange import Parts, Rows, Sums, merge_parts
from numnist.engine.kernels.input_convolution import PatchMoments
from numnist.ops import batch_norm
from numnist.ops.batch_norm import Statistics


def statistics(x: Array) -> Statistics:
    """Of (N, C), also of a single row."""
    mean = x.mean(axis=0)
    return Statistics(len(x), mean, np.square(x - mean).sum(axis=0))


def moments(x: Array) -> PatchMoments:
    mean = x.mean(axis=0)
    return PatchMoments(len(x), mean, (x - mean).T @ (x - mean))


KINDS: dict[str, Callable[[Array], Any]] = {
    "Statistics": statistics,
    "PatchMoments": moments,
    "Sums": lambda x: Sums((x.sum(axis=0), np.square(x).sum(axis=0))),
    "Rows": lambda x: Rows((x,)),
    "Parts": lambda x: Parts((statistics(x), None, Sums((x.sum(axis=0),)))),
}


def numbers(part: Any) -> list[Array]:
    """All that a part says."""
    if part is None:
        return []
    if isinstance(part, Rows):
        return [part.together()]
    if isinstance(part, Parts):
        return [number for each in part.parts for number in numbers(each)]
    return list(part.arrays) if isinstance(part, Sums) else [np.asarray(v) for v in vars(part).values()]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
@given(data=st.data(), n=st.integers(2, 12), seed=st.integers(0, 2**32 - 1), mean=st.sampled_from([0, 1e3]))
def test_merging(kind: Callable[[Array], Any], data: st.DataObject, n: int, seed: int, mean: float) -> None:
    """In any grouping, and the same as of the whole at once; the mean does not spoil the deviations."""
    rng = np.random.default_rng(seed)
    x = mean + rng.standard_normal((n, 3)) * [1, 1e-3, 0]
    cuts = data.draw(st.sets(st.integers(1, n - 1), min_size=1))
    parts = [kind(x[start:end]) for start, end in pairwise([0, *sorted(cuts), n])]
    middle = data.draw(st.integers(1, len(parts) - 1))
    whole, one_by_one = numbers(kind(x)), numbers(merge_parts(parts))
    grouped = numbers(merge_parts(parts[:middle]).merged(merge_parts(parts[middle:])))
    for ours in (one_by_one, grouped):
        for a, b in zip(ours, whole, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12 * n * max(1, mean))


@given(n=st.integers(2, 12), seed=st.integers(0, 2**32 - 1))
def test_statistics_are_those_of_the_op(n: int, seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal((n, 3, 2, 2))
    merged = merge_parts([batch_norm.batch_statistics(x[i : i + 1]) for i in range(n)])
    for a, b in zip(numbers(merged), numbers(batch_norm.batch_statistics(x)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


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
