"""Choices that a formula leaves open, pinned, since results depend on them."""

import numpy as np

from numnist.ops import batch_norm, dropout
from numnist.ops.batch_norm import Statistics


def test_dropout_draws_single_precision_numbers_in_the_order_of_the_values() -> None:
    """A run repeats its bits only as long as this stays so."""
    x = np.ones((3, 5))
    y, _ = dropout.forward(x, 0.3, np.random.default_rng(7))
    drawn = np.random.default_rng(7).random((3, 5), dtype=np.float32)
    np.testing.assert_array_equal(y, np.where(drawn >= 0.3, 1 / 0.7, 0))


def test_the_statistics_of_parts_are_those_of_the_whole() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, (12, 4))
    parts = [batch_norm.batch_statistics(part) for part in (x[:2], x[2:5], x[5:])]
    counts, means, squares = (
        np.array([getattr(part, name) for part in parts]) for name in ("count", "mean", "squared_deviations")
    )
    merged, whole = Statistics.of_parts(counts, means, squares), batch_norm.batch_statistics(x)
    assert merged.count == whole.count == 12
    assert isinstance(merged.count, int)
    np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(merged.squared_deviations, whole.squared_deviations, rtol=1e-12)
