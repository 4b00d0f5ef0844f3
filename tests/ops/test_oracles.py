"""The windowed ops against their docstrings' formulas, written out as loops over every index.

The data are small integers, so every sum is exact in any order, and the results must be equal, not close.
Small integers are also full of ties, which decides where the gradient of a maximum goes.
"""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ops.geometries import FEW, convolutions

from numnist.arrays import Array, Shape
from numnist.ops import avg_pool2d, conv2d, max_pool2d
from numnist.ops.patches import output_size, unfold

EXAMPLES = settings(max_examples=60)
SEEDS = st.integers(0, 2**32 - 1)


def integers(rng: np.random.Generator, shape: Shape) -> Array:
    return rng.integers(-2, 3, shape).astype(np.float64)


def places(length: int, kernel: int, stride: int) -> int:
    """How many windows fit, by trying."""
    return sum(1 for start in range(0, length, stride) if start + kernel <= length)


def padded_with_zeros(x: Array, padding: int) -> Array:
    N, C, H, W = x.shape
    xp = np.zeros((N, C, H + 2 * padding, W + 2 * padding))
    xp[:, :, padding : padding + H, padding : padding + W] = x
    return xp


@EXAMPLES
@given(geometry=convolutions(), seed=SEEDS)
def test_conv2d(geometry: tuple[Shape, Shape, int, int], seed: int) -> None:
    x_shape, weight_shape, s, padding = geometry
    rng = np.random.default_rng(seed)
    x, weight, bias = integers(rng, x_shape), integers(rng, weight_shape), integers(rng, weight_shape[:1])
    _, _, H, W = x_shape
    _, C, KH, KW = weight_shape
    xp = padded_with_zeros(x, padding)
    rows, columns = places(xp.shape[2], KH, s), places(xp.shape[3], KW, s)
    dy = integers(rng, (x_shape[0], weight_shape[0], rows, columns))

    y, dxp = np.zeros(dy.shape), np.zeros(xp.shape)
    dweight, dbias = np.zeros(weight_shape), np.zeros(bias.shape)
    for n, o, i, j in np.ndindex(dy.shape):
        y[n, o, i, j] = bias[o]
        dbias[o] += dy[n, o, i, j]
        for c, u, v in np.ndindex(C, KH, KW):
            y[n, o, i, j] += xp[n, c, s * i + u, s * j + v] * weight[o, c, u, v]
            dxp[n, c, s * i + u, s * j + v] += dy[n, o, i, j] * weight[o, c, u, v]
            dweight[o, c, u, v] += dy[n, o, i, j] * xp[n, c, s * i + u, s * j + v]

    ours, cache = conv2d.forward(x, weight, bias, s, padding)
    np.testing.assert_array_equal(ours, y)
    for gradient, expected in zip(
        conv2d.backward(dy, cache),
        (dxp[:, :, padding : padding + H, padding : padding + W], dweight, dbias),
        strict=True,
    ):
        np.testing.assert_array_equal(gradient, expected)


@EXAMPLES
@given(geometry=convolutions(), seed=SEEDS)
def test_unfold(geometry: tuple[Shape, Shape, int, int], seed: int) -> None:
    (N, C, H, W), (_, _, KH, KW), s, padding = geometry
    x = integers(np.random.default_rng(seed), (N, C, H, W))
    xp = padded_with_zeros(x, padding)
    rows, columns = places(xp.shape[2], KH, s), places(xp.shape[3], KW, s)
    p = np.zeros((N, C, KH, KW, rows, columns))
    for n, c, u, v, i, j in np.ndindex(p.shape):
        p[n, c, u, v, i, j] = xp[n, c, s * i + u, s * j + v]
    np.testing.assert_array_equal(unfold(x, (KH, KW), s, padding), p.reshape(N, C * KH * KW, rows * columns))


@given(
    size=st.integers(1, 30), kernel=st.integers(1, 30), stride=st.integers(1, 9), padding=st.integers(0, 5)
)
def test_output_size(size: int, kernel: int, stride: int, padding: int) -> None:
    # Windows that do not fit leave 0 by trying; the formula may give less.
    assert max(0, output_size(size, kernel, stride, padding)) == places(size + 2 * padding, kernel, stride)


@st.composite
def poolings(draw: st.DrawFn) -> tuple[Shape, int, int | None]:
    """(shape of x, size, stride): windows that tile, overlap, or leave gaps and rows over."""
    size, stride = draw(FEW), draw(st.none() | st.integers(1, 4))
    H, W = (draw(st.integers(size, 7)) for _ in range(2))
    return (draw(st.integers(1, 2)), draw(st.integers(1, 2)), H, W), size, stride


@EXAMPLES
@given(geometry=poolings(), seed=SEEDS)
def test_max_pool2d(geometry: tuple[Shape, int, int | None], seed: int) -> None:
    (N, C, H, W), size, stride = geometry
    s = stride or size
    rng = np.random.default_rng(seed)
    x = integers(rng, (N, C, H, W))
    dy = integers(rng, (N, C, places(H, size, s), places(W, size, s)))

    y, dx = np.zeros(dy.shape), np.zeros(x.shape)
    for n, c, i, j in np.ndindex(dy.shape):
        best = -np.inf
        for u, v in np.ndindex(size, size):  # row by row, so that the first maximum is kept
            if x[n, c, s * i + u, s * j + v] > best:
                best, winner = x[n, c, s * i + u, s * j + v], (n, c, s * i + u, s * j + v)
        y[n, c, i, j] = best
        dx[winner] += dy[n, c, i, j]

    ours, cache = max_pool2d.forward(x, size, stride)
    np.testing.assert_array_equal(ours, y)
    np.testing.assert_array_equal(max_pool2d.backward(dy, cache), dx)


@EXAMPLES
@given(geometry=poolings(), seed=SEEDS)
def test_avg_pool2d(geometry: tuple[Shape, int, int | None], seed: int) -> None:
    (N, C, H, W), size, stride = geometry
    s = stride or size
    rng = np.random.default_rng(seed)
    x = integers(rng, (N, C, H, W))
    # Multiples of the window's area, so that the shares are whole numbers, too.
    dy = size**2 * integers(rng, (N, C, places(H, size, s), places(W, size, s)))

    y, dx = np.zeros(dy.shape), np.zeros(x.shape)
    for n, c, i, j in np.ndindex(dy.shape):
        for u, v in np.ndindex(size, size):
            y[n, c, i, j] += x[n, c, s * i + u, s * j + v]
            dx[n, c, s * i + u, s * j + v] += dy[n, c, i, j] / size**2
    y /= size**2

    ours, cache = avg_pool2d.forward(x, size, stride)
    np.testing.assert_array_equal(ours, y)
    np.testing.assert_array_equal(avg_pool2d.backward(dy, cache), dx)
