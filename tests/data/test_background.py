"""What finding ink is made of: components, thresholds, and the page beneath the ink."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from numnist.arrays import Array
from numnist.data.background import block_means, otsu_threshold, running_maximum
from numnist.data.components import connected_components
from numnist.data.normalise import area_resize

Page = Callable[[Array, np.random.Generator], Array]


def flood(mask: Array) -> list[frozenset[tuple[int, int]]]:
    """Components one pixel at a time, in the order of rows."""
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    components = []
    for start in sorted(left):
        if start in left:
            component, pending = set(), [start]
            left.discard(start)
            while pending:
                y, x = pending.pop()
                component.add((y, x))
                near = {(y + a, x + b) for a in (-1, 0, 1) for b in (-1, 0, 1)} & left
                left -= near
                pending += near
            components.append(frozenset(component))
    return components


@given(hnp.arrays(bool, st.tuples(st.integers(1, 14), st.integers(1, 14))))
@settings(deadline=None, max_examples=150)
def test_components_are_those_of_a_flood(mask: Array) -> None:
    found = connected_components(mask)
    expected = flood(mask)
    assert len(found.area) == len(expected)
    for number, component in enumerate(expected):
        assert {(int(y), int(x)) for y, x in np.argwhere(found.labels == number)} == component
        rows, columns = zip(*component, strict=True)
        box = (min(rows), max(rows) + 1, min(columns), max(columns) + 1)
        assert (found.top[number], found.bottom[number], found.left[number], found.right[number]) == box
        assert found.area[number] == len(component)
    assert (found.labels[~mask] == -1).all()


def test_components_of_a_spiral() -> None:
    spiral = np.zeros((61, 61), bool)
    for k in range(0, 30, 4):
        spiral[k, k : 61 - k] = spiral[k : 61 - k, 60 - k] = True
        spiral[60 - k, k : 61 - k] = spiral[k + 4 : 61 - k, k] = True
        spiral[k + 4, k : k + 5] = True
    assert len(connected_components(spiral).area) == 1


@given(hnp.arrays(np.int64, st.integers(2, 30), elements=st.integers(0, 20)).filter(lambda v: np.ptp(v) > 0))
@settings(deadline=None, max_examples=60)
def test_otsu_sets_the_classes_as_far_apart_as_any_threshold(values: Array) -> None:
    def apart(t: float) -> float:
        low, high = values[values <= t], values[values > t]
        return len(low) * len(high) * float(high.mean() - low.mean()) ** 2 if len(low) and len(high) else 0.0

    best = max(apart(t) for t in np.unique(values)[:-1])
    assert apart(otsu_threshold(values)) == pytest.approx(best)


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.floats(-9, 9)),
    st.integers(1, 5),
)
@settings(deadline=None, max_examples=40)
def test_running_maximum(image: Array, half: int) -> None:
    height, width = image.shape
    expected = [
        [image[max(0, i - half) : i + half + 1, max(0, j - half) : j + half + 1].max() for j in range(width)]
        for i in range(height)
    ]
    np.testing.assert_array_equal(running_maximum(image, half), expected)


@pytest.mark.parametrize(
    ("shape", "reduced"), [((64, 64), (64, 64)), ((65, 64), (32, 32)), ((3, 200), (1, 50))]
)
def test_block_means(shape: tuple[int, int], reduced: tuple[int, int]) -> None:
    image = np.random.default_rng(0).uniform(0, 255, shape)
    k = shape[1] // reduced[1]
    whole = image[: max(1, shape[0] // k) * k, : reduced[1] * k]
    np.testing.assert_allclose(block_means(image, 64), area_resize(whole, *reduced), rtol=1e-12)
