"""Clipping shortens a gradient that is too long, and does nothing else."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from numnist.arrays import Array
from numnist.optim import clip_gradient_norm

gradients = arrays(np.float64, array_shapes(max_dims=3, max_side=6), elements=st.floats(-1e3, 1e3))


@given(grads=gradients, max_norm=st.floats(1e-3, 1e4))
@settings(max_examples=60)
def test_the_norm_is_bounded_and_the_direction_kept(grads: Array, max_norm: float) -> None:
    before = grads.copy()
    norm = clip_gradient_norm(grads, max_norm)
    assert norm == pytest.approx(math.hypot(*before.reshape(-1)), rel=1e-13)
    np.testing.assert_allclose(grads, min(1, max_norm / (norm + 1e-6)) * before, rtol=1e-13, atol=0)
    assert np.linalg.norm(grads) <= max_norm * (1 + 1e-12)


def test_a_short_gradient_is_left_bit_for_bit() -> None:
    grads = np.array([0.1, 0.2, 0.3], np.float32)
    before = grads.copy()
    clip_gradient_norm(grads, 1.0)
    np.testing.assert_array_equal(grads, before)


def test_clips_in_place_whatever_the_layout() -> None:
    whole = np.full((4, 4), 2.0, np.float32)
    assert clip_gradient_norm(whole[:, ::2], 1.0) == math.sqrt(32)
    np.testing.assert_allclose(whole[:, ::2], 2 / math.sqrt(32), rtol=1e-6)
    np.testing.assert_array_equal(whole[:, 1::2], 2.0)


def test_squares_of_float32_neither_overflow_nor_vanish() -> None:
    large = np.full(4, 1e30, np.float32)
    assert clip_gradient_norm(large, 1.0) == pytest.approx(2e30, rel=1e-7)
    np.testing.assert_allclose(large, 0.5, rtol=1e-6)
    assert clip_gradient_norm(np.full(4, 1e-30, np.float32), 1.0) == pytest.approx(2e-30, rel=1e-7)


def test_the_sum_is_as_exact_as_float64() -> None:
    # In float32, adding ones to 2**24 one by one would stay there.
    grads = np.ones(2**24 + 1000, np.float32)
    assert clip_gradient_norm(grads, math.inf) == math.sqrt(2**24 + 1000)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_gradient_that_is_not_finite_is_left_as_it_is(bad: float) -> None:
    grads = np.array([3.0, bad, 4.0], np.float32)
    before = grads.copy()
    assert not math.isfinite(clip_gradient_norm(grads, 1.0))
    np.testing.assert_array_equal(grads, before)


def test_a_norm_beyond_float64_is_infinite() -> None:
    grads = np.full(2, 1e200)
    assert clip_gradient_norm(grads, 1.0) == math.inf
    np.testing.assert_array_equal(grads, 1e200)


def test_an_infinite_bound_only_measures() -> None:
    grads = np.array([3.0, 4.0])
    assert clip_gradient_norm(grads, math.inf) == 5.0
    np.testing.assert_array_equal(grads, [3.0, 4.0])


def test_an_empty_gradient_has_norm_zero() -> None:
    assert clip_gradient_norm(np.zeros(0), 1.0) == 0.0


@pytest.mark.parametrize("max_norm", [0.0, -1.0, math.nan])
def test_the_bound_must_be_positive(max_norm: float) -> None:
    with pytest.raises(ValueError, match="clip_gradient_norm: expected max_norm > 0, got"):
        clip_gradient_norm(np.ones(2), max_norm)
