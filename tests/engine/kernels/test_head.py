"""The loss behind the last layer against its op."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numnist.arrays import Array
from numnist.engine.kernels.head import Head
from numnist.ops import softmax_cross_entropy

shapes = given(
    n=st.integers(1, 9), classes=st.integers(2, 12), scale=st.floats(0, 50), seed=st.integers(0, 2**32 - 1)
)
MORE = 3
"""So many samples more are in the batch than in the shard."""


def require_equal(logits: Array, q: Array, labels: Array, dlogits: Array, outcome: tuple[float, int]) -> None:
    """What came of these logits (K, n), against the op in float64."""
    n = len(labels)
    loss, correct = outcome
    mean, cache = softmax_cross_entropy.forward(logits.T.astype(np.float64), q.astype(np.float64))
    np.testing.assert_allclose(loss, mean * n, rtol=1e-5, atol=1e-5)
    expected = softmax_cross_entropy.backward(n / (n + MORE), cache)
    # A difference of p * (sum of q) and q, whose rounding is relative to these.
    largest = (np.exp(cache.log_p) * cache.q.sum(axis=1, keepdims=True) + cache.q) / (n + MORE)
    assert (abs(dlogits.T - expected) <= 1e-5 * largest + np.finfo(np.float32).tiny).all()
    assert correct == (logits.argmax(axis=0) == labels).sum()


def drawn(n: int, classes: int, scale: float, seed: int) -> tuple[np.random.Generator, Array, Array, Array]:
    """A generator; logits, labels, and memory for the gradient."""
    rng = np.random.default_rng(seed)
    logits = (scale * rng.standard_normal((classes, n))).astype(np.float32)
    return rng, logits, rng.integers(0, classes, n), np.full_like(logits, np.nan)


@shapes
def test_loss_gradient_and_correct_answers(n: int, classes: int, scale: float, seed: int) -> None:
    """For any weights q, also such as do not add up to 1."""
    rng, logits, labels, dlogits = drawn(n, classes, scale, seed)
    q = rng.uniform(0, 1, (n, classes)).astype(np.float32)
    outcome = Head(logits, dlogits, n + MORE).of_distributions(q, labels)
    require_equal(logits, q, labels, dlogits, outcome)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@shapes
def test_labels_alone(smoothing: float, n: int, classes: int, scale: float, seed: int) -> None:
    _, logits, labels, dlogits = drawn(n, classes, scale, seed)
    q = softmax_cross_entropy.target_distribution(labels, logits.T.astype(np.float64), smoothing)
    outcome = Head(logits, dlogits, n + MORE, smoothing).of_labels(labels)
    require_equal(logits, q, labels, dlogits, outcome)


def test_logits_far_apart_neither_overflow_nor_vanish() -> None:
    logits = np.array([[1e4, 0], [-1e4, 88], [0, 89]], np.float32)
    for in_labels in (True, False):
        dlogits = np.empty_like(logits)
        head, labels = Head(logits, dlogits, 2), np.array([0, 1])
        q = np.eye(3, dtype=np.float32)[:2]
        loss, _ = head.of_labels(labels) if in_labels else head.of_distributions(q, labels)
        assert loss == pytest.approx(np.log(1 + np.e), rel=1e-6)
        np.testing.assert_allclose(dlogits[:, 0], 0)


def test_the_first_of_equal_logits_is_the_answer() -> None:
    logits = np.zeros((4, 3), np.float32)
    _, correct = Head(logits, np.empty_like(logits), 3).of_labels(np.arange(3))
    assert correct == 1
