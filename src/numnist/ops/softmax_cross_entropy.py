"""Softmax and cross-entropy in one: the loss of a classifier."""

from typing import NamedTuple

import numpy as np

from numnist.arrays import Array
from numnist.ops import log_softmax


class Cache(NamedTuple):
    """What `backward` needs: log-probabilities and (smoothed) target distributions."""

    log_p: Array
    q: Array


def forward(logits: Array, targets: Array, label_smoothing: float = 0.0) -> tuple[float, Cache]:
    """Mean cross-entropy between the targets and the softmax of the logits.

        p = softmax(logits)        q = (1 - ε) * t + ε / K
        loss = -1/N * sum over n,k of q[n,k] * log p[n,k]

    where t is the target distribution (1 at the label, 0 elsewhere, when targets are labels), K the number
    of classes and ε the label smoothing. Logarithms are natural, so the loss is in nats; a guess of 1/K each
    costs log K (2.303 for ten digits). A row of t that sums to w, not to 1, counts w times: so samples are
    weighted (but not what is smoothed, which is ε / K for every row, as in PyTorch).

    Shapes: logits (N, K); targets (N,) integer labels in 0..K-1, or (N, K) distributions, each times a weight
            or not -> loss, a number.
    Returns: (loss, cache); hand the cache to `backward`.
    Raises: ValueError when shapes do not fit, a label is not in 0..K-1, or label_smoothing is not in 0..1.
    Source: Goodfellow, Bengio & Courville 2016, Deep Learning, section 6.2.2.3;
            Szegedy et al. 2016, arXiv:1512.00567, section 7 (label smoothing).
    """
    q = target_distribution(targets, logits, label_smoothing)
    log_p, _ = log_softmax.forward(logits)
    return float(-(q * log_p).sum() / logits.shape[0]), Cache(log_p, q)


def target_distribution(targets: Array, logits: Array, label_smoothing: float) -> Array:
    """The distributions q (N, K) of `forward`, in the logits' dtype, after checking what came."""
    if logits.ndim != 2 or logits.shape[0] == 0:
        raise ValueError(
            f"softmax_cross_entropy: expected logits of shape (N, K) with N >= 1, got {logits.shape}"
        )
    require_smoothing(label_smoothing)
    N, K = logits.shape
    label_smoothing = float(label_smoothing)  # a NumPy float64 would promote float32
    if targets.shape == (N, K):
        t = targets.astype(logits.dtype, copy=False)
    elif targets.shape == (N,) and np.issubdtype(targets.dtype, np.integer):
        require_labels(targets, K)
        t = np.zeros((N, K), logits.dtype)
        t[np.arange(N), targets] = 1
    else:
        raise ValueError(
            f"softmax_cross_entropy: expected integer targets of shape ({N},) or distributions of shape "
            f"({N}, {K}), got {targets.dtype} of shape {targets.shape}"
        )
    q: Array = (1 - label_smoothing) * t + label_smoothing / K
    return q


def require_smoothing(label_smoothing: float) -> None:
    """Raises: ValueError when label_smoothing is not in 0..1."""
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"softmax_cross_entropy: expected label_smoothing in 0..1, got {label_smoothing}")


def require_labels(targets: Array, K: int) -> None:
    """Raises: ValueError when a label, of one at least, is not in 0..K-1."""
    if targets.min() < 0 or targets.max() >= K:
        raise ValueError(
            f"softmax_cross_entropy: expected labels in 0..{K - 1}, got {targets.min()}..{targets.max()}"
        )


def backward(dloss: float, cache: Cache) -> Array:
    """Gradient with respect to the logits; label smoothing is in q, so it is in here too.

        dlogits[n,k] = dloss / N * (p[n,k] * sum over j of q[n,j] - q[n,k])

    The inner sum is 1 for a distribution, and leaves the familiar p - q; it is w where a sample weighs w.

    Shapes: dloss a number (1 for the gradient of the loss itself) -> dlogits (N, K).
    Source: Goodfellow, Bengio & Courville 2016, Deep Learning, section 6.2.2.3.
    """
    log_p, q = cache
    dlogits: Array = float(dloss) / log_p.shape[0] * (np.exp(log_p) * q.sum(axis=1, keepdims=True) - q)
    return dlogits
