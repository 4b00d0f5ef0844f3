"""What is to be learned from a batch."""

import numpy as np

from numnist.arrays import Array
from numnist.engine.kernels.head import Head
from numnist.engine.memory import Allocate
from numnist.ops import softmax_cross_entropy


class Targets:
    """The labels or distributions of a batch, where all shards see them."""

    def __init__(self, size: int, classes: int, label_smoothing: float, allocate: Allocate) -> None:
        self._classes, self._label_smoothing = classes, label_smoothing
        # Without distributions q says nothing; else labels are the classes that count as correct.
        self._q, self._labels = allocate((size, classes)), allocate((size,), np.int64)
        self._has_labels_alone = allocate((1,), bool)

    def take(self, y: Array) -> None:
        """Let all see labels (n,) or distributions (n, K).

        Raises: ValueError where they are neither; most labels are left to `check`.
        """
        is_plain = y.shape == self._labels.shape and y.dtype.kind in "iu"
        if is_plain:
            if y.dtype == np.uint64:  # the largest are none of int64, and would be named as others
                softmax_cross_entropy.require_labels(y, self._classes)
            self._labels[...] = y
        else:
            # Of the logits this needs shape and dtype alone.
            self._q[...] = softmax_cross_entropy.target_distribution(y, self._q, self._label_smoothing)
            self._labels[...] = y.argmax(axis=1)
        self._has_labels_alone[0] = is_plain

    def check(self) -> None:
        """Raises: ValueError where any label is not that of a class."""
        if np.maximum.reduce(self._labels.view(np.uint64)) >= self._classes:  # negative ones are large then
            softmax_cross_entropy.require_labels(self._labels, self._classes)

    def outcome(self, head: Head, samples: slice) -> tuple[float, int]:
        """What these samples come to by the head of their shard, which fills their gradient."""
        labels = self._labels[samples]
        if self._has_labels_alone[0]:
            return head.of_labels(labels)
        return head.of_distributions(self._q[samples], labels)
