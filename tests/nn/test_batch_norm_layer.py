"""The running statistics of BatchNorm, where the original went wrong twice."""

import numpy as np
import pytest

from numnist.nn import BatchNorm, Layout


def batch_norm(features: int, momentum: float = 0.1) -> BatchNorm:
    layer = BatchNorm(features, momentum=momentum)
    parameters, buffers = Layout(layer.parameter_shapes()), Layout(layer.buffer_shapes())
    layer.bind(parameters.views(np.zeros(parameters.size)), buffers.views(np.zeros(buffers.size)))
    layer.initialise(np.random.default_rng(0), lambda rng, shape: rng.standard_normal(shape))
    return layer


def test_running_statistics_move_by_momentum_towards_mean_and_unbiased_variance() -> None:
    """The original had the momentum inverted: it kept a tenth of the old and took nine tenths of the new."""
    layer = batch_norm(2)
    x = np.random.default_rng(1).normal(3, 2, (50, 2))
    layer.forward(x, True, None)
    np.testing.assert_allclose(layer.buffers["running_mean"], 0.1 * x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(layer.buffers["running_var"], 0.9 + 0.1 * x.var(axis=0, ddof=1), rtol=1e-12)


def test_evaluation_uses_the_running_statistics_and_changes_nothing() -> None:
    """The original never left training mode: a lone image was then normalised by itself."""
    layer = batch_norm(2)
    layer.buffers["running_mean"][...] = [1.0, 2.0]
    layer.buffers["running_var"][...] = [4.0, 9.0]
    before = {name: buffer.copy() for name, buffer in layer.buffers.items()}
    x = np.array([[3.0, 2.0]])
    y, _ = layer.forward(x, False, None)
    np.testing.assert_allclose(y, [[1.0, 0.0]], atol=1e-5)
    for name, buffer in layer.buffers.items():
        np.testing.assert_array_equal(buffer, before[name])


def test_running_statistics_converge_to_those_of_the_source() -> None:
    layer = batch_norm(1)
    rng = np.random.default_rng(2)
    for _ in range(200):
        layer.forward(rng.normal(5, 3, (256, 1)), True, None)
    assert layer.buffers["running_mean"][0] == pytest.approx(5, abs=0.3)
    assert layer.buffers["running_var"][0] == pytest.approx(9, abs=0.9)


def test_training_on_a_single_value_per_channel_is_refused() -> None:
    with pytest.raises(ValueError, match="more than one value per channel"):
        batch_norm(2).forward(np.ones((1, 2)), True, None)
