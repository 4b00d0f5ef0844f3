"""What `numnist train` prints, writes, and writes again."""

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from numnist.data import load_mnist, write_idx
from numnist.nn import Reference, load_model
from numnist.train import RunFolder, evaluate

if TYPE_CHECKING:
    from tests.cli.conftest import Numnist

FILES = (
    "config.toml",
    "history.jsonl",
    "timing.jsonl",
    "statistics.jsonl",
    "checkpoint.safetensors",
    "model.safetensors",
    "result.json",
)
SAME = ("model.safetensors", "history.jsonl", "result.json")
"""Files of which the same run writes the same bytes, whatever it is called."""


def test_a_run_prints_where_it_stands_and_what_it_wrote(numnist: "Numnist") -> None:
    ended = numnist.train("--name", "first")
    assert (ended.status, ended.err) == (0, "")
    epoch = r"epoch {}/2  loss \d\.\d{{4}}  accuracy \d+\.\d\d%  validation \d\.\d{{4}} \d+\.\d\d%  \d+\.\d s"
    expected = [
        re.escape("training mlp:8 (547 parameters) on 100 images of idx, recipe quick, in runs/first"),
        epoch.format(1),
        epoch.format(2),
        r"test accuracy \d+\.\d\d% \(\d+ errors in 60 images\)",
        r"time \d+\.\d s",
        *(re.escape(f"wrote runs/first/{name}") for name in FILES),
    ]
    lines = ended.out.splitlines()
    assert len(lines) == len(expected)
    for line, pattern in zip(lines, expected, strict=True):
        assert re.fullmatch(pattern, line)
    files = {*FILES, *RunFolder.INTERNAL} - {"network.toml"}
    assert {path.name for path in Path("runs/first").iterdir()} == files


def test_the_result_says_what_was_trained_on_what_and_how_it_did(trained: Path) -> None:
    result = json.loads((trained / "result.json").read_text())
    data = load_mnist(Path("own"))
    assert data.test is not None
    model = load_model(trained / "model.safetensors")
    test = evaluate(Reference(model), model.preprocess, data.test.images, data.test.labels)
    assert result["test_accuracy"] == test.accuracy
    assert result["test_errors"] == test.errors
    history = [json.loads(line) for line in (trained / "history.jsonl").read_text().splitlines()]
    assert result["val_accuracy"] == history[-1]["val_accuracy"]
    assert (result["epochs"], result["seed"]) == (2, 0)
    assert result["parameters"] == 64 * 8 + 8 + 8 * 3 + 3
    assert result["dataset"] == {"name": "idx", "fingerprint": data.fingerprint}
    assert result["trained_on"]["images"] == 100
    assert result["trained_on"]["validation"] == 20


def test_it_learns(numnist: "Numnist") -> None:
    assert numnist.train("--epochs", "20", "--name", "long").status == 0
    assert json.loads(Path("runs/long/result.json").read_text())["test_accuracy"] > 0.95


def test_one_seed_gives_the_same_bytes_and_another_does_not(numnist: "Numnist", trained: Path) -> None:
    numnist.train("--name", "again", "--runs", "elsewhere")
    numnist.train("--name", "other", "--seed", "1")
    for name in SAME:
        first = (trained / name).read_bytes()
        assert Path("elsewhere/again", name).read_bytes() == first
        assert Path("runs/other", name).read_bytes() != first


def test_the_settings_of_a_run_repeat_it(numnist: "Numnist") -> None:
    flags = ["--optim.kind", "nesterov", "--augment.rotation", "-10,15", "--schedule.kind", "multi-step"]
    flags += ["--schedule.milestones", "3,5", "--label-smoothing", "0.1", "--recipe", "original"]
    assert numnist.train(*flags, "--name", "first").status == 0
    again = numnist("train", "--data", "own", "--config", "runs/first/config.toml", "--name", "second")
    assert again.status == 0
    for name in (*SAME, "config.toml"):
        assert Path("runs/second", name).read_bytes() == Path("runs/first", name).read_bytes()


def test_flags_go_over_the_file_and_the_file_over_the_recipe(numnist: "Numnist") -> None:
    Path("my.toml").write_text('model = "linear"\nepochs = 1\nseed = 5\n[optim]\nlr = 0.5\n')
    line = ["train", "--data", "own", "--config", "my.toml", "--recipe", "original", "--seed", "6"]
    assert numnist(*line, "--name", "mixed").status == 0
    written = Path("runs/mixed/config.toml").read_text()
    for setting in ('recipe = "original"', 'model = "linear"', "epochs = 1", "seed = 6", "lr = 0.5"):
        assert f"{setting}\n" in written
    assert "batch_size = 32\n" in written  # the recipe's


@pytest.mark.parametrize(
    "flag", ["--augment.rotation 15", "--augment.rotation -15,15", "--augment.rotation=-15,15"]
)
def test_a_range_is_one_number_or_two(numnist: "Numnist", flag: str) -> None:
    assert numnist.train(*flag.split(), "--name", "turned").status == 0
    assert "rotation = [\n    -15.0,\n    15.0,\n]" in Path("runs/turned/config.toml").read_text()


def test_runs_without_a_name_get_one_each(numnist: "Numnist") -> None:
    for number in (1, 2, 3):
        ended = numnist.train("--epochs", "1")
        assert f"in runs/mlp-8-{number:03}\n" in ended.out
    assert sorted(path.name for path in Path("runs").iterdir()) == ["mlp-8-001", "mlp-8-002", "mlp-8-003"]


def test_force_replaces_a_run_and_leaves_what_is_not_its_own(numnist: "Numnist", trained: Path) -> None:
    (trained / "notes.txt").write_text("mine")
    assert numnist.train("--name", "first", "--force", "--epochs", "1", "--model", "linear").status == 0
    assert len((trained / "history.jsonl").read_text().splitlines()) == 1
    assert json.loads((trained / "result.json").read_text())["model"] == "linear"
    assert {path.name for path in trained.iterdir()} == {*FILES, "data.json", "notes.txt"}


def test_a_description_of_a_model_trains_and_names_the_run(numnist: "Numnist") -> None:
    Path("small.toml").write_text(
        '[[layers]]\ntype = "Flatten"\n[[layers]]\ntype = "Linear"\nout_features = "classes"\n'
    )
    assert numnist.train("--model", "small.toml").status == 0
    model = load_model(Path("runs/small-001/model.safetensors"))
    Path("small.toml").unlink()  # the model needs no other file
    assert [type(layer).__name__ for layer in model.network.layers] == ["Flatten", "Linear"]


def test_early_stopping_ends_the_run_and_says_so(numnist: "Numnist") -> None:
    ended = numnist.train("--epochs", "50", "--early-stopping.patience", "1", "--name", "stopped")
    assert ended.status == 0
    assert "stopped: validation accuracy has not risen for 1 epochs\n" in ended.out
    result = json.loads(Path("runs/stopped/result.json").read_text())
    assert result["epochs"] < 50
    assert "best on validation" in result["trained_on"]["selection"]


def test_training_on_everything_leaves_no_validation(numnist: "Numnist") -> None:
    ended = numnist.train("--validation", "0", "--name", "all")
    assert "on 120 images of idx" in ended.out
    assert "validation" not in ended.out
    result = json.loads(Path("runs/all/result.json").read_text())
    assert result["val_accuracy"] is None
    assert result["trained_on"]["validation"] == 0


def test_the_rest_of_an_odd_number_and_a_batch_larger_than_all(numnist: "Numnist") -> None:
    assert numnist.train("--limit", "13", "--batch-size", "4").status == 0
    assert numnist.train("--limit", "1", "--batch-size", "1").status == 0
    assert numnist.train("--batch-size", "1000000").status == 0


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(["--epochs", "30", "--batch-size", "8"], id="in an epoch"),
        pytest.param(["--batch-size", "1000"], id="at the validation"),
        pytest.param(["--batch-size", "1000", "--epochs", "1", "--validation", "0"], id="in the last step"),
    ],
)
def test_a_run_that_diverges_ends_in_one_line(numnist: "Numnist", flags: list[str]) -> None:
    wild = ["--optim.kind", "sgd", "--optim.lr", "1e38", "--schedule.kind", "constant"]
    ended = numnist.train(*wild, *flags, "--name", "wild")
    assert ended.status == 1
    ended.complained("the loss became", "--optim.lr")
    assert not Path("runs/wild/result.json").exists()


def own_files(folder: str) -> list[str]:
    return [
        f"--{split}-{kind}={folder}/{stem}-{kind}-idx{rank}-ubyte"
        for split, stem in (("train", "train"), ("test", "t10k"))
        for kind, rank in (("images", 3), ("labels", 1))
    ]


def test_files_of_ones_own_of_another_size_with_26_classes(numnist: "Numnist", letters: str) -> None:
    ended = numnist("train", *own_files(letters), "--model", "mlp:8", "--epochs", "1", "--name", "letters")
    assert (ended.status, ended.err) == (0, "")
    assert f"({144 * 8 + 8 + 8 * 26 + 26:,} parameters)" in ended.out
    assert load_model(Path("runs/letters/model.safetensors")).preprocess.classes[25] == "25"


def test_the_folder_the_variable_and_the_four_files_are_the_same_data(
    numnist: "Numnist", trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ["train", "--model", "mlp:8", "--epochs", "2", "--batch-size", "16"]
    assert numnist(*small, *own_files("own"), "--name", "files").status == 0
    monkeypatch.setenv("NUMNIST_DATA", "own")
    assert numnist(*small, "--name", "variable").status == 0
    monkeypatch.delenv("NUMNIST_DATA")
    Path("own").rename("data")
    assert numnist(*small, "--name", "beside").status == 0
    for name in SAME:
        for run in ("files", "variable", "beside"):
            assert Path("runs", run, name).read_bytes() == (trained / name).read_bytes()


def test_images_of_floating_point_numbers_train(numnist: "Numnist") -> None:
    rng = np.random.default_rng(0)
    for stem, n in (("train", 30), ("t10k", 12)):
        write_idx(Path("own", f"{stem}-images-idx3-ubyte"), rng.random((n, 5, 9), np.float32))
        write_idx(Path("own", f"{stem}-labels-idx1-ubyte"), (np.arange(n) % 3).astype(np.int32))
    assert numnist.train("--name", "float").status == 0
    preprocess = load_model(Path("runs/float/model.safetensors")).preprocess
    assert (preprocess.image_size, preprocess.scale) == ((5, 9), 1.0)


def test_an_ensemble_is_several_runs_and_one_test(numnist: "Numnist") -> None:
    line = ["train", "--recipe", "record-ensemble", "--data", "own", "--model", "mlp:8", "--epochs", "2"]
    ended = numnist(*line, "--batch-size", "16", "--name", "many")
    assert (ended.status, ended.err) == (0, "")
    folders = [Path("runs") / f"many-{seed}" for seed in range(5)]
    seeds = [json.loads((folder / "result.json").read_text())["seed"] for folder in folders]
    assert seeds == [0, 1, 2, 3, 4]
    command = f"numnist evaluate {' '.join(map(str, folders))} --tta"
    *_, together, again = ended.out.splitlines()
    assert again == f"again: {command} --data own"
    errors = json.loads(numnist(*command.split()[1:], "--data", "own", "--json").out)["errors"]
    assert together == f"all 5 together: test accuracy {1 - errors / 60:.2%} ({errors} errors in 60 images)"

    numnist(*line, "--seed", "3").refused("--seed: record-ensemble is several runs")
    numnist(*line, "--config", "my.toml").refused("--config: record-ensemble is several runs")
    shutil.rmtree("runs/many-0")
    numnist(*line, "--name", "many").refused("runs/many-1: there is a run of this name")
    assert not Path("runs/many-0").exists()  # it is noticed before anything is trained
    numnist(*line, "--name", "a/b").refused("--name: expected letters")


def test_a_folder_for_tensorboard_that_cannot_be_leaves_no_run(numnist: "Numnist") -> None:
    Path("afile").write_text("x")
    numnist.train("--name", "first", "--tensorboard", "afile").refused("--tensorboard: afile: ")
    assert not Path("runs/first").exists()
    assert numnist.train("--name", "first", "--tensorboard", "board").status == 0
    assert len(list(Path("board/first").iterdir())) == 1
    assert numnist.train("--name", "first", "--tensorboard", "board", "--force").status == 0
    assert len(list(Path("board/first").iterdir())) == 1
