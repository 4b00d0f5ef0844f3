"""Train recipes over seeds and append a row per run to results/runs.jsonl.

    python benchmarks/accuracy.py --recipes quick,one-epoch,original --seeds 0,1,2,3,4 [--models DIR]
    python benchmarks/accuracy.py --recipes small --seeds 0 --validation 10000

A recipe and seed that already has a row for the same settings is left out, so seeds can be added at any time
and an interrupted campaign goes on where it stopped. Each run reads the test set once, and is never repeated
to get a better figure. MNIST is looked for where `numnist train` looks.

With --models DIR the models are kept, as DIR/RECIPE-SEED.safetensors beside the rows of their runs; one that
is missing there is made again, by a run that must end in the same number of errors and appends no row.

With --validation 10000 so many images are held out, whatever the recipe says. Such a run is for choosing
settings and for the temperature of the recipe's models: it does not read the test set, its row is in
results/validation.jsonl, and its model is DIR/RECIPE-SEED-validation.safetensors.
"""

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from numnist.data import Dataset, load_mnist, split_validation
from numnist.study.trial import environment as software
from numnist.train import Config, RunFolder, prepare, resolve, train

RESULTS = Path(__file__).resolve().parent.parent / "results"
RUNS = RESULTS / "runs.jsonl"
VALIDATION = RESULTS / "validation.jsonl"


def commit() -> str:
    """The commit that is checked out, marked where the package differs from it."""
    git = ["git", "-C", str(Path(__file__).resolve().parent)]
    head = subprocess.run(
        [*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True
    )
    changed = subprocess.run(
        [*git, "status", "--porcelain", "--", ":/src"], capture_output=True, text=True, check=True
    )
    return head.stdout.strip() + ("-changed" if changed.stdout else "")


def environment() -> dict[str, Any]:
    """What a figure may depend on besides the code."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    cpu = [line for line in lines if line.startswith("model name")]
    return software() | {"cpu": cpu[0].partition(":")[2].strip() if cpu else platform.processor()}


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows that are there."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Add a row."""
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def settings(row: dict[str, Any]) -> Config:
    """The settings of a run; those that came later had their defaults then."""
    return Config.model_validate(row["settings"])


def measure(
    recipe: str, config: Config, dataset: Dataset, code: str, keep: Path | None = None
) -> dict[str, Any]:
    """One run in a folder of its own, and its row. keep: where to copy the model."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run = RunFolder(Path(folder), None, config.model)
        outcome = train(prepare(recipe, config, dataset), run)
        seconds = time.perf_counter() - started
        assert outcome.test is not None, "the run was interrupted"
        result = json.loads(run.file("result.json").read_text())
        if keep is not None:
            keep.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(run.file("model.safetensors"), keep)
    return {
        "recipe": recipe,
        "seed": config.seed,
        **{
            key: result[key]
            for key in ("test_accuracy", "test_errors", "test_loss", "val_accuracy", "temperature", "epochs")
        },
        **{key: result[key] for key in ("parameters", "trained_on", "dataset")},
        "seconds": round(seconds, 1),
        "settings": config.plain(),
        "commit": code,
        "environment": environment(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def headline(recipe: str, seed: int, dataset: Dataset, code: str, models: Path | None) -> None:
    """A run as its recipe says, unless there is a row for it, and its model where models are kept."""
    _, config = resolve({"seed": seed}, recipe)
    name = f"{recipe} seed {seed}"
    known = [row for row in rows(RUNS) if row["recipe"] == recipe and settings(row) == config]
    keep = None if models is None else models / f"{recipe}-{seed}.safetensors"
    if known and (keep is None or keep.exists()):
        print(f"{name}: there is a row for it", flush=True)
        return
    row = measure(recipe, config, dataset, code, keep)
    if known and known[-1]["test_errors"] != row["test_errors"]:
        if keep is not None:
            keep.unlink()
        sys.exit(
            f"accuracy.py: {name}: {row['test_errors']} errors, and {known[-1]['test_errors']} in its row"
        )
    if keep is not None:
        keep.with_suffix(".json").write_text(json.dumps(row), encoding="utf-8")
    if not known:
        append(RUNS, row)
    print(f"{name}: {row['test_accuracy']:.2%} in {row['seconds']} s", flush=True)


def choosing(recipe: str, seed: int, held_out: int, dataset: Dataset, code: str, models: Path | None) -> None:
    """A run with so many images held out, unless there is a row for it; what is tested are these images."""
    keep = None if models is None else models / f"{recipe}-{seed}-validation.safetensors"
    _, config = resolve({"seed": seed, "validation": held_out}, recipe)
    known = any(row["recipe"] == recipe and settings(row) == config for row in rows(VALIDATION))
    if known and (keep is None or keep.exists()):
        print(f"{recipe} seed {seed}: there is a row for it", flush=True)
        return
    train_split = dataset.train
    assert train_split is not None
    _, held = split_validation(len(train_split), held_out)
    row = measure(recipe, config, replace(dataset, test=train_split.take(held)), code, keep)
    tested = {key.replace("test_", "val_"): value for key, value in row.items() if key.startswith("test_")}
    row = {key: value for key, value in row.items() if not key.startswith("test_")} | tested
    if not known:
        append(VALIDATION, row)
    print(f"{recipe} seed {seed}: {row['val_accuracy']:.2%} on validation in {row['seconds']} s", flush=True)


def main() -> None:
    """Measure what has no row yet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recipes", default="quick,one-epoch")
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--models", type=Path)
    parser.add_argument("--validation", type=int, default=0)
    arguments = parser.parse_args()
    code = commit()  # now, while what is checked out is what was imported
    dataset = load_mnist()
    if dataset.name != "mnist":
        sys.exit("accuracy.py: the data found is not MNIST")
    for seed in map(int, arguments.seeds.split(",")):
        for recipe in arguments.recipes.split(","):
            if arguments.validation:
                choosing(recipe, seed, arguments.validation, dataset, code, arguments.models)
            else:
                headline(recipe, seed, dataset, code, arguments.models)


if __name__ == "__main__":
    main()
