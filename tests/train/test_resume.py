"""A run that is stopped anywhere, as often as you like, and goes on ends in the bytes of one that was not."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.train.resuming import ALL, STEPS, KillAt, Killed, Warnings, contents, go

from numnist.data import Dataset
from numnist.errors import InputError
from numnist.train import (
    Callback,
    RunFolder,
    StepReport,
    TrainState,
    load_checkpoint,
    prepare,
    resolve,
)
from numnist.train.checkpoint import PREVIOUS, SECONDS, Checkpoint


@given(
    kills=st.lists(st.integers(1, STEPS), max_size=4),
    every=st.sampled_from([None, 1, 2, 5]),
    threads=st.lists(st.sampled_from([1, 2]), min_size=5, max_size=5),
)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_killed_behind_any_steps_it_ends_in_the_same_bytes(
    place: Path,
    dataset: Dataset,
    straight: dict[str, bytes],
    kills: list[int],
    every: int | None,
    threads: list[int],
) -> None:
    folder = RunFolder(place / "runs", None, "killed")
    for number, step in enumerate(sorted(kills)):
        try:
            go(dataset, folder, KillAt(step), every=every, threads=threads[number])
        except Killed:
            pass
        else:  # it had gone on from behind this step
            assert folder.file("result.json").exists()
    go(dataset, folder, every=every, threads=threads[-1])
    assert contents(folder) == straight


@pytest.mark.parametrize("executor", ["engine", "reference"])
def test_the_executors_alike(place: Path, dataset: Dataset, executor: str) -> None:
    folders = [RunFolder(place / "runs", None, executor) for _ in range(2)]
    go(dataset, folders[0], executor=executor)
    with pytest.raises(Killed):
        go(dataset, folders[1], KillAt(10), every=4, executor=executor)
    go(dataset, folders[1], executor=executor)
    assert contents(folders[0]) == contents(folders[1])


@pytest.mark.parametrize("epoch", [1, 3])
def test_killed_between_history_and_checkpoint_no_epoch_is_written_twice(
    place: Path,
    dataset: Dataset,
    straight: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    epoch: int,
) -> None:
    folder = RunFolder(place / "runs", None, "between")
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "on_epoch_end", KillAt(epoch=epoch).on_epoch_end)
        with pytest.raises(Killed):
            go(dataset, folder, every=3)
    assert len(folder.file("history.jsonl").read_text().splitlines()) == epoch
    go(dataset, folder)
    assert contents(folder) == straight
    timing = [json.loads(line) for line in folder.file("timing.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in timing if "epoch" in row] == [1, 2, 3]


@pytest.mark.parametrize("call", range(1, 9))
def test_killed_in_any_renaming_of_a_file(
    place: Path,
    dataset: Dataset,
    straight: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    call: int,
) -> None:
    """Before the file of a checkpoint is whole, between the two renamings, in the last ones of the run."""
    folder = RunFolder(place / "runs", None, "renaming")
    renamed = 0
    replace: Callable[..., Path] = Path.replace

    def counted(path: Path, target: Path) -> Path:
        nonlocal renamed
        renamed += 1
        if renamed == call:
            raise Killed
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", counted)
        patch.setattr("numnist.files._remove", lambda path: None)  # nobody tidies up behind a kill
        with pytest.raises(Killed):
            go(dataset, folder, resume=False)
    assert [path for path in folder.path.iterdir() if path.name.startswith(".") and path.name != ".lock"]
    go(dataset, folder)
    assert contents(folder) == straight
    assert not [path for path in folder.path.iterdir() if path.name.startswith(".")]


def test_after_ctrl_c_it_goes_on_from_the_very_step(
    place: Path, dataset: Dataset, straight: dict[str, bytes]
) -> None:
    class Interrupt(Callback):
        def on_step_end(self, state: TrainState, report: StepReport) -> None:
            if state.step == 10:
                signal.raise_signal(signal.SIGINT)

    class First(Callback):
        step = 0

        def on_train_begin(self, state: TrainState, steps_per_epoch: int, epochs: int) -> None:
            self.step = state.step

    folder, first = RunFolder(place / "runs", None, "interrupted"), First()
    assert go(dataset, folder, Interrupt()).test is None
    go(dataset, folder, first)
    assert first.step == 10
    assert contents(folder) == straight


def test_the_end_of_a_finished_run_may_come_again(
    place: Path, dataset: Dataset, straight: dict[str, bytes]
) -> None:
    folder = RunFolder(place / "runs", None, "finished")
    go(dataset, folder)
    folder.file("result.json").unlink()
    go(dataset, folder)
    assert contents(folder) == straight


@pytest.mark.parametrize("damage", [b"", b"x" * 1000, None])
def test_a_damaged_newest_checkpoint_is_reported_and_the_one_before_it_used(
    place: Path, dataset: Dataset, straight: dict[str, bytes], damage: bytes | None
) -> None:
    folder, warnings = RunFolder(place / "runs", None, "damaged"), Warnings()
    with pytest.raises(Killed):
        go(dataset, folder, KillAt(17), every=2)
    newest = folder.file("checkpoint.safetensors")
    if damage is None:
        damage = newest.read_bytes()
        damage = damage[:-1] + bytes([damage[-1] ^ 1])
    newest.write_bytes(damage)
    go(dataset, folder, warnings)
    assert len(warnings.words) == 1
    assert str(newest) in warnings.words[0]
    assert warnings.words[0].endswith("going on from the one before it")
    assert contents(folder) == straight


def test_without_a_whole_checkpoint_the_first_is_named(place: Path, dataset: Dataset) -> None:
    folder = RunFolder(place / "runs", None, "both")
    with pytest.raises(Killed):
        go(dataset, folder, KillAt(17), every=2)
    for name in ("checkpoint.safetensors", PREVIOUS):
        folder.file(name).write_bytes(b"x")
    with pytest.raises(InputError, match=r"/checkpoint\.safetensors: not a checkpoint"):
        go(dataset, folder)


def test_a_history_that_was_cut_is_named(place: Path, dataset: Dataset) -> None:
    folder = RunFolder(place / "runs", None, "cut")
    with pytest.raises(Killed):
        go(dataset, folder, KillAt(17))
    folder.file("history.jsonl").write_text("")
    with pytest.raises(InputError, match=r"history\.jsonl: expected \d+ bytes or more, got 0"):
        go(dataset, folder)


def test_other_settings_are_refused_with_what_differs(place: Path, dataset: Dataset) -> None:
    folder = RunFolder(place / "runs", None, "other")
    with pytest.raises(Killed):
        go(dataset, folder, KillAt(17))
    before = folder.file("checkpoint.safetensors").read_bytes()
    with pytest.raises(InputError, match=r"settings\.seed was 0 and is now 1"):
        go(dataset, folder, seed=1)
    assert folder.file("checkpoint.safetensors").read_bytes() == before


def test_without_a_wish_a_checkpoint_is_written_every_minute(
    tmp_path: Path, place: Path, dataset: Dataset
) -> None:
    """A clock decides when, and only when."""
    now, written = [0.0], []
    job = prepare(*resolve(ALL), dataset)
    checkpoint = Checkpoint(tmp_path / "c", job.identity, job.model, (), clock=lambda: now[0])

    class Watch(Callback):
        def on_step_end(self, state: TrainState, report: StepReport) -> None:
            now[0] += SECONDS / 2.5
            if checkpoint.path.exists():
                written.append(state.step)
                checkpoint.path.unlink()

    job.trainer.fit(job.state, 1, [Watch(), checkpoint])
    assert written == [4, 7]  # written behind steps 3 and 6, and then at the end of the epoch
    assert checkpoint.path.exists()


def test_weights_that_are_not_finite_make_none(tmp_path: Path, place: Path, dataset: Dataset) -> None:
    job = prepare(*resolve(ALL), dataset)
    checkpoint = Checkpoint(tmp_path / "c", job.identity, job.model, (), every=1)

    class Spoil(Callback):
        def on_step_end(self, state: TrainState, report: StepReport) -> None:
            if state.step == 3:
                job.model.parameters[5] = float("nan")
            if state.step == 4:
                raise Killed

    with pytest.raises(Exception, match="the first that is not finite"):
        job.trainer.fit(job.state, 1, [Spoil(), checkpoint])
    again = prepare(*resolve(ALL), dataset)
    load_checkpoint(tmp_path / "c", again.identity, again.model, again.state, ())
    assert again.state.step == 2
