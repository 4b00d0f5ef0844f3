"""Hyperparameters are checked when they are given, and the message names the class and the field."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pytest

from numnist.optim import OPTIMIZERS, SCHEDULES, Adam, Constant, Cosine, Momentum, MultiStep, OneCycle
from numnist.optim.hyperparameters import Hyperparameters

COSINE = {"lr": 0.1, "total_steps": 10}
ONE_CYCLE = {"peak": 0.1, "total_steps": 10}


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        *(
            (kind, {"weight_decay": bad}, "expected weight_decay to be a finite number >= 0, got")
            for kind in OPTIMIZERS
            for bad in (-0.1, math.nan, math.inf)
        ),
        *((kind, {"decay": "l2"}, "expected decay to be .*'decoupled', got 'l2'") for kind in OPTIMIZERS),
        ("adamw", {"decay": "coupled"}, "AdamW: expected decay to be 'decoupled', got 'coupled'"),
        ("momentum", {"momentum": 1.0}, r"Momentum: expected momentum to be a number in \[0, 1\), got 1.0"),
        ("nesterov", {"momentum": -0.1}, r"Nesterov: expected momentum to be a number in \[0, 1\), got -0.1"),
        ("rmsprop", {"alpha": 1}, "RMSProp: expected alpha to be .*, got 1"),
        ("rmsprop", {"eps": 0.0}, "RMSProp: expected eps to be a finite number > 0, got 0.0"),
        ("adam", {"beta1": 1.0}, "Adam: expected beta1"),
        ("adam", {"beta2": math.nan}, "Adam: expected beta2 .*, got nan"),
        ("adam", {"beta2": "0.9"}, "Adam: expected beta2 .*, got '0.9'"),
        ("adam", {"beta2": None}, "Adam: expected beta2 .*, got None"),
        ("adam", {"beta2": False}, "Adam: expected beta2 .*, got False"),
        ("adamw", {"eps": -1e-8}, "AdamW: expected eps"),
        ("constant", {"lr": 0}, "Constant: expected lr to be a finite number > 0, got 0"),
        ("step", {"lr": 0.1, "size": 0}, "Step: expected size to be an integer >= 1, got 0"),
        ("step", {"lr": 0.1, "size": 2.0}, r"Step: expected size to be an integer >= 1, got 2\.0"),
        (
            "step",
            {"lr": 0.1, "size": 2, "gamma": 1.5},
            r"Step: expected gamma to be a number in \(0, 1\], got 1.5",
        ),
        (
            "multi-step",
            {"lr": 0.1, "milestones": [5, 5]},
            r"MultiStep: expected milestones to be increasing integers >= 1, got \[5, 5\]",
        ),
        ("multi-step", {"lr": 0.1, "milestones": [0, 5]}, "MultiStep: expected milestones to be increasing"),
        (
            "multi-step",
            {"lr": 0.1, "milestones": [0.5, 1.5]},
            "MultiStep: expected milestones to be increasing",
        ),
        ("exponential", {"lr": 0.1, "gamma": 0.0}, "Exponential: expected gamma"),
        ("cosine", COSINE | {"eta_min": 0.2}, r"Cosine: expected eta_min to be at most lr = 0\.1, got 0\.2"),
        ("cosine", COSINE | {"total_steps": -1}, "Cosine: expected total_steps"),
        (
            "one-cycle",
            ONE_CYCLE | {"pct_start": 1.0},
            r"OneCycle: expected pct_start to be a number in \[0, 1\)",
        ),
        ("one-cycle", ONE_CYCLE | {"anneal": "cos"}, "expected anneal to be 'cosine' or 'linear', got 'cos'"),
        ("one-cycle", ONE_CYCLE | {"div_factor": 0}, "OneCycle: expected div_factor"),
        ("one-cycle", ONE_CYCLE | {"final_div_factor": math.inf}, "OneCycle: expected final_div_factor"),
        ("warm-up", {"after": Constant(0.1), "steps": 0}, "WarmUp: expected steps"),
        ("warm-up", {"after": 0.1, "steps": 5}, r"WarmUp: expected after to be a schedule, got 0\.1"),
        ("warm-up", {"after": Constant(0.1), "steps": 1, "start_factor": 0}, "WarmUp: expected start_factor"),
    ],
)
def test_values_out_of_range_are_refused(kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        (OPTIMIZERS | SCHEDULES)[kind](**options)  # type: ignore[operator]


def test_numbers_are_stored_as_pythons_own() -> None:
    adam = Adam(beta1=np.float32(0.5), weight_decay=1)  # type: ignore[arg-type]
    assert (type(adam.beta1), type(adam.weight_decay)) == (float, float)
    assert adam == Adam(beta1=0.5, weight_decay=1.0)
    assert type(Cosine(0.1, total_steps=np.int64(7)).total_steps) is int  # type: ignore[arg-type]
    assert MultiStep(0.1, [np.int64(3), 5]).milestones == (3, 5)  # type: ignore[arg-type]


def test_hyperparameters_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Momentum().momentum = 0.5  # type: ignore[misc]


def test_defaults_are_pytorchs() -> None:
    assert (Adam().beta1, Adam().beta2, Adam().eps) == (0.9, 0.999, 1e-8)
    cycle = OneCycle(0.1, 10)
    assert (cycle.pct_start, cycle.div_factor, cycle.final_div_factor) == (0.3, 25.0, 1e4)


def test_other_annotations_are_left_alone() -> None:
    @dataclass(frozen=True)
    class Noted(Hyperparameters):
        note: Annotated[str, "said in passing"]
        anything: object = None

    anything = [1]
    assert Noted("x", anything).note == "x"
    assert Noted("x", anything).anything is anything


def test_a_cosine_may_end_where_it_begins() -> None:
    assert Cosine(0.1, total_steps=10, eta_min=0.1)(5) == pytest.approx(0.1)
