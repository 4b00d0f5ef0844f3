"""A whole run: the files it leaves, what they say, and what is refused."""

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numnist.data import Dataset, default_validation, split_validation
from numnist.errors import InputError
from numnist.nn import Reference, fit_temperature, load_model, load_notes
from numnist.train import (
    Callback,
    DivergenceError,
    EpochReport,
    Evaluation,
    Outcome,
    RunFolder,
    StepReport,
    TrainState,
    evaluate,
    load_checkpoint,
    prepare,
    resolve,
    train,
)
from numnist.train.records import History
from numnist.train.statistics import Statistics

ADDED = ("data.json", "network.toml", "report.html")
"""What the command line adds to a run's files."""

SETTINGS: dict[str, Any] = {"model": "mlp:8", "batch_size": 32, "epochs": 3}


def run_in(
    folder: Path, dataset: Dataset, *observers: Callback, **settings: Any
) -> tuple[RunFolder, Outcome]:
    job = prepare(*resolve({**SETTINGS, **settings}), dataset)
    where = RunFolder(folder, None, "mlp")
    return where, train(job, where, observers)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_leaves_its_files_and_they_agree(tmp_path: Path, dataset: Dataset) -> None:
    folder, outcome = run_in(tmp_path, dataset)
    files = [name for name in RunFolder.FILES if name not in ADDED]
    assert {path.name for path in folder.path.iterdir()} == set(files)
    assert folder.written() == [folder.file(name) for name in files if name not in RunFolder.INTERNAL]

    result = json.loads(folder.file("result.json").read_text())
    assert outcome.test is not None
    assert result["test_accuracy"] == outcome.test.accuracy > 0.9
    assert result["test_errors"] == outcome.test.errors == round((1 - outcome.test.accuracy) * 60)
    assert (result["epochs"], result["seed"], result["test_images"]) == (3, 0, 60)
    assert result["parameters"] == 64 * 8 + 8 + 8 * 3 + 3
    assert result["dataset"] == {"name": "bars", "fingerprint": "f" * 64}
    assert result["trained_on"] == {"images": 200, "validation": 40, "selection": "none"}
    assert result["stopped"] is None

    history = rows(folder.file("history.jsonl"))
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert [row["step"] for row in history] == [7, 14, 21]
    assert history[-1]["val_accuracy"] == result["val_accuracy"]
    timing = rows(folder.file("timing.jsonl"))
    assert [row.get("epoch") for row in timing] == [1, 2, 3, None]
    assert timing[-1]["training_seconds"] > sum(row["seconds"] for row in timing[:-1]) * 0.9


def test_the_model_file_is_the_tested_model(tmp_path: Path, dataset: Dataset) -> None:
    folder, outcome = run_in(tmp_path, dataset)
    assert dataset.test is not None
    model = load_model(folder.file("model.safetensors"))
    again = evaluate(Reference(model), model.preprocess, dataset.test.images, dataset.test.labels)
    assert outcome.test is not None
    np.testing.assert_array_equal(again.confusion, outcome.test.confusion)
    assert again.loss == outcome.test.loss
    assert load_notes(folder.file("model.safetensors"))["seed"] == 0


def test_one_seed_gives_one_set_of_bytes_but_for_the_clocks(tmp_path: Path, dataset: Dataset) -> None:
    folders = [run_in(tmp_path, dataset, augment={"shear": 5})[0] for _ in range(2)]
    for name in set(RunFolder.FILES) - {"timing.jsonl", *ADDED}:
        assert folders[0].file(name).read_bytes() == folders[1].file(name).read_bytes(), name
    assert all(folder.path.name not in folder.file("result.json").read_text() for folder in folders)


def test_trained_on_all_images_there_is_no_validation(tmp_path: Path, dataset: Dataset) -> None:
    folder, _ = run_in(tmp_path, dataset, validation=0)
    result = json.loads(folder.file("result.json").read_text())
    assert result["trained_on"] == {"images": 240, "validation": 0, "selection": "none"}
    assert result["val_accuracy"] is None


def test_a_limit_takes_the_first_images_and_tests_on_all(tmp_path: Path, dataset: Dataset) -> None:
    folder, outcome = run_in(tmp_path, dataset, limit=60)
    result = json.loads(folder.file("result.json").read_text())
    assert result["trained_on"] == {"images": 50, "validation": 10, "selection": "none"}
    assert outcome.test is not None
    assert outcome.test.n == 60


def test_the_best_epoch_is_kept_and_named(tmp_path: Path, dataset: Dataset) -> None:
    folder, _ = run_in(tmp_path, dataset, keep_best=True, epochs=4)
    history = rows(folder.file("history.jsonl"))
    best = max(row["val_accuracy"] for row in history)
    first = next(row["epoch"] for row in history if row["val_accuracy"] == best)
    result = json.loads(folder.file("result.json").read_text())
    assert result["val_accuracy"] == best
    assert result["trained_on"]["selection"] == f"epoch {first}, the best on validation"
    assert dataset.train is not None
    model = load_model(folder.file("model.safetensors"))
    held_out = prepare(*resolve({**SETTINGS}), dataset).trainer.validation
    assert held_out is not None
    assert evaluate(Reference(model), model.preprocess, held_out.images, held_out.labels).accuracy == best


def test_early_stopping_is_told(tmp_path: Path, dataset: Dataset) -> None:
    folder, outcome = run_in(tmp_path, dataset, early_stopping={"patience": 1}, epochs=50)
    result = json.loads(folder.file("result.json").read_text())
    assert result["stopped"] == outcome.stopped == "validation accuracy has not risen for 1 epochs"
    assert result["epochs"] == len(rows(folder.file("history.jsonl"))) < 50


class Interrupt(Callback):
    def on_step_end(self, state: TrainState, report: StepReport) -> None:
        if state.step == 10:
            signal.raise_signal(signal.SIGINT)


def test_after_ctrl_c_the_model_is_saved_and_the_test_set_unread(tmp_path: Path, dataset: Dataset) -> None:
    folder, outcome = run_in(tmp_path, dataset, Interrupt())
    assert (outcome.stopped, outcome.test) == ("interrupted", None)
    assert load_notes(folder.file("model.safetensors"))["epochs"] == 1
    assert not folder.file("result.json").exists()


def test_after_divergence_the_last_checkpoint_stands(tmp_path: Path, dataset: Dataset) -> None:
    class Explode(Callback):
        def on_epoch_end(self, state: TrainState, report: EpochReport) -> None:
            state.lr_scale = 1e30

    with pytest.raises(DivergenceError):
        run_in(tmp_path, dataset, Explode(), optim={"kind": "sgd", "lr": 0.1})
    assert {path.name for path in (tmp_path / "mlp-001").iterdir()} == {
        "config.toml", "history.jsonl", "timing.jsonl", "statistics.jsonl", "checkpoint.safetensors",
    }  # fmt: skip


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path, dataset: Dataset) -> None:
    """The loss is looked at before each update, so the last update needs a look of its own."""

    class Spoil(Callback):
        def on_train_end(self, state: TrainState) -> None:
            job.model.parameters[3] = np.inf

    job = prepare(*resolve(SETTINGS), dataset)
    folder = RunFolder(tmp_path, None, "mlp")
    with pytest.raises(DivergenceError, match="left weights that are not finite"):
        train(job, folder, [Spoil()])
    assert not folder.file("model.safetensors").exists()


def test_a_validation_loss_that_is_not_finite_is_a_divergence(tmp_path: Path, dataset: Dataset) -> None:
    settings = {"optim": {"kind": "sgd", "lr": 1e35}, "schedule": {"kind": "constant"}, "batch_size": 1000}
    with pytest.raises(DivergenceError, match="on the validation images after epoch 1"):
        run_in(tmp_path, dataset, epochs=1, **settings)


def test_the_temperature_is_that_of_the_validation_images(tmp_path: Path, dataset: Dataset) -> None:
    settings = {"optim": {"kind": "sgd", "lr": 0.01}, "epochs": 1}  # so that there are mistakes
    folder, outcome = run_in(tmp_path, dataset, **settings)
    model = load_model(folder.file("model.safetensors"))
    assert dataset.train is not None
    assert dataset.test is not None
    held_out = dataset.train.take(
        split_validation(len(dataset.train), default_validation(len(dataset.train)))[1]
    )
    logits = Reference(model).predict(model.preprocess(held_out.images))
    assert model.temperature == pytest.approx(fit_temperature(logits, held_out.labels), rel=1e-4)
    assert abs(model.temperature - 1) > 0.05
    assert json.loads(folder.file("result.json").read_text())["temperature"] == model.temperature
    scaled = Reference(model).predict(model.preprocess(dataset.test.images)) / model.temperature
    assert outcome.test is not None
    assert outcome.test.loss == pytest.approx(Evaluation.of(scaled, dataset.test.labels).loss, rel=1e-4)

    folder, _ = run_in(tmp_path, dataset, validation=0, **settings)
    assert load_model(folder.file("model.safetensors")).temperature == 1


def test_what_differs_from_the_recipe_is_said(tmp_path: Path, dataset: Dataset) -> None:
    folder, _ = run_in(tmp_path, dataset, seed=7)
    result = json.loads(folder.file("result.json").read_text())
    assert (result["recipe"], result["changed"]) == ("quick", ["batch_size", "model"])
    assert result["steps"] == 21


class InterruptAtTheEndOfAnEpoch(Callback):
    def on_step_end(self, state: TrainState, report: StepReport) -> None:
        if state.step == 14:
            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_in_the_last_step_of_an_epoch_completes_it(tmp_path: Path, dataset: Dataset) -> None:
    folder, _ = run_in(tmp_path, dataset, InterruptAtTheEndOfAnEpoch())
    assert [row["epoch"] for row in rows(folder.file("history.jsonl"))] == [1, 2]
    assert load_notes(folder.file("model.safetensors"))["epochs"] == 2


def test_the_runs_checkpoint_holds_its_callbacks(tmp_path: Path, dataset: Dataset) -> None:
    folder, _ = run_in(tmp_path, dataset, keep_best=True)
    job = prepare(*resolve({**SETTINGS, "keep_best": True}), dataset)
    statistics = Statistics(folder.file("statistics.jsonl"), job.model, job.trainer.executor)
    callbacks = [*job.callbacks, History(folder.file("history.jsonl")), statistics]
    load_checkpoint(folder.file("checkpoint.safetensors"), job.identity, job.model, job.state, callbacks)
    assert job.keep_best is not None
    assert job.keep_best.best == json.loads(folder.file("result.json").read_text())["val_accuracy"]
    assert (job.state.epoch, job.state.step) == (3, 21)


class TestRunFolder:
    def test_names_are_unique(self, tmp_path: Path) -> None:
        names = [
            RunFolder(tmp_path, None, model).path.name
            for model in ("cnn", "cnn", "mlp:300,100", "a/own.toml")
        ]
        assert names == ["cnn-001", "cnn-002", "mlp-300-100-001", "own-001"]

    def test_an_existing_run_is_refused_and_replaced_by_force(self, tmp_path: Path) -> None:
        folder = RunFolder(tmp_path, "mine", "cnn")
        folder.file("result.json").write_text("{}")
        (folder.path / "notes.txt").write_text("a person's own")
        with pytest.raises(InputError, match="there is a run of this name"):
            RunFolder(tmp_path, "mine", "cnn")
        assert RunFolder(tmp_path, "mine", "cnn", force=True).written() == []
        assert (folder.path / "notes.txt").exists()

    @pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "-x", "a b", "x" * 101, "ü\n"])
    def test_names_that_are_no_folder_names_are_refused(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(InputError, match="--name: expected letters"):
            RunFolder(tmp_path, name, "cnn")
        assert list(tmp_path.iterdir()) == []

    def test_a_place_where_no_folder_can_be_made_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match="file: cannot make a folder for the run"):
            RunFolder(tmp_path / "file", None, "cnn")


class TestEvaluation:
    outcome = Evaluation(0.5, np.array([[8, 2, 0], [1, 9, 0], [0, 0, 0]]))

    def test_figures(self) -> None:
        assert (self.outcome.n, self.outcome.errors, self.outcome.accuracy) == (20, 3, 0.85)
        assert Evaluation(0, np.array([[2427, 7573], [0, 0]])).accuracy == 0.2427  # not 0.24270000000000003
        np.testing.assert_allclose(self.outcome.precision, [8 / 9, 9 / 11, np.nan])
        np.testing.assert_allclose(self.outcome.recall, [0.8, 0.9, np.nan])

    def test_no_images_are_refused(self, dataset: Dataset) -> None:
        job = prepare(*resolve(SETTINGS), dataset)
        with pytest.raises(ValueError, match="evaluate: expected one image or more"):
            evaluate(job.trainer.executor, job.model.preprocess, np.zeros((0, 8, 8)), np.zeros(0, int))

    def test_the_mean_loss_does_not_depend_on_the_batches(
        self, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job = prepare(*resolve(SETTINGS), dataset)
        assert dataset.test is not None
        arguments = (job.trainer.executor, job.model.preprocess, dataset.test.images, dataset.test.labels)
        whole = evaluate(*arguments)
        monkeypatch.setattr("numnist.train.metrics.EVALUATION_BATCH", 7)
        parts = evaluate(*arguments)
        assert parts.loss == pytest.approx(whole.loss, rel=1e-6)
        np.testing.assert_array_equal(parts.confusion, whole.confusion)
