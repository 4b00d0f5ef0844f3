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
    z = logits - their maximum, log p = z - log(sum of exp(z)).

    logits, dlogits: (n, K), bound, read and written at every call.
    """

    REPLACES: tuple[ModuleType, ...] = (softmax_cross_entropy,)

    def __init__(self, logits: Array, dlogits: Array, batch: int) -> None:
        n, K = logits.shape
        z, largest, total = aligned((n, K)), aligned((n, 1)), aligned((n, 1))
        self._total, self._z, self._dlogits = total, z, dlogits
        self._answers = np.empty(n, np.intp)
        self._batch = np.float32(batch)
        self._steps: list[Step] = [
            partial(np.argmax, logits, axis=1, out=self._answers),
            partial(np.maximum.reduce, logits, axis=1, keepdims=True, out=largest),
            partial(np.subtract, logits, largest, out=z),
            partial(np.exp, z, out=dlogits),
            partial(np.add.reduce, dlogits, axis=1, keepdims=True, out=total),
        ]

    def __call__(self, q: Array, labels: Array) -> tuple[float, int]:
        """Fill dlogits; the shard's sum of the losses, and its number of correct answers.

        Shapes: q (n, K), distributions; labels (n,), the classes that count as correct.
        """
        run(self._steps)
        of_all = np.add.reduce(q, axis=1, keepdims=True)
        loss = float(np.vdot(of_all, np.log(self._total))) - float(np.vdot(q, self._z))
        dlogits = self._dlogits
        dlogits *= of_all / (self._total * self._batch)
        dlogits -= q / self._batch
        return loss, int(np.count_nonzero(np.equal(self._answers, labels)))
