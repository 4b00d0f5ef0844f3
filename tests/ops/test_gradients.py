"""Every op's backward pass against central differences, over many shapes and parameters.

Inputs stay away from kinks by far more than the step of the differences (1e-5): values that are compared with
zero are at least 0.05 from it, values that are compared with one another are at least 0.1 apart.
"""

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ops.geometries import FEW, convolutions

from numnist.arrays import Array, Shape
from numnist.ops import (
    avg_pool2d,
    batch_norm,
    conv2d,
    dropout,
    flatten,
    global_avg_pool2d,
    leaky_relu,
    linear,
    log_softmax,
    max_pool2d,
    relu,
    sigmoid,
    softmax,
    softmax_cross_entropy,
    tanh,
)
from numnist.testing import check_gradients

EXAMPLES = settings(max_examples=100)
SEEDS = st.integers(0, 2**32 - 1)
FRACTIONS = st.floats(0, 1)
ANY_SHAPE = st.lists(st.integers(1, 4), min_size=0, max_size=4).map(tuple)


def normal(seed: int, *shapes: Shape) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.standard_normal(shape)) for shape in shapes]


def off_zero(seed: int, shape: Shape) -> Array:
    """Values of either sign, all at least 0.05 from zero."""
    rng = np.random.default_rng(seed)
    return np.asarray(rng.choice([-1.0, 1.0], shape) * rng.uniform(0.05, 2, shape))


def apart(seed: int, shape: Shape, distance: float = 0.1) -> Array:
    """Values in random order, no two of them closer than the distance."""
    count = int(np.prod(shape))
    return distance * (np.random.default_rng(seed).permutation(count).reshape(shape) - count / 2)


@EXAMPLES
@given(N=FEW, inputs=st.integers(1, 5), outputs=st.integers(1, 5), seed=SEEDS)
def test_linear(N: int, inputs: int, outputs: int, seed: int) -> None:
    check_gradients(
        linear.forward, linear.backward, *normal(seed, (N, inputs), (outputs, inputs), (outputs,))
    )


@EXAMPLES
@given(geometry=convolutions(), seed=SEEDS)
def test_conv2d(geometry: tuple[Shape, Shape, int, int], seed: int) -> None:
    x_shape, weight_shape, stride, padding = geometry
    check_gradients(
        lambda x, weight, bias: conv2d.forward(x, weight, bias, stride, padding),
        conv2d.backward,
        *normal(seed, x_shape, weight_shape, weight_shape[:1]),
    )


@st.composite
def poolings(draw: st.DrawFn) -> tuple[Shape, int, int | None]:
    """(shape of x, size, stride): windows that tile, overlap, or leave gaps and rows over."""
    size, stride = draw(FEW), draw(st.none() | st.integers(1, 4))
    H, W = (draw(st.integers(size, 6)) for _ in range(2))
    return (draw(st.integers(1, 2)), draw(st.integers(1, 2)), H, W), size, stride


@pytest.mark.parametrize("op", [avg_pool2d, max_pool2d])
@EXAMPLES
@given(geometry=poolings(), seed=SEEDS)
def test_pooling(op: ModuleType, geometry: tuple[Shape, int, int | None], seed: int) -> None:
    shape, size, stride = geometry
    check_gradients(lambda x: op.forward(x, size, stride), op.backward, apart(seed, shape))


@EXAMPLES
@given(shape=st.tuples(FEW, FEW, FEW, FEW), seed=SEEDS)
def test_global_avg_pool2d(shape: Shape, seed: int) -> None:
    check_gradients(global_avg_pool2d.forward, global_avg_pool2d.backward, *normal(seed, shape))


@st.composite
def normalisations(draw: st.DrawFn) -> tuple[list[Array], tuple[Array, Array] | None, float]:
    """([x, weight, bias], fixed, eps); weights of either sign, and zero.

    The values of a channel are at least 0.5 apart: on almost equal ones the function bends so sharply that
    differences cannot follow it, the more so the fewer there are.
    """
    C, seed = draw(FEW), draw(SEEDS)
    rng = np.random.default_rng(seed)
    evaluation = draw(st.booleans())
    N = draw(st.integers(1 if evaluation else 2, 4))
    shape = draw(st.just((N, C)) | st.tuples(st.just(N), st.just(C), FEW, FEW))
    fixed = (rng.standard_normal(C), rng.uniform(0.1, 2, C)) if evaluation else None
    weight = np.array(draw(st.lists(st.sampled_from([-1.5, -0.5, 0.0, 0.5, 2.0]), min_size=C, max_size=C)))
    inputs = [apart(seed, shape, 0.5), weight, rng.standard_normal(C)]
    return inputs, fixed, draw(st.sampled_from([1e-8, 1e-5, 1e-1]))


@EXAMPLES
@given(case=normalisations())
def test_batch_norm(case: tuple[list[Array], tuple[Array, Array] | None, float]) -> None:
    inputs, fixed, eps = case
    check_gradients(
        lambda x, weight, bias: batch_norm.forward(x, weight, bias, fixed, eps), batch_norm.backward, *inputs
    )


@EXAMPLES
@given(shape=ANY_SHAPE, seed=SEEDS)
def test_relu(shape: Shape, seed: int) -> None:
    check_gradients(relu.forward, relu.backward, off_zero(seed, shape))


@EXAMPLES
@given(shape=ANY_SHAPE, slope=st.floats(-1, 2), seed=SEEDS)
def test_leaky_relu(shape: Shape, slope: float, seed: int) -> None:
    check_gradients(lambda x: leaky_relu.forward(x, slope), leaky_relu.backward, off_zero(seed, shape))


@pytest.mark.parametrize("op", [sigmoid, tanh])
@EXAMPLES
@given(shape=ANY_SHAPE, scale=st.sampled_from([0.1, 1.0, 5.0]), seed=SEEDS)
def test_smooth_activation(op: ModuleType, shape: Shape, scale: float, seed: int) -> None:
    x = np.asarray(scale * np.random.default_rng(seed).standard_normal(shape))
    check_gradients(op.forward, op.backward, x)


@pytest.mark.parametrize("op", [softmax, log_softmax])
@EXAMPLES
@given(
    shape=ANY_SHAPE.filter(lambda shape: len(shape) > 0), scale=st.sampled_from([0.1, 1.0, 5.0]), seed=SEEDS
)
def test_softmax(op: ModuleType, shape: Shape, scale: float, seed: int) -> None:
    x = np.asarray(scale * np.random.default_rng(seed).standard_normal(shape))
    check_gradients(op.forward, op.backward, x)


@EXAMPLES
@given(shape=ANY_SHAPE, rate=st.floats(0, 0.9), seed=SEEDS)
def test_dropout(shape: Shape, rate: float, seed: int) -> None:
    # A generator made anew for each call, so that the same values are dropped in all of them.
    check_gradients(
        lambda x: dropout.forward(x, rate, np.random.default_rng(seed)),
        dropout.backward,
        *normal(seed, shape),
    )


@EXAMPLES
@given(shape=ANY_SHAPE.filter(lambda shape: len(shape) > 0), seed=SEEDS)
def test_flatten(shape: Shape, seed: int) -> None:
    check_gradients(flatten.forward, flatten.backward, *normal(seed, shape))


@st.composite
def classifications(draw: st.DrawFn) -> tuple[Array, Array]:
    """(logits, targets): labels, distributions, or weights that sum to anything, zero included."""
    N, K, seed = draw(st.integers(1, 4)), draw(st.integers(1, 6)), draw(SEEDS)
    rng = np.random.default_rng(seed)
    kind = draw(st.sampled_from(["labels", "distributions", "weights"]))
    targets: dict[str, Any] = {
        "labels": rng.integers(0, K, N),
        "distributions": rng.dirichlet(np.ones(K), N),
        "weights": rng.uniform(0, 3, (N, K)) * rng.integers(0, 2, (N, K)),
    }
    return 2 * rng.standard_normal((N, K)), targets[kind]


@EXAMPLES
@given(case=classifications(), label_smoothing=FRACTIONS)
def test_softmax_cross_entropy(case: tuple[Array, Array], label_smoothing: float) -> None:
    logits, targets = case
    check_gradients(
        lambda z: softmax_cross_entropy.forward(z, targets, label_smoothing),
        softmax_cross_entropy.backward,
        logits,
    )
