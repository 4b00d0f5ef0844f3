"""The matrices of Winograd's short convolutions, computed exactly and rounded once."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from numnist.arrays import Array

MOST_POINTS = 12
"""The rounding error grows with the number of points; docs/engine.md has how much each costs."""

Polynomial = list[Fraction]
"""Coefficients, that of the lowest power first."""


@dataclass(frozen=True, eq=False)
class Transform:
    """F(m, r): m outputs of a correlation with r taps from m + r - 1 products instead of m r.

        y = A (G w ⊙ B x)        y_i = sum over k in 0..r-1 of w_k x_{i+k}

    Shapes: A (m, P), G (P, r), B (P, P), with P = m + r - 1; all float32.
    Source: Winograd 1980, Arithmetic Complexity of Computations, chapter V; Lavin & Gray 2016,
            arXiv:1509.09308, section 3.
    """

    A: Array
    G: Array
    B: Array


def points(count: int) -> list[Fraction]:
    """The finite points that polynomials are evaluated at: 0, and numbers with their reciprocals and
    opposites.

    Their powers stay near 1, so the transforms magnify rounding errors least; of many such sets these were
    measured to be the best.
    """
    one, two, three = Fraction(1), Fraction(2), Fraction(3)
    magnitudes = (
        [one, two, 1 / two] if count < MOST_POINTS // 2 + 2 else [one, three / 2, two / 3, three, 1 / three]
    )
    return [Fraction(0), *(sign * magnitude for magnitude in magnitudes for sign in (1, -1))][:count]


@cache
def transform(m: int, r: int) -> Transform:
    """The matrices of F(m, r), by Cook and Toom: evaluate at points, multiply, interpolate.

    The last of the P points is infinity. Rows of G and B are scaled by powers of two, against each other, so
    that neither holds much larger numbers than the other; that costs no rounding.

    Raises: ValueError where m + r - 1 is more than `MOST_POINTS`.
    """
    P = m + r - 1
    if m < 1 or r < 1 or P > MOST_POINTS:
        raise ValueError(f"transform: expected m, r >= 1 and m + r - 1 <= {MOST_POINTS}, got {m} and {r}")
    finite = points(P - 1)
    zero, one = Fraction(0), Fraction(1)
    A = [[p**i for p in finite] + [one if i == m - 1 else zero] for i in range(m)]
    G, B = [], []
    for p in finite:
        others = [q for q in finite if q != p]
        scale = one
        for q in others:
            scale *= p - q
        G.append([p**k / scale for k in range(r)])
        B.append([*with_roots(others), zero])
    G.append([zero] * (r - 1) + [one])
    B.append(with_roots(finite))
    for row_g, row_b in zip(G, B, strict=True):
        ratio = float(sum(map(abs, row_g)) / sum(map(abs, row_b)))
        balance = Fraction(2) ** round(np.log2(ratio) / 2)
        row_g[:] = [value / balance for value in row_g]
        row_b[:] = [value * balance for value in row_b]
    return Transform(*(np.array([[float(v) for v in row] for row in M], np.float32) for M in (A, G, B)))


def with_roots(roots: list[Fraction]) -> Polynomial:
    """The product of (x - root) over all roots."""
    product = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *product]
        product = [a - root * b for a, b in zip(shifted, [*product, Fraction(0)], strict=True)]
    return product


def tile_width(columns: int, r: int) -> int:
    """Outputs per tile for a row of so many outputs: the m with the fewest products, then the fewest points.

    Raises: ValueError where r taps leave no room for a tile (see `MOST_POINTS`).
    """
    widest = min(columns, MOST_POINTS + 1 - r)
    if widest < 1:
        raise ValueError(f"tile_width: expected at most {MOST_POINTS} taps, got {r}")
    return min(range(1, widest + 1), key=lambda m: (-(-columns // m) * (m + r - 1), m))
