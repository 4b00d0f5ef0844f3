"""Every wrong argument: the message names the op, what was expected, and what came."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from numnist.ops import (
    avg_pool2d,
    batch_norm,
    conv2d,
    dropout,
    global_avg_pool2d,
    linear,
    max_pool2d,
    softmax_cross_entropy,
)

Z = np.zeros
LABELS = Z(4, np.intp)


def cross_entropy(logits: Any, targets: Any, label_smoothing: float = 0.0) -> Any:
    return softmax_cross_entropy.forward(logits, targets, label_smoothing)


def drop(rate: float) -> Any:
    return dropout.forward(Z(3), rate, np.random.default_rng(0))


EXPECTED_TARGETS = (
    "softmax_cross_entropy: expected integer targets of shape (4,) or distributions of shape (4, 3), got "
)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: linear.forward(Z((2, 5)), Z((4, 3)), Z(4)),
            "linear: expected x of shape (N, 3), got (2, 5)",
        ),
        (
            lambda: linear.forward(Z((2, 3, 1)), Z((4, 3)), Z(4)),
            "linear: expected x of shape (N, 3), got (2, 3, 1)",
        ),
        (
            lambda: conv2d.forward(Z((32, 784)), Z((4, 1, 3, 3)), Z(4)),
            "conv2d: expected x of shape (N, 1, H, W), got (32, 784)",
        ),
        (
            lambda: conv2d.forward(Z((2, 3, 8, 8)), Z((4, 1, 3, 3)), Z(4)),
            "conv2d: expected x of shape (N, 1, H, W), got (2, 3, 8, 8)",
        ),
        (
            lambda: conv2d.forward(Z((2, 1, 2, 9)), Z((4, 1, 5, 3)), Z(4), padding=1),
            "conv2d: kernel 5x3 is larger than the image 2x9 padded by 1",
        ),
        (
            lambda: conv2d.forward(Z((2, 1, 9, 2)), Z((4, 1, 3, 5)), Z(4), padding=1),
            "conv2d: kernel 3x5 is larger than the image 9x2 padded by 1",
        ),
        (
            lambda: max_pool2d.forward(Z((2, 9)), 2),
            "max_pool2d: expected x of shape (N, C, H, W), got (2, 9)",
        ),
        (
            lambda: max_pool2d.forward(Z((2, 1, 2, 9)), 3, 1),
            "max_pool2d: window 3x3 is larger than the image 2x9",
        ),
        (
            lambda: avg_pool2d.forward(Z((2, 9)), 2),
            "avg_pool2d: expected x of shape (N, C, H, W), got (2, 9)",
        ),
        (
            lambda: avg_pool2d.forward(Z((2, 1, 9, 2)), 3, 1),
            "avg_pool2d: window 3x3 is larger than the image 9x2",
        ),
        (
            lambda: global_avg_pool2d.forward(Z((2, 9))),
            "global_avg_pool2d: expected x of shape (N, C, H, W), got (2, 9)",
        ),
        (
            lambda: batch_norm.forward(Z((2, 3, 4)), Z(3), Z(3)),
            "batch_norm: expected x of shape (N, 3) or (N, 3, H, W), got (2, 3, 4)",
        ),
        (
            lambda: batch_norm.forward(Z((2, 5)), Z(3), Z(3)),
            "batch_norm: expected x of shape (N, 3) or (N, 3, H, W), got (2, 5)",
        ),
        (
            lambda: batch_norm.forward(Z((1, 3)), Z(3), Z(3)),
            "batch_norm: training needs more than one value per channel, got x of shape (1, 3)",
        ),
        (
            lambda: batch_norm.batch_statistics(Z((1, 3, 1, 1))),
            "batch_norm: training needs more than one value per channel, got x of shape (1, 3, 1, 1)",
        ),
        (lambda: drop(1.0), "dropout: expected 0 <= rate < 1, got 1.0"),
        (lambda: drop(-0.1), "dropout: expected 0 <= rate < 1, got -0.1"),
        (lambda: drop(np.nan), "dropout: expected 0 <= rate < 1, got nan"),
        (
            lambda: cross_entropy(Z(3), LABELS),
            "softmax_cross_entropy: expected logits of shape (N, K) with N >= 1, got (3,)",
        ),
        (
            lambda: cross_entropy(Z((0, 3)), Z(0, np.intp)),
            "softmax_cross_entropy: expected logits of shape (N, K) with N >= 1, got (0, 3)",
        ),
        (
            lambda: cross_entropy(Z((4, 3)), LABELS, 1.5),
            "softmax_cross_entropy: expected label_smoothing in 0..1, got 1.5",
        ),
        (
            lambda: cross_entropy(Z((4, 3)), LABELS, -0.5),
            "softmax_cross_entropy: expected label_smoothing in 0..1, got -0.5",
        ),
        (
            lambda: cross_entropy(Z((4, 3)), np.array([0, 1, 3, 2])),
            "softmax_cross_entropy: expected labels in 0..2, got 0..3",
        ),
        (
            lambda: cross_entropy(Z((4, 3)), np.array([0, 1, -1, 2])),
            "softmax_cross_entropy: expected labels in 0..2, got -1..2",
        ),
        (lambda: cross_entropy(Z((4, 3)), LABELS[:2]), EXPECTED_TARGETS + "int64 of shape (2,)"),
        (lambda: cross_entropy(Z((4, 3)), Z(4)), EXPECTED_TARGETS + "float64 of shape (4,)"),
        (lambda: cross_entropy(Z((4, 3)), Z((4, 2))), EXPECTED_TARGETS + "float64 of shape (4, 2)"),
    ],
)
def test_the_message(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()


# The docstrings promise a ValueError when a rank or a number of channels does not fit: also a parameter's.
@pytest.mark.parametrize(
    ("op", "call"),
    [
        pytest.param(op, call, id=f"{op}: {what}")
        for op, what, call in [
            ("linear", "weight of rank 1", lambda: linear.forward(Z((2, 3)), Z(3), Z(3))),
            ("linear", "bias of 1, to broadcast", lambda: linear.forward(Z((2, 3)), Z((4, 3)), Z(1))),
            ("linear", "bias of 3 for 4", lambda: linear.forward(Z((2, 3)), Z((4, 3)), Z(3))),
            ("linear", "bias of rank 2", lambda: linear.forward(Z((2, 3)), Z((4, 3)), Z((2, 4)))),
            ("conv2d", "weight of rank 2", lambda: conv2d.forward(Z((2, 1, 8, 8)), Z((4, 9)), Z(4))),
            (
                "conv2d",
                "bias of 1, to broadcast",
                lambda: conv2d.forward(Z((2, 1, 8, 8)), Z((4, 1, 3, 3)), Z(1)),
            ),
            ("conv2d", "bias of 3 for 4", lambda: conv2d.forward(Z((2, 1, 8, 8)), Z((4, 1, 3, 3)), Z(3))),
            ("batch_norm", "bias of 1, to broadcast", lambda: batch_norm.forward(Z((4, 3)), Z(3), Z(1))),
            ("batch_norm", "bias of 2 for 3", lambda: batch_norm.forward(Z((4, 3)), Z(3), Z(2))),
            (
                "batch_norm",
                "fixed of 1, to broadcast",
                lambda: batch_norm.forward(Z((4, 3)), Z(3), Z(3), (Z(1), Z(1))),
            ),
            (
                "batch_norm",
                "fixed of 2 for 3",
                lambda: batch_norm.forward(Z((4, 3)), Z(3), Z(3), (Z(2), Z(2))),
            ),
        ]
    ],
)
def test_parameters_that_do_not_fit_one_another(op: str, call: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=f"^{op}: expected"):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: conv2d.forward(np.ones((1, 1, 4, 4)), np.ones((1, 1, 2, 2)), np.ones(1), stride=0),
        lambda: conv2d.forward(np.ones((1, 1, 4, 4)), np.ones((1, 1, 2, 2)), np.ones(1), padding=-1),
        lambda: max_pool2d.forward(np.ones((1, 1, 4, 4)), 0),
        lambda: avg_pool2d.forward(np.ones((1, 1, 4, 4)), 2, -1),
    ],
)
def test_windows_that_cannot_move(call: Callable[[], Any]) -> None:
    with pytest.raises(
        ValueError, match="expected a window of size >= 1, stride >= 1, padding >= 0, got size"
    ):
        call()
