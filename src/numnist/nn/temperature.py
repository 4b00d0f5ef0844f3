"""Temperature scaling: how sure a classifier should be, learned from images that it was not trained on."""

import numpy as np

from numnist.arrays import Array
from numnist.ops import softmax

RANGE = (0.1, 10.0)
"""Lowest and highest temperature."""

HALVINGS = 60
"""Of the interval that holds 1/T: to the last bit of a float64."""


def fit_temperature(logits: Array, labels: Array) -> float:
    """The T for which softmax(logits / T) has the smallest cross-entropy; 1 changes nothing, more doubts.

        loss(b) = -1/N * sum over n of log softmax(b * z_n)[label_n]            b = 1/T
        dloss/db = 1/N * sum over n of (sum over k of p_nk z_nk - z_n,label)    p = softmax(b z)

    is convex in b, so its derivative has one zero, found by bisection. No label that is predicted changes.
    Where no image is mistaken the loss falls for ever, to the certainty of T = 0: then nothing is known of
    how sure to be, and T is 1; so it is for logits that are not finite.

    Shapes: logits (N, K), labels (N,) -> T, in `RANGE`.
    Raises: ValueError for no image.
    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, arXiv:1706.04599, section 4.2.
    """
    if len(logits) == 0:
        raise ValueError("fit_temperature: expected one image or more, got none")
    if (logits.argmax(axis=1) == labels).all() or not np.isfinite(logits).all():
        return 1.0
    z = logits.astype(np.float64)
    of_label = z[np.arange(len(z)), labels]

    def derivative(b: float) -> float:
        p, _ = softmax.forward(b * z)
        return float(((p * z).sum(axis=1) - of_label).mean())

    low, high = 1 / RANGE[1], 1 / RANGE[0]
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if derivative(middle) > 0 else (middle, high)
    return 2 / (low + high)
