"""Clipping of the gradient's norm."""

import math

import numpy as np

from numnist.arrays import Array


def clip_gradient_norm(grads: Array, max_norm: float) -> float:
    """Scale the gradient down, in place, so that its Euclidean norm is at most `max_norm`.

        g ← g · min(1, max_norm / (‖g‖ + 1e-6))

    A gradient whose norm is not finite is left as it is: no factor can mend it, and the caller sees the norm.
    The squares are added in float64, where those of float32 values cannot overflow; those of float64 values
    beyond 1e154 can, and the norm is then infinite.

    Shapes: grads any shape, float32 or float64; all of it counts as one vector.
    Returns: the norm before clipping.
    Raises: ValueError when max_norm is not > 0 (infinity is allowed: it measures and never clips).
    Where others disagree: the 1e-6 is PyTorch's. The paper and optax leave it out.
    Source: Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063, algorithm 1.
    """
    if not max_norm > 0:
        raise ValueError(f"clip_gradient_norm: expected max_norm > 0, got {max_norm}")
    g = grads.reshape(-1)
    norm = math.sqrt(np.einsum("i,i->", g, g, dtype=np.float64))
    scale = max_norm / (norm + 1e-6)
    if scale < 1 and math.isfinite(norm):
        grads *= scale
    return norm
