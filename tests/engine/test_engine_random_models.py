"""The engine against the reference, on whatever network there may be."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.helpers import SMALL, fair_batch, require_equal, twins
from tests.engine.layers import Description
from tests.engine.networks import CLASSES, networks


@settings(max_examples=300)
@given(network=networks(), n=st.integers(1, 9), shard_size=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
def test_any_network(
    network: tuple[list[Description], tuple[int, int]], n: int, shard_size: int, seed: int
) -> None:
    layers, size = network
    pair = twins(layers, size, seed, CLASSES)
    require_equal(pair, *fair_batch(pair, n, seed, seed), dropout=seed, shard_size=shard_size, small=SMALL)
