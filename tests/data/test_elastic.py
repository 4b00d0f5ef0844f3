import numpy as np
import pytest

from numnist.data import elastic_displacement


@pytest.mark.parametrize(("deviation", "smoothness"), [(1.4, 4.0), (0.5, 2.0), (3.0, 30.0)])
def test_deviation_and_correlation_are_those_asked_for(deviation: float, smoothness: float) -> None:
    d = elastic_displacement(6000, (28, 20), deviation, smoothness, np.random.default_rng(0))
    assert d.shape == (6000, 2, 28, 20)
    assert d.dtype == np.float32
    np.testing.assert_allclose(d.std(axis=0), deviation, rtol=0.05)  # at every pixel, those at the border too
    assert abs(d.mean()) < 0.05 * deviation
    # Noise smoothed by a Gaussian has the correlation exp(-distance² / 4σ²).
    for distance in (1, 4, 8):
        along_x = (d[..., distance:] * d[..., :-distance]).mean() / deviation**2
        along_y = (d[..., distance:, :] * d[..., :-distance, :]).mean() / deviation**2
        expected = np.exp(-(distance**2) / (4 * smoothness**2))
        assert abs(along_x - expected) < 0.06
        assert abs(along_y - expected) < 0.06
    assert abs((d[:, 0] * d[:, 1]).mean()) < 0.05 * deviation**2  # x and y are independent


def test_an_image_gets_the_same_among_any_number() -> None:
    many = elastic_displacement(9, (8, 8), 1.0, 3.0, np.random.default_rng(4))
    few = elastic_displacement(3, (8, 8), 1.0, 3.0, np.random.default_rng(4))
    np.testing.assert_array_equal(few, many[:3])
    assert not np.array_equal(many[0], many[1])


def test_no_image_and_the_smallest() -> None:
    assert elastic_displacement(0, (28, 28), 1.0, 4.0, np.random.default_rng(0)).shape == (0, 2, 28, 28)
    assert elastic_displacement(2, (1, 1), 1.0, 4.0, np.random.default_rng(0)).shape == (2, 2, 1, 1)
