"""Every op against the numbers that PyTorch computes, as tests/pytorch/record_ops.py recorded them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numnist import ops
from numnist.arrays import Array
from numnist.ops import batch_norm

with np.load(Path(__file__).parents[1] / "pytorch" / "ops.npz") as file:
    RECORD: dict[str, Array] = {key: file[key] for key in file}

CASES = sorted({key.rsplit("/", 2)[0] for key in RECORD if "/" in key})


def recorded(case: str, kind: str) -> dict[str, Array]:
    """What was recorded of a case under the heading `kind`: names and arrays."""
    prefix = f"{case}/{kind}/"
    return {key.removeprefix(prefix): value for key, value in RECORD.items() if key.startswith(prefix)}


def run(case: str) -> tuple[Any, Any]:
    """Our `forward` on what PyTorch was given."""
    op = getattr(ops, case.split("/")[0])
    parameters: dict[str, Any] = {
        name: value if value.ndim else value.item() for name, value in recorded(case, "parameter").items()
    }
    if "fixed" in parameters:  # (mean, var), recorded as one array
        parameters["fixed"] = tuple(parameters["fixed"])
    y, cache = op.forward(*recorded(case, "input").values(), **parameters)
    return y, cache


def assert_same(ours: Any, torchs: Array) -> None:
    """Equal but for the rounding of sums that are taken in another order."""
    assert np.shape(ours) == torchs.shape
    np.testing.assert_allclose(ours, torchs, rtol=1e-11, atol=1e-14)


def test_the_record_has_every_op() -> None:
    # Dropout is missing because PyTorch's random numbers are not NumPy's.
    assert {case.split("/")[0] for case in CASES} == set(ops.__all__) - {"dropout"}


@pytest.mark.parametrize("case", CASES)
def test_forward(case: str) -> None:
    y, _ = run(case)
    assert_same(y, RECORD[f"{case}/output/y"])


@pytest.mark.parametrize("case", CASES)
def test_backward(case: str) -> None:
    _, cache = run(case)
    result = getattr(ops, case.split("/")[0]).backward(RECORD[f"{case}/output/dy"], cache)
    ours = result if isinstance(result, tuple) else (result,)
    for gradient, torchs in zip(ours, recorded(case, "gradient").values(), strict=True):
        assert_same(gradient, torchs)


@pytest.mark.parametrize("case", ["batch_norm/training_rows", "batch_norm/training_images"])
def test_the_running_variance_is_the_unbiased_one(case: str) -> None:
    statistics = batch_norm.batch_statistics(RECORD[f"{case}/input/x"])
    assert_same(statistics.mean, RECORD[f"{case}/statistics/mean"])
    assert_same(statistics.unbiased_variance, RECORD[f"{case}/statistics/unbiased_variance"])
