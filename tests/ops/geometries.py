"""Shapes that fit each other, for tests that try many."""

from hypothesis import strategies as st

from numnist.arrays import Shape

FEW = st.integers(1, 3)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Shape, Shape, int, int]:
    """(shape of x, shape of weight, stride, padding): any kernel, square or not, that fits."""
    N, C, O = (draw(st.integers(1, 2)) for _ in range(3))  # noqa: E741 -- the formula's letter
    KH, KW, stride = (draw(FEW) for _ in range(3))
    padding = draw(st.integers(0, 3))
    H, W = (draw(st.integers(max(1, kernel - 2 * padding), 5)) for kernel in (KH, KW))
    return (N, C, H, W), (O, C, KH, KW), stride, padding
