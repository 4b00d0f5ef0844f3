"""Checkpoints: a run that goes on from one ends in the same bits as one that was never interrupted."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from numnist import __version__
from numnist.data import Dataset
from numnist.errors import InputError
from numnist.train import (
    Callback,
    EpochReport,
    Run,
    TrainState,
    checkpoint_file,
    load_checkpoint,
    prepare,
    resolve,
    save_checkpoint,
)
from numnist.train.checkpoint import Checkpoint

EVERYTHING: dict[str, Any] = {
    "model": "own.toml",
    "batch_size": 32,
    "epochs": 5,
    "keep_best": True,
    "early_stopping": {"patience": 9},
    "plateau": {"patience": 1, "factor": 0.5},
    "augment": {"rotation": 9, "translation": 1},
    "optim": {"lr": 0.02, "weight_decay": 1e-4},
}
OWN = """
[[layers]]
type = "Conv2d"
out_channels = 3
kernel_size = 3
[[layers]]
type = "BatchNorm"
[[layers]]
type = "ReLU"
[[layers]]
type = "Flatten"
[[layers]]
type = "Dropout"
rate = 0.2
[[layers]]
type = "Linear"
out_features = "classes"
"""


@pytest.fixture(autouse=True)
def own_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.toml").write_text(OWN)


def fresh(dataset: Dataset, **settings: Any) -> Run:
    return prepare(*resolve({**EVERYTHING, **settings}), dataset)


def save(run: Run, path: Path) -> None:
    save_checkpoint(path, run.identity, run.model, run.state, run.callbacks)


def load(run: Run, path: Path) -> None:
    load_checkpoint(path, run.identity, run.model, run.state, run.callbacks)


class Plateaus(Callback):
    """Has the validation loss rise in the second and third epoch, so that the learning rate is lowered."""

    def on_epoch_end(self, state: TrainState, report: EpochReport) -> None:
        report.val_loss = (0.5, 0.6, 0.6, 0.4, 0.3)[report.epoch - 1]


class SaveAndStop(Callback):
    """Writes a checkpoint after an epoch, and stops there."""

    def __init__(self, run: Run, path: Path, epoch: int) -> None:
        self.run, self.path, self.epoch = run, path, epoch

    def on_epoch_end(self, state: TrainState, report: EpochReport) -> None:
        if state.epoch == self.epoch:
            save(self.run, self.path)
            state.stop = "enough"


@pytest.mark.parametrize("kind", ["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"])
def test_interrupted_and_uninterrupted_runs_end_in_the_same_bits(
    tmp_path: Path, dataset: Dataset, kind: str
) -> None:
    optim = {"kind": kind, "lr": 0.02}
    straight = fresh(dataset, optim=optim)
    straight.trainer.fit(straight.state, 5, [Plateaus(), *straight.callbacks])
    path = tmp_path / "checkpoint.safetensors"
    assert straight.state.lr_scale == 0.5
    for epoch in (1, 3, 5):  # as three processes would, one after another
        run = fresh(dataset, optim=optim)
        if path.exists():
            load(run, path)
        run.trainer.fit(run.state, 5, [Plateaus(), *run.callbacks, SaveAndStop(run, path, epoch)])
    np.testing.assert_array_equal(run.model.parameters, straight.model.parameters)
    np.testing.assert_array_equal(run.model.buffers, straight.model.buffers)
    for name, slot in straight.state.optimizer.slots.items():
        np.testing.assert_array_equal(run.state.optimizer.slots[name], slot)
    assert (run.state.step, run.state.lr_scale) == (straight.state.step, straight.state.lr_scale)
    for one, other in zip(run.callbacks, straight.callbacks, strict=True):
        for name, value in one.saved().items():
            np.testing.assert_array_equal(value, other.saved()[name])


def test_it_says_what_wrote_it_and_names_its_callbacks(tmp_path: Path, dataset: Dataset) -> None:
    run, path = fresh(dataset), tmp_path / "checkpoint.safetensors"
    save(run, path)
    values = checkpoint_file.read_values(path)
    assert (values["format"], values["version"], values["average_updates"]) == (2, __version__, 0)
    assert {"0.KeepBest.best", "1.EarlyStopping.waited", "2.ReduceOnPlateau.bad_epochs"} <= set(values)
    assert values["run"] == run.identity


def test_the_same_state_gives_the_same_bytes(tmp_path: Path, dataset: Dataset) -> None:
    run = fresh(dataset)
    run.trainer.fit(run.state, 2, run.callbacks)
    for name in ("a", "b"):
        save(run, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def rewrite(path: Path, change: Any) -> None:
    """Save the checkpoint again after a change of its values and arrays, with its right checksum."""
    with safetensors.safe_open(path, framework="np") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- not a mapping
    values = checkpoint_file.read_values(path)
    change(values, arrays)
    checkpoint_file.write(path, path.with_name("old"), values, arrays)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values, arrays: values.update(format=7), "expected format 2, got '7'"),
        (lambda values, arrays: values.update(epoch="x"), "expected epoch to be a count, got 'x'"),
        (
            lambda values, arrays: values.update(optimizer_step=-1),
            "expected optimizer_step to be a count",
        ),
        (lambda values, arrays: values.update(lr_scale="1"), "expected lr_scale to be float, got '1'"),
        (lambda values, arrays: values.update(report={"x": 1}), "expected the report of an epoch, got {'x'"),
        (lambda values, arrays: values.update(partial=3), "expected the report of an epoch, got 3"),
        (
            lambda values, arrays: values.update(report={**EpochReport(1).saved(), "lr": "fast"}),
            "expected lr of an epoch to be a number, got fast",
        ),
        (
            lambda values, arrays: values.update(report={**EpochReport(1).saved(), "step": 0.5}),
            "expected step of an epoch to be a number, got 0.5",
        ),
        (lambda values, arrays: values.pop("epoch"), "values missing: epoch, unknown: none"),
        (lambda values, arrays: arrays.pop("optimizer.m"), "arrays missing: optimizer.m, unknown: none"),
        (lambda values, arrays: arrays.update(other=np.zeros(1)), "arrays missing: none, unknown: other"),
        (lambda values, arrays: arrays.update(parameters=np.zeros(3)), "parameters: expected F32"),
    ],
)
def test_another_content_is_named_and_changes_nothing(
    tmp_path: Path, dataset: Dataset, change: Any, message: str
) -> None:
    run, path = fresh(dataset), tmp_path / "checkpoint.safetensors"
    save(run, path)
    rewrite(path, change)
    before = run.model.parameters.copy()
    with pytest.raises(InputError) as caught:
        load(run, path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    np.testing.assert_array_equal(run.model.parameters, before)


def test_the_checkpoint_of_other_settings_is_refused(tmp_path: Path, dataset: Dataset) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save(fresh(dataset), path)
    for changed, words in (
        ({"seed": 1}, "settings.seed was 0 and is now 1"),
        ({"batch_size": 16}, "settings.batch_size was 32 and is now 16"),
        ({"label_smoothing": 0.1}, "settings.label_smoothing was 0.0 and is now 0.1"),
        ({"optim": {"kind": "momentum"}}, "settings.optim.kind was adam and is now momentum"),
    ):
        with pytest.raises(InputError, match=f"not a checkpoint of this run: .*{words}"):
            load(fresh(dataset, **changed), path)
    Path("own.toml").write_text(OWN.replace("rate = 0.2", "rate = 0.3"))
    with pytest.raises(InputError, match=r"this run: network was [0-9a-f]{60}… and is now"):
        load(fresh(dataset), path)
    Path("own.toml").write_text(OWN)
    other_data = Dataset("bars", dataset.train, dataset.test, 3, "0" * 64, ())
    with pytest.raises(InputError, match=r"this run: data was f{60}… and is now 0{60}…"):
        load(fresh(other_data), path)


def with_metadata(text: str) -> bytes:
    return safetensors.numpy.save({"a": np.zeros(1)}, {"numnist-checkpoint": "0" * 64 + text})


def test_every_flipped_bit_of_the_contents_is_noticed(tmp_path: Path, dataset: Dataset) -> None:
    run, path = fresh(dataset), tmp_path / "checkpoint.safetensors"
    save(run, path)
    whole = path.read_bytes()
    before = run.model.parameters.copy()
    for place in np.linspace(0, len(whole) - 1, 150).astype(int):
        damaged = bytearray(whole)
        damaged[place] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="not a checkpoint of this run"):
            load(run, path)
    np.testing.assert_array_equal(run.model.parameters, before)


@pytest.mark.parametrize("length", [0, 7, 8, 100, -1])
def test_a_truncated_file_is_noticed(tmp_path: Path, dataset: Dataset, length: int) -> None:
    run, path = fresh(dataset), tmp_path / "checkpoint.safetensors"
    save(run, path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(InputError, match="not a checkpoint of this run"):
        load(run, path)


DAMAGED = {
    "empty": b"",
    "text": b"no checkpoint",
    "zeros": bytes(100),
    "no metadata": safetensors.numpy.save({"a": np.zeros(1)}),
    "number": with_metadata("3"),
    "list": with_metadata("[]"),
    "deep": with_metadata("[" * 20_000 + "]" * 20_000),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_checkpoint_is_named(tmp_path: Path, dataset: Dataset, content: bytes) -> None:
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a checkpoint of this run"):
        load(fresh(dataset), path)


def test_a_run_that_stopped_early_stays_stopped(tmp_path: Path, dataset: Dataset) -> None:
    """Going on from the last checkpoint of a stopped run must not train another epoch."""
    path = tmp_path / "checkpoint.safetensors"
    straight = fresh(dataset, early_stopping={"patience": 1}, epochs=60)
    observer = Checkpoint(path, straight.identity, straight.model, straight.callbacks)
    straight.trainer.fit(straight.state, 60, [*straight.callbacks, observer])
    assert straight.state.stop
    resumed = fresh(dataset, early_stopping={"patience": 1}, epochs=60)
    load(resumed, path)
    resumed.trainer.fit(resumed.state, 60, resumed.callbacks)
    assert (resumed.state.step, resumed.state.stop) == (straight.state.step, straight.state.stop)
    assert resumed.state.report == straight.state.report
    np.testing.assert_array_equal(resumed.model.parameters, straight.model.parameters)


def test_an_interruption_does_not_stop_the_run_that_goes_on(tmp_path: Path, dataset: Dataset) -> None:
    path = tmp_path / "checkpoint.safetensors"
    run = fresh(dataset)
    run.state.interrupted = "interrupted"
    save(run, path)
    again = fresh(dataset)
    load(again, path)
    assert not again.state.is_over
