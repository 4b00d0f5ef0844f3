"""Odd circumstances in which a run goes on, or is refused in one line."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.train.resuming import ALL, KillAt, Killed, Warnings, contents, go
from tests.train.test_checkpoint import rewrite

from numnist.data import Dataset
from numnist.errors import InputError
from numnist.train import (
    Callback,
    EpochReport,
    RunFolder,
    StepReport,
    TrainState,
    prepare,
    resolve,
    train,
)
from numnist.train.checkpoint import PREVIOUS, Checkpoint
from numnist.train.lock import NAME as LOCK


@pytest.mark.parametrize("first", ["the signal", "the end"])
def test_ctrl_c_where_early_stopping_ends_the_run_changes_nothing(
    place: Path, dataset: Dataset, first: str
) -> None:
    settings: dict[str, Any] = {"early_stopping": {"patience": 1}, "optim": {"lr": 1e-9}, "epochs": 8}
    whole, folder = (RunFolder(place / "runs", None, "early") for _ in range(2))
    assert go(dataset, whole, **settings).stopped == "validation accuracy has not risen for 1 epochs"
    epochs = len(whole.file("history.jsonl").read_text().splitlines())
    assert epochs < 8

    class Interrupt(Callback):
        def on_step_end(self, state: TrainState, report: StepReport) -> None:
            if first == "the signal" and state.step == 7 * epochs:
                signal.raise_signal(signal.SIGINT)

        def on_epoch_end(self, state: TrainState, report: EpochReport) -> None:
            if first == "the end" and state.stop:
                signal.raise_signal(signal.SIGINT)

    outcome = go(dataset, folder, Interrupt(), **settings)
    assert (outcome.stopped, outcome.test) == ("interrupted", None)
    go(dataset, folder, **settings)
    assert contents(folder) == contents(whole)


def test_the_same_run_may_go_on(place: Path, dataset: Dataset, straight: dict[str, bytes]) -> None:
    """In a notebook, after the square that stops it."""

    class Interrupt(Callback):
        def on_step_end(self, state: TrainState, report: StepReport) -> None:
            if state.step == 10:
                signal.raise_signal(signal.SIGINT)

    folder = RunFolder(place / "runs", None, "same")
    job = prepare(*resolve(ALL), dataset)
    assert train(job, folder, [Interrupt()]).test is None
    assert train(job, folder, resume=True).test is not None
    assert contents(folder) == straight
    RunFolder.existing(folder.path)


def test_a_good_checkpoint_is_never_given_up_for_a_damaged_one(
    place: Path, dataset: Dataset, straight: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(place / "runs", None, "kept")
    with pytest.raises(Killed):
        go(dataset, folder, KillAt(17), every=2)
    folder.file("checkpoint.safetensors").write_bytes(b"damaged")
    good = folder.file(PREVIOUS).read_bytes()

    class Watch(Callback):
        def on_step_end(self, state: TrainState, report: StepReport) -> None:
            assert folder.file(PREVIOUS).read_bytes() == good
            raise Killed

    with pytest.raises(Killed):
        go(dataset, folder, Watch())
    with monkeypatch.context() as patch:

        def killed(path: Path, target: Path) -> Path:
            raise Killed

        patch.setattr(Path, "replace", killed)
        with pytest.raises(Killed):
            go(dataset, folder, every=1)
    go(dataset, folder)
    assert contents(folder) == straight


@pytest.mark.parametrize("line", [b"garbage}", b"\xff\xfe}", b'{"epoch": "x"}', b"[3]", b"[" * 50_000])
def test_a_damaged_record_of_the_clock_is_no_trouble(
    place: Path, dataset: Dataset, straight: dict[str, bytes], line: bytes
) -> None:
    folder = RunFolder(place / "runs", None, "clock")
    with pytest.raises(Killed):
        go(dataset, folder, KillAt(17))
    timing = folder.file("timing.jsonl")
    timing.write_bytes(line + b"\n" + timing.read_bytes())
    go(dataset, folder)
    assert contents(folder) == straight
    assert [json.loads(row).get("epoch") for row in timing.read_text().splitlines()] == [1, 2, 3, None]


@pytest.mark.parametrize(
    "change",
    [
        {"lr_scale": float("nan")}, {"lr_scale": float("inf")}, {"lr_scale": -1.0}, {"lr_scale": 0.0},
        {"step": 0}, {"epoch": 2}, {"step": 10**30}, {"epoch": 10**6}, {"step": 10**6},
        {"partial.n": -64}, {"partial.n": 10**30}, {"partial.n": 0}, {"partial.train_loss": float("nan")},
        {"partial.epoch": 1}, {"partial": None}, {"report": 3},
        {"0.KeepBest.best": "abc"}, {"0.KeepBest.best": [1]}, {"0.KeepBest.best": float("nan")},
        {"1.EarlyStopping.best": None}, {"1.EarlyStopping.waited": "1"}, {"3.History.bytes": None},
        {"3.History.bytes": -1}, {"stop": 7},
    ],
    ids=str,
)  # fmt: skip
def test_values_that_no_run_has_are_refused_in_one_line(
    place: Path, dataset: Dataset, change: dict[str, Any]
) -> None:
    folder = RunFolder(place / "runs", None, "values")
    with pytest.raises(Killed):
        go(dataset, folder, KillAt(12), every=2)
    path = folder.file("checkpoint.safetensors")
    folder.file(PREVIOUS).unlink()

    def altered(values: dict[str, Any], arrays: dict[str, Any]) -> None:
        for name, value in change.items():
            outer, _, inner = name.partition(".")
            table = values[outer] if outer == "partial" and inner else values
            key = inner if outer == "partial" and inner else name
            assert key in table
            table[key] = value

    rewrite(path, altered)
    path.with_name("old").unlink()
    with pytest.raises(InputError, match=r"^[^\n]*/checkpoint\.safetensors: not a checkpoint of [^\n]+$"):
        go(dataset, folder)


def test_the_words_for_a_rate_that_cannot_be(place: Path, dataset: Dataset) -> None:
    folder = RunFolder(place / "runs", None, "rate")
    with pytest.raises(Killed):
        go(dataset, folder, KillAt(12), every=2)
    folder.file(PREVIOUS).unlink()
    rewrite(folder.file("checkpoint.safetensors"), lambda values, arrays: values.update(lr_scale=-2.0))
    with pytest.raises(InputError, match=r"run: expected lr_scale to be a finite number above 0, got -2\.0$"):
        go(dataset, folder)


def test_after_the_last_step_of_an_epoch_there_is_no_checkpoint_yet(
    tmp_path: Path, place: Path, dataset: Dataset
) -> None:
    """It would be of an epoch that is neither under way nor over."""
    job = prepare(*resolve(ALL), dataset)
    checkpoint = Checkpoint(tmp_path / "c", job.identity, job.model, (), every=1)
    steps: list[int] = []

    class Watch(Callback):
        def on_step_end(self, state: TrainState, report: StepReport) -> None:
            if checkpoint.path.exists():
                steps.append(state.step)
                checkpoint.path.unlink()

    job.trainer.fit(job.state, 1, [checkpoint, Watch()])
    assert steps == [1, 2, 3, 4, 5, 6]


def test_a_checkpoint_that_is_no_file_is_damaged(
    place: Path, dataset: Dataset, straight: dict[str, bytes]
) -> None:
    makes: tuple[Callable[[Path], object], ...] = (Path.mkdir, os.mkfifo)
    for number, make in enumerate(makes):
        folder, warnings = RunFolder(place / "runs", f"no-file-{number}", "x"), Warnings()
        with pytest.raises(Killed):
            go(dataset, folder, KillAt(17), every=2)
        folder.file("checkpoint.safetensors").unlink()
        make(folder.file("checkpoint.safetensors"))
        go(dataset, folder, warnings)
        assert len(warnings.words) == 1
        assert "it is no file" in warnings.words[0]
        assert contents(folder) == straight


def test_what_an_observer_remembers_and_changes_goes_on(place: Path, dataset: Dataset) -> None:
    class Slower(Callback):
        def __init__(self) -> None:
            self.epochs = 0

        def on_epoch_end(self, state: TrainState, report: EpochReport) -> None:
            self.epochs += 1
            state.lr_scale *= 0.5

        def saved(self) -> dict[str, Any]:
            return {"epochs": self.epochs}

        def restore(self, saved: dict[str, Any]) -> None:
            self.epochs = saved["epochs"]

    whole, folder = (RunFolder(place / "runs", None, "observed") for _ in range(2))
    go(dataset, whole, Slower())
    with pytest.raises(Killed):
        go(dataset, folder, Slower(), KillAt(10), every=1)
    observer = Slower()
    go(dataset, folder, observer)
    assert observer.epochs == 3
    assert contents(folder) == contents(whole)


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path, place: Path, dataset: Dataset) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    folder = RunFolder(tmp_path / "runs", None, "link")
    folder.file(LOCK).symlink_to(precious)
    with pytest.raises(OSError, match=LOCK):
        go(dataset, folder)
    assert precious.read_text() == "mine"
