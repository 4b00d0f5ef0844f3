"""Weight decay: the one place where parameters are pulled towards zero."""

from typing import Literal, TypeAlias

import numpy as np

from numnist.arrays import Array

Decay: TypeAlias = Literal["coupled", "decoupled"]
"""Where the decay enters: into the gradient (coupled) or straight into the parameters (decoupled)."""


def apply_weight_decay(
    kind: Decay, strength: float, mask: Array | None, params: Array, grads: Array, lr: float, out: Array
) -> Array:
    """Apply weight decay of strength λ once, and return the gradient that the update rule is to use.

        coupled     g + λ·mask·p is returned
        decoupled   p ← p − lr·λ·mask·p in place, and g is returned

    Coupled decay is L2 regularisation: the gradient of λ/2 · Σ mask·p² joins that of the loss, and goes with
    it through momentum and Adam's division. Decoupled decay shrinks every parameter at the same rate. For
    plain SGD the two are the same.

    Shapes: params, grads, mask, out all alike; `mask` is 1 where a parameter decays and 0 where not, None
            decays all. `out` is scratch, and holds the returned gradient when the decay is coupled.
    Where others disagree: as in PyTorch, decoupled decay is scaled by the learning rate. The paper scales it
            by the schedule's multiplier alone, so a λ from there must be divided by the base learning rate.
    Source: Loshchilov & Hutter 2019, arXiv:1711.05101, algorithms 1 and 2.
    """
    if strength == 0:
        return grads
    penalty = np.multiply(strength, params, out=out)
    if mask is not None:
        penalty *= mask
    if kind == "coupled":
        penalty += grads
        return penalty
    penalty *= lr
    params -= penalty
    return grads
