import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from numnist.arrays import Array
from numnist.nn import Model, Preprocess, Reference, build
from numnist.optim import SGD
from numnist.train.state import EpochReport, TrainState
from numnist.train.statistics import BINS, Statistics, spread


@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(max_side=6),
        elements=st.one_of(
            st.floats(-100, 100, width=32), st.sampled_from([np.nan, np.inf, -np.inf, 3e38, -3e38])
        ),
    )
)
def test_a_spread_counts_every_value_and_is_json(values: Array) -> None:
    found = json.loads(json.dumps(spread(values), allow_nan=False))
    finite = values[np.isfinite(values)].astype(np.float64)
    assert found["not_finite"] + sum(found["counts"]) == values.size
    assert len(found["counts"]) == (BINS if finite.size else 0)
    if finite.size:
        assert (found["min"], found["max"]) == (finite.min(), finite.max())
        assert found["mean"] == pytest.approx(finite.mean(), rel=1e-9, abs=1e-9)
        assert found["std"] == pytest.approx(finite.std(), rel=1e-9, abs=1e-9)


def test_bins_are_from_the_smallest_to_the_largest() -> None:
    assert spread(np.arange(2 * BINS))["counts"] == [2] * BINS
    assert spread(np.full(5, 3.0))["counts"] == [0] * (BINS // 2) + [5] + [0] * (BINS // 2 - 1)


def test_each_epoch_has_a_line_with_all_tensors(tmp_path: Path) -> None:
    preprocess = Preprocess((4, 4))
    model = Model(build("mlp:3", (1, 4, 4), 10), preprocess).initialise(np.random.default_rng(0))
    executor = Reference(model)
    rng = np.random.default_rng(0)
    executor.loss_and_grads(rng.normal(size=(5, 1, 4, 4)).astype(np.float32), np.arange(5), None)
    callback = Statistics(tmp_path / "s.jsonl", model, executor)
    for epoch in (1, 2):
        callback.on_epoch_end(TrainState(SGD().init(model.parameters)), EpochReport(epoch))
        model.parameters *= 2
    rows = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2]
    names = list(model.named_parameters())
    assert list(rows[0]["parameters"]) == list(rows[0]["gradients"]) == names
    weight = model.named_parameters()["1.weight"]
    assert rows[0]["parameters"]["1.weight"]["std"] == pytest.approx(float(weight.std()) / 4, rel=1e-5)
    gradient = model.layout.views(executor.gradient)["1.weight"]
    assert rows[0]["gradients"]["1.weight"]["max"] == pytest.approx(float(gradient.max()))
