"""Optimizers, schedules and clipping compute PyTorch's numbers, recorded by tests/pytorch/record_optim.py."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numnist.optim import OPTIMIZERS, SCHEDULES, Schedule, clip_gradient_norm

RECORDS = Path(__file__).parents[1] / "pytorch"
OPTIMIZER_RECORD = json.loads((RECORDS / "optimizers.json").read_text(encoding="utf-8"))
SCHEDULE_RECORD = json.loads((RECORDS / "schedules.json").read_text(encoding="utf-8"))


def case_name(case: dict[str, Any]) -> str:
    return " ".join([case["name"], *(f"{key}={value}" for key, value in case["options"].items())])


def schedule(name: str, options: dict[str, Any]) -> Schedule:
    if "after" in options:
        options = options | {"after": schedule(*options["after"])}
    return SCHEDULES[name](**options)


def test_records_cover_every_optimizer_and_schedule() -> None:
    assert {case["name"] for case in OPTIMIZER_RECORD["cases"]} == set(OPTIMIZERS)
    assert {case["name"] for case in SCHEDULE_RECORD["cases"]} == set(SCHEDULES)


@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-12), ("float32", 1e-6)])
@pytest.mark.parametrize("case", OPTIMIZER_RECORD["cases"], ids=case_name)
def test_first_ten_steps_are_those_of_pytorch(case: dict[str, Any], dtype: str, rtol: float) -> None:
    optimizer = OPTIMIZERS[case["name"]](**case["options"])
    params = np.array(OPTIMIZER_RECORD["params"], dtype)
    mask = np.array(OPTIMIZER_RECORD["decay_mask"]) if case["masked"] else None
    state = optimizer.init(params, mask)
    assert len(case[dtype]) == 10
    for grads, lr, expected in zip(OPTIMIZER_RECORD["grads"], case["lr"], case[dtype], strict=True):
        optimizer.step(params, np.array(grads, dtype), state, lr)
        np.testing.assert_allclose(params, np.array(expected, dtype), rtol=rtol, atol=0)


@pytest.mark.parametrize("case", SCHEDULE_RECORD["cases"], ids=case_name)
def test_first_hundred_rates_are_those_of_pytorch(case: dict[str, Any]) -> None:
    rate = schedule(case["name"], case["options"])
    assert len(case["rates"]) == 100
    np.testing.assert_allclose([rate(t) for t in range(100)], case["rates"], rtol=1e-12, atol=0)


@pytest.mark.parametrize("case", OPTIMIZER_RECORD["clip"])
def test_clipping_is_that_of_pytorch(case: dict[str, Any]) -> None:
    grads = np.array(case["gradient"])
    norm = clip_gradient_norm(grads, case["max_norm"])
    np.testing.assert_allclose(norm, case["norm"], rtol=1e-15)
    np.testing.assert_allclose(grads, case["clipped"], rtol=1e-15, atol=0)
