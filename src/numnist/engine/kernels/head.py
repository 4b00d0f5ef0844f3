"""The loss behind the last layer, with its gradient."""

from functools import partial
from types import ModuleType

import numpy as np

from numnist.arrays import Array
from numnist.engine.memory import aligned
from numnist.engine.stage import Step, run
from numnist.ops import softmax_cross_entropy


class Head:
    """Softmax and cross-entropy of one shard, in one go: the exponentials serve the loss and its gradient.

        p = softmax(logits)    loss = -1/N sum of q log p    dlogits = (p * (sum of q) - q) / N

    with N the samples of the whole batch and q the (smoothed) targets; see `ops.softmax_cross_entropy`. With
    z = logits - their maximum, log p = z - log(sum of exp(z)). Where there are labels alone, q is never made:
    (1 - ε) is taken at each label, and ε / K everywhere.

    logits, dlogits: (K, n), the samples of a class beside each other, so that all sums over classes are sums
    of rows; bound, read and written at every call.
    """

    REPLACES: tuple[ModuleType, ...] = (softmax_cross_entropy,)

    def __init__(self, logits: Array, dlogits: Array, batch: int, label_smoothing: float = 0.0) -> None:
        K, n = logits.shape
        z, largest, total, log_total = (aligned((rows, n)) for rows in (K, 1, 1, 1))
        is_largest, of_batch = aligned((K, n), bool), np.full((1, 1), batch, np.float32)
        self._z, self._is_largest, self._log_total, self._dlogits = z, is_largest, log_total, dlogits
        self._total, self._batch, self._label_smoothing = total, batch, label_smoothing
        self._samples = np.arange(n)
        self._steps: list[Step] = [
            partial(np.maximum.reduce, logits, axis=0, keepdims=True, out=largest),
            partial(np.subtract, logits, largest, out=z),
            partial(np.equal, z, 0, out=is_largest),
            partial(np.exp, z, out=dlogits),
            partial(np.add.reduce, dlogits, axis=0, keepdims=True, out=total),
            partial(np.log, total, out=log_total),
            partial(np.multiply, total, of_batch, out=total),
        ]
        self._divide = partial(np.divide, dlogits, total, out=dlogits)

    def of_labels(self, labels: Array) -> tuple[float, int]:
        """Fill dlogits; the shard's sum of the losses, and its number of correct answers.

        Shape: labels (n,).
        """
        run(self._steps)
        self._divide()
        z, dlogits, smoothed = self._z, self._dlogits, self._label_smoothing
        at_labels = labels, self._samples
        z_at_labels = z[at_labels]
        loss = float(np.add.reduce(self._log_total, axis=None))
        loss -= (1 - smoothed) * float(np.add.reduce(z_at_labels))
        if smoothed:
            loss -= smoothed / len(z) * float(np.add.reduce(z, axis=None))
            dlogits -= smoothed / (len(z) * self._batch)
        dlogits[at_labels] -= (1 - smoothed) / self._batch
        return loss, self._correct(labels, z_at_labels)

    def of_distributions(self, q: Array, labels: Array) -> tuple[float, int]:
        """The same for distributions, smoothed already.

        Shapes: q (n, K); labels (n,), the classes that count as correct.
        """
        run(self._steps)
        q = q.T
        of_all = np.add.reduce(q, axis=0, keepdims=True)
        loss = float(np.vdot(of_all, self._log_total)) - float(np.vdot(q, self._z))
        dlogits = self._dlogits
        dlogits *= of_all / self._total
        dlogits -= q / np.float32(self._batch)
        return loss, self._correct(labels, self._z[labels, self._samples])

    def _correct(self, labels: Array, z_at_labels: Array) -> int:
        """How many labels are the answer: the class of the largest logit, the first of several such."""
        if np.count_nonzero(self._is_largest) == len(labels):  # every sample has one that is
            return len(labels) - int(np.count_nonzero(z_at_labels))
        return int(np.count_nonzero(self._z.argmax(axis=0) == labels))
