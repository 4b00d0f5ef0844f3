"""Equal values in a window: the first one gets the gradient, as in `ops.max_pool2d`.

In float32 that can be asked for only where sums are exact, as they are on small integers: always behind the
first convolution, and behind Winograd's transforms where these hold no other fractions than halves.
"""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.engine.helpers import (
    SMALL,
    Twins,
    distributions,
    is_well_conditioned,
    off_kinks,
    require_equal,
    twins,
)
from tests.engine.layers import FLATTEN, NORM, RELU, Description, conv, linear, pool

from numnist.arrays import Array
from numnist.ops.windows import window_elements

SEEDS = st.integers(0, 2**32 - 1)
BEHIND = {
    "pool": [pool()],
    "relu, pool": [RELU, pool()],
    "pool, relu": [pool(), RELU],
    "norm, pool": [NORM, pool()],
    "norm, relu, pool": [NORM, RELU, pool()],
    "norm, pool, relu": [NORM, pool(), RELU],
}


def tied(c: Array) -> float:
    """In how many of the windows of 2x2 the largest value is there more than once, as a part of all."""
    elements = np.stack(list(window_elements(c, 2, 2, c.shape[2] // 2, c.shape[3] // 2)))
    return float(((elements == elements.max(axis=0)).sum(axis=0) > 1).mean())


def of_integers(pair: Twins, rng: np.random.Generator, name: str, choices: tuple[int, ...]) -> None:
    """Give a convolution weights of these, and a bias that is an integer."""
    for kind in ("weight", "bias"):
        shape = pair.model.named_parameters()[f"{name}.{kind}"].shape
        pair.set(
            f"{name}.{kind}", rng.choice(choices, shape) if kind == "weight" else rng.integers(-3, 4, shape)
        )


def require_equal_with_ties(pair: Twins, rng: np.random.Generator, convolution: str) -> None:
    """Assert that engine and reference agree on small integers, where a convolution leaves many ties."""
    x = rng.integers(-2, 3, (7, *pair.model.preprocess.input_shape)).astype(np.float32)
    c: Array = x.astype(np.float64)
    for name, layer, _, _ in pair.wide.network.leaves(x.shape[1:]):
        c, _ = layer.forward(c, False, None)
        if name == convolution:
            break
    assume(tied(c) > 0.02)
    off, decided = off_kinks(pair.wide, x)
    assume(decided and off.all())
    y = distributions(rng, 7, 3)
    assume(is_well_conditioned(pair, x, y))
    require_equal(pair, x, y, small=SMALL)


@pytest.mark.parametrize("behind", BEHIND.values(), ids=BEHIND.keys())
@settings(max_examples=25)
@given(seed=SEEDS, padding=st.integers(0, 2))
def test_behind_the_first_convolution(behind: list[Description], seed: int, padding: int) -> None:
    pair = twins([conv(4, 3, padding), *behind, FLATTEN, linear(3)], (8, 10), seed, 3)
    rng = np.random.default_rng(seed)
    of_integers(pair, rng, "0", (-1, 0, 1))
    require_equal_with_ties(pair, rng, "0")


@pytest.mark.parametrize("behind", BEHIND.values(), ids=BEHIND.keys())
@pytest.mark.parametrize(("kernel", "columns"), [(1, 6), (2, 2), (3, 2)], ids=["F(1,1)", "F(2,2)", "F(2,3)"])
@settings(max_examples=12)
@given(seed=SEEDS)
def test_behind_winograds_where_it_is_exact(
    kernel: int, columns: int, behind: list[Description], seed: int
) -> None:
    size = (6 + kernel, columns + kernel)
    pair = twins([conv(2, 2), conv(4, kernel), *behind, FLATTEN, linear(3)], size, seed, 3)
    rng = np.random.default_rng(seed)
    of_integers(pair, rng, "0", (-1, 1))
    of_integers(pair, rng, "1", (-1, 0, 1))
    pair.set("0.bias", 0)  # were a channel constant and not 0, float32 could not normalise it
    require_equal_with_ties(pair, rng, "1")
