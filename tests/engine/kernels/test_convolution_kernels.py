"""The kernels for convolutions on any geometry, with whatever they compute besides."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.helpers import SMALL, drawn_off_kinks, fair_batch, require_equal, twins
from tests.engine.layers import FLATTEN, NORM, OTHER_NORM, RELU, Description, conv, linear, pool

from numnist.engine import plan
from numnist.engine.kernels import epilogue, winograd_products
from numnist.engine.kernels.convolution import Convolution
from numnist.engine.kernels.input_convolution import InputConvolution
from numnist.engine.kernels.winograd_convolution import WinogradConvolution

CLASSES = 3

MOST_TAPS = {InputConvolution: 8, WinogradConvolution: 7}
"""The widest kernel of a convolution that each is planned for, where there is one channel in front."""


@st.composite
def fused(draw: st.DrawFn, kernel: type[Convolution]) -> tuple[list[Description], tuple[int, int]]:
    """(layers, size of the image): a convolution that this kernel computes with what follows it.

    The size of the output is drawn, and even in front of a pooling; that of the input follows from it.
    """
    behind = draw(st.permutations([RELU, pool()]))[: draw(st.integers(0, 2))]
    step = 2 if pool() in behind else 1
    rows, columns = (step * draw(st.integers(1, 10 // step)) for _ in range(2))
    taps = draw(st.integers(1, MOST_TAPS[kernel]))
    padding = draw(st.integers(0, min(3, (min(rows, columns) + taps - 2) // 2)))
    H, W = (length + taps - 1 - 2 * padding for length in (rows, columns))
    layers = [
        conv(draw(st.integers(1, 6)), taps, padding),
        *draw(st.sampled_from([[], [NORM], [OTHER_NORM]])),
        *behind,
    ]
    if kernel is WinogradConvolution:
        layers, H, W = [conv(draw(st.integers(1, 5)), 2), *layers], H + 1, W + 1
    return [*layers, FLATTEN, linear(CLASSES)], (H, W)


@pytest.mark.parametrize("kernel", [InputConvolution, WinogradConvolution])
@settings(max_examples=120)
@given(data=st.data(), n=st.integers(1, 9), shard_size=st.integers(1, 9), seed=st.integers(0, 2**32 - 1))
def test_any_geometry(
    kernel: type[Convolution], data: st.DataObject, n: int, shard_size: int, seed: int
) -> None:
    layers, size = data.draw(fused(kernel))
    pair = twins(layers, size, seed, CLASSES)
    stages = plan(pair.model.network, pair.model.preprocess.input_shape).stages
    first = 1 if kernel is WinogradConvolution else 0
    [stage] = [stage for stage in stages if type(stage) is kernel]
    assert stage.names == tuple(map(str, range(first, len(layers) - 2)))
    require_equal(pair, *fair_batch(pair, n, seed), shard_size=shard_size, small=SMALL)


@pytest.mark.parametrize("block_bytes", [1, 20_000])
@pytest.mark.parametrize("summed_bytes", [1, 30_000])
@pytest.mark.parametrize("k", [1, 2])
def test_in_parts_of_any_size(
    block_bytes: int, summed_bytes: int, k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of columns that share their memory, and points whose dU is summed at once."""
    monkeypatch.setattr(epilogue, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(winograd_products, "SUMMED_BYTES", summed_bytes)
    behind = [NORM, RELU, *([pool()] if k == 2 else [])]
    network = [conv(3, 5), *behind, conv(4, 3), *behind, FLATTEN, linear()]
    pair = twins(network, (20, 20))
    require_equal(pair, drawn_off_kinks(pair, 7), np.arange(7))
