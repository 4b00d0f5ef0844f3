"""The linear (fully connected) map."""

from typing import NamedTuple

from numnist.arrays import Array


class Cache(NamedTuple):
    """What `backward` needs: the input and the weight."""

    x: Array
    weight: Array


def forward(x: Array, weight: Array, bias: Array) -> tuple[Array, Cache]:
    """Affine map of each row of a batch.

        y[n,o] = bias[o] + sum over i of x[n,i] * weight[o,i]          y = x Wᵀ + b

    Shapes: x (N, I), weight (O, I), bias (O,) -> y (N, O).
    Returns: (y, cache); hand the cache to `backward`.
    Raises: ValueError when a rank or a number of features does not fit.
    Source: Goodfellow, Bengio & Courville 2016, Deep Learning, section 6.1.
    """
    if weight.ndim != 2 or bias.shape != weight.shape[:1]:
        raise ValueError(f"linear: expected weight (O, I) and bias (O,), got {weight.shape} and {bias.shape}")
    if x.ndim != 2 or x.shape[1] != weight.shape[1]:
        raise ValueError(f"linear: expected x of shape (N, {weight.shape[1]}), got {x.shape}")
    return x @ weight.T + bias, Cache(x, weight)


def backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Gradients of a loss through `forward`.

        dx = dy W        dweight = dyᵀ x        dbias[o] = sum over n of dy[n,o]

    Shapes: dy (N, O) -> dx (N, I), dweight (O, I), dbias (O,).
    Source: Goodfellow, Bengio & Courville 2016, Deep Learning, section 6.5.6.
    """
    x, weight = cache
    return dy @ weight, dy.T @ x, dy.sum(axis=0)
