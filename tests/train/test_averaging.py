"""The average of the weights in a run, and epochs without augmentation."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numnist.arrays import Array
from numnist.data import Dataset
from numnist.nn import Model
from numnist.optim import WeightAverage
from numnist.train import Callback, Run, StepReport, TrainState, evaluate, prepare, resolve
from numnist.train.checkpoint import load_checkpoint, save_checkpoint

NETWORK = """
[[layers]]
type = "Flatten"
[[layers]]
type = "Linear"
out_features = 8
[[layers]]
type = "BatchNorm"
[[layers]]
type = "ReLU"
[[layers]]
type = "Linear"
out_features = "classes"
"""


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "network.toml"
    path.write_text(NETWORK)
    return {"model": str(path), "batch_size": 32, "epochs": 3, "validation": 48, "average": 0.9}


class Weights(Callback):
    """The weights behind every step."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.seen: list[tuple[Array, Array]] = []

    def on_step_end(self, state: TrainState, report: StepReport) -> None:
        self.seen.append((self.model.parameters.copy(), self.model.buffers.copy()))


def fresh(dataset: Dataset, settings: dict[str, Any]) -> Run:
    return prepare(*resolve(settings), dataset)


def test_the_run_ends_with_the_average_of_what_training_never_saw(
    dataset: Dataset, settings: dict[str, Any]
) -> None:
    plain, run = fresh(dataset, {**settings, "average": 0.0}), fresh(dataset, settings)
    first = run.model.parameters.copy(), run.model.buffers.copy()
    of_plain, weights = Weights(plain.model), Weights(run.model)
    plain.trainer.fit(plain.state, 3, [of_plain])
    run.trainer.fit(run.state, 3, [weights])
    for one, other in zip(of_plain.seen, weights.seen, strict=True):
        np.testing.assert_array_equal(np.concatenate(one), np.concatenate(other))
    expected = WeightAverage(0.9, *first)
    for seen in weights.seen:
        expected.update(*seen)
    np.testing.assert_array_equal(run.model.parameters, expected.parameters)
    np.testing.assert_array_equal(run.model.buffers, expected.buffers)
    assert not np.array_equal(run.model.parameters, plain.model.parameters)


@pytest.mark.parametrize("keep_best", [False, True])
def test_it_is_the_average_that_is_validated(
    dataset: Dataset, settings: dict[str, Any], keep_best: bool
) -> None:
    """What the last report says of the validation images is what the model at the end makes of them."""
    run = fresh(dataset, {**settings, "epochs": 1, "keep_best": keep_best})
    run.trainer.fit(run.state, 1, run.callbacks)
    assert run.trainer.validation is not None
    assert run.state.report is not None
    images, labels = run.trainer.validation.images, run.trainer.validation.labels
    ended = evaluate(run.trainer.executor, run.model.preprocess, images, labels)
    assert (ended.loss, ended.accuracy) == (run.state.report.val_loss, run.state.report.val_accuracy)


def test_going_on_goes_on_from_the_weights_and_not_from_the_average(
    dataset: Dataset, settings: dict[str, Any], tmp_path: Path
) -> None:
    """In the same process, and from a checkpoint in another."""
    straight = fresh(dataset, settings)
    straight.trainer.fit(straight.state, 3)

    halved = fresh(dataset, settings)
    halved.trainer.fit(halved.state, 1)
    halved.trainer.fit(halved.state, 3)

    path = tmp_path / "checkpoint.safetensors"

    class Save(Callback):
        def on_epoch_end(self, state: TrainState, report: Any) -> None:
            save_checkpoint(path, {}, interrupted.model, state, ())
            state.stop = "enough"

    interrupted, resumed = fresh(dataset, settings), fresh(dataset, settings)
    interrupted.trainer.fit(interrupted.state, 3, [Save()])
    load_checkpoint(path, {}, resumed.model, resumed.state, ())
    resumed.state.stop = ""
    resumed.trainer.fit(resumed.state, 3)
    for run in (halved, resumed):
        np.testing.assert_array_equal(run.model.parameters, straight.model.parameters)
        np.testing.assert_array_equal(run.model.buffers, straight.model.buffers)


@pytest.mark.parametrize(
    ("clean", "augmented"), [(0, [True, True, True]), (1, [True, True, False]), (5, [False] * 3)]
)
def test_the_last_epochs_are_not_augmented(
    dataset: Dataset, settings: dict[str, Any], clean: int, augmented: list[bool]
) -> None:
    changed = {**settings, "clean_epochs": clean, "augment": {"rotation": [-30, 30]}}
    images, plain = (fresh(dataset, s).trainer.images for s in (changed, settings))
    for epoch, expected in enumerate(augmented):
        different = [
            not np.array_equal(x, y)
            for (x, _), (y, _) in zip(images.epoch(epoch), plain.epoch(epoch), strict=True)
        ]
        assert different == [expected] * len(different)
