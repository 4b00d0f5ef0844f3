"""What every op promises: it keeps the dtype, changes nothing, remembers nothing, minds no memory layout."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest

from numnist import ops
from numnist.arrays import Array, Shape


class Case(NamedTuple):
    """An op with its parameters bound; `shapes` are those of its inputs."""

    forward: Callable[..., tuple[Any, Any]]
    backward: Callable[[Any, Any], Any]
    shapes: tuple[Shape, ...]


IMAGES = (2, 3, 6, 5)
LABELS = np.array([3, 0, 4, 4])
SOFT = np.random.default_rng(1).dirichlet(np.ones(5), 4)  # float64, whatever the logits are
for targets in (LABELS, SOFT):
    targets.flags.writeable = False


def batch_norm_in_evaluation(x: Array, weight: Array, bias: Array, eps: float = 1e-5) -> tuple[Any, Any]:
    fixed = np.full_like(weight, 0.5), np.full_like(weight, 2.0)
    return ops.batch_norm.forward(x, weight, bias, fixed, eps)


def dropout(x: Array, rate: float = 0.4) -> tuple[Any, Any]:
    return ops.dropout.forward(x, rate, np.random.default_rng(0))


def cross_entropy(logits: Array, targets: Array, label_smoothing: float = 0.1) -> tuple[Any, Any]:
    return ops.softmax_cross_entropy.forward(logits, targets, label_smoothing)


CONV_SHAPES = (IMAGES, (4, 3, 3, 2), (4,))
CASES = {
    "linear": Case(ops.linear.forward, ops.linear.backward, ((4, 3), (2, 3), (2,))),
    "conv2d": Case(ops.conv2d.forward, ops.conv2d.backward, CONV_SHAPES),
    "conv2d padded": Case(partial(ops.conv2d.forward, stride=2, padding=1), ops.conv2d.backward, CONV_SHAPES),
    "max_pool2d": Case(partial(ops.max_pool2d.forward, size=2), ops.max_pool2d.backward, (IMAGES,)),
    "avg_pool2d": Case(partial(ops.avg_pool2d.forward, size=3, stride=2), ops.avg_pool2d.backward, (IMAGES,)),
    "global_avg_pool2d": Case(ops.global_avg_pool2d.forward, ops.global_avg_pool2d.backward, (IMAGES,)),
    "batch_norm rows": Case(ops.batch_norm.forward, ops.batch_norm.backward, ((5, 3), (3,), (3,))),
    "batch_norm images": Case(ops.batch_norm.forward, ops.batch_norm.backward, (IMAGES, (3,), (3,))),
    "batch_norm evaluation": Case(batch_norm_in_evaluation, ops.batch_norm.backward, (IMAGES, (3,), (3,))),
    "relu": Case(ops.relu.forward, ops.relu.backward, (IMAGES,)),
    "leaky_relu": Case(ops.leaky_relu.forward, ops.leaky_relu.backward, (IMAGES,)),
    "sigmoid": Case(ops.sigmoid.forward, ops.sigmoid.backward, (IMAGES,)),
    "tanh": Case(ops.tanh.forward, ops.tanh.backward, (IMAGES,)),
    "softmax": Case(ops.softmax.forward, ops.softmax.backward, ((4, 5),)),
    "log_softmax": Case(ops.log_softmax.forward, ops.log_softmax.backward, ((4, 5),)),
    "dropout": Case(dropout, ops.dropout.backward, (IMAGES,)),
    "flatten": Case(ops.flatten.forward, ops.flatten.backward, (IMAGES,)),
    "softmax_cross_entropy labels": Case(
        partial(cross_entropy, targets=LABELS), ops.softmax_cross_entropy.backward, ((4, 5),)
    ),
    "softmax_cross_entropy soft": Case(
        partial(cross_entropy, targets=SOFT), ops.softmax_cross_entropy.backward, ((4, 5),)
    ),
}
every_case = pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])


def inputs_of(case: Case, dtype: type = np.float64, seed: int = 0) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in case.shapes]


def gradient_of(y: Any, seed: int = 1) -> Any:
    """A gradient to send back: an array like y, or a number where y is a loss."""
    dy = np.random.default_rng(seed).standard_normal(np.shape(y))
    return dy.astype(y.dtype) if isinstance(y, np.ndarray) else float(dy)


def backward(case: Case, dy: Any, cache: Any) -> tuple[Array, ...]:
    result = case.backward(dy, cache)
    return result if isinstance(result, tuple) else (result,)


def test_every_op_is_here() -> None:
    assert {name.split()[0] for name in CASES} == set(ops.__all__)


@every_case
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_keeps_the_dtype(case: Case, dtype: type) -> None:
    y, cache = case.forward(*inputs_of(case, dtype))
    assert isinstance(y, float) or y.dtype == dtype
    for gradient, shape in zip(backward(case, gradient_of(y), cache), case.shapes, strict=True):
        assert gradient.dtype == dtype
        assert gradient.shape == shape


@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [
        ("batch_norm images", "eps", 1e-5),
        ("batch_norm evaluation", "eps", 1e-5),
        ("leaky_relu", "slope", 0.01),
        ("dropout", "rate", 0.5),
        ("softmax_cross_entropy labels", "label_smoothing", 0.1),
        ("softmax_cross_entropy soft", "label_smoothing", 0.1),
    ],
)
def test_keeps_float32_when_a_parameter_is_a_numpy_scalar(name: str, parameter: str, value: float) -> None:
    # An np.float64 is a float, and what a sweep over np.linspace hands on; but unlike a float it promotes.
    case = CASES[name]
    y, cache = case.forward(*inputs_of(case, np.float32), **{parameter: np.float64(value)})
    assert isinstance(y, float) or y.dtype == np.float32
    assert {gradient.dtype for gradient in backward(case, gradient_of(y), cache)} == {np.dtype(np.float32)}


@every_case
def test_changes_nothing_that_it_is_given(case: Case) -> None:
    inputs = inputs_of(case)
    for x in inputs:
        x.flags.writeable = False
    y, cache = case.forward(*inputs)
    dy = gradient_of(y)
    if isinstance(dy, np.ndarray):
        dy.flags.writeable = False
    first = backward(case, dy, cache)
    # A cache that backward had used up would give something else the second time.
    for once, again in zip(first, backward(case, dy, cache), strict=True):
        np.testing.assert_array_equal(once, again)
    for x, x_before in zip(inputs, inputs_of(case), strict=True):
        np.testing.assert_array_equal(x, x_before)


@every_case
def test_remembers_nothing(case: Case) -> None:
    inputs = inputs_of(case)
    y, cache = case.forward(*inputs)
    dy = gradient_of(y)
    expected = [gradient.copy() for gradient in backward(case, dy, cache)]
    y_before = np.array(y)

    y_other, cache_other = case.forward(*inputs_of(case, seed=2))
    backward(case, gradient_of(y_other, seed=3), cache_other)

    np.testing.assert_array_equal(y, y_before)
    for gradient, before in zip(backward(case, dy, cache), expected, strict=True):
        np.testing.assert_array_equal(gradient, before)


def scattered(x: Array) -> Array:
    """The same values in memory that has gaps, runs backwards, and has the axes the other way round."""
    view: Array = np.zeros(tuple(2 * length for length in reversed(x.shape)), x.dtype).T
    view = view[(slice(None, None, -2),) * x.ndim]
    view[...] = x
    return view


@every_case
def test_does_not_mind_the_memory_layout(case: Case) -> None:
    inputs = inputs_of(case)
    y, cache = case.forward(*inputs)
    dy = gradient_of(y)
    y_scattered, cache_scattered = case.forward(*map(scattered, inputs))
    dy_scattered = scattered(dy) if isinstance(dy, np.ndarray) else dy

    # Matrix products and sums may add in another order.
    np.testing.assert_allclose(y_scattered, y, rtol=1e-12, atol=1e-14)
    for gradient, expected in zip(
        backward(case, dy_scattered, cache_scattered), backward(case, dy, cache), strict=True
    ):
        np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-14)
