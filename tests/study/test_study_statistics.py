"""Means, intervals and corrections, against SciPy's and against arithmetic by hand."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from numnist.study import Difference, Summary, holm

values = st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=12)
p_values = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(values)
def test_a_summary_is_that_of_scipy(found: list[float]) -> None:
    summary = Summary.of(found)
    assert summary.n == len(found)
    assert summary.mean == pytest.approx(np.mean(found))
    assert summary.std == pytest.approx(np.std(found, ddof=1))
    if summary.std > 1e-6:
        low, high = stats.t.interval(0.95, len(found) - 1, np.mean(found), stats.sem(found))
        assert summary.low == pytest.approx(low)
        assert summary.high == pytest.approx(high)


@given(st.lists(st.tuples(st.integers(-1000, 1000), st.integers(-1000, 1000)), min_size=2, max_size=12))
def test_a_paired_difference_is_that_of_scipy(pairs: list[tuple[int, int]]) -> None:
    first, second = ([float(pair[i]) for pair in pairs] for i in (0, 1))
    found = Difference.of(first, second)
    assert found.difference.mean == pytest.approx(np.mean(first) - np.mean(second))
    if found.difference.std > 0:
        assert found.p == pytest.approx(stats.ttest_rel(first, second).pvalue)


def test_differences_without_spread() -> None:
    assert Difference.of([1, 2], [1, 2]).p == 1
    assert math.isnan(Difference.of([2, 3], [1, 2]).p)
    alone = Difference.of([2], [1])
    assert math.isnan(alone.p)
    assert (alone.difference.low, alone.difference.high) == (-math.inf, math.inf)


def test_what_is_no_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="expected pairs, got 2 and 1"):
        Difference.of([1, 2], [1])
    with pytest.raises(ValueError, match="one value or more"):
        Summary.of([])


def test_holm_by_hand() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1 -> 0.02, 0.03, 0.06, 0.04, and none below one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1, 1]


@given(p_values)
def test_corrected_p_are_ordered_as_they_were_and_never_smaller(found: list[float]) -> None:
    corrected = holm(found)
    assert all(p <= c <= 1 for p, c in zip(found, corrected, strict=True))
    order = np.argsort(found, kind="stable")
    assert all(corrected[i] <= corrected[j] for i, j in pairwise(order))
    assert min(corrected) == pytest.approx(min(1.0, min(found) * len(found)))


def test_what_is_unknown_stays_unknown_and_counts() -> None:
    corrected = holm([math.nan, 0.01])
    assert math.isnan(corrected[0])
    assert corrected[1] == 0.02
