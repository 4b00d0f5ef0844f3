"""Choices that a formula leaves open, pinned, since results depend on them."""

import numpy as np

from numnist.ops import dropout


def test_dropout_draws_single_precision_numbers_in_the_order_of_the_values() -> None:
    """A run repeats its bits only as long as this stays so."""
    x = np.ones((3, 5))
    y, _ = dropout.forward(x, 0.3, np.random.default_rng(7))
    drawn = np.random.default_rng(7).random((3, 5), dtype=np.float32)
    np.testing.assert_array_equal(y, np.where(drawn >= 0.3, 1 / 0.7, 0))
