"""The backward pass of a linear op is its adjoint, whatever the size: <A x, y> = <x, Aᵀ y>."""

from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numnist.arrays import Array, Shape
from numnist.ops import (
    avg_pool2d,
    batch_norm,
    conv2d,
    dropout,
    flatten,
    global_avg_pool2d,
    linear,
    max_pool2d,
)
from numnist.ops.patches import fold, unfold
from numnist.testing import check_adjoint

EXAMPLES = settings(max_examples=60)
SEEDS = st.integers(0, 2**32 - 1)
BATCHES = st.integers(1, 5)
CHANNELS = st.integers(1, 4)
SIDES = st.integers(1, 12)
IMAGES = st.tuples(BATCHES, CHANNELS, SIDES, SIDES)


def normal(seed: int, *shapes: Shape) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.standard_normal(shape)) for shape in shapes]


@EXAMPLES
@given(N=BATCHES, inputs=SIDES, outputs=SIDES, seed=SEEDS)
def test_linear(N: int, inputs: int, outputs: int, seed: int) -> None:
    x, weight, bias = normal(seed, (N, inputs), (outputs, inputs), (outputs,))
    nothing = np.zeros(outputs)
    _, cache = linear.forward(x, weight, nothing)
    check_adjoint(
        lambda z: linear.forward(z, weight, nothing)[0], lambda dy: linear.backward(dy, cache)[0], x
    )
    check_adjoint(
        lambda w: linear.forward(x, w, nothing)[0], lambda dy: linear.backward(dy, cache)[1], weight
    )
    check_adjoint(
        lambda b: linear.forward(x, 0 * weight, b)[0], lambda dy: linear.backward(dy, cache)[2], bias
    )


@st.composite
def windows(draw: st.DrawFn) -> tuple[Shape, tuple[int, int], int, int]:
    """(shape of x, kernel, stride, padding): any kernel, square or not, that fits."""
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    stride, padding = draw(st.integers(1, 4)), draw(st.integers(0, 3))
    H, W = (draw(st.integers(max(1, k - 2 * padding), 12)) for k in kernel)
    return (draw(BATCHES), draw(CHANNELS), H, W), kernel, stride, padding


@EXAMPLES
@given(geometry=windows(), O=CHANNELS, seed=SEEDS)
def test_conv2d(geometry: tuple[Shape, tuple[int, int], int, int], O: int, seed: int) -> None:  # noqa: E741
    x_shape, kernel, stride, padding = geometry
    x, weight, bias = normal(seed, x_shape, (O, x_shape[1], *kernel), (O,))
    nothing = np.zeros(O)

    def convolve(z: Array, w: Array, b: Array) -> Array:
        return conv2d.forward(z, w, b, stride, padding)[0]

    _, cache = conv2d.forward(x, weight, nothing, stride, padding)
    check_adjoint(lambda z: convolve(z, weight, nothing), lambda dy: conv2d.backward(dy, cache)[0], x)
    check_adjoint(lambda w: convolve(x, w, nothing), lambda dy: conv2d.backward(dy, cache)[1], weight)
    check_adjoint(lambda b: convolve(x, 0 * weight, b), lambda dy: conv2d.backward(dy, cache)[2], bias)


@EXAMPLES
@given(geometry=windows(), seed=SEEDS)
def test_unfold_and_fold(geometry: tuple[Shape, tuple[int, int], int, int], seed: int) -> None:
    shape, kernel, stride, padding = geometry
    (x,) = normal(seed, shape)
    check_adjoint(
        lambda z: unfold(z, kernel, stride, padding), lambda p: fold(p, shape, kernel, stride, padding), x
    )


@EXAMPLES
@given(shape=IMAGES, size=st.integers(1, 4), stride=st.none() | st.integers(1, 5), seed=SEEDS)
def test_avg_pool2d(shape: Shape, size: int, stride: int | None, seed: int) -> None:
    (x,) = normal(seed, shape)
    size = min(size, *shape[2:])
    _, cache = avg_pool2d.forward(x, size, stride)
    check_adjoint(
        lambda z: avg_pool2d.forward(z, size, stride)[0], lambda dy: avg_pool2d.backward(dy, cache), x
    )


@pytest.mark.parametrize("op", [global_avg_pool2d, flatten])
@EXAMPLES
@given(shape=IMAGES, seed=SEEDS)
def test_without_parameters(op: ModuleType, shape: Shape, seed: int) -> None:
    (x,) = normal(seed, shape)
    _, cache = op.forward(x)
    check_adjoint(lambda z: op.forward(z)[0], lambda dy: op.backward(dy, cache), x)


@EXAMPLES
@given(shape=IMAGES, rate=st.floats(0, 0.9), seed=SEEDS)
def test_dropout_with_a_fixed_mask(shape: Shape, rate: float, seed: int) -> None:
    (x,) = normal(seed, shape)
    _, cache = dropout.forward(x, rate, np.random.default_rng(seed))
    check_adjoint(
        lambda z: dropout.forward(z, rate, np.random.default_rng(seed))[0],
        lambda dy: dropout.backward(dy, cache),
        x,
    )


@EXAMPLES
@given(shape=IMAGES | st.tuples(BATCHES, CHANNELS), seed=SEEDS)
def test_batch_norm_in_evaluation(shape: Shape, seed: int) -> None:
    C = shape[1:2]
    x, weight, var = normal(seed, shape, C, C)
    nothing, fixed = np.zeros(C), (np.zeros(C), np.square(var))
    _, cache = batch_norm.forward(x, weight, nothing, fixed)
    check_adjoint(
        lambda z: batch_norm.forward(z, weight, nothing, fixed)[0],
        lambda dy: batch_norm.backward(dy, cache)[0],
        x,
    )


@EXAMPLES
@given(shape=IMAGES, size=st.integers(1, 4), stride=st.none() | st.integers(1, 5), seed=SEEDS)
def test_max_pool2d_is_linear_once_its_winners_are_chosen(
    shape: Shape, size: int, stride: int | None, seed: int
) -> None:
    # Where the winners stay the same, dx · x = dy · y: the adjoint identity at x itself.
    (x,) = normal(seed, shape)
    y, cache = max_pool2d.forward(x, min(size, *shape[2:]), stride)
    (dy,) = normal(seed + 1, y.shape)
    assert np.sum(max_pool2d.backward(dy, cache) * x) == pytest.approx(np.sum(dy * y), rel=1e-10, abs=1e-10)
