"""The proofs themselves: each kind of wrong operation is caught, and right ones are accepted."""

import doctest
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numnist.testing
from numnist.arrays import Array
from numnist.ops import linear, softmax, softmax_cross_entropy, tanh
from numnist.testing import check_adjoint, check_gradients

X = np.array([[-0.3, 1.2, 0.7], [2.0, -0.4, -1.1]])


def square(x: Array) -> tuple[Array, Array]:
    return x**2, x


def square_backward(dy: Array, x: Array) -> Array:
    return 2 * x * dy


def test_the_example_in_the_documentation_runs() -> None:
    failed, attempted = doctest.testmod(numnist.testing)
    assert attempted > 0
    assert failed == 0


# check_gradients


def test_accepts_what_is_right() -> None:
    check_gradients(square, square_backward, X)


def test_accepts_several_inputs_and_an_output_of_another_shape() -> None:
    rng = np.random.default_rng(0)
    check_gradients(linear.forward, linear.backward, X, rng.standard_normal((4, 3)), rng.standard_normal(4))


def test_accepts_a_number_as_output_and_bound_arguments() -> None:
    targets = np.array([2, 0])
    check_gradients(
        lambda logits: softmax_cross_entropy.forward(logits, targets, 0.1), softmax_cross_entropy.backward, X
    )


@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 0, 3), (1, 2, 1, 2)])
def test_accepts_inputs_of_any_shape(shape: tuple[int, ...]) -> None:
    check_gradients(tanh.forward, tanh.backward, np.full(shape, 0.3))


def test_leaves_the_inputs_as_they_were() -> None:
    x = X.copy()
    x.flags.writeable = False
    check_gradients(square, square_backward, x)
    np.testing.assert_array_equal(x, X)


def test_names_the_element_and_both_numbers() -> None:
    def wrong_in_one_place(dy: Array, cache: tuple[Array, Array]) -> tuple[Array, Array]:
        a, b = cache
        db = a * dy
        db[1, 2] += 7
        return b * dy, db

    dy = np.random.default_rng(5).standard_normal(X.shape)
    right = dy[1, 2] * X[1, 2]
    with pytest.raises(AssertionError) as caught:
        check_gradients(lambda a, b: (a * b, (a, b)), wrong_in_one_place, X, X + 1, seed=5)
    assert str(caught.value) == (
        f"input 1 of shape (2, 3), element (1, 2): backward gives {right + 7:.9g}, "
        f"central differences give {right:.9g}"
    )


def wrong_everywhere(dy: Array, x: Array) -> Array:
    return 3 * x * dy


def wrong_by_a_little(dy: Array, x: Array) -> Array:
    return 2 * x * dy + 1e-4


def wrong_in_sign(dy: Array, x: Array) -> Array:
    return -2 * x * dy


def transposed(dy: Array, x: Array) -> Array:
    return (2 * x * dy).T


def summed(dy: Array, x: Array) -> Array:
    # Would broadcast against the right one.
    dx: Array = np.sum(2 * x * dy, axis=0, keepdims=True)
    return dx


def two_gradients(dy: Array, x: Array) -> tuple[Array, Array]:
    return 2 * x * dy, dy


def no_gradient(dy: Array, x: Array) -> tuple[()]:
    return ()


def one_nan(dy: Array, x: Array) -> Array:
    dx = 2 * x * dy
    dx[1, 0] = np.nan
    return dx


def infinite(dy: Array, x: Array) -> Array:
    return np.full(x.shape, np.inf)


def changes_its_cache(dy: Array, x: Array) -> Array:
    x *= 2  # the cache is the input itself
    return x * dy


def changes_dy(dy: Array, x: Array) -> Array:
    dy *= 2 * x
    return dy


@pytest.mark.parametrize(
    ("backward", "message"),
    [
        (
            wrong_everywhere,
            r"input 0 .* element \(\d, \d\): backward gives \S+, central differences give \S+",
        ),
        (wrong_by_a_little, "input 0 .* backward gives"),
        (wrong_in_sign, "input 0 .* backward gives"),
        (transposed, r"input 0: shape \(2, 3\), its gradient \(3, 2\)"),
        (summed, r"input 0: shape \(2, 3\), its gradient \(1, 3\)"),
        (two_gradients, "1 inputs, 2 gradients"),
        (no_gradient, "1 inputs, 0 gradients"),
        (one_nan, r"element \(1, 0\): backward gives nan"),
        (infinite, "backward gives inf"),
        (changes_its_cache, "input 0 was changed"),
        (changes_dy, "dy was changed by backward"),
    ],
)
def test_catches_a_wrong_backward_pass(backward: Callable[..., Any], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_gradients(square, backward, X.copy())


def test_catches_a_forward_pass_that_changes_its_input() -> None:
    def forward(x: Array) -> tuple[Array, Array]:
        x += 1
        return x**2, x.copy()

    with pytest.raises(AssertionError, match="input 0 was changed"):
        check_gradients(forward, square_backward, X.copy())


def test_catches_a_change_of_a_later_input() -> None:
    def backward(dy: Array, cache: tuple[Array, Array]) -> tuple[Array, Array]:
        a, b = cache
        da, db = b * dy, a * dy
        b[0, 0] = 9
        return da, db

    with pytest.raises(AssertionError, match="input 1 was changed"):
        check_gradients(lambda a, b: (a * b, (a, b)), backward, X.copy(), X + 1)


def test_catches_a_nan_in_the_forward_pass() -> None:
    def forward(x: Array) -> tuple[Array, Array]:
        return np.where(x > 1.5, np.nan, x**2), x

    with pytest.raises(AssertionError, match="y is not finite"):
        check_gradients(forward, square_backward, X)


def test_catches_what_a_constant_dy_would_not() -> None:
    # The rows of a softmax always sum to 1, so a constant dy has no gradient, and nothing would look right.
    with pytest.raises(AssertionError, match="input 0"):
        check_gradients(softmax.forward, lambda dy, cache: 0 * dy, X)


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_refuses_other_dtypes_than_float64(dtype: type) -> None:
    with pytest.raises(
        ValueError, match=f"check_gradients: expected arrays of float64, got {np.dtype(dtype)} for input 1"
    ):
        check_gradients(lambda a, b: (a * b, None), square_backward, X, np.ones((2, 3), dtype))


def test_refuses_numbers_and_catches_a_gradient_of_another_dtype() -> None:
    with pytest.raises(ValueError, match="expected arrays of float64, got float for input 0"):
        check_gradients(lambda a: (a * a, a), square_backward, 3.0)  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="input 0: float64, its gradient float32"):
        check_gradients(lambda x: (x * x, x), lambda dy, x: (2 * x * dy).astype(np.float32), X)


def test_the_tolerance_is_relative_to_the_largest_gradient() -> None:
    def backward(dy: Array, x: Array) -> Array:
        return 2 * x * dy * (1 + 1e-4)

    check_gradients(square, backward, X, tolerance=2e-4)
    check_gradients(square, backward, 1e4 * X, tolerance=2e-4)
    for scale in (1, 1e4):
        with pytest.raises(AssertionError, match="input 0"):
            check_gradients(square, backward, scale * X, tolerance=1e-5)


def test_the_step_reaches_as_far_as_it_says() -> None:
    # |x| at 0.01 looks straight to a short step, and has a kink within a long one.
    def forward(x: Array) -> tuple[Array, Array]:
        return np.abs(x), x

    x = np.array([0.01, -0.5])
    check_gradients(forward, lambda dy, x: np.sign(x) * dy, x, step=1e-4)
    with pytest.raises(AssertionError, match=r"element \(0,\)"):
        check_gradients(forward, lambda dy, x: np.sign(x) * dy, x, step=0.1)


# check_adjoint

MATRIX = np.random.default_rng(2).standard_normal((4, 3))


def times_matrix(x: Array) -> Array:
    y: Array = x @ MATRIX.T
    return y


def times_transpose(y: Array) -> Array:
    x: Array = y @ MATRIX
    return x


@pytest.mark.parametrize("x", [X, np.zeros((2, 3)), np.ones((5, 3)), np.zeros((0, 3))])
def test_accepts_a_linear_map_and_its_adjoint(x: Array) -> None:
    before = x.copy()
    check_adjoint(times_matrix, times_transpose, x)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize(
    ("apply", "adjoint", "message"),
    [
        (
            times_matrix,
            lambda y: 2 * times_transpose(y),
            r"not adjoint: <apply\(z\), y> = \S+, <z, adjoint\(y\)> = ",
        ),
        (times_matrix, lambda y: times_transpose(y) + 1e-6, "not adjoint"),
        (times_matrix, lambda y: times_transpose(y) * np.nan, "not adjoint: .* = nan"),
        (times_matrix, lambda y: y, r"adjoint returned shape \(2, 4\), expected \(2, 3\)"),
        (
            times_matrix,
            lambda y: times_transpose(y)[:1],
            r"adjoint returned shape \(1, 3\), expected \(2, 3\)",
        ),
        (lambda x: times_matrix(x) + 1, times_transpose, "not linear: .* off, of "),
        (lambda x: times_matrix(x) + 1e-6, times_transpose, "not linear"),
        (lambda x: times_matrix(np.abs(x)), times_transpose, "not linear"),
        (lambda x: times_matrix(x) ** 2, times_transpose, "not linear"),
        (lambda x: times_matrix(x) * np.nan, times_transpose, "not linear: nan off"),
    ],
)
def test_catches_what_is_not_linear_or_not_adjoint(
    apply: Callable[[Array], Array], adjoint: Callable[[Array], Array], message: str
) -> None:
    with pytest.raises(AssertionError, match=message):
        check_adjoint(apply, adjoint, X)


@pytest.mark.parametrize("x", [np.zeros(6), np.ones(6)], ids=["zeros", "ones"])
def test_does_not_depend_on_the_point_that_gives_the_shape(x: Array) -> None:
    # At zero both products vanish; at ones an adjoint that puts its values in wrong places has the right sum.
    with pytest.raises(AssertionError, match="not adjoint"):
        check_adjoint(np.cumsum, lambda y: np.roll(np.cumsum(y[::-1])[::-1], 1), x)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_the_tolerance_is_relative_to_the_norms(scale: float) -> None:
    def apply(x: Array) -> Array:
        return scale * times_matrix(x)

    def a_little_off(y: Array) -> Array:
        return scale * times_transpose(y) * (1 + 1e-6)

    check_adjoint(apply, a_little_off, X, tolerance=1e-5)
    with pytest.raises(AssertionError, match="not adjoint"):
        check_adjoint(apply, a_little_off, X, tolerance=1e-8)


def test_python_with_assertions_off_still_proves() -> None:
    program = (
        "import numpy as np\n"
        "from numnist.testing import check_adjoint\n"
        "check_adjoint(lambda x: x, lambda y: 2 * y, np.arange(3.0))\n"
    )
    run = subprocess.run([sys.executable, "-O", "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "AssertionError: not adjoint" in run.stderr
