"""When the numbers are no longer numbers: where it began, and what to try."""

import math

import numpy as np

from numnist.arrays import Array
from numnist.nn import Model, Sequential

ADVICE = "try a smaller --optim.lr, or --clip-norm 1"


class DivergenceError(RuntimeError):
    """The loss is no longer a finite number. The message says at which step, and what to try."""


def require_finite(loss: float, where: str) -> None:
    """DivergenceError, saying where, unless the loss is a finite number."""
    if not math.isfinite(loss):
        raise DivergenceError(f"the loss became {loss} {where}: {ADVICE}")


def first_not_finite(model: Model, x: Array, rng: np.random.Generator) -> str:
    """The first thing in a forward pass in training that is not finite: an input, a weight, a layer's output.

    The model is left as it was.

    Shapes: x (N, C, H, W), preprocessed. Returns: words such as "the output of layer 3 (Linear)".
    """
    if not np.isfinite(x).all():
        return "the batch of images"
    for name, values in model.named_arrays():
        if not np.isfinite(values).all():
            return f"{name}, which an earlier step left,"
    buffers = model.buffers.copy()
    try:
        with np.errstate(all="ignore"):
            return _first_in(model.network, x, rng, "")[0] or "the loss itself"
    finally:
        model.buffers[...] = buffers


def _first_in(network: Sequential, x: Array, rng: np.random.Generator, prefix: str) -> tuple[str, Array]:
    """Words for the first layer whose output is not finite, or ""; and the output of the last."""
    for position, layer in enumerate(network.layers):
        if isinstance(layer, Sequential):
            found, x = _first_in(layer, x, rng, f"{prefix}{position}.")
            if found:
                return found, x
            continue
        x, _ = layer.forward(x, True, rng)
        if not np.isfinite(x).all():
            return f"the output of layer {prefix}{position} ({type(layer).__name__})", x
    return "", x
