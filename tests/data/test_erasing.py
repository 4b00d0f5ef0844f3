import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from numnist.data import erase


@given(
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    area=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
    seed=st.integers(0, 999),
)
def test_one_rectangle_of_the_area_asked_for(size: tuple[int, int], area: list[float], seed: int) -> None:
    H, W = size
    images = np.ones((5, H, W), np.float32)
    erased = erase(images, 1.0, (area[0], area[1]), np.random.default_rng(seed)) == 0
    assert np.shares_memory(erase(images, 0.0, (0, 1), np.random.default_rng(0)), images)
    for mask in erased:
        rows, columns = mask.any(axis=1), mask.any(axis=0)
        np.testing.assert_array_equal(mask, rows[:, np.newaxis] & columns)  # a box, maybe with gaps ...
        assert rows.sum() == np.ptp(np.flatnonzero(rows)) + 1  # ... and it has none
        assert columns.sum() == np.ptp(np.flatnonzero(columns)) + 1
        h, w = rows.sum(), columns.sum()
        if h < H and w < W:
            # Sides are rounded to whole pixels.
            assert (h - 0.5) * (w - 0.5) <= max(1, area[1] * H * W) + 1e-9
            assert (h + 0.5) * (w + 0.5) >= area[0] * H * W - 1e-9


def test_how_many_are_erased_and_where() -> None:
    erased = erase(np.ones((16_000, 10, 10)), 0.3, (0.05, 0.2), np.random.default_rng(0)) == 0
    hit = erased.any(axis=(1, 2))
    assert abs(hit.mean() - 0.3) < 0.015  # four standard errors
    assert 0.08 < erased[hit].mean() < 0.17
    often = erased[hit].mean(axis=0)
    np.testing.assert_allclose(often, often[::-1, ::-1], atol=0.04)  # no side is preferred
    assert (often > 0).all()


def test_tall_and_wide_are_equally_likely() -> None:
    erased = erase(np.ones((3000, 28, 28)), 1.0, (0.05, 0.1), np.random.default_rng(1)) == 0
    heights, widths = erased.any(axis=2).sum(axis=1), erased.any(axis=1).sum(axis=1)
    assert abs((heights > widths).mean() - (heights < widths).mean()) < 0.07
    ratio = heights / widths
    assert ratio.max() > 2.5
    assert ratio.min() < 1 / 2.5
