"""How well a model does on images with known labels."""

from dataclasses import dataclass

import numpy as np

from numnist.arrays import Array
from numnist.nn import Executor, Preprocess
from numnist.ops import softmax_cross_entropy
from numnist.train.ranks import ONE_RANK, Ranks

EVALUATION_BATCH = 1024
"""Images per call: a multiple of a shard, so that none is smaller; few enough that memory stays bounded."""


@dataclass(frozen=True)
class Evaluation:
    """The outcome on n images.

    loss: mean cross-entropy in nats, without label smoothing. confusion (K, K): confusion[t, p] counts the
    images of class t that were taken for class p.
    """

    loss: float
    confusion: Array

    @classmethod
    def of(cls, logits: Array, labels: Array) -> "Evaluation":
        """The outcome for logits (N, K) and labels (N,), N >= 1; ValueError where they do not fit."""
        K = logits.shape[1]
        with np.errstate(over="ignore", invalid="ignore"):
            loss, _ = softmax_cross_entropy.forward(logits.astype(np.float64), labels)
        confusion = np.zeros((K, K), np.int64)
        np.add.at(confusion, (labels, logits.argmax(axis=1)), 1)
        return cls(loss, confusion)

    @property
    def n(self) -> int:
        """Number of images."""
        return int(self.confusion.sum())

    @property
    def errors(self) -> int:
        """Number of images taken for another class."""
        return self.n - int(np.trace(self.confusion))

    @property
    def accuracy(self) -> float:
        """Fraction of images taken for their own class."""
        return (self.n - self.errors) / self.n

    @property
    def precision(self) -> Array:
        """Of the images taken for each class, the fraction that are of it; NaN where none was. Shape (K,)."""
        return _ratio(np.diag(self.confusion), self.confusion.sum(axis=0))

    @property
    def recall(self) -> Array:
        """Of the images of each class, the fraction taken for it; NaN where there are none. Shape (K,)."""
        return _ratio(np.diag(self.confusion), self.confusion.sum(axis=1))


def _ratio(part: Array, whole: Array) -> Array:
    ratio = np.full(part.shape, np.nan)
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio


def logits_of(executor: Executor, preprocess: Preprocess, images: Array, ranks: Ranks = ONE_RANK) -> Array:
    """What a model says of images, in evaluation mode and in batches.

    ranks: those that take turns with the batches; all of them return the logits of all images, and the same
    bits as one would.

    Shapes: images (N, H, W), N >= 1 -> (N, K).
    Raises: ValueError when there is no image, or when their size does not fit the model.
    """
    if len(images) == 0:
        raise ValueError("evaluate: expected one image or more, got none")
    # Weights that are huge overflow here; that the loss is then not finite says it.
    with np.errstate(over="ignore", invalid="ignore"):
        parts = [
            executor.predict(preprocess(images[start : start + EVALUATION_BATCH]))
            for start in range(0, len(images), EVALUATION_BATCH)[ranks.rank :: ranks.ranks]
        ]
    of_ranks = ranks.collect(parts)
    number = -(-len(images) // EVALUATION_BATCH)
    return np.concatenate([of_ranks[i % ranks.ranks][i // ranks.ranks] for i in range(number)])


def evaluate(
    executor: Executor, preprocess: Preprocess, images: Array, labels: Array, ranks: Ranks = ONE_RANK
) -> Evaluation:
    """Run a model over images (N, H, W) with labels (N,); ranks: see `logits_of`.

    Raises: as `logits_of`, and ValueError where the labels do not fit.
    """
    return Evaluation.of(logits_of(executor, preprocess, images, ranks), labels)
