"""Everything typed wrong: one line that names it, exit status 2, and nothing left behind."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import safetensors.numpy

from numnist.cli import main
from numnist.data import Split, export_idx, write_idx

if TYPE_CHECKING:
    from tests.cli.conftest import Numnist

COMMANDS = [
    ("tain", "unknown command 'tain': did you mean 'train'?"),
    ("''", "unknown command ''"),
    ("--versio", "unknown command '--versio'"),
]

FLAGS = [
    ("train --epoch 3", "unknown flag '--epoch': did you mean '--epochs'?"),
    ("train --batch_size=3", "unknown flag '--batch_size': did you mean '--batch-size'?"),
    ("train --xyzzy", "unknown flag '--xyzzy': see numnist train --help"),
    ("train --optim.leer 1", "unknown flag '--optim.leer': did you mean '--optim.lr'?"),
    ("train --optim adam", "unknown flag '--optim': did you mean '--optim."),
    ("train mlp", "train: unexpected argument 'mlp': flags start with --"),
    ("train ''", "train: unexpected argument ''"),
    ("train --epochs", "--epochs: expected a value, got none"),
    ("train --epochs --seed 3", "--epochs: expected a value, got none"),
    ("train --force=yes", "--force: expected no value, got 'yes'"),
    ("train --keep-best 3", "unexpected argument '3'"),
    ("train --name ''", "--name: expected a value, got an empty one"),
    ("train --runs ''", "--runs: expected a value, got an empty one"),
    ("evaluate", "MODEL is missing: see numnist evaluate --help"),
    ("evaluate ''", "MODEL: expected a value, got an empty one"),
    ("evaluate first second", "second: no such model"),
    ("evaluate first --reject 2", "--reject: expected"),
    ("evaluate first --jsn", "unknown flag '--jsn': did you mean '--json'?"),
    ("summary cnn --clases 3", "unknown flag '--clases': did you mean '--classes'?"),
    ("summary cnn --classes three", "--classes: ", "got 'three'"),
    ("summary cnn --image-size 0", "--image-size: ", "got '0'"),
    ("summary first --image-size 14", "--image-size: ", "first is a saved model"),
    ("data --limit 3", "--limit: expected only together with --export"),
    ("data --format png", "--format: expected only together with --export"),
    ("data --export out --format jpg", "--format: ", "'idx' or 'png'", "got 'jpg'"),
    ("data --export out --split validation", "--split: ", "'train' or 'test'", "got 'validation'"),
    ("data --export out --limit 0", "--limit: ", "got '0'"),
    ("data --export ''", "--export: expected a value, got an empty one"),
]

SETTINGS = [
    ("--epochs 0", "--epochs: ", "got '0'"),
    ("--epochs many", "--epochs: ", "got 'many'"),
    ("--epochs 1.5", "--epochs: ", "got '1.5'"),
    ("--batch-size 0", "--batch-size: ", "got '0'"),
    ("--seed -1", "--seed: ", "got '-1'"),
    ("--limit 0", "--limit: ", "got '0'"),
    ("--limit None", "--limit: ", "got 'None'"),
    ("--validation -1", "--validation: ", "got '-1'"),
    ("--validation 120", "--validation: expected fewer than the 120 ", "images, got 120"),
    ("--limit 20 --validation 20", "--validation: expected fewer than the 20 ", "images, got 20"),
    ("--label-smoothing 1.5", "--label-smoothing: ", "got '1.5'"),
    ("--clip-norm 0", "--clip-norm: ", "got '0'"),
    ("--init he", "--init: ", "'he_normal'", "got 'he'"),
    ("--recipe quik", "--recipe: unknown recipe 'quik': did you mean 'quick'?"),
    ("--optim.kind Adam", "--optim.kind: unknown kind 'Adam': did you mean 'adam'?"),
    ("--optim.kind sgd --optim.momentum 0.5", "--optim.momentum: unknown setting 'momentum'"),
    ("--optim.kind momentum --optim.momentum 1", "--optim.momentum: ", "[0, 1)", "got 1.0"),
    ("--optim.lr 0", "--optim.lr: ", "got '0'"),
    ("--optim.lr -1e-3", "--optim.lr: ", "got '-1e-3'"),
    ("--optim.lr nan", "--optim.lr: ", "got 'nan'"),
    ("--optim.lr 0,1", "--optim.lr: ", "got '0,1'"),
    ("--schedule.kind steps", "--schedule.kind: unknown kind 'steps': did you mean 'step'?"),
    ("--schedule.kind step", "--schedule.size: ", "missing"),
    ("--schedule.gamma 2", "--schedule.gamma: unknown setting 'gamma'"),
    ("--schedule.kind multi-step --schedule.milestones 5,x", "--schedule.milestones: ", "got 'x'"),
    ("--schedule.kind multi-step --schedule.milestones 5,3", "--schedule", "milestones", "got (5, 3)"),
    ("--schedule.kind multi-step --schedule.milestones [5", "--schedule.milestones: "),
    ("--augment.rotation x", "--augment.rotation: expected a number, or two with a comma", "'x'"),
    ("--augment.rotation 1,2,3", "--augment.rotation: expected a number, or two with a comma"),
    ("--augment.rotation 15,-10", "--augment", "rotation", "low <= high", "got (15.0, -10.0)"),
    ("--augment.rotation [15", "--augment.rotation: "),
    ("--augment.horizontal-flip 2", "--augment", "horizontal", "from 0 to 1", "got 2.0"),
    ("--early-stopping.patience -1", "--early-stopping.patience: ", "got '-1'"),
    ("--early-stopping.patience 2 --validation 0", "--validation: 0 images leave none to stop"),
    ("--plateau.factor 1", "--plateau.factor: ", "got '1'"),
    ("--model mpl", "--model: unknown model 'mpl': did you mean 'mlp'?"),
    ("--model mlp:8,", "--model: ", "'mlp:8,'", "as in mlp:300,100"),
    ("--model mlp:0", "--model: ", "'mlp:0'", "at least 1, got 0"),
    ("--model cnn", "--model: ", "'cnn' on images of 8x8", "at least 5"),
    ("--model none.toml", "none.toml: ", "No such file"),
    ("--model typo.toml", "typo.toml: layer 0: unknown layer type 'Flaten': did you mean 'Flatten'?"),
    ("--model settings.toml", "settings.toml: expected [[layers]] alone"),
    ("--model broken.toml", "broken.toml: "),
    ("--model norm.toml --batch-size 99", "--batch-size: ", "a batch of one", "BatchNorm"),
    ("--name a/b", "--name: ", "got 'a/b'"),
    ("--name ..", "--name: ", "got '..'"),
    ("--name=-x", "--name: ", "got '-x'"),
    ("--name first", "runs/first: there is a run of this name", "--force"),
    ("--name first --force --validation 120", "--validation: "),
    ("--runs text", "text: cannot make a folder"),
    ("--runs text/runs", "text/runs: cannot make a folder"),
    ("--config none.toml", "none.toml: expected a TOML file", "No such file"),
    ("--config own", "own: expected a TOML file", "directory"),
    ("--config broken.toml", "broken.toml: expected a TOML file"),
    ("--config noise", "noise: expected a TOML file", "utf-8"),
    ("--config key.toml", "key.toml: epoch: unknown setting 'epoch': did you mean 'epochs'?"),
    ("--config inner.toml", "inner.toml: optim.lrr: unknown setting 'lrr': did you mean 'lr'?"),
    ("--config type.toml", "type.toml: seed: ", "got 'x'"),
    ("--config table.toml", "table.toml: optim: expected a table, got 3"),
    ("--config kind.toml", "kind.toml: optim.kind: unknown kind 'adm': did you mean 'adam'?"),
]

DATA = [
    ("--data none", "none: no such folder"),
    ("--data text", "text: not a folder"),
    ("--data runs", "runs: lacks train-images-idx3-ubyte"),
    ("--data own --test-images bad/short", "--data: ", "got both"),
    ("--test-images own/t10k-images-idx3-ubyte", "--t", "-labels", "is missing"),
    ("--train-images {train} --train-labels {train-labels} --test-images {test}", "--test-labels is missing"),
    ("{training} --test-images bad/short --test-labels {test-labels}", "bad/short: ", "truncated"),
    ("{training} --test-images bad/long --test-labels {test-labels}", "bad/long: ", "more than"),
    ("{training} --test-images text --test-labels {test-labels}", "text: expected an IDX file"),
    ("{training} --test-images none --test-labels {test-labels}", "none: no such file"),
    ("{training} --test-images own --test-labels {test-labels}", "own: ", "folder"),
    ("{training} --test-images bad/huge --test-labels {test-labels}", "bad/huge: ", "bytes of data promised"),
    ("{training} --test-images bad/nan --test-labels {test-labels}", "bad/nan: ", "NaN"),
    ("{training} --test-images bad/wide --test-labels {test-labels}", "bad/wide: ", "8 x 8", "8 x 9"),
    ("{training} --test-images {test-labels} --test-labels {test}", "t10k-labels", "a file of labels?"),
    ("{training} --test-images {test} --test-labels {test}", "t10k-images", "a file of images?"),
    ("{training} --test-images {test} --test-labels {train-labels}", "60 images", "120 labels"),
    ("{training} --test-images {test} --test-labels bad/unseen", "bad/unseen: label 7 is not in"),
    ("{training} --test-images {test} --test-labels bad/wild", "bad/wild: ", "got 70,000"),
    ("{training} --test-images {test} --test-labels bad/negative", "bad/negative: ", "got -1"),
    ("{training} --test-images {test} --test-labels bad/real", "bad/real: ", "integer"),
]

EVALUATE = [
    ("none", "none: no such model: expected a file, the folder of a run, the name of a run"),
    ("own", "own: there is no model.safetensors in this folder"),
    ("text", "text: not a model that numnist can use"),
    ("bad/model.safetensors", "bad/model.safetensors: not a model that numnist can use"),
    ("bad/foreign.safetensors", "bad/foreign.safetensors: ", "no description of a model"),
    ("runs/first/config.toml", "runs/first/config.toml: not a model"),
    ("runs/first/checkpoint.safetensors", "runs/first/checkpoint.safetensors: not a model"),
    ("first --test-images {test}", "--test-labels is missing", "--test-images, --test-labels"),
    ("first --test-images bad/wide --test-labels {test-labels}", "bad/wide: ", "8x8", "got 8x9"),
    ("first --test-images {test} --test-labels bad/unseen", "bad/unseen: ", "below 3", "got 7"),
    ("first --test-images bad/short --test-labels {test-labels}", "bad/short: ", "truncated"),
]

SUMMARY = [
    ("none", "unknown model 'none'"),
    ("CNN", "unknown model 'CNN': did you mean 'cnn'?"),
    ("mlp:0", "'mlp:0'", "at least 1, got 0"),
    ("cnn --image-size 4", "'cnn' on images of 4x4"),
    ("none.toml", "none.toml: ", "No such file"),
    ("typo.toml", "typo.toml: layer 0: ", "'Flaten'"),
    ("own", "own: there is no model.safetensors in this folder"),
    ("text", "text: not a model that numnist can use"),
]

EXPORT = [
    ("--export text", "text: cannot be written"),
    ("--export text/out", "text/out: cannot be written"),
    ("--export own", "own/t10k-images-idx3-ubyte: there is such a file: --force"),
    ("--export own --format png", "own: the folder holds files: --force"),
    ("--export out --format png --test-images bad/nan --test-labels {test-labels}", "bad/nan: "),
    ("--export out --test-images {test}", "--test-labels is missing"),
    ("--export out --format png --test-images bad/real-images --test-labels {test-labels}", "out: ", "uint8"),
]

NAMES = {
    "{training}": "--train-images {train} --train-labels {train-labels}",
    "{train}": "own/train-images-idx3-ubyte",
    "{train-labels}": "own/train-labels-idx1-ubyte",
    "{test}": "own/t10k-images-idx3-ubyte",
    "{test-labels}": "own/t10k-labels-idx1-ubyte",
}


def cases() -> list[tuple[str, ...]]:
    """All of the tables as whole command lines, each with the words that the answer must have."""
    small = "train --data own --model mlp:8 --epochs 1"
    rows: list[tuple[str, ...]] = [*COMMANDS, *FLAGS]
    rows += [(f"{small} {line}", *words) for line, *words in SETTINGS]
    rows += [(f"train --model mlp:8 {line}", *words) for line, *words in DATA]
    rows += [(f"evaluate {line}", *words) for line, *words in EVALUATE]
    rows += [(f"summary {line}", *words) for line, *words in SUMMARY]
    return rows + [
        (f"data {line}" if "-images" in line else f"data --data own {line}", *words)
        for line, *words in EXPORT
    ]


TEXTS = {
    "text": "a text",
    "settings.toml": "epochs = 3",
    "key.toml": "epoch = 3",
    "inner.toml": "[optim]\nlrr = 0.1",
    "type.toml": "seed = 'x'",
    "table.toml": "optim = 3",
    "kind.toml": "[optim]\nkind = 'adm'",
    "broken.toml": "epochs = ",
    "typo.toml": "[[layers]]\ntype = 'Flaten'",
    "norm.toml": """
        [[layers]]
        type = "Flatten"
        [[layers]]
        type = "Linear"
        out_features = "classes"
        [[layers]]
        type = "BatchNorm"
        """,
}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set, a finished run, and files that are wrong in every way."""
    folder = tmp_path_factory.mktemp("errors") / "scene"
    bad = folder / "bad"
    bad.mkdir(parents=True)
    for name, text in TEXTS.items():
        (folder / name).write_text(text)
    (folder / "noise").write_bytes(bytes(range(128, 256)))

    images = np.arange(60 * 64, dtype=np.uint8).reshape(60, 8, 8)
    labels = np.arange(60, dtype=np.uint8) % 3
    own = folder / "own"
    export_idx(Split(np.tile(images, (2, 1, 1)), np.tile(labels, 2).astype(np.int64)), own, "train")
    export_idx(Split(images, labels.astype(np.int64)), own, "t10k")
    raw = (own / "t10k-images-idx3-ubyte").read_bytes()
    (bad / "short").write_bytes(raw[:-1])
    (bad / "long").write_bytes(raw + b"\0")
    (bad / "huge").write_bytes(raw[:4] + b"\xff" * 12 + raw[16:])
    write_idx(bad / "nan", np.full((60, 8, 8), np.nan, np.float32))
    write_idx(bad / "real-images", np.zeros((60, 8, 8), np.float32))
    write_idx(bad / "wide", np.zeros((60, 8, 9), np.uint8))
    write_idx(bad / "unseen", np.full(60, 7, np.uint8))
    write_idx(bad / "wild", np.full(60, 70_000, np.int32))
    write_idx(bad / "negative", np.full(60, -1, np.int8))
    write_idx(bad / "real", np.zeros(60, np.float32))

    run = ["train", "--data", str(own), "--runs", str(folder / "runs"), "--model", "mlp:8", "--name", "first"]
    assert main(run) == 0
    model = (folder / "runs/first/model.safetensors").read_bytes()
    (bad / "model.safetensors").write_bytes(model[:-1])
    safetensors.numpy.save_file({"x": np.zeros(3)}, bad / "foreign.safetensors")
    return folder


def contents(folder: Path) -> dict[str, bytes | None]:
    """All that is in a folder, however deep: the bytes of files, None for folders."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize(("line", "words"), [pytest.param(c[0], c[1:], id=c[0]) for c in cases()])
def test_it_is_named_in_one_line_and_nothing_is_left_behind(
    numnist: "Numnist", scene: Path, monkeypatch: pytest.MonkeyPatch, line: str, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(scene)
    before = contents(scene)
    for name, path in NAMES.items():
        line = line.replace(name, path)
    numnist(*shlex.split(line)).refused(*words)
    assert contents(scene) == before
