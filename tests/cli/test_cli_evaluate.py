"""`numnist evaluate`: the figures, and the table that the terminal has room for."""

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from numnist.data import read_idx, write_idx
from numnist.nn import load_model, save_model
from numnist.predict import Predictor

if TYPE_CHECKING:
    from tests.cli.conftest import Numnist


KEYS = ["accuracy", "errors", "loss", "calibration_error", "reject", "coverage", "accuracy_answered", "n"]
KEYS += ["confusion"]


def plain(text: str) -> str:
    """Text without a terminal's colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_json_has_the_figures_of_the_run(numnist: "Numnist", trained: Path) -> None:
    ended = numnist("evaluate", "first", "--data", "own", "--json")
    assert (ended.status, ended.err, ended.out.count("\n")) == (0, "", 1)
    outcome = json.loads(ended.out)
    assert list(outcome) == KEYS
    result = json.loads((trained / "result.json").read_text())
    assert outcome["accuracy"] == result["test_accuracy"]
    assert outcome["errors"] == result["test_errors"]
    assert outcome["loss"] == pytest.approx(result["test_loss"], rel=1e-6)
    assert outcome["n"] == 60
    confusion = np.array(outcome["confusion"])
    assert confusion.sum(axis=1).tolist() == [20, 20, 20]
    assert confusion.sum() - confusion.trace() == outcome["errors"]


def test_a_model_is_found_by_its_file_its_folder_and_its_name(numnist: "Numnist", trained: Path) -> None:
    outputs = {
        numnist("evaluate", name, "--data", "own").out
        for name in ("first", "runs/first", "runs/first/model.safetensors", str(trained.resolve()))
    }
    assert {output.partition(" on ")[2] for output in outputs} == {next(iter(outputs)).partition(" on ")[2]}


def test_the_matrix_holds_the_counts_and_the_ratios(numnist: "Numnist", trained: Path) -> None:
    confusion = np.array(json.loads(numnist("evaluate", "first", "--data", "own", "--json").out)["confusion"])
    lines = numnist("evaluate", "first", "--data", "own").out.splitlines()
    errors = int(confusion.sum() - confusion.trace())
    assert lines[0] == f"{trained}/model.safetensors on idx"
    assert lines[1].startswith(f"accuracy {(60 - errors) / 60:.2%}  errors {errors} of 60  loss ")
    assert lines[3] == "rows: true class; columns: taken for"
    assert lines[4].split() == ["0", "1", "2", "recall"]
    for true, row in enumerate(confusion):
        counts = [str(count) if count or true == taken else "·" for taken, count in enumerate(row)]
        assert lines[6 + true].split() == [str(true), *counts, f"{row[true] / row.sum():.1%}"]
    taken = confusion.sum(axis=0)
    ratios = [f"{confusion[k, k] / taken[k]:.1%}" if taken[k] else "–" for k in range(3)]
    assert lines[10].split() == ["precision", *ratios, f"{(60 - errors) / 60:.1%}"]


@pytest.mark.parametrize("width", ["40", "80"])
def test_where_the_matrix_is_too_wide_each_class_has_a_line(
    numnist: "Numnist", letters: str, monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    line = ["train", "--data", letters, "--model", "mlp:8", "--epochs", "1", "--name", "letters"]
    assert numnist(*line).status == 0
    outcome = json.loads(numnist("evaluate", "letters", "--data", letters, "--json").out)
    assert "rows: true class" in numnist("evaluate", "letters", "--data", letters).out  # a file has room

    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", width)
    lines = plain(numnist("evaluate", "letters", "--data", letters).out).splitlines()
    assert "…" not in "".join(lines)
    assert all(len(line) <= int(width) for line in lines[2:])
    assert "rows: true class; columns: taken for" not in lines
    for true, row in enumerate(outcome["confusion"]):
        (own,) = (line for line in lines if line.split()[:2] == [str(true), "3"])
        recall = row[true] / 3
        assert own.split()[3] == f"{recall:.1%}"
        most = max((count, -taken) for taken, count in enumerate(row) if taken != true)
        if most[0]:
            assert own.split()[4:6][0] == str(-most[1])


def test_several_models_and_views_are_tested_together(numnist: "Numnist", trained: Path) -> None:
    assert numnist.train("--name", "second", "--seed", "1").status == 0
    predictor = Predictor.load(*(trained.parent / name / "model.safetensors" for name in ("first", "second")))
    images = read_idx(Path("own/t10k-images-idx3-ubyte"))
    labels = read_idx(Path("own/t10k-labels-idx1-ubyte"))
    p = predictor.probabilities(images)
    both = json.loads(numnist("evaluate", "first", "second", "--data", "own", "--json").out)
    assert both["loss"] == pytest.approx(-np.log(p[np.arange(60), labels]).mean(), rel=1e-5)
    p = Predictor(*predictor.models, tta=True).probabilities(images)
    seen = json.loads(numnist("evaluate", "first", "second", "--tta", "--data", "own", "--json").out)
    assert seen["loss"] == pytest.approx(-np.log(p[np.arange(60), labels]).mean(), rel=1e-5)
    assert seen["loss"] != both["loss"]
    out = numnist("evaluate", "first", "second", "--data", "own").out
    assert out.startswith(f"{trained}/model.safetensors + {trained.parent}/second/model.safetensors on idx\n")


def test_paths_with_commas_and_brackets_are_paths(numnist: "Numnist", trained: Path) -> None:
    for name in ("a,b", "[c]"):
        shutil.copytree(trained, name)
        assert numnist("evaluate", name, "--data", "own").status == 0
    assert numnist("evaluate", "a,b", "[c]", "--data", "own").status == 0


def test_answers_below_the_threshold_are_not_counted(numnist: "Numnist", trained: Path) -> None:
    predictor = Predictor.load(trained / "model.safetensors")
    p = predictor.probabilities(read_idx(Path("own/t10k-images-idx3-ubyte")))
    right = p.argmax(axis=1) == read_idx(Path("own/t10k-labels-idx1-ubyte"))
    threshold = float(np.quantile(p.max(axis=1), 0.4).round(3))
    sure = p.max(axis=1) >= threshold
    line = ["evaluate", "first", "--data", "own", "--reject", str(threshold)]
    outcome = json.loads(numnist(*line, "--json").out)
    assert outcome["coverage"] == pytest.approx(sure.mean())
    assert outcome["accuracy_answered"] == pytest.approx(right[sure].mean())
    assert (
        f"sure of {sure.mean():.2%} of the images; accuracy on those {right[sure].mean():.2%}"
        in numnist(*line).out
    )
    nobody = json.loads(numnist(*line[:-1], "1", "--json").out)
    assert (nobody["coverage"], nobody["accuracy_answered"]) == (0, None)


def test_a_loss_that_is_no_number_is_still_json(numnist: "Numnist", trained: Path) -> None:
    model = load_model(trained / "model.safetensors")
    model.parameters[...] = 3e38  # finite, but not what becomes of it
    save_model(model, Path("huge.safetensors"))
    ended = numnist("evaluate", "huge.safetensors", "--data", "own", "--json")
    assert (ended.status, ended.err) == (0, "")
    assert json.loads(ended.out, parse_constant=pytest.fail)["loss"] is None


@pytest.mark.parametrize("trained_on", [np.uint8, np.float32])
def test_grey_values_of_another_scale_are_refused(numnist: "Numnist", trained_on: Any) -> None:
    """0 to 255 where the model was trained on 0 to 1, or the other way round: the figures would mislead."""
    other = np.float32 if trained_on is np.uint8 else np.uint8
    shutil.copytree("own", "other")
    for name, dtype in (("own", trained_on), ("other", other)):
        for path in Path(name).glob("*-images-*"):
            write_idx(path, read_idx(path).astype(dtype))
    assert numnist.train("--name", "first").status == 0
    assert numnist("evaluate", "first", "--data", "own").status == 0
    numnist("evaluate", "first", "--data", "other").refused(
        "other/t10k-images-idx3-ubyte: expected", "as the model was trained on", f"got {np.dtype(other)}"
    )


@pytest.mark.mnist
def test_real_mnist_says_its_name(numnist: "Numnist", mnist: str) -> None:
    small = ["--model", "linear", "--limit", "600", "--epochs", "1", "--name", "first"]
    assert "images of mnist," in numnist("train", "--data", mnist, *small).out
    lines = numnist("evaluate", "first", "--data", mnist).out.splitlines()
    assert lines[0] == "runs/first/model.safetensors on mnist"
    assert len(max(lines, key=len)) <= 80
