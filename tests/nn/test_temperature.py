import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numnist.nn import fit_temperature
from numnist.nn.temperature import RANGE
from numnist.ops import softmax, softmax_cross_entropy


@given(true=st.floats(0.3, 5), seed=st.integers(0, 99))
def test_the_temperature_that_labels_were_drawn_with_is_found(true: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 4, (4000, 5))
    p, _ = softmax.forward(logits / true)
    labels = (p.cumsum(axis=1) > rng.random((len(p), 1))).argmax(axis=1)
    assert fit_temperature(logits.astype(np.float32), labels) == pytest.approx(true, rel=0.2)


@given(seed=st.integers(0, 99))
def test_no_other_temperature_has_a_smaller_loss(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (50, 4))
    labels = np.where(rng.random(50) < 0.6, logits.argmax(axis=1), rng.integers(0, 4, 50))
    best = fit_temperature(logits, labels)
    least, _ = softmax_cross_entropy.forward(logits / best, labels)
    for other in (*RANGE, *np.geomspace(*RANGE, 30), best * 1.001, best / 1.001):
        if RANGE[0] <= other <= RANGE[1]:
            assert least <= softmax_cross_entropy.forward(logits / other, labels)[0] + 1e-12


def test_bounds() -> None:
    logits = np.eye(4) * 3
    assert fit_temperature(logits, np.arange(4)) == 1  # never wrong
    tied = np.array([[1.0, 1, 0], [1, 1, 0]])
    assert fit_temperature(tied, np.array([0, 1])) == pytest.approx(RANGE[0])  # as wrong at any temperature
    assert fit_temperature(logits, (np.arange(4) + 1) % 4) == pytest.approx(RANGE[1])  # always wrong
    assert np.isfinite(fit_temperature(logits * 1e5, np.array([0, 1, 2, 0])))
    with pytest.raises(ValueError, match="expected one image or more"):
        fit_temperature(np.zeros((0, 4)), np.zeros(0, int))
