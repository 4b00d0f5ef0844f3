"""The loss behind the last layer against its op."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numnist.engine.kernels.head import Head
from numnist.ops import softmax_cross_entropy


@given(
    n=st.integers(1, 9), classes=st.integers(2, 12), scale=st.floats(0, 50), seed=st.integers(0, 2**32 - 1)
)
def test_loss_gradient_and_correct_answers(n: int, classes: int, scale: float, seed: int) -> None:
    """For any weights q, also such as do not add up to 1; of a batch of which there are more samples."""
    rng = np.random.default_rng(seed)
    logits = (scale * rng.standard_normal((n, classes))).astype(np.float32)
    q = rng.uniform(0, 1, (n, classes)).astype(np.float32)
    labels = rng.integers(0, classes, n)
    dlogits = np.full_like(logits, np.nan)
    loss, correct = Head(logits, dlogits, n + 3)(q, labels)

    mean, cache = softmax_cross_entropy.forward(logits.astype(np.float64), q.astype(np.float64))
    np.testing.assert_allclose(loss, mean * n, rtol=1e-5)
    expected = softmax_cross_entropy.backward(n / (n + 3), cache)
    # A difference of p * (sum of q) and q, whose rounding is relative to these.
    largest = (np.exp(cache.log_p) * cache.q.sum(axis=1, keepdims=True) + cache.q) / (n + 3)
    assert (abs(dlogits - expected) <= 1e-5 * largest).all()
    assert correct == (logits.argmax(axis=1) == labels).sum()


def test_logits_far_apart_neither_overflow_nor_vanish() -> None:
    logits = np.array([[1e4, -1e4, 0], [0, 88, 89]], np.float32)
    dlogits = np.empty_like(logits)
    loss, _ = Head(logits, dlogits, 2)(np.eye(3, dtype=np.float32)[:2], np.array([0, 1]))
    assert loss == pytest.approx(np.log(1 + np.e), rel=1e-6)
    np.testing.assert_allclose(dlogits[0], 0)


def test_the_first_of_equal_logits_is_the_answer() -> None:
    logits = np.zeros((3, 4), np.float32)
    _, correct = Head(logits, np.empty_like(logits), 3)(np.eye(4, dtype=np.float32)[:3], np.arange(3))
    assert correct == 1
