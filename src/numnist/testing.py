"""Proofs for operations with a hand-written backward pass: use them for your own, as we do for ours.

A pair is right when its `backward` is the derivative of its `forward`:

    >>> import numpy as np
    >>> from numnist.ops import tanh
    >>> from numnist.testing import check_gradients
    >>> check_gradients(tanh.forward, tanh.backward, np.linspace(-2, 2, 7))

and, where `forward` is linear, when the two are adjoint (`check_adjoint`).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from numnist.arrays import Array

Forward = Callable[..., tuple[Any, Any]]
Backward = Callable[[Any, Any], Any]


def check_gradients(
    forward: Forward,
    backward: Backward,
    *inputs: Array,
    step: float = 1e-5,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> None:
    """Compare a backward pass with central differences, for every element of every input.

        L = sum of dy * y,  dy drawn once at random
        dL/dx[i] ≈ (L(x[i] + h) - L(x[i] - h)) / (2 h)

    `forward(*inputs) -> (y, cache)`; y an array or a number. `backward(dy, cache)` returns the gradient of
    the only input or a tuple with one gradient for each. Other arguments are bound beforehand (a lambda,
    functools.partial). Randomness inside `forward` must repeat itself at each call. Inputs must be float64:
    in float32 rounding hides the derivative. Keep them away from kinks (a ReLU near 0, ties in a maximum),
    where there is no derivative to compare with.

    step: h. The error of the differences is about h² from truncation and 1e-16 / h from rounding.
    tolerance: largest difference accepted, relative to the largest gradient of that input (at least 1).
    Raises: AssertionError naming the input, the element, and both numbers; also when a gradient has another
            shape or dtype than its input, when y is not finite, or when `forward` or `backward` changed one
            of its arguments. ValueError for inputs that are not arrays of float64.
    Source: Nocedal & Wright 2006, Numerical Optimization, section 8.1.
    """
    for number, x in enumerate(inputs):
        if not isinstance(x, np.ndarray) or x.dtype != np.float64:
            came = getattr(x, "dtype", type(x).__name__)
            raise ValueError(f"check_gradients: expected arrays of float64, got {came} for input {number}")
    before = [x.copy() for x in inputs]
    y, cache = forward(*inputs)
    _require(bool(np.isfinite(y).all()), "y is not finite")
    dy = np.asarray(np.random.default_rng(seed).standard_normal(np.shape(y)))
    dy_before = dy.copy()
    result = backward(dy, cache)
    gradients = result if type(result) is tuple else (result,)

    _require(len(gradients) == len(inputs), f"{len(inputs)} inputs, {len(gradients)} gradients from backward")
    for number, (x, x_before) in enumerate(zip(inputs, before, strict=True)):
        _require(np.array_equal(x, x_before), f"input {number} was changed by forward or backward")
    _require(np.array_equal(dy, dy_before), "dy was changed by backward")

    for number, (x, dx) in enumerate(zip(inputs, gradients, strict=True)):
        _require(np.shape(dx) == x.shape, f"input {number}: shape {x.shape}, its gradient {np.shape(dx)}")
        _require(np.result_type(dx) == x.dtype, f"input {number}: float64, its gradient {np.result_type(dx)}")
        expected = _central_differences(forward, before, number, dy, step)
        difference = np.abs(dx - expected)
        # `not <=`, so that a NaN fails.
        if x.size and not difference.max() <= tolerance * max(1.0, float(np.abs(expected).max())):
            worst = np.unravel_index(int(np.argmax(difference)), x.shape)  # a NaN, where there is one
            raise AssertionError(
                f"input {number} of shape {x.shape}, element {tuple(map(int, worst))}: "
                f"backward gives {dx[worst]:.9g}, central differences give {expected[worst]:.9g}"
            )


def _central_differences(forward: Forward, inputs: list[Array], number: int, dy: Array, step: float) -> Array:
    """Derivative of sum(dy * y) with respect to every element of one of the inputs."""
    moved = [x.copy() for x in inputs]
    x = moved[number]
    expected = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        value = x[index]
        x[index] = value + step
        above = np.array(forward(*moved)[0])
        x[index] = value - step
        below = np.array(forward(*moved)[0])
        x[index] = value
        expected[index] = np.sum(dy * (above - below)) / (2 * step)
    return expected


def check_adjoint(
    apply: Callable[[Array], Array],
    adjoint: Callable[[Array], Array],
    x: Array,
    *,
    tolerance: float = 1e-10,
    seed: int = 0,
) -> None:
    """Prove that one linear map is the other's adjoint, and that the first is linear at all.

        <apply(z), y> = <z, adjoint(y)>        for y and z drawn at random
        apply(a x + b z) = a apply(x) + b apply(z)

    The backward pass of a linear operation is its adjoint, whatever the size: one product of each side, where
    differences would need two evaluations for every element.

    x: any array of float64 in the shape wanted; the products are taken at random points.
    tolerance: largest difference accepted, relative to the product of the norms.
    Raises: AssertionError with both numbers.
    Source: Claerbout 2014, Geophysical Image Estimation by Example, chapter 1 (the dot-product test).
    """
    rng = np.random.default_rng(seed)
    z: Array = np.asarray(rng.standard_normal(x.shape))
    a, b = rng.standard_normal(2)
    y_x, y_z = apply(x), apply(z)
    combined = apply(a * x + b * z)
    expected = a * y_x + b * y_z
    scale = float(np.linalg.norm(y_x) * abs(a) + np.linalg.norm(y_z) * abs(b))
    error = float(np.linalg.norm(combined - expected))
    _require(error <= tolerance * scale, f"not linear: {error:.3g} off, of {scale:.3g}")

    y: Array = np.asarray(rng.standard_normal(y_x.shape))
    x_back = adjoint(y)
    _require(x_back.shape == x.shape, f"adjoint returned shape {x_back.shape}, expected {x.shape}")
    forwards, backwards = float(np.sum(y_z * y)), float(np.sum(z * x_back))
    scale = float(np.linalg.norm(y_z) * np.linalg.norm(y) + np.linalg.norm(z) * np.linalg.norm(x_back))
    _require(
        abs(forwards - backwards) <= tolerance * scale,
        f"not adjoint: <apply(z), y> = {forwards:.12g}, <z, adjoint(y)> = {backwards:.12g}",
    )


def _require(condition: bool, message: str) -> None:
    """An assertion that `python -O` does not switch off."""
    if not condition:
        raise AssertionError(message)
