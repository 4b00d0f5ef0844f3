"""Winograd's transforms against the correlation that they are to be."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numnist.arrays import Array
from numnist.engine.winograd import MOST_POINTS, tile_width, transform, with_roots

ALL = [(m, r) for m in range(1, MOST_POINTS + 1) for r in range(1, MOST_POINTS + 2 - m)]

ERROR = 5e-6
"""Relative to ‖w‖ ‖x‖, with matrices rounded to float32 and all else in float64; F(8, 5) has 2e-6."""

SEEDS = st.integers(0, 2**32 - 1)


def correlate(m: int, r: int, w: Array, x: Array) -> Array:
    """A (G w ⊙ B x), in float64."""
    A, G, B = (matrix.astype(np.float64) for matrix in vars(transform(m, r)).values())
    y: Array = A @ ((G @ w) * (B @ x))
    return y


@given(sizes=st.sampled_from(ALL), seed=SEEDS)
def test_every_transform_is_a_correlation(sizes: tuple[int, int], seed: int) -> None:
    m, r = sizes
    rng = np.random.default_rng(seed)
    w, x = rng.standard_normal(r), rng.standard_normal(m + r - 1)
    expected = np.correlate(x, w, "valid")
    error = np.abs(correlate(m, r, w, x) - expected).max()
    assert error <= ERROR * np.linalg.norm(w) * np.linalg.norm(x)


@pytest.mark.parametrize(("m", "r"), [(m, r) for m, r in ALL if m + r - 1 <= 4])
def test_small_ones_are_exact_on_integers(m: int, r: int) -> None:
    """Their fractions are halves: so ties behind them are ties."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        w, x = (rng.integers(-9, 10, size).astype(np.float32) for size in (r, m + r - 1))
        A, G, B = vars(transform(m, r)).values()
        np.testing.assert_array_equal(A @ ((G @ w) * (B @ x)), np.correlate(x, w, "valid"))


@pytest.mark.parametrize(("m", "r"), ALL)
def test_shapes_and_balance(m: int, r: int) -> None:
    """Neither G nor B holds much larger numbers than the other, point by point."""
    matrices = transform(m, r)
    P = m + r - 1
    assert (matrices.A.shape, matrices.G.shape, matrices.B.shape) == ((m, P), (P, r), (P, P))
    assert all(matrix.dtype == np.float32 for matrix in vars(matrices).values())
    of_g, of_b = (np.abs(matrix).sum(axis=1) for matrix in (matrices.G, matrices.B))
    assert (of_g / of_b < 4.01).all()
    assert (of_b / of_g < 4.01).all()


@pytest.mark.parametrize(("m", "r"), [(0, 1), (1, 0), (MOST_POINTS, 2), (2, MOST_POINTS)])
def test_no_such_transform(m: int, r: int) -> None:
    with pytest.raises(ValueError, match=f"got {m} and {r}"):
        transform(m, r)


@given(st.lists(st.integers(-5, 5), max_size=6))
def test_polynomials_from_their_roots(roots: list[int]) -> None:
    coefficients = [float(c) for c in with_roots([Fraction(root) for root in roots])]
    assert len(coefficients) == len(roots) + 1
    assert coefficients[-1] == 1
    for x in range(-6, 7):
        value = sum(c * x**power for power, c in enumerate(coefficients))
        assert value == np.prod([x - root for root in roots], dtype=float)


@given(columns=st.integers(1, 40), r=st.integers(1, MOST_POINTS))
def test_tiles_take_the_fewest_products(columns: int, r: int) -> None:
    m = tile_width(columns, r)
    assert 1 <= m <= columns
    transform(m, r)  # there is one

    def products(width: int) -> int:
        return -(-columns // width) * (width + r - 1)

    possible = range(1, min(columns, MOST_POINTS + 1 - r) + 1)
    assert products(m) == min(map(products, possible))


def test_no_room_for_a_tile() -> None:
    with pytest.raises(ValueError, match=f"at most {MOST_POINTS} taps, got {MOST_POINTS + 1}"):
        tile_width(8, MOST_POINTS + 1)
