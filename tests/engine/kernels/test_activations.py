"""Activations in place, on a shard's part of the features of a batch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numnist.engine.kernels.activations import activation_of, rectify
from numnist.engine.kernels.tiles import LONGEST
from numnist.nn import Layer, LeakyReLU, ReLU, Sigmoid, Tanh


@pytest.mark.parametrize("layer", [ReLU(), LeakyReLU(), Sigmoid(), Tanh()], ids=lambda a: type(a).__name__)
@pytest.mark.parametrize("batch", range(1, 9))
@pytest.mark.parametrize("size", [1, 3])
def test_values_with_others_between_them(layer: Layer, batch: int, size: int) -> None:
    """Whatever the distance: NumPy has loops of its own for some."""
    activation = activation_of(layer)
    assert activation is not None
    rng = np.random.default_rng(0)
    values, dvalues, gradients = rng.normal(size=(3, 5, batch)).astype(np.float32)
    z, dz = values.copy(), np.full_like(gradients, np.nan)
    for start in range(0, batch, size):
        part = slice(start, start + size)
        y = values[:, part]
        activation.in_place(y)()
        activation.backward(dvalues[:, part], y, np.empty(y.shape, np.int32), out=dz[:, part])
    expected, cache = layer.forward(z, True, None)
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    dexpected, _ = layer.backward(dvalues, cache)
    np.testing.assert_allclose(dz, dexpected, rtol=1e-5, atol=1e-7)


@given(
    shape=st.lists(st.integers(0, 40), min_size=1, max_size=3)
    | st.tuples(st.integers(1, 3), st.sampled_from([LONGEST - 1, LONGEST, LONGEST + 1, 2039, 4099])),
    step=st.integers(1, 2),
)
def test_rows_of_any_length_are_rectified(shape: list[int], step: int) -> None:
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)[..., ::step]
    expected = np.maximum(x, 0)
    rectify(x)()
    np.testing.assert_array_equal(x, expected)


def test_rows_are_long_where_they_can_be() -> None:
    """NumPy takes as long to begin one as for 100 values in it."""
    zeros = [rectify(np.zeros(shape, np.float32)).args[1].size for shape in ((300, 512), (64, 7), (2, 4099))]
    assert zeros == [LONGEST, 64 * 7, 4099]
    assert rectify(np.zeros((64, 14), np.float32)[:, ::2]).args[1].size == 7
