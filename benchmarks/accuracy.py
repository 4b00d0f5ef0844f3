"""Train recipes over seeds and append a row per run to results/runs.jsonl.

    python benchmarks/accuracy.py --recipes quick,one-epoch,original --seeds 0,1,2,3,4

A recipe and seed that already has a row for the same settings is left out, so seeds can be added at any time
and an interrupted campaign goes on where it stopped. Each run trains on the training set without the
validation split, reads the test set once, and is never repeated to get a better figure. MNIST is looked for
where `numnist train` looks.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from numnist import __version__
from numnist.data import Dataset, load_mnist
from numnist.train import Config, RunFolder, prepare, resolve, train

RESULTS = Path(__file__).resolve().parent.parent / "results" / "runs.jsonl"


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
    blas = [info for info in threadpool_info() if info["user_api"] == "blas"]
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    cpu = [line for line in lines if line.startswith("model name")]
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": [
            f"{info['internal_api']} {info['version']} {info.get('architecture', '')}".strip()
            for info in blas
        ],
        "cpu": cpu[0].partition(":")[2].strip() if cpu else platform.processor(),
        "cores": os.cpu_count(),
        "numnist": __version__,
    }


def rows() -> list[dict[str, Any]]:
    """The rows that are there."""
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []


def _settings(row: dict[str, Any]) -> Config:
    """The settings of a run; those that came later had their defaults then."""
    return Config.model_validate(row["settings"])


def measure(recipe: str, config: Config, dataset: Dataset, code: str) -> dict[str, Any]:
    """One run in a folder of its own, and its row."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run = RunFolder(Path(folder), None, config.model)
        outcome = train(prepare(recipe, config, dataset), run)
        seconds = time.perf_counter() - started
        assert outcome.test is not None, "the run was interrupted"
        result = json.loads(run.file("result.json").read_text())
    return {
        "recipe": recipe,
        "seed": config.seed,
        **{
            key: result[key]
            for key in ("test_accuracy", "test_errors", "test_loss", "val_accuracy", "epochs")
        },
        **{key: result[key] for key in ("parameters", "trained_on", "dataset")},
        "seconds": round(seconds, 1),
        "settings": config.plain(),
        "commit": code,
        "environment": environment(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def main() -> None:
    """Measure what has no row yet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recipes", default="quick,one-epoch")
    parser.add_argument("--seeds", default="0,1,2,3,4")
    arguments = parser.parse_args()
    code = commit()  # now, while what is checked out is what was imported
    dataset = load_mnist()
    if dataset.name != "mnist":
        sys.exit("accuracy.py: the data found is not MNIST")
    for seed in map(int, arguments.seeds.split(",")):
        for recipe in arguments.recipes.split(","):
            _, config = resolve({"seed": seed}, recipe)
            if any(row["recipe"] == recipe and _settings(row) == config for row in rows()):
                print(f"{recipe} seed {seed}: there is a row for it", flush=True)
                continue
            row = measure(recipe, config, dataset, code)
            RESULTS.parent.mkdir(exist_ok=True)
            with RESULTS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(f"{recipe} seed {seed}: {row['test_accuracy']:.2%} in {row['seconds']} s", flush=True)


if __name__ == "__main__":
    main()
