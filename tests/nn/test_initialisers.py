import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from numnist.nn import INITIALISERS, Model, Preprocess, build
from numnist.nn.initialisers import fans

SHAPES = [(300, 200), (64, 32, 5, 5)]
VARIANCES: dict[str, Callable[[int, int], float]] = {
    "xavier": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "he": lambda fan_in, fan_out: 2 / fan_in,
    "lecun": lambda fan_in, fan_out: 1 / fan_in,
    "normal": lambda fan_in, fan_out: 1.0,
}


@pytest.mark.parametrize("name", INITIALISERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_mean_variance_and_form(name: str, shape: tuple[int, ...]) -> None:
    fan_in, fan_out = shape[1] * int(np.prod(shape[2:])), shape[0] * int(np.prod(shape[2:]))
    variance = VARIANCES[name.partition("_")[0]](fan_in, fan_out)
    weights = INITIALISERS[name](np.random.default_rng(0), shape)
    assert weights.shape == shape
    # Five standard errors of the mean and of the variance (which for a normal are sqrt(2/n) relative).
    assert abs(weights.mean()) < 5 * np.sqrt(variance / weights.size)
    assert weights.var() == pytest.approx(variance, rel=5 * np.sqrt(2 / weights.size))
    largest = np.abs(weights).max() / np.sqrt(variance)
    assert largest <= np.sqrt(3) if name.endswith("uniform") else largest > 3


def test_fans_count_the_kernel() -> None:
    assert fans((10, 512)) == (512, 10)
    assert fans((32, 16, 5, 5)) == (400, 800)


def test_one_seed_gives_one_model_and_another_seed_another() -> None:
    def parameters(seed: int) -> np.ndarray:
        model = Model(build("cnn", (1, 28, 28), 10), Preprocess())
        return model.initialise(np.random.default_rng(seed)).parameters

    np.testing.assert_array_equal(parameters(3), parameters(3))
    assert not np.array_equal(parameters(3), parameters(4))


def test_importing_and_building_leave_numpys_global_state_alone() -> None:
    """The original seeded NumPy at import, for everybody in the process."""
    script = """
import numpy as np
np.random.seed(1)
expected = np.random.random()
np.random.seed(1)
import numnist.data, numnist.nn, numnist.ops, numnist.optim, numnist.testing, numnist.train
from numnist.nn import Model, Preprocess, build
Model(build("cnn", (1, 28, 28), 10), Preprocess()).initialise(np.random.default_rng(0))
assert np.random.random() == expected
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_an_unknown_initialiser_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="unknown initialiser 'he_norml': did you mean 'he_normal'"):
        Model(build("linear", (1, 2, 2), 3), Preprocess((2, 2), classes=("a", "b", "c"))).initialise(
            np.random.default_rng(0), "he_norml"
        )
