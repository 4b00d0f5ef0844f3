"""Cutting a batch of images into patches, and adding patches back: each is the other's adjoint."""

import numpy as np

from numnist.arrays import Array


def output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    """Number of places at which a window fits along one axis.

        floor((size + 2*padding - kernel) / stride) + 1

    It is 0 or less where the window is larger than the padded axis.
    Raises: ValueError unless kernel and stride are at least 1 and padding is at least 0.
    Source: Dumoulin & Visin 2016, arXiv:1603.07285, section 2, relationship 6.
    """
    if kernel < 1 or stride < 1 or padding < 0:
        came = f"size {kernel}, stride {stride}, padding {padding}"
        raise ValueError(f"expected a window of size >= 1, stride >= 1, padding >= 0, got {came}")
    return (size + 2 * padding - kernel) // stride + 1


def unfold(x: Array, kernel: tuple[int, int], stride: int, padding: int) -> Array:
    """Copy the patch under the window at each of its places into a column ("im2col").

        p[n, (c,u,v), (i,j)] = xp[n, c, s*i+u, s*j+v]

    where xp is x with `padding` zeros on every side and s is the stride.

    Shapes: x (N, C, H, W), kernel (KH, KW) -> p (N, C*KH*KW, H'*W'), H' and W' as in `output_size`.
    Source: Chellapilla, Puri & Simard 2006, High Performance Convolutional Neural Networks, section 3.
    """
    N, C, _, _ = x.shape
    KH, KW = kernel
    xp = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding))) if padding else x
    windows = np.lib.stride_tricks.sliding_window_view(xp, kernel, axis=(2, 3))[:, :, ::stride, ::stride]
    rows, columns = windows.shape[2:4]
    return windows.transpose(0, 1, 4, 5, 2, 3).reshape(N, C * KH * KW, rows * columns)


def fold(p: Array, shape: tuple[int, ...], kernel: tuple[int, int], stride: int, padding: int) -> Array:
    """Add every column back to the place it was cut from ("col2im"): the adjoint of `unfold`.

        xp[n, c, a, b] = sum of p[n, (c,u,v), (i,j)] over all (u,v,i,j) with s*i+u = a, s*j+v = b

    and x is xp without its border of `padding`.

    Shapes: p (N, C*KH*KW, H'*W'), shape = (N, C, H, W) -> x (N, C, H, W).
    """
    N, C, H, W = shape
    KH, KW = kernel
    rows, columns = output_size(H, KH, stride, padding), output_size(W, KW, stride, padding)
    p = p.reshape(N, C, KH, KW, rows, columns)
    xp = np.zeros((N, C, H + 2 * padding, W + 2 * padding), p.dtype)
    for u in range(KH):
        for v in range(KW):
            xp[:, :, u : u + stride * rows : stride, v : v + stride * columns : stride] += p[:, :, u, v]
    return xp[:, :, padding : padding + H, padding : padding + W]
