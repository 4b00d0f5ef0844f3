"""Schedules: closed forms of the step, sound at every step."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numnist.optim import (
    SCHEDULES,
    Constant,
    Cosine,
    Exponential,
    MultiStep,
    OneCycle,
    Schedule,
    Step,
    WarmUp,
)

rates = st.floats(1e-6, 10.0)
factors = st.floats(0.01, 1.0)
counts = st.integers(1, 50)
steps = st.one_of(st.integers(0, 120), st.integers(0, 10**12))
milestones = st.sets(st.integers(1, 100), max_size=5).map(lambda s: tuple(sorted(s)))

falling: st.SearchStrategy[Any] = st.one_of(
    st.builds(Constant, rates),
    st.builds(Step, rates, counts, factors),
    st.builds(MultiStep, rates, milestones, factors),
    st.builds(Exponential, rates, factors),
    st.builds(Cosine, rates, counts, st.just(1e-7)),
)
cycles = st.builds(
    OneCycle,
    rates,
    counts,
    st.floats(0, 1, exclude_max=True),
    st.floats(1, 100),
    st.floats(1, 1e5),
    st.sampled_from(["cosine", "linear"]),
)


def highest(schedule: Schedule) -> float:
    match schedule:
        case WarmUp(after=after):
            assert isinstance(after, Schedule)
            return highest(after)
        case OneCycle(peak=peak):
            return peak
    lr = schedule.lr  # type: ignore[attr-defined]
    assert isinstance(lr, float)
    return lr


@given(
    schedule=st.one_of(falling, cycles, st.builds(WarmUp, st.one_of(falling, cycles), counts, factors)),
    t=steps,
)
@settings(max_examples=300)
def test_every_rate_is_sound_at_every_step(schedule: Schedule, t: int) -> None:
    rate = schedule(t)
    assert type(rate) is float
    assert 0 <= rate <= highest(schedule) * (1 + 1e-12)
    if t <= 120:  # far out, powers of a factor vanish in float64
        assert rate > 0


@given(schedule=falling, t=steps)
@settings(max_examples=200)
def test_what_only_decays_never_rises(schedule: Schedule, t: int) -> None:
    assert schedule(t + 1) <= schedule(t) * (1 + 1e-12)


@given(schedule=st.one_of(falling, cycles))
@settings(max_examples=50)
def test_a_step_may_be_a_numpy_integer(schedule: Schedule) -> None:
    rate = schedule(np.int64(7))  # type: ignore[arg-type]
    assert type(rate) is float
    assert rate == schedule(7)


def test_step_and_multi_step_change_at_their_milestones() -> None:
    assert [Step(1.0, size=3, gamma=0.5)(t) for t in range(8)] == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]
    assert [MultiStep(1.0, (1, 4), 0.5)(t) for t in range(6)] == [1, 0.5, 0.5, 0.5, 0.25, 0.25]
    assert MultiStep(0.3, ())(1000) == 0.3


def test_the_originals_schedule() -> None:
    original = MultiStep(0.02, (800, 2400, 4000, 6000), gamma=0.4)
    for passed, milestone in enumerate(original.milestones):
        assert original(milestone - 1) == pytest.approx(0.02 * 0.4**passed, rel=1e-15)
        assert original(milestone) == pytest.approx(0.02 * 0.4 ** (passed + 1), rel=1e-15)


@given(lr=rates, total=counts, share=st.floats(0, 1))
@settings(max_examples=50)
def test_cosine_goes_from_lr_to_eta_min_and_stays_there(lr: float, total: int, share: float) -> None:
    cosine = Cosine(lr, total_steps=total, eta_min=share * lr)
    assert cosine(0) == pytest.approx(lr, rel=1e-15)
    assert cosine(2 * total) == cosine(total) == share * lr
    if total % 2 == 0:
        assert cosine(total // 2) == pytest.approx((lr + share * lr) / 2, rel=1e-12)


@given(
    peak=rates, rise=st.integers(1, 40), fall=st.integers(1, 40), anneal=st.sampled_from(["cosine", "linear"])
)
@settings(max_examples=60)
def test_one_cycle_rises_to_its_peak_and_falls_to_its_end(
    peak: float, rise: int, fall: int, anneal: Any
) -> None:
    total = rise + fall + 1
    cycle = OneCycle(peak, total, pct_start=(rise + 1) / total, anneal=anneal)
    values = np.array([cycle(t) for t in range(total)])
    assert values[0] == pytest.approx(peak / 25, rel=1e-12)
    assert values[rise] == pytest.approx(peak, rel=1e-12)
    assert values[-1] == peak / 25 / 1e4
    assert (np.diff(values[: rise + 1]) > 0).all()
    assert (np.diff(values[rise:]) < 0).all()
    assert cycle(total) == cycle(10**9) == values[-1]


def test_one_cycle_of_the_shortest_kinds() -> None:
    assert OneCycle(0.25, total_steps=1)(0) == 0.25 / 25 / 1e4
    assert OneCycle(0.25, total_steps=4, pct_start=0.25)(0) == pytest.approx(0.25, rel=1e-15)
    # Without a rise the peak lies one step before the first.
    assert OneCycle(0.25, total_steps=4, pct_start=0.0, anneal="linear")(0) == pytest.approx(0.1875, rel=1e-3)


@given(after=st.one_of(falling, cycles), length=counts, factor=factors)
@settings(max_examples=60)
def test_warm_up_is_a_line_and_then_the_other_schedule(after: Schedule, length: int, factor: float) -> None:
    warm_up = WarmUp(after, steps=length, start_factor=factor)
    values = [warm_up(t) for t in range(length)]
    np.testing.assert_allclose(
        values, after(0) * np.linspace(factor, 1, length, endpoint=False), rtol=1e-12, atol=0
    )
    assert [warm_up(length + t) for t in range(60)] == [after(t) for t in range(60)]


def test_warm_up_takes_any_function_of_the_step() -> None:
    warm_up = WarmUp(lambda t: 1 / (1 + t), steps=2, start_factor=0.5)
    assert [warm_up(t) for t in range(5)] == [0.5, 0.75, 1, 1 / 2, 1 / 3]


def test_a_step_must_be_a_count() -> None:
    with pytest.raises(ValueError, match="Constant: expected step >= 0, got -1"):
        Constant(0.1)(-1)
    with pytest.raises(TypeError, match="integer"):
        Constant(0.1)(1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", SCHEDULES)
def test_schedules_are_final(kind: str) -> None:
    assert SCHEDULES[kind].__final__  # type: ignore[attr-defined]


def test_the_base_schedule_is_abstract() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Schedule()  # type: ignore[abstract]


def test_equal_hyperparameters_are_equal_schedules() -> None:
    assert WarmUp(Cosine(0.1, 10), 5) == WarmUp(Cosine(0.1, 10), 5) != WarmUp(Cosine(0.1, 11), 5)
    assert math.isclose(hash(Cosine(0.1, 10)), hash(Cosine(0.1, 10)))
