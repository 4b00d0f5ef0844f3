"""What can be concluded from a few runs: means, intervals, paired differences, corrected p-values."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
"""Of all intervals."""


@dataclass(frozen=True)
class Summary:
    """Mean of n values, their standard deviation (of a sample), and the interval of the mean.

        mean ± t(n − 1)·std / √n,    t: the quantile of Student's distribution at (1 + 0.95) / 2

    With a single value there is no telling: std and interval are NaN and infinite.
    Source: Student 1908, The probable error of a mean, Biometrika 6(1).
    """

    n: int
    mean: float
    std: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Summary":
        """The summary of one value or more; ValueError for none."""
        n = len(values)
        if n == 0:
            raise ValueError("Summary: expected one value or more, got none")
        mean = float(np.mean(values))
        if n == 1:
            return cls(1, mean, math.nan, -math.inf, math.inf)
        from scipy.stats import t

        std = float(np.std(values, ddof=1))
        half = float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * std / math.sqrt(n)
        return cls(n, mean, std, mean - half, mean + half)


@dataclass(frozen=True)
class Difference:
    """How much better one level is than another, over runs of the same seeds.

    difference: summary of the n differences. p: how likely a mean at least so far from 0 is, if there were no
    difference (two-sided paired t-test); 1 where all differences are 0; NaN for one pair, and where all are
    the same and not 0: there is no telling.
    """

    difference: Summary
    p: float

    @classmethod
    def of(cls, values: Sequence[float], others: Sequence[float]) -> "Difference":
        """values[i] and others[i] are of the same seed. Raises: ValueError where they are not pairs."""
        if len(values) != len(others):
            raise ValueError(f"Difference: expected pairs, got {len(values)} and {len(others)} values")
        summary = Summary.of([value - other for value, other in zip(values, others, strict=True)])
        if summary.n == 1:
            return cls(summary, math.nan)
        if summary.std == 0:
            return cls(summary, 1.0 if summary.mean == 0 else math.nan)
        from scipy.stats import t

        statistic = abs(summary.mean) / (summary.std / math.sqrt(summary.n))
        return cls(summary, float(2 * t.sf(statistic, summary.n - 1)))


def holm(p: Sequence[float]) -> list[float]:
    """p-values corrected for having made many tests, so that all together err with the probability of one.

        p(1) ≤ … ≤ p(m)  ->  max over j ≤ i of min(1, (m − j + 1)·p(j))

    A NaN stays one, and counts as a test.
    Source: Holm 1979, A simple sequentially rejective multiple test procedure, Scandinavian Journal of
            Statistics 6(2).
    """
    m = len(p)
    order = sorted((i for i in range(m) if not math.isnan(p[i])), key=lambda i: p[i])
    corrected = [math.nan] * m
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (m - rank) * p[i]))
        corrected[i] = largest
    return corrected
