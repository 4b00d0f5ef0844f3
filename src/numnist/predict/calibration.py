"""Whether probabilities mean what they say, and what is gained by not answering where they are low."""

from typing import NamedTuple

import numpy as np

from numnist.arrays import Array

BINS = 15
"""In how many parts confidence is divided: as in the paper."""


class Reliability(NamedTuple):
    """Number of images, mean confidence and accuracy in each bin, (BINS,) each; NaN where it is empty."""

    images: Array
    confidence: Array
    accuracy: Array

    @property
    def expected_calibration_error(self) -> float:
        """ECE = sum over bins of images/n * |accuracy - confidence|, as a fraction; NaN for no image."""
        filled = self.images > 0
        share = self.images[filled] / max(1, self.images.sum())
        gaps = np.abs(self.accuracy[filled] - self.confidence[filled])
        return float((share * gaps).sum()) if filled.any() else float("nan")


def reliability(probabilities: Array, labels: Array) -> Reliability:
    """Of the images that a model is so sure of, the fraction that it is right about.

    Confidence is the greatest probability; the bins are ((i-1)/BINS, i/BINS], as in the paper.

    Shapes: probabilities (N, K), labels (N,).
    Source: Guo et al. 2017, arXiv:1706.04599, section 2, equations 2 and 3.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    count = np.bincount(bins, minlength=BINS)
    with np.errstate(invalid="ignore"):
        means = (np.bincount(bins, of, BINS) / count for of in (confidence, right.astype(np.float64)))
        return Reliability(count, *means)


class Selection(NamedTuple):
    """What becomes of accuracy where the least sure answers are withheld, (M,) each, from all to none.

    threshold: the least probability that is answered. coverage: the share of the images that are then
    answered. accuracy: of those.
    """

    threshold: Array
    coverage: Array
    accuracy: Array

    def at_coverage(self, share: float) -> tuple[float, float]:
        """Threshold and accuracy where at least this share of the images is answered, and no more than need.

        Raises: ValueError unless share is above 0 and at most 1.
        """
        if not 0 < share <= 1:
            raise ValueError(f"at_coverage: expected a share above 0 and at most 1, got {share}")
        enough = np.flatnonzero(self.coverage >= share - 1e-12)[-1]
        return float(self.threshold[enough]), float(self.accuracy[enough])


def selection(probabilities: Array, labels: Array) -> Selection:
    """Accuracy against coverage, for every threshold at which an answer more is withheld.

    Images that are equally sure are answered or withheld together.

    Shapes: probabilities (N, K), labels (N,), N >= 1 -> (M,) each, M the number of different confidences.
    Source: El-Yaniv & Wiener 2010, On the Foundations of Noise-free Selective Classification, section 2.
    Raises: ValueError for no image.
    """
    if len(probabilities) == 0:
        raise ValueError("selection: expected one image or more, got none")
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    order = np.argsort(confidence, kind="stable")
    threshold, first = np.unique(confidence[order], return_index=True)
    answered = len(labels) - first
    correct = right[order][::-1].cumsum()[answered - 1]
    return Selection(threshold, answered / len(labels), correct / answered)
