"""The training images as the loop takes them: shuffled, augmented, preprocessed, in batches."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from numnist.arrays import Array
from numnist.data import Augmentation, Split, batches, number_of_batches
from numnist.engine import ALONE, Reducer, part_of
from numnist.nn import Preprocess
from numnist.train.streams import Stream, generator


@dataclass(frozen=True, eq=False)
class TrainingImages:
    """Those images of a split that are trained on, and what happens to them on the way.

    indices: which of the split's images; leaving some out costs no copy. seed: of all randomness in training.
    clean_from: the epoch from which on (0 for the first) nothing is augmented; None for never. ranks: those
    that share out each batch.
    weights: how much each image of the split counts in the loss, (N,); None for 1 each. For the loss to be a
    weighted mean, their own mean over the images that are trained on is 1, and labels are not smoothed. They
    are above 0, as float32 too, or it could not be told which answers are right: leave out what is not to
    count.

    Raises: ValueError for a weight of 0 or below, or NaN, of an image that is trained on.
    """

    split: Split
    indices: Array
    preprocess: Preprocess
    augmentation: Augmentation
    batch_size: int
    seed: int
    clean_from: int | None = None
    ranks: Reducer = ALONE
    weights: Array | None = None

    def __post_init__(self) -> None:
        """Refuse weights that are not above 0."""
        if self.weights is not None and not (self.weights[self.indices].astype(np.float32) > 0).all():
            raise ValueError("expected weights above 0")

    def __len__(self) -> int:
        """Number of images."""
        return len(self.indices)

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches; the last one may be smaller, and none is empty."""
        return number_of_batches(len(self), self.batch_size)

    def epoch(self, epoch: int, done: int = 0) -> Iterator[tuple[Array, Array]]:
        """The batches of an epoch: x (N, 1, H, W) float32, labels (N,) or, with weights, (N, K) float32.

        Of several ranks each gets the images of its part of a batch, x (n, 1, H, W), and the labels of all.
        The order depends on (seed, epoch), the augmentation of a batch on (seed, step), and on nothing else.

        done: so many were taken before an interruption, and are left out.
        """
        order = generator(self.seed, Stream.SHUFFLING, epoch)
        first_step = epoch * self.steps_per_epoch
        is_clean = self.augmentation.is_identity or (self.clean_from is not None and epoch >= self.clean_from)
        all_batches = batches(len(self), self.batch_size, order)
        for step, chosen in enumerate(islice(all_batches, done, None), start=first_step + done):
            part = part_of(len(chosen), self.ranks.rank, self.ranks.ranks)
            images = self.split.images_at(self.indices[chosen[part]])
            if not is_clean:
                rng = generator(self.seed, Stream.AUGMENTATION, step)
                images = self.augmentation.apply(images, rng, len(chosen), part.start)
            yield self.preprocess(images), self._targets(self.indices[chosen])

    def _targets(self, indices: Array) -> Array:
        """The labels, or rows with the weight of each image at its label: see `ops.softmax_cross_entropy`."""
        labels = self.split.labels[indices]
        if self.weights is None:
            return labels
        targets = np.zeros((len(labels), len(self.preprocess.classes)), np.float32)
        targets[np.arange(len(labels)), labels] = self.weights[indices]
        return targets
