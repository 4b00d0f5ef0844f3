"""A data set that a small network learns in a second."""

import numpy as np
import pytest

from numnist.data import Dataset, Split


def bars(n: int, seed: int) -> Split:
    """8×8 images of three classes: a bar of noise at the top, in the middle, at the bottom."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    images = rng.integers(0, 60, (n, 8, 8), dtype=np.uint8)
    for row in range(2):
        images[np.arange(n), 3 * labels + row] += rng.integers(60, 190, (n, 8), dtype=np.uint8)
    return Split(images, labels)


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return Dataset("bars", bars(240, 0), bars(60, 1), 3, "f" * 64, ())
