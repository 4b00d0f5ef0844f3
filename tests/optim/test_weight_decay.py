"""Weight decay: one mechanism, acting once, where the mask lets it."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from numnist.arrays import Array
from numnist.optim import OPTIMIZERS, SGD, AdamW, Optimizer, State

RNG = np.random.default_rng(0)
PARAMS = RNG.normal(size=8)
GRADIENTS = RNG.normal(size=(4, 8))
MASK = np.array([1, 1, 0, 1, 0, 1, 1, 0])
LAMBDA, LR = 0.3, 0.02

COMBINATIONS = [
    optimizer(weight_decay=LAMBDA, decay=decay)
    for name, optimizer in OPTIMIZERS.items()
    for decay in ("coupled", "decoupled")
    if not (name == "adamw" and decay == "coupled")
]


def name(optimizer: Optimizer) -> str:
    return f"{type(optimizer).__name__} {optimizer.decay}"


def assert_decays_once(optimizer: Optimizer, mask: Array | None = None) -> None:
    """Weight decay must be what one gets by doing it by hand around the same optimizer without it."""
    by_hand = replace(optimizer, weight_decay=0.0)
    params, expected = PARAMS.copy(), PARAMS.copy()
    state, state_by_hand = optimizer.init(params, mask), by_hand.init(expected)
    strength = LAMBDA * (np.ones(8) if mask is None else mask)
    for g in GRADIENTS:
        optimizer.step(params, g, state, LR)
        if optimizer.decay == "coupled":
            by_hand.step(expected, g + strength * expected, state_by_hand, LR)
        else:
            expected -= LR * strength * expected
            by_hand.step(expected, g, state_by_hand, LR)
        np.testing.assert_allclose(params, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("mask", [None, MASK, MASK.astype(bool)], ids=["all", "0/1", "bool"])
@pytest.mark.parametrize("optimizer", COMBINATIONS, ids=name)
def test_decay_acts_once(optimizer: Optimizer, mask: Array | None) -> None:
    assert_decays_once(optimizer, mask)


@dataclass(frozen=True, kw_only=True)
class DecaysTwice(Optimizer):
    """The original's defect: SGD that decays again, after the base class has done so."""

    def direction(self, g: Array, state: State) -> Array:
        return g

    def step(self, params: Array, grads: Array, state: State, lr: float) -> None:
        super().step(params, grads, state, lr)
        params *= 1 - lr * self.weight_decay


@pytest.mark.parametrize("decay", ["coupled", "decoupled"])
def test_decay_acting_twice_would_be_noticed(decay: Any) -> None:
    with pytest.raises(AssertionError):
        assert_decays_once(DecaysTwice(weight_decay=LAMBDA, decay=decay))


@pytest.mark.parametrize("optimizer", COMBINATIONS, ids=name)
def test_the_mask_leaves_parameters_out(optimizer: Optimizer) -> None:
    masked, without = PARAMS.copy(), PARAMS.copy()
    state = optimizer.init(masked, MASK)
    plain = replace(optimizer, weight_decay=0.0)
    state_without = plain.init(without)
    for g in GRADIENTS:
        optimizer.step(masked, g, state, LR)
        plain.step(without, g, state_without, LR)
    np.testing.assert_array_equal(masked[MASK == 0], without[MASK == 0])
    assert (masked[MASK == 1] != without[MASK == 1]).all()


def test_for_plain_sgd_coupled_and_decoupled_are_the_same() -> None:
    results = []
    for optimizer in (SGD(weight_decay=LAMBDA, decay="coupled"), SGD(weight_decay=LAMBDA, decay="decoupled")):
        params = PARAMS.copy()
        state = optimizer.init(params, MASK)
        for g in GRADIENTS:
            optimizer.step(params, g, state, LR)
        results.append(params)
    coupled, decoupled = results
    np.testing.assert_allclose(coupled, decoupled, rtol=1e-14)


@pytest.mark.parametrize("optimizer", [o for o in COMBINATIONS if o.decay == "decoupled"], ids=name)
def test_decoupled_decay_without_gradient_shrinks_geometrically(optimizer: Optimizer) -> None:
    params = PARAMS.copy()
    state = optimizer.init(params)
    for _ in range(5):
        optimizer.step(params, np.zeros(8), state, LR)
    np.testing.assert_allclose(params, PARAMS * (1 - LR * LAMBDA) ** 5, rtol=1e-14)


def test_adamw_decays_by_default_and_the_others_do_not() -> None:
    assert (AdamW().weight_decay, AdamW().decay) == (0.01, "decoupled")
    for kind, optimizer in OPTIMIZERS.items():
        assert kind == "adamw" or (optimizer().weight_decay, optimizer().decay) == (0.0, "coupled")


@pytest.mark.parametrize(
    "mask", [np.ones(7), np.ones((8, 1), bool), np.full(8, 0.5), np.full(8, np.nan), np.arange(8)]
)
def test_init_refuses_a_mask_that_does_not_fit(mask: Array) -> None:
    with pytest.raises(
        ValueError, match=r"SGD: expected decay_mask of shape \(8,\) with values 0 and 1, got"
    ):
        SGD().init(PARAMS, mask)


@pytest.mark.parametrize("strength", [0.25, 1.0, 3.0])
def test_every_strength_counts_one_too(strength: float) -> None:
    params = PARAMS.copy()
    optimizer = SGD(weight_decay=strength, decay="coupled")
    optimizer.step(params, GRADIENTS[0], optimizer.init(params), LR)
    np.testing.assert_allclose(params, PARAMS - LR * (GRADIENTS[0] + strength * PARAMS), rtol=1e-12)
