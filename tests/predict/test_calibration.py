import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numnist.arrays import Array
from numnist.predict import reliability, selection
from numnist.predict.calibration import BINS


def drawn(seed: int, n: int, levels: int | None = None) -> tuple[Array, Array]:
    """Probabilities and labels; confidences on few levels have ties."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(3, 0.4), n)
    if levels:
        first = (1 + rng.integers(1, levels, n)) / levels
        p = np.stack([first, (1 - first) / 2, (1 - first) / 2], axis=1)
    return p, rng.integers(0, 3, n)


@given(seed=st.integers(0, 999), n=st.integers(1, 60))
def test_reliability_against_a_loop(seed: int, n: int) -> None:
    p, labels = drawn(seed, n)
    found = reliability(p, labels)
    ece = 0.0
    for b in range(BINS):
        inside = [i for i in range(n) if b / BINS < p[i].max() <= (b + 1) / BINS]
        assert found.images[b] == len(inside)
        if not inside:
            assert np.isnan(found.accuracy[b])
            assert np.isnan(found.confidence[b])
            continue
        accuracy = np.mean([p[i].argmax() == labels[i] for i in inside])
        confidence = np.mean([p[i].max() for i in inside])
        assert found.accuracy[b] == pytest.approx(accuracy)
        assert found.confidence[b] == pytest.approx(confidence)
        ece += len(inside) / n * abs(accuracy - confidence)
    assert found.expected_calibration_error == pytest.approx(ece)


def test_who_is_sure_and_right_is_calibrated_and_who_is_sure_and_wrong_is_not() -> None:
    sure = np.eye(3)
    assert reliability(sure, np.arange(3)).expected_calibration_error == 0
    assert reliability(sure, (np.arange(3) + 1) % 3).expected_calibration_error == 1
    assert np.isnan(reliability(np.zeros((0, 3)) + 0.5, np.zeros(0, int)).expected_calibration_error)


@given(seed=st.integers(0, 999), n=st.integers(1, 40), levels=st.sampled_from([None, 4, 7]))
def test_selection_against_its_definition(seed: int, n: int, levels: int | None) -> None:
    p, labels = drawn(seed, n, levels)
    found = selection(p, labels)
    confidence, right = p.max(axis=1), p.argmax(axis=1) == labels
    np.testing.assert_array_equal(found.threshold, sorted(set(confidence)))
    for threshold, coverage, accuracy in zip(*found, strict=True):
        answered = confidence >= threshold
        assert coverage == pytest.approx(answered.mean())
        assert accuracy == pytest.approx(right[answered].mean())
    assert found.coverage[0] == 1
    for share in (1.0, 0.9, 0.5, 1e-9):
        threshold, accuracy = found.at_coverage(share)
        assert (confidence >= threshold).mean() >= share
        assert (confidence > threshold).mean() < share  # one level more would be too few
        assert accuracy == pytest.approx(right[confidence >= threshold].mean())


def test_selection_refuses_what_makes_no_sense() -> None:
    p, labels = drawn(0, 5)
    for share in (0, 1.1, float("nan")):
        with pytest.raises(ValueError, match="expected a share above 0 and at most 1"):
            selection(p, labels).at_coverage(share)
    with pytest.raises(ValueError, match="one image or more"):
        selection(p[:0], labels[:0])
