"""What is special about single ops: ties, NaN, extremes, and identities that their formulas imply.

Warnings are errors in all tests, so a result at an extreme is also one without overflow on the way.
"""

from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numnist.arrays import Array, Shape
from numnist.ops import (
    avg_pool2d,
    batch_norm,
    dropout,
    flatten,
    global_avg_pool2d,
    leaky_relu,
    log_softmax,
    max_pool2d,
    relu,
    sigmoid,
    softmax,
    softmax_cross_entropy,
    tanh,
)

FLOATS = pytest.mark.parametrize("dtype", [np.float32, np.float64])
SEEDS = st.integers(0, 2**32 - 1)
EXTREME = [[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [1e4, 1e4, -1e4]]


def normal(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape)


# Pooling (ties over many shapes: test_oracles.py)


def test_the_first_maximum_wins_a_tie_row_by_row() -> None:
    x = np.array([[0.0, 7.0], [7.0, 7.0]]).reshape(1, 1, 2, 2)
    y, cache = max_pool2d.forward(x, 2)
    assert y.item() == 7
    dx = max_pool2d.backward(np.array([[[[5.0]]]]), cache)
    np.testing.assert_array_equal(dx[0, 0], [[0, 5], [0, 0]])


@pytest.mark.parametrize("position", range(4))
def test_a_nan_is_the_maximum_of_its_window_and_gets_the_gradient(position: int) -> None:
    x = np.array([1.0, 3.0, 2.0, np.inf])
    x[position] = np.nan
    y, cache = max_pool2d.forward(x.reshape(1, 1, 2, 2), 2)
    assert np.isnan(y.item())
    dx = max_pool2d.backward(np.ones((1, 1, 1, 1)), cache)
    np.testing.assert_array_equal(dx.ravel(), np.arange(4) == position)


def test_infinities_are_pooled_like_numbers() -> None:
    x = np.array([-np.inf, -np.inf, -np.inf, -np.inf, 1.0, np.inf]).reshape(1, 1, 3, 2)
    y, _ = max_pool2d.forward(x, 2, 1)
    np.testing.assert_array_equal(y[0, 0], [[-np.inf], [np.inf]])


def test_the_global_average_is_that_of_one_window_over_the_image() -> None:
    x = normal(2, 3, 5, 5)
    y, _ = avg_pool2d.forward(x, 5)
    np.testing.assert_allclose(global_avg_pool2d.forward(x)[0], y[:, :, 0, 0], rtol=1e-13)


# Activations


def test_relu_keeps_nan_and_cuts_infinity() -> None:
    y, _ = relu.forward(np.array([np.nan, np.inf, -np.inf]))
    np.testing.assert_array_equal(y, [np.nan, np.inf, 0])


@pytest.mark.parametrize("op", [leaky_relu, sigmoid, tanh])
def test_activations_keep_nan(op: ModuleType) -> None:
    y, _ = op.forward(np.array([np.nan, 1.0]))
    np.testing.assert_array_equal(np.isnan(y), [True, False])


def test_the_derivative_at_zero_is_the_one_from_the_left() -> None:
    zero, one = np.zeros(1), np.ones(1)
    assert relu.backward(one, relu.forward(zero)[1]) == 0
    assert leaky_relu.backward(one, leaky_relu.forward(zero, 0.2)[1]) == 0.2


@FLOATS
def test_sigmoid_at_extremes(dtype: type) -> None:
    y, cache = sigmoid.forward(np.array([-1e4, -80, 0, 80, 1e4], dtype))
    # Not 0 at -80: the naive 1 / (1 + exp(80)) would do, but 1 - 1 / (1 + exp(-80)) would not.
    np.testing.assert_allclose(y, [0, np.exp(-80.0), 0.5, 1, 1], rtol=1e-5 if dtype == np.float32 else 1e-14)
    dx = sigmoid.backward(np.ones(5, dtype), cache)
    assert np.isfinite(dx).all()
    assert dx[2] == 0.25


@FLOATS
def test_tanh_at_extremes(dtype: type) -> None:
    y, cache = tanh.forward(np.array([-1e4, 0, 1e4], dtype))
    np.testing.assert_array_equal(y, [-1, 0, 1])
    np.testing.assert_array_equal(tanh.backward(np.ones(3, dtype), cache), [0, 1, 0])


def test_sigmoid_is_half_a_tanh() -> None:
    x = np.linspace(-20, 20, 81)
    np.testing.assert_allclose(
        sigmoid.forward(x)[0], (1 + tanh.forward(x / 2)[0]) / 2, rtol=1e-10, atol=1e-16
    )


# Softmax and cross-entropy

SCORES = st.integers(1, 4).flatmap(lambda rank: st.tuples(*[st.integers(1, 5)] * rank))


@given(shape=SCORES, seed=SEEDS, shift=st.floats(-1e3, 1e3))
def test_softmax_is_a_distribution_that_ignores_a_shift(shape: Shape, seed: int, shift: float) -> None:
    x = 3 * np.random.default_rng(seed).standard_normal(shape)
    p, _ = softmax.forward(x)
    assert (p > 0).all()
    np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=1e-14)
    np.testing.assert_allclose(softmax.forward(x + shift)[0], p, rtol=1e-11)
    np.testing.assert_allclose(log_softmax.forward(x + shift)[0], log_softmax.forward(x)[0], atol=1e-11)


@given(shape=SCORES, seed=SEEDS)
def test_log_softmax_is_the_logarithm_of_softmax_in_both_directions(shape: Shape, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, dy = 3 * rng.standard_normal(shape), rng.standard_normal(shape)
    p, cache = softmax.forward(x)
    log_p, log_cache = log_softmax.forward(x)
    np.testing.assert_allclose(np.exp(log_p), p, rtol=1e-13)
    # d log p = dp / p
    np.testing.assert_allclose(
        log_softmax.backward(dy, log_cache), softmax.backward(dy / p, cache), rtol=1e-10, atol=1e-12
    )


@FLOATS
def test_softmax_at_extremes(dtype: type) -> None:
    x: Array = np.array(EXTREME, dtype)
    p, cache = softmax.forward(x)
    np.testing.assert_allclose(p, np.array([[6, 0, 0], [2, 2, 2], [3, 3, 0]]) / 6, rtol=1e-6)
    assert np.isfinite(softmax.backward(x, cache)).all()

    log_p, log_cache = log_softmax.forward(x)
    log2, log3 = np.log(2), np.log(3)
    expected = np.array([[0, -2e4, -1e4], [-log3, -log3, -log3], [-log2, -log2, -2e4 - log2]])
    np.testing.assert_allclose(log_p, expected, rtol=1e-6)
    assert np.isfinite(log_softmax.backward(x, log_cache)).all()


@FLOATS
def test_softmax_cross_entropy_at_extremes(dtype: type) -> None:
    logits: Array = np.array(EXTREME, dtype)
    labels = np.array([1, 2, 0])
    loss, cache = softmax_cross_entropy.forward(logits, labels)
    assert loss == pytest.approx((2e4 + np.log(3) + np.log(2)) / 3, rel=1e-6)
    p_minus_q = np.array([[6, -6, 0], [2, 2, -4], [-3, 3, 0]]) / 6
    np.testing.assert_allclose(softmax_cross_entropy.backward(1.0, cache), p_minus_q / 3, rtol=1e-6)

    smoothed, cache = softmax_cross_entropy.forward(logits, labels, 0.1)
    assert np.isfinite(smoothed)
    assert np.isfinite(softmax_cross_entropy.backward(1.0, cache)).all()


@pytest.mark.parametrize("K", [1, 2, 10])
def test_a_uniform_guess_costs_log_k(K: int) -> None:
    loss, _ = softmax_cross_entropy.forward(np.full((3, K), 0.7), np.zeros(3, np.intp))
    assert loss == pytest.approx(np.log(K), rel=1e-14)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("label_dtype", [np.uint8, np.int64])
def test_labels_are_the_distributions_that_have_1_at_the_label(
    label_dtype: type, label_smoothing: float
) -> None:
    labels: Array = np.array([2, 0, 2, 1], label_dtype)
    by_label = softmax_cross_entropy.forward(normal(4, 3), labels, label_smoothing)
    by_distribution = softmax_cross_entropy.forward(normal(4, 3), np.eye(3)[labels], label_smoothing)
    assert by_label[0] == by_distribution[0]
    np.testing.assert_array_equal(
        softmax_cross_entropy.backward(1.0, by_label[1]),
        softmax_cross_entropy.backward(1.0, by_distribution[1]),
    )


def test_full_smoothing_forgets_the_targets() -> None:
    logits = normal(4, 3)
    losses = {softmax_cross_entropy.forward(logits, np.full(4, label), 1.0)[0] for label in range(3)}
    assert len(losses) == 1
    assert losses.pop() == pytest.approx(-log_softmax.forward(logits)[0].mean(), rel=1e-14)


def test_a_row_of_weights_counts_as_often_as_it_weighs() -> None:
    logits = normal(1, 4)
    target = np.array([[0.0, 0.2, 0.5, 0.3]])
    loss, cache = softmax_cross_entropy.forward(logits, target)
    thrice, thrice_cache = softmax_cross_entropy.forward(logits, 3 * target)
    assert thrice == pytest.approx(3 * loss, rel=1e-14)
    np.testing.assert_allclose(
        softmax_cross_entropy.backward(1.0, thrice_cache),
        softmax_cross_entropy.backward(3.0, cache),
        rtol=1e-13,
    )


# Batch normalisation


@pytest.mark.parametrize("shape", [(7, 3), (4, 3, 5, 2)])
def test_the_batch_statistics_are_numpys(shape: Shape) -> None:
    x = 5 + 2 * normal(*shape)
    columns = np.moveaxis(x, 1, -1).reshape(-1, 3)
    statistics = batch_norm.batch_statistics(x)
    assert statistics.count == len(columns)
    np.testing.assert_allclose(statistics.mean, columns.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(statistics.squared_deviations / len(columns), columns.var(axis=0), rtol=1e-13)
    np.testing.assert_allclose(statistics.biased_variance, columns.var(axis=0), rtol=1e-13)
    np.testing.assert_allclose(statistics.unbiased_variance, columns.var(axis=0, ddof=1), rtol=1e-13)


@pytest.mark.parametrize("shape", [(7, 3), (4, 3, 5, 2)])
def test_training_gives_every_channel_the_bias_as_mean_and_the_weight_as_deviation(shape: Shape) -> None:
    weight, bias = np.array([2.0, -0.5, 0.0]), np.array([1.0, -3.0, 7.0])
    y, cache = batch_norm.forward(5 + 2 * normal(*shape), weight, bias, eps=0.0)
    columns = np.moveaxis(y, 1, -1).reshape(-1, 3)
    np.testing.assert_allclose(columns.mean(axis=0), bias, rtol=1e-13)
    np.testing.assert_allclose(columns.std(axis=0), np.abs(weight), atol=1e-13)
    assert cache.statistics is not None


@pytest.mark.parametrize("shape", [(7, 3), (4, 3, 5, 2)])
def test_evaluation_with_the_batchs_own_statistics_is_training(shape: Shape) -> None:
    x, weight, bias = normal(*shape), normal(3), normal(3)
    y, cache = batch_norm.forward(x, weight, bias)
    assert cache.statistics is not None
    fixed = cache.statistics.mean, cache.statistics.biased_variance
    in_evaluation, evaluation_cache = batch_norm.forward(x, weight, bias, fixed)
    np.testing.assert_array_equal(in_evaluation, y)
    assert evaluation_cache.statistics is None


def test_evaluation_treats_a_sample_alike_in_any_batch() -> None:
    x, weight, bias, fixed = normal(5, 3), normal(3), normal(3), (normal(3), np.square(normal(3)))
    together, _ = batch_norm.forward(x, weight, bias, fixed)
    alone, _ = batch_norm.forward(x[:1], weight, bias, fixed)
    np.testing.assert_array_equal(alone, together[:1])


SHAPES_FROM_SMALL_TO_LARGE = pytest.mark.parametrize(
    "shape", [(16, 3), (10000, 3), (8, 3, 28, 28), (1000, 2, 28, 28)]
)


@SHAPES_FROM_SMALL_TO_LARGE
def test_almost_constant_images_do_not_cancel_in_float32(shape: Shape) -> None:
    noise = 0.01 * np.random.default_rng(0).standard_normal(shape)
    x = (1e4 + noise).astype(np.float32)
    statistics = batch_norm.batch_statistics(x)
    columns = np.moveaxis(x, 1, -1).reshape(-1, shape[1]).astype(np.float64)
    # The mean itself is a float32 number: half a unit of its last place, 2**-10 at 1e4, and a little more.
    np.testing.assert_allclose(statistics.mean, columns.mean(axis=0), rtol=0, atol=0.6 * 2**-10)
    np.testing.assert_allclose(statistics.biased_variance, columns.var(axis=0), rtol=0.02)


@SHAPES_FROM_SMALL_TO_LARGE
def test_constant_images_normalise_to_the_bias_in_float32(shape: Shape) -> None:
    x = np.full(shape, 12345.678, np.float32)
    weight, bias = np.ones(shape[1], np.float32), np.zeros(shape[1], np.float32)
    np.testing.assert_array_equal(batch_norm.forward(x, weight, bias)[0], 0)


# Dropout and flatten


def test_dropout_drops_its_share_and_scales_the_rest() -> None:
    x, rate = np.ones(100_000), 0.3
    y, _ = dropout.forward(x, rate, np.random.default_rng(0))
    assert set(np.unique(y)) == {0, 1 / (1 - rate)}
    share = np.count_nonzero(y == 0) / x.size
    assert share == pytest.approx(
        rate, abs=5 * np.sqrt(rate * (1 - rate) / x.size)
    )  # five standard deviations


def test_dropout_of_nothing_is_the_identity() -> None:
    x = normal(3, 4)
    y, _ = dropout.forward(x, 0.0, np.random.default_rng(0))
    np.testing.assert_array_equal(y, x)


def test_dropout_drops_the_same_values_in_every_dtype() -> None:
    dropped = [
        dropout.forward(np.ones((4, 5), dtype), 0.5, np.random.default_rng(3))[0] == 0
        for dtype in (np.float32, np.float64)
    ]
    np.testing.assert_array_equal(*dropped)


def test_dropout_draws_anew_from_a_generator_that_goes_on() -> None:
    rng = np.random.default_rng(0)
    first, second = (dropout.forward(np.ones(100), 0.5, rng)[0] for _ in range(2))
    assert (first != second).any()


def test_flatten_goes_channel_by_channel_and_row_by_row() -> None:
    N, C, H, W = 2, 3, 4, 5
    x = normal(N, C, H, W)
    y, _ = flatten.forward(x)
    for n, c, i, j in np.ndindex(x.shape):
        assert y[n, (c * H + i) * W + j] == x[n, c, i, j]
