"""Activations in place, on a shard's part of the features of a batch."""

import numpy as np
import pytest

from numnist.engine.kernels.activations import activation_of
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
        activation.forward(y)
        activation.backward(dvalues[:, part], y, np.empty(y.shape, np.int32), out=dz[:, part])
    expected, cache = layer.forward(z, True, None)
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    dexpected, _ = layer.backward(dvalues, cache)
    np.testing.assert_allclose(dz, dexpected, rtol=1e-5, atol=1e-7)
