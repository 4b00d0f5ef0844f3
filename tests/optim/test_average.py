"""Averages of the weights."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from numnist.arrays import Array
from numnist.optim import WeightAverage

WEIGHTS = st_numpy.arrays(np.float64, (6, 5), elements=st.floats(-10, 10))


def average_of(first: Array, decay: float) -> WeightAverage:
    return WeightAverage(decay, first[:3].copy(), first[3:].copy())


@given(weights=WEIGHTS, decay=st.sampled_from([0.0, 0.3, 0.9, 0.999]))
def test_it_is_the_formula(weights: Array, decay: float) -> None:
    """Written out as the sum that the recursion is: a = Σ (1 − β_i) w_i Π β_j over j > i."""
    average = average_of(weights[0], decay)
    for w in weights[1:]:
        average.update(w[:3], w[3:])
    betas = [0.0] + [min(decay, (1 + t) / (10 + t)) for t in range(1, len(weights))]
    shares = [(1 - beta) * np.prod(betas[i + 1 :]) for i, beta in enumerate(betas)]
    expected = np.tensordot(shares, weights, 1)
    np.testing.assert_allclose(np.concatenate([average.parameters, average.buffers]), expected, atol=1e-12)
    assert average.updates == len(weights) - 1


@given(weights=WEIGHTS)
def test_swapping_twice_changes_nothing(weights: Array) -> None:
    average, w = average_of(weights[0], 0.9), weights[1].copy()
    parameters, buffers = w[:3], w[3:]
    average.swap(parameters, buffers)
    np.testing.assert_array_equal(w, weights[0])
    np.testing.assert_array_equal(np.concatenate([average.parameters, average.buffers]), weights[1])
    average.swap(parameters, buffers)
    np.testing.assert_array_equal(w, weights[1])


def test_it_knows_whether_it_is_swapped() -> None:
    average = average_of(np.zeros(5), 0.9)
    assert average.is_swapped is False
    for swapped in (True, False, True):
        average.swap(np.ones(3), np.ones(2))
        assert average.is_swapped is swapped


def test_it_needs_no_memory_of_its_own_in_an_update() -> None:
    n = 100_000
    average = WeightAverage(0.9, np.zeros(n, np.float32), np.zeros(10, np.float32))
    weights, buffers = np.ones(n, np.float32), np.ones(10, np.float32)
    tracemalloc.start()
    average.update(weights, buffers)
    assert tracemalloc.get_traced_memory()[1] < n
    tracemalloc.stop()
    assert average.parameters.dtype == np.float32


def test_the_first_weights_are_soon_forgotten() -> None:
    """After 100 steps of one value the average has it, whatever it began with, though β is nearly 1."""
    average = WeightAverage(0.9999, np.full(2, 1e6), np.zeros(0))
    for _ in range(100):
        average.update(np.ones(2), np.zeros(0))
    np.testing.assert_allclose(average.parameters, 1, rtol=1e-3)


@pytest.mark.parametrize("decay", [-0.1, 1.0, np.nan])
def test_decays_out_of_bounds(decay: float) -> None:
    with pytest.raises(ValueError, match="expected 0 <= decay < 1"):
        WeightAverage(decay, np.zeros(1), np.zeros(1))


def test_other_shapes() -> None:
    average = WeightAverage(0.5, np.zeros(3), np.zeros(1))
    with pytest.raises(ValueError, match=r"expected shape \(3,\), got \(4,\)"):
        average.update(np.zeros(4), np.zeros(1))
