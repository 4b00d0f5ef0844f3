"""Two-dimensional convolution (cross-correlation, as all of deep learning calls it)."""

from typing import NamedTuple

import numpy as np

from numnist.arrays import Array, Shape
from numnist.ops.patches import fold, output_size, unfold


class Cache(NamedTuple):
    """What `backward` needs: the patches, the weight, and the geometry."""

    patches: Array
    weight: Array
    x_shape: Shape
    stride: int
    padding: int


def forward(x: Array, weight: Array, bias: Array, stride: int = 1, padding: int = 0) -> tuple[Array, Cache]:
    """2-D cross-correlation of a batch of images.

        y[n,o,i,j] = bias[o] + sum over c,u,v of xp[n, c, s*i+u, s*j+v] * weight[o,c,u,v]

    where xp is x with `padding` zeros on every side and s is the stride. With the patches of image n as
    the columns of a matrix P[n] (see `patches.unfold`) this is one matrix product: y[n] = W P[n] + b.

    Shapes: x (N, C, H, W), weight (O, C, KH, KW), bias (O,) -> y (N, O, H', W'),
            H' = floor((H + 2*padding - KH) / stride) + 1, W' likewise.
    Returns: (y, cache); hand the cache to `backward`.
    Raises: ValueError when a rank or channel count does not fit, or the padded image is smaller than
            the kernel.
    Source: Dumoulin & Visin 2016, arXiv:1603.07285, section 2.
    """
    if weight.ndim != 4 or bias.shape != weight.shape[:1]:
        raise ValueError(
            f"conv2d: expected weight (O, C, KH, KW) and bias (O,), got {weight.shape} and {bias.shape}"
        )
    O, C, KH, KW = weight.shape  # noqa: E741 -- the formula's letter
    if x.ndim != 4 or x.shape[1] != C:
        raise ValueError(f"conv2d: expected x of shape (N, {C}, H, W), got {x.shape}")
    N, _, H, W = x.shape
    rows, columns = output_size(H, KH, stride, padding), output_size(W, KW, stride, padding)
    if rows < 1 or columns < 1:
        raise ValueError(f"conv2d: kernel {KH}x{KW} is larger than the image {H}x{W} padded by {padding}")

    patches = unfold(x, (KH, KW), stride, padding)
    y = weight.reshape(O, -1) @ patches + bias[:, np.newaxis]
    return y.reshape(N, O, rows, columns), Cache(patches, weight, x.shape, stride, padding)


def backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Gradients of a loss through `forward`.

        dweight = sum over n of dy[n] P[n]ᵀ        dbias[o] = sum over n,i,j of dy[n,o,i,j]
        dP[n] = Wᵀ dy[n], and dx is dP folded back: every patch's gradient added where it was cut

    Shapes: dy (N, O, H', W') -> dx (N, C, H, W), dweight (O, C, KH, KW), dbias (O,).
    Source: Dumoulin & Visin 2016, arXiv:1603.07285, section 4 (the transposed convolution).
    """
    patches, weight, x_shape, stride, padding = cache
    O, _, KH, KW = weight.shape  # noqa: E741 -- the formula's letter
    N, _, rows, columns = dy.shape
    dy = dy.reshape(N, O, rows * columns)

    dweight = (dy @ patches.transpose(0, 2, 1)).sum(axis=0).reshape(weight.shape)
    dbias = dy.sum(axis=(0, 2))
    dpatches = weight.reshape(O, -1).T @ dy
    return fold(dpatches, x_shape, (KH, KW), stride, padding), dweight, dbias
